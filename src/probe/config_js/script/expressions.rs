//! Expressions: values, or the places where they are, and the operators between them.

use std::mem::replace;

use super::{Effect, Found, Read, Script, Value};
use crate::probe::config_js::lexer::Token;

impl Script<'_> {
    pub(super) fn expression(&mut self) -> Read<Found> {
        let mut found = self.assignment()?;
        while self.takes(",")? {
            found = self.assignment()?;
        }
        Ok(found)
    }

    /// The value of what stands to the right of a `=`.
    pub(super) fn assigned(&mut self) -> Read<Value> {
        let found = self.assignment()?;
        self.value(found)
    }

    pub(super) fn assignment(&mut self) -> Read<Found> {
        self.deeper(Self::any_assignment)
    }

    pub(super) fn any_assignment(&mut self) -> Read<Found> {
        let left = self.choice()?;
        let Token::Mark(mark) = self.token else { return Ok(left) };
        match mark {
            "=" => {
                self.advance()?;
                let value = self.assigned()?;
                self.assign(&left, value.clone());
                Ok(Found::Value(value))
            }
            "||=" | "&&=" | "??=" => {
                self.advance()?;
                let old = self.copy(&left)?;
                let stays = match mark {
                    "||=" => old.truth(),
                    "&&=" => old.truth().map(|truth| !truth),
                    _ => there(&old),
                };
                let effect = self.effect.when(stays.map(|stays| !stays));
                let value = self.with(effect, |script| {
                    let value = script.assigned()?;
                    script.assign(&left, value.clone());
                    Ok(value)
                })?;
                Ok(Found::Value(chosen(stays, old, value)))
            }
            "+=" => {
                self.advance()?;
                let old = self.copy(&left)?;
                let value = old.plus(&self.assigned()?);
                self.assign(&left, value.clone());
                Ok(Found::Value(value))
            }
            "-=" | "*=" | "/=" | "%=" | "**=" | "<<=" | ">>=" | ">>>=" | "&=" | "|=" | "^=" => {
                self.advance()?;
                self.assigned()?;
                self.assign(&left, Value::Computed);
                Ok(Found::Value(Value::Computed))
            }
            "=>" => self.arrow(),
            _ => Ok(left),
        }
    }

    /// The body of an arrow function, of which the parameters have been read.
    pub(super) fn arrow(&mut self) -> Read<Found> {
        self.advance()?;
        let effect = self.body_effect();
        if self.is("{") {
            self.with(effect, Self::block)?;
        } else {
            self.with(effect, Self::assignment)?;
        }
        Ok(Found::Value(Value::Thing))
    }

    /// A function's body takes effect when it is called, and only then.
    pub(super) fn body_effect(&mut self) -> Effect {
        if replace(&mut self.called, false) { self.effect } else { self.effect.when(None) }
    }

    pub(super) fn choice(&mut self) -> Read<Found> {
        let condition = self.binary(0)?;
        if !self.takes("?")? {
            return Ok(condition);
        }
        let truth = self.value(condition)?.truth();
        let yes = self.with(self.effect.when(truth), Self::assigned)?;
        self.wants(":")?;
        let no = self.with(self.effect.when(truth.map(|truth| !truth)), Self::assigned)?;
        Ok(Found::Value(chosen(truth, yes, no)))
    }

    /// Operators between two values, those that bind at least as strongly as `least`.
    pub(super) fn binary(&mut self, least: u8) -> Read<Found> {
        let mut left = self.unary()?;
        while let Some((operator, strength)) = self.operator().filter(|(_, strength)| *strength >= least) {
            self.advance()?;
            let value = self.value(left)?;
            let decided = match operator {
                "||" => value.truth(),
                "&&" => value.truth().map(|truth| !truth),
                "??" => there(&value),
                _ => Some(false),
            };
            // To the right of an operator that may decide already, nothing may happen.
            let effect = self.effect.when(decided.map(|decided| !decided));
            let right = self.with(effect, |script| {
                let right = script.deeper(|script| script.binary(strength + 1))?;
                script.value(right)
            })?;
            left = Found::Value(match operator {
                "||" | "&&" | "??" => chosen(decided, value, right),
                "+" => value.plus(&right),
                "===" | "==" => value.same(&right).map_or(Value::Computed, Value::Bool),
                "!==" | "!=" => value.same(&right).map_or(Value::Computed, |same| Value::Bool(!same)),
                _ => Value::Computed,
            });
        }
        Ok(left)
    }

    pub(super) fn operator(&self) -> Option<(&'static str, u8)> {
        match self.token {
            Token::Mark(mark) => {
                let strength = match mark {
                    "??" | "||" => 1,
                    "&&" => 2,
                    "|" => 3,
                    "^" => 4,
                    "&" => 5,
                    "===" | "==" | "!==" | "!=" => 6,
                    "<" | ">" | "<=" | ">=" => 7,
                    "<<" | ">>" | ">>>" => 8,
                    "+" | "-" => 9,
                    "*" | "/" | "%" => 10,
                    "**" => 11,
                    _ => return None,
                };
                Some((mark, strength))
            }
            Token::Word("in" | "instanceof") => Some(("in", 7)),
            _ => None,
        }
    }

    pub(super) fn unary(&mut self) -> Read<Found> {
        self.deeper(|script| match script.token {
            Token::Mark("!") => {
                script.advance()?;
                let found = script.unary()?;
                let truth = script.value(found)?.truth();
                Ok(Found::Value(truth.map_or(Value::Computed, |truth| Value::Bool(!truth))))
            }
            Token::Mark("-" | "+" | "~" | "++" | "--") => {
                script.advance()?;
                let found = script.unary()?;
                script.assign_number(&found);
                Ok(Found::Value(Value::Computed))
            }
            Token::Word("typeof") => {
                script.advance()?;
                let found = script.unary()?;
                Ok(Found::Value(kind(script.peek(&found))))
            }
            Token::Word("void") => {
                script.advance()?;
                script.unary()?;
                Ok(Found::Value(Value::Nothing))
            }
            Token::Word("delete") => {
                script.advance()?;
                let found = script.unary()?;
                script.assign(&found, Value::Nothing);
                Ok(Found::Value(Value::Bool(true)))
            }
            Token::Word("await" | "yield") => {
                script.advance()?;
                script.unary()?;
                Ok(Found::Value(Value::Computed))
            }
            _ => script.postfix(),
        })
    }

    /// `++x` changes a number, which no name is; a sign before a value changes nothing.
    pub(super) fn assign_number(&mut self, found: &Found) {
        if matches!(self.peek(found), Value::Number(_)) {
            self.assign(found, Value::Computed);
        }
    }
}

/// Whether a value is something else than nothing.
fn there(value: &Value) -> Option<bool> {
    match value {
        Value::Nothing => Some(false),
        Value::Computed => None,
        Value::Either(values) => {
            let nothing = values.iter().filter(|value| **value == Value::Nothing).count();
            if nothing == 0 { Some(true) } else { None }
        }
        _ => Some(true),
    }
}

fn chosen(truth: Option<bool>, yes: Value, no: Value) -> Value {
    match truth {
        Some(true) => yes,
        Some(false) => no,
        None => Value::either([yes, no]),
    }
}

/// What `typeof` says.
fn kind(value: &Value) -> Value {
    let kind = match value {
        Value::Nothing => "undefined",
        Value::Text(_) => "string",
        Value::Number(_) => "number",
        Value::Bool(_) => "boolean",
        Value::Object(_) => "object",
        Value::Thing | Value::Either(_) | Value::Computed => return Value::Computed,
    };
    Value::Text(kind.to_owned())
}
