//! Follows a script as far as that can be done without running it.
//!
//! Assignments are followed in their order. What a condition decides that cannot be told is kept as one of several
//! values; what would have to be computed is kept as that. Nothing is guessed.

mod expressions;
mod statements;
mod terms;
mod variables;

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
}
