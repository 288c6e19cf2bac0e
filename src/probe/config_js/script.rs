//! Follows a script as far as that can be done without running it.
//!
//! Assignments are followed in their order. What a condition decides that cannot be told is kept as one of several
//! values; what would have to be computed is kept as that. Nothing is guessed.

use std::collections::BTreeMap;
use std::mem::replace;

use super::BadConfig;
use super::lexer::{Lexer, Token};
use super::value::Value;

const DEPTH_LIMIT: usize = 100;
/// The values that are copied from one place to another.
const COPY_LIMIT: usize = 1_000_000;

/// Whether what is read takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Surely,
    Perhaps,
    Never,
}

impl Effect {
    /// The effect of what stands under a condition, within this one.
    fn when(self, truth: Option<bool>) -> Self {
        match (self, truth) {
            (Self::Never, _) | (_, Some(false)) => Self::Never,
            (effect, Some(true)) => effect,
            (_, None) => Self::Perhaps,
        }
    }
}

/// A value, or where it is.
enum Found {
    Value(Value),
    /// A variable, and the fields under it.
    At(Vec<String>),
    /// A field of something whose name has to be computed.
    Somewhere(Vec<String>),
}

pub(super) struct Script<'a> {
    lexer: Lexer<'a>,
    token: Token<'a>,
    new_line: bool,
    variables: BTreeMap<String, Value>,
    effect: Effect,
    /// The next function that is read is called at once.
    called: bool,
    depth: usize,
    copied: usize,
}

type Read<T> = Result<T, BadConfig>;

impl<'a> Script<'a> {
    /// The value of a variable at the end of a script; `known` are those that it begins with.
    pub(super) fn variable<const N: usize>(script: &'a str, known: [(&str, Value); N], name: &str) -> Read<Value> {
        let Value::Object(variables) = Value::object(known) else { return Ok(Value::Nothing) };
        let mut script = Self {
            lexer: Lexer::new(script),
            token: Token::End,
            new_line: true,
            variables,
            effect: Effect::Surely,
            called: false,
            depth: 0,
            copied: 0,
        };
        script.advance()?;
        while script.token != Token::End {
            script.statement()?;
        }
        Ok(script.variables.remove(name).unwrap_or(Value::Nothing))
    }

    // ---- tokens ---------------------------------------------------------------------------------

