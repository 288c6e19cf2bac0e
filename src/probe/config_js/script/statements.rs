//! Statements, each with the effect that it has where it stands.

use super::{Read, Script};
use crate::probe::config_js::lexer::Token;

impl Script<'_> {
    pub(super) fn statement(&mut self) -> Read<()> {
        self.deeper(Self::any_statement)
    }

    pub(super) fn any_statement(&mut self) -> Read<()> {
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

    pub(super) fn expression_statement(&mut self) -> Read<()> {
        // `(function () { … })()` and `!function () { … }()` are called where they stand.
        self.called = self.is("(") || self.is("!") || self.is_word("void");
        self.expression()?;
        self.called = false;
        self.end_of_statement()
    }

    pub(super) fn end_of_statement(&mut self) -> Read<()> {
        if self.takes(";")? || self.is("}") || self.token == Token::End || self.new_line {
            return Ok(());
        }
        Err(self.bad("a statement that does not end"))
    }

    pub(super) fn block(&mut self) -> Read<()> {
        self.wants("{")?;
        while !self.takes("}")? {
            if self.token == Token::End {
                return Err(self.bad("a block without an end"));
            }
            self.statement()?;
        }
        Ok(())
    }

    pub(super) fn declarations(&mut self) -> Read<()> {
        loop {
            let name = match self.advance()? {
                Token::Word(name) => name.to_owned(),
                _ => return Err(self.bad("a declaration without a plain name")),
            };
            // `var config;` leaves it as it is.
            if self.takes("=")? {
                let value = self.assigned()?;
                self.set(&[name], value);
            }
            if !self.takes(",")? {
                return Ok(());
            }
        }
    }

    pub(super) fn condition(&mut self) -> Read<()> {
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
    pub(super) fn attempt(&mut self) -> Read<()> {
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

    pub(super) fn cases(&mut self) -> Read<()> {
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
    pub(super) fn skip_group(&mut self, open: &str, close: &str) -> Read<()> {
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
}
