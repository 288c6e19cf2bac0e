//! What stands between operators: literals, names, fields and calls.

use std::collections::BTreeMap;
use std::mem::replace;

use super::{DEPTH_LIMIT, Found, Read, Script, Value};
use crate::probe::config_js::BadConfig;
use crate::probe::config_js::lexer::Token;

/// Names of the object whose fields are the variables.
const WINDOWS: [&str; 3] = ["window", "self", "globalThis"];

impl<'a> Script<'a> {
    /// A value with its fields and calls.
    pub(super) fn postfix(&mut self) -> Read<Found> {
        let is_new = self.takes_word("new")?;
        let mut found = self.primary()?;
        loop {
            if self.is("(") {
                let arguments = self.arguments()?;
                found = Found::Value(self.call(&found, &arguments)?);
            } else if self.takes(".")? || self.takes("?.")? {
                match self.token {
                    Token::Word(name) => {
                        self.advance()?;
                        found = under(found, &Value::Text(name.to_owned()))?;
                    }
                    // `a?.(b)` and `a?.[b]`
                    Token::Mark("(" | "[") => {}
                    _ => return Err(self.bad("a dot without a name")),
                }
            } else if self.takes("[")? {
                let key = self.expression()?;
                let key = self.value(key)?;
                self.wants("]")?;
                found = under(found, &key)?;
            } else if matches!(self.token, Token::Template(..)) {
                self.advance()?;
                found = Found::Value(Value::Computed);
            } else if !self.new_line && (self.is("++") || self.is("--")) {
                self.advance()?;
                self.assign_number(&found);
                found = Found::Value(Value::Computed);
            } else {
                return Ok(if is_new { Found::Value(Value::Thing) } else { found });
            }
        }
    }

    pub(super) fn arguments(&mut self) -> Read<Vec<Found>> {
        self.wants("(")?;
        let mut all = Vec::new();
        while !self.takes(")")? {
            let spread = self.takes("...")?;
            let found = self.assignment()?;
            all.push(if spread { Found::Value(Value::Computed) } else { found });
            if !self.is(")") {
                self.wants(",")?;
            }
        }
        Ok(all)
    }

    /// A call: those of which the result is known, and those that are known to change nothing; any other may change
    /// what it is given.
    pub(super) fn call(&mut self, called: &Found, arguments: &[Found]) -> Read<Value> {
        let Found::At(path) = called else { return Ok(self.unknown_call(arguments)) };
        let Some((method, of)) = path.split_last() else { return Ok(Value::Computed) };
        if (of, method.as_str()) == (&["Object".to_owned()][..], "assign") {
            return self.merge(arguments);
        }
        if of.first().is_some_and(|of| ["console", "JSON", "Object", "Math"].contains(&of.as_str())) {
            return Ok(Value::Computed);
        }
        if of.is_empty() {
            return Ok(self.unknown_call(arguments));
        }
        let values: Vec<&Value> = arguments.iter().map(|found| self.peek(found)).collect();
        let result = self.at(of).call(method, &values);
        if result == Value::Computed {
            self.unknown_call(arguments);
        }
        Ok(result)
    }

    pub(super) fn unknown_call(&mut self, arguments: &[Found]) -> Value {
        for found in arguments {
            if matches!(self.peek(found), Value::Object(_)) {
                self.assign(found, Value::Computed);
            }
        }
        Value::Computed
    }

    /// `Object.assign(to, from, …)`
    pub(super) fn merge(&mut self, arguments: &[Found]) -> Read<Value> {
        let Some((to, from)) = arguments.split_first() else { return Ok(Value::Computed) };
        if let Found::Value(fresh) = to {
            let mut merged = fresh.clone();
            for found in from {
                merged = match (merged, self.copy(found)?) {
                    (Value::Object(mut fields), Value::Object(more)) => {
                        fields.extend(more);
                        Value::Object(fields)
                    }
                    (merged, Value::Nothing) => merged,
                    _ => Value::Computed,
                };
            }
            return Ok(merged);
        }
        for found in from {
            match (to, self.copy(found)?) {
                (Found::At(path), Value::Object(fields)) => {
                    for (name, value) in fields {
                        let path: Vec<String> = path.iter().cloned().chain([name]).collect();
                        self.set(&path, value);
                    }
                }
                (_, Value::Nothing) => {}
                _ => self.assign(to, Value::Computed),
            }
        }
        self.copy(to)
    }

    pub(super) fn primary(&mut self) -> Read<Found> {
        let value = match self.advance()? {
            Token::Text(text) => Value::Text(text),
            Token::Number(number) => number.parse().map_or(Value::Computed, Value::Number),
            Token::Regex => Value::Thing,
            Token::Template(texts, expressions) => self.template(&texts, &expressions)?,
            Token::Mark("(") => return self.group(),
            Token::Mark("{") => self.object()?,
            Token::Mark("[") => self.list()?,
            Token::Word("true") => Value::Bool(true),
            Token::Word("false") => Value::Bool(false),
            Token::Word("null" | "undefined") => Value::Nothing,
            Token::Word("async") if self.is_word("function") => {
                self.advance()?;
                self.function()?
            }
            Token::Word("function") => self.function()?,
            Token::Word("class") => {
                while !self.is("{") && self.token != Token::End {
                    self.advance()?;
                }
                self.skip_group("{", "}")?;
                Value::Thing
            }
            Token::Word(name) => return Ok(Found::At(vec![name.to_owned()])),
            _ => return Err(self.bad("no value where one is expected")),
        };
        Ok(Found::Value(value))
    }