    fn advance(&mut self) -> Read<Token<'a>> {
        let next = self.lexer.next()?;
        self.new_line = self.lexer.on_new_line;
        Ok(replace(&mut self.token, next))
    }

    fn is(&self, mark: &str) -> bool {
        matches!(self.token, Token::Mark(found) if found == mark)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.token, Token::Word(found) if found == word)
    }

    fn takes(&mut self, mark: &str) -> Read<bool> {
        let is = self.is(mark);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    fn takes_word(&mut self, word: &str) -> Read<bool> {
        let is = self.is_word(word);
        if is {
            self.advance()?;
        }
        Ok(is)
    }

    fn wants(&mut self, mark: &str) -> Read<()> {
        if self.takes(mark)? { Ok(()) } else { Err(self.bad(&format!("no {mark} where one is expected"))) }
    }

    fn bad(&self, why: &str) -> BadConfig {
        BadConfig::NotUnderstood { line: self.lexer.line(), why: why.to_owned() }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(BadConfig::TooDeep);
        }
        let read = read(self);
        self.depth -= 1;
        read
    }

    /// Reads with another effect.
    fn with<T>(&mut self, effect: Effect, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        let before = replace(&mut self.effect, effect);
        let read = read(self);
        self.effect = before;
        read
    }

    fn perhaps<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.with(self.effect.when(None), read)
    }

    // ---- statements -----------------------------------------------------------------------------

    fn statement(&mut self) -> Read<()> {
        self.deeper(Self::any_statement)
    }

    fn any_statement(&mut self) -> Read<()> {
        if self.takes(";")? {
            return Ok(());
        }
        if self.is("{") {
            return self.block();
        }
        let Token::Word(word) = self.token else { return self.expression_statement() };
        match word {
            "var" | "let" | "const" => {
                self.advance()?;
                self.declarations()?;
                self.end_of_statement()
            }
            "if" => self.condition(),
            "for" | "while" | "with" => {
                self.advance()?;
                self.takes_word("await")?;
                self.skip_group("(", ")")?;
                self.perhaps(Self::statement)
            }
            "do" => {
                self.advance()?;
                self.perhaps(Self::statement)?;
                if !self.takes_word("while")? {
                    return Err(self.bad("a do without while"));
                }
                self.skip_group("(", ")")?;
                self.takes(";").map(drop)
            }
            "try" => self.attempt(),
            "switch" => {
                self.advance()?;
                self.skip_group("(", ")")?;
                self.perhaps(Self::cases)
            }
            "function" | "class" | "async" => {
                self.expression()?;
                self.takes(";").map(drop)
            }
            "return" | "throw" | "break" | "continue" => {
                self.advance()?;
                if !self.new_line && !self.is(";") && !self.is("}") && self.token != Token::End {
                    self.expression()?;
                }
                self.end_of_statement()
            }
            "import" | "export" | "debugger" => Err(self.bad("a statement that no script of Jitsi's has")),
            _ => self.expression_statement(),
        }
    }

    fn expression_statement(&mut self) -> Read<()> {
        // `(function () { … })()` and `!function () { … }()` are called where they stand.
        self.called = self.is("(") || self.is("!") || self.is_word("void");
        self.expression()?;
        self.called = false;
        self.end_of_statement()
    }

    fn end_of_statement(&mut self) -> Read<()> {
        if self.takes(";")? || self.is("}") || self.token == Token::End || self.new_line {
            return Ok(());
        }
        Err(self.bad("a statement that does not end"))
    }

    fn block(&mut self) -> Read<()> {
        self.wants("{")?;
        while !self.takes("}")? {
            if self.token == Token::End {
                return Err(self.bad("a block without an end"));
            }
            self.statement()?;
        }
        Ok(())
    }

    fn declarations(&mut self) -> Read<()> {
        loop {
            let name = match self.advance()? {
                Token::Word(name) => name.to_owned(),
                _ => return Err(self.bad("a declaration without a plain name")),
            };
            // `var config;` leaves it as it is.
            if self.takes("=")? {
                let value = self.assigned()?;
                self.set(&[name], value)?;
            }
            if !self.takes(",")? {
                return Ok(());
            }
        }
    }

    fn condition(&mut self) -> Read<()> {
        self.advance()?;
        self.wants("(")?;
        let truth = self.expression()?;
        let truth = self.value(truth)?.truth();
        self.wants(")")?;
        self.with(self.effect.when(truth), Self::statement)?;
        if self.takes_word("else")? {
            self.with(self.effect.when(truth.map(|truth| !truth)), Self::statement)?;
        }
        Ok(())
    }

    /// What is tried may end at any place, and nobody knows whether it is caught.
    fn attempt(&mut self) -> Read<()> {
        self.advance()?;
        self.block()?;
        if self.takes_word("catch")? {
            if self.is("(") {
                self.skip_group("(", ")")?;
            }
            self.perhaps(Self::block)?;
        }
        if self.takes_word("finally")? {
            self.block()?;
        }
        Ok(())
    }

    fn cases(&mut self) -> Read<()> {
        self.wants("{")?;
        while !self.takes("}")? {
            if self.takes_word("case")? {
                self.expression()?;
                self.wants(":")?;
            } else if self.takes_word("default")? {
                self.wants(":")?;
            } else {
                self.statement()?;
            }
        }
        Ok(())
    }

    /// Passes over what stands in brackets.
    fn skip_group(&mut self, open: &str, close: &str) -> Read<()> {
        self.wants(open)?;
        let mut opened = 1_usize;
        while opened > 0 {
            if self.token == Token::End {
                return Err(self.bad("a bracket without its partner"));
            }
            if self.is(open) {
                opened += 1;
            } else if self.is(close) {
                opened -= 1;
            }
            self.advance()?;
        }
        Ok(())
    }

    // ---- expressions ----------------------------------------------------------------------------

    fn expression(&mut self) -> Read<Found> {
        let mut found = self.assignment()?;
        while self.takes(",")? {
            found = self.assignment()?;
        }
        Ok(found)
    }

    /// The value of what stands to the right of a `=`.
    fn assigned(&mut self) -> Read<Value> {
        let found = self.assignment()?;
        self.value(found)
    }

    fn assignment(&mut self) -> Read<Found> {
        self.deeper(Self::any_assignment)
    }

    fn any_assignment(&mut self) -> Read<Found> {
        let left = self.choice()?;
        let Token::Mark(mark) = self.token else { return Ok(left) };
        match mark {
            "=" => {
                self.advance()?;
                let value = self.assigned()?;
                self.assign(&left, value.clone())?;
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
                    script.assign(&left, value.clone())?;
                    Ok(value)
                })?;
                Ok(Found::Value(chosen(stays, old, value)))
            }
            "+=" => {
                self.advance()?;
                let old = self.copy(&left)?;
                let value = old.plus(&self.assigned()?);
                self.assign(&left, value.clone())?;
                Ok(Found::Value(value))
            }
            "-=" | "*=" | "/=" | "%=" | "**=" | "<<=" | ">>=" | ">>>=" | "&=" | "|=" | "^=" => {
                self.advance()?;
                self.assigned()?;
                self.assign(&left, Value::Computed)?;
                Ok(Found::Value(Value::Computed))
            }
            "=>" => self.arrow(),
            _ => Ok(left),
        }
    }

    /// The body of an arrow function, of which the parameters have been read.
    fn arrow(&mut self) -> Read<Found> {
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
    fn body_effect(&mut self) -> Effect {
        if replace(&mut self.called, false) { self.effect } else { self.effect.when(None) }
    }

    fn choice(&mut self) -> Read<Found> {
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
    fn binary(&mut self, least: u8) -> Read<Found> {
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

    fn operator(&self) -> Option<(&'static str, u8)> {
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

    fn unary(&mut self) -> Read<Found> {
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
                script.assign_number(&found)?;
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
                script.assign(&found, Value::Nothing)?;
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
    fn assign_number(&mut self, found: &Found) -> Read<()> {
        match self.peek(found) {
            Value::Number(_) => self.assign(found, Value::Computed),
            _ => Ok(()),
        }
    }

    /// A value with its fields and calls.
    fn postfix(&mut self) -> Read<Found> {
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
                        found = self.under(found, Value::Text(name.to_owned()))?;
                    }
                    // `a?.(b)` and `a?.[b]`
                    Token::Mark("(" | "[") => {}
                    _ => return Err(self.bad("a dot without a name")),
                }
            } else if self.takes("[")? {
                let key = self.expression()?;
                let key = self.value(key)?;
                self.wants("]")?;
                found = self.under(found, key)?;
            } else if matches!(self.token, Token::Template(..)) {
                self.advance()?;
                found = Found::Value(Value::Computed);
            } else if !self.new_line && (self.is("++") || self.is("--")) {
                self.advance()?;
                self.assign_number(&found)?;
                found = Found::Value(Value::Computed);
            } else {
                return Ok(if is_new { Found::Value(Value::Thing) } else { found });
            }
        }
    }

    /// A field of something.
    fn under(&mut self, found: Found, key: Value) -> Read<Found> {
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
            (Found::At(path), None) => Ok(Found::Somewhere(path)),
            (Found::Value(value), Some(key)) => Ok(Found::Value(value.field(&key))),
            (Found::Value(_), None) => Ok(Found::Value(Value::Computed)),
            (Found::Somewhere(path), _) => Ok(Found::Somewhere(path)),
        }
    }

    fn arguments(&mut self) -> Read<Vec<Found>> {
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
    fn call(&mut self, called: &Found, arguments: &[Found]) -> Read<Value> {
        let Found::At(path) = called else { return self.unknown_call(arguments) };
        let Some((method, of)) = path.split_last() else { return Ok(Value::Computed) };
        if (of, method.as_str()) == (&["Object".to_owned()][..], "assign") {
            return self.merge(arguments);
        }
        if of.first().is_some_and(|of| ["console", "JSON", "Object", "Math"].contains(&of.as_str())) {
            return Ok(Value::Computed);
        }
        if of.is_empty() {
            return self.unknown_call(arguments);
        }
        let values: Vec<&Value> = arguments.iter().map(|found| self.peek(found)).collect();
        let result = self.at(of).call(method, &values);
        if result == Value::Computed {
            self.unknown_call(arguments)?;
        }
        Ok(result)
    }

    fn unknown_call(&mut self, arguments: &[Found]) -> Read<Value> {
        for found in arguments {
            if matches!(self.peek(found), Value::Object(_)) {
                self.assign(found, Value::Computed)?;
            }
        }
        Ok(Value::Computed)
    }

    /// `Object.assign(to, from, …)`
    fn merge(&mut self, arguments: &[Found]) -> Read<Value> {
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
                        self.set(&path, value)?;
                    }
                }
                (_, Value::Nothing) => {}
                _ => self.assign(to, Value::Computed)?,
            }
        }
        self.copy(to)
    }

    fn primary(&mut self) -> Read<Found> {
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

    fn group(&mut self) -> Read<Found> {
        if self.takes(")")? {
            // `() => …`
            return Ok(Found::Value(Value::Nothing));
        }
        let spread = self.takes("...")?;
        let found = self.expression()?;
        self.wants(")")?;
        Ok(if spread { Found::Value(Value::Computed) } else { found })
    }

    fn function(&mut self) -> Read<Value> {
        self.takes("*")?;
        if matches!(self.token, Token::Word(_)) {
            self.advance()?;
        }
        self.skip_group("(", ")")?;
        let effect = self.body_effect();
        self.with(effect, Self::block)?;
        Ok(Value::Thing)
    }

    fn template(&mut self, texts: &[String], expressions: &[&'a str]) -> Read<Value> {
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
    fn inside(&mut self, expression: &'a str) -> Read<Value> {
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

    fn list(&mut self) -> Read<Value> {
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

    fn object(&mut self) -> Read<Value> {
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
    fn field(&mut self) -> Read<(Option<String>, Value)> {
        let mut key = self.advance()?;
        // `get name() { … }`, `async name() { … }`; but also a field of that name.
        while matches!(key, Token::Word("get" | "set" | "async") | Token::Mark("*"))
            && !(self.is(":") || self.is(",") || self.is("(") || self.is("}"))
        {
            key = self.advance()?;
        }
        let name = match key {
            Token::Word(name) => Some(name.to_owned()),
            Token::Text(name) => Some(name),
            Token::Number(name) => Some(name.to_owned()),
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

    // ---- variables ------------------------------------------------------------------------------

    /// What stands at a place; `Nothing` where there is nothing.
    fn at(&self, path: &[String]) -> &Value {
        let Some((variable, fields)) = path.split_first() else { return &Value::Computed };
        let mut value = match self.variables.get(variable) {
            Some(value) => value,
            // A variable that the page has, and this script does not define.
            None if variable == "config" => &Value::Nothing,
            None => return &Value::Computed,
        };
        for field in fields {
            value = match value {
                Value::Object(known) => known.get(field).unwrap_or(&Value::Nothing),
                _ => return &Value::Computed,
            };
        }
        value
    }

    fn peek<'f>(&'f self, found: &'f Found) -> &'f Value {
        match found {
            Found::Value(value) => value,
            Found::At(path) => self.at(path),
            Found::Somewhere(_) => &Value::Computed,
        }
    }

    fn value(&mut self, found: Found) -> Read<Value> {
        match found {
            Found::Value(value) => Ok(value),
            Found::At(_) | Found::Somewhere(_) => self.copy(&found),
        }
    }

    /// The value of what was found, copied out of where it is. What is copied again and again grows without an end.
    fn copy(&mut self, found: &Found) -> Read<Value> {
        let value = match found {
            Found::Value(value) => value.clone(),
            Found::At(path) => self.deep(path),
            Found::Somewhere(_) => Value::Computed,
        };
        self.copied += value.size();
        if self.copied > COPY_LIMIT { Err(BadConfig::TooDeep) } else { Ok(value) }
    }

    /// As `at`, also through what is undecided.
    fn deep(&self, path: &[String]) -> Value {
        let undecided = (1..path.len()).find(|n| matches!(self.at(&path[..*n]), Value::Either(_)));
        match undecided {
            Some(n) => path[n..].iter().fold(self.at(&path[..n]).clone(), |value, field| value.field(field)),
            None => self.at(path).clone(),
        }
    }

    fn assign(&mut self, to: &Found, value: Value) -> Read<()> {
        match to {
            Found::At(path) => self.set(path, value),
            // Any of its fields may be meant.
            Found::Somewhere(path) => self.set(path, Value::Computed),
            Found::Value(_) => Ok(()),
        }
    }

    fn set(&mut self, path: &[String], value: Value) -> Read<()> {
        let effect = self.effect;
        if effect == Effect::Never {
            return Ok(());
        }
        let Some((variable, fields)) = path.split_first() else { return Ok(()) };
        let mut place = self.variables.entry(variable.clone()).or_insert(Value::Nothing);
        for field in fields {
            match place {
                Value::Nothing | Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::Thing => {
                    *place = Value::Object(BTreeMap::new());
                }
                // One of several objects is changed, and nobody knows which.
                Value::Either(_) | Value::Computed => {
                    *place = Value::Computed;
                    return Ok(());
                }
                Value::Object(_) => {}
            }
            let Value::Object(known) = place else { return Ok(()) };
            place = known.entry(field.clone()).or_insert(Value::Nothing);
        }
        let old = replace(place, Value::Nothing);
        *place = if effect == Effect::Perhaps { Value::either([old, value]) } else { value };
        Ok(())
    }
}

/// Names of the object whose fields are the variables.
const WINDOWS: [&str; 3] = ["window", "self", "globalThis"];

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