    pub(super) fn group(&mut self) -> Read<Found> {
        if self.takes(")")? {
            // `() => …`
            return Ok(Found::Value(Value::Nothing));
        }
        let spread = self.takes("...")?;
        let found = self.expression()?;
        self.wants(")")?;
        Ok(if spread { Found::Value(Value::Computed) } else { found })
    }

    pub(super) fn function(&mut self) -> Read<Value> {
        self.takes("*")?;
        if matches!(self.token, Token::Word(_)) {
            self.advance()?;
        }
        self.skip_group("(", ")")?;
        let effect = self.body_effect();
        self.with(effect, Self::block)?;
        Ok(Value::Thing)
    }

    pub(super) fn template(&mut self, texts: &[String], expressions: &[&'a str]) -> Read<Value> {
        let mut sum = Value::Text(String::new());
        for (i, text) in texts.iter().enumerate() {
            sum = sum.plus(&Value::Text(text.clone()));
            if let Some(expression) = expressions.get(i) {
                sum = sum.plus(&self.inside(expression)?);
            }
        }
        Ok(sum)
    }

    /// The value of an expression inside of a template.
    pub(super) fn inside(&mut self, expression: &'a str) -> Read<Value> {
        self.deeper(|script| {
            let inside = script.lexer.inside(expression);
            let outside = (replace(&mut script.lexer, inside), script.token.clone(), script.new_line);
            script.advance()?;
            let found = script.expression()?;
            let value = script.value(found)?;
            (script.lexer, script.token, script.new_line) = outside;
            Ok(value)
        })
    }

    pub(super) fn list(&mut self) -> Read<Value> {
        while !self.takes("]")? {
            if self.takes(",")? {
                continue;
            }
            self.takes("...")?;
            self.assignment()?;
            if !self.is("]") {
                self.wants(",")?;
            }
        }
        Ok(Value::Thing)
    }

    pub(super) fn object(&mut self) -> Read<Value> {
        let mut fields = BTreeMap::new();
        let mut whole = true;
        while !self.takes("}")? {
            if self.takes("...")? {
                match self.assigned()? {
                    Value::Object(more) => fields.extend(more),
                    Value::Nothing => {}
                    _ => whole = false,
                }
            } else {
                let (name, value) = self.field()?;
                match name {
                    Some(name) => {
                        fields.insert(name, value);
                    }
                    None => whole = false,
                }
            }
            if !self.is("}") {
                self.wants(",")?;
            }
        }
        Ok(if whole { Value::Object(fields) } else { Value::Computed })
    }

    /// `name: value`, `name`, `name() { … }`, `[computed]: value`
    pub(super) fn field(&mut self) -> Read<(Option<String>, Value)> {
        let mut key = self.advance()?;
        // `get name() { … }`, `async name() { … }`; but also a field of that name.
        while matches!(key, Token::Word("get" | "set" | "async") | Token::Mark("*"))
            && !(self.is(":") || self.is(",") || self.is("(") || self.is("}"))
        {
            key = self.advance()?;
        }
        let name = match key {
            Token::Word(name) | Token::Number(name) => Some(name.to_owned()),
            Token::Text(name) => Some(name),
            Token::Mark("[") => {
                let found = self.expression()?;
                self.wants("]")?;
                self.value(found)?.text()
            }
            _ => return Err(self.bad("a field without a name")),
        };
        if self.takes(":")? {
            return Ok((name, self.assigned()?));
        }
        if self.is("(") {
            self.skip_group("(", ")")?;
            self.perhaps(Self::block)?;
            return Ok((name, Value::Thing));
        }
        let value = match &name {
            Some(name) => self.copy(&Found::At(vec![name.clone()]))?,
            None => Value::Computed,
        };
        Ok((name, value))
    }
}

/// A field of something.
fn under(found: Found, key: &Value) -> Read<Found> {
    let key = match key {
        Value::Text(_) | Value::Number(_) => key.text(),
        _ => None,
    };
    match (found, key) {
        (Found::At(mut path), Some(key)) => {
            // What a window has are the variables.
            if path.len() == 1 && WINDOWS.contains(&path[0].as_str()) {
                path.clear();
            }
            path.push(key);
            if path.len() > DEPTH_LIMIT { Err(BadConfig::TooDeep) } else { Ok(Found::At(path)) }
        }
        (Found::At(path), None) | (Found::Somewhere(path), _) => Ok(Found::Somewhere(path)),
        (Found::Value(value), Some(key)) => Ok(Found::Value(value.field(&key))),
        (Found::Value(_), None) => Ok(Found::Value(Value::Computed)),
    }
}
