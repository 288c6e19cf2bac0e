//! The words of a script, one after the other; nothing of it is run.

use super::BadConfig;

/// The longest run of nested templates.
const NESTED: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name or a keyword.
    Word(&'a str),
    Text(String),
    /// The texts of a template literal, and the sources of the expressions between them.
    Template(Vec<String>, Vec<&'a str>),
    Number(&'a str),
    Regex,
    Mark(&'static str),
    End,
}

/// Longest first, so that the longest one that fits is taken.
const MARKS: &[&str] = &[
    ">>>=", "...", "===", "!==", "**=", "<<=", ">>=", ">>>", "&&=", "||=", "??=", "=>", "==", "!=", "<=", ">=", "&&",
    "||", "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "**", "<<", ">>", "{", "}", "(", ")",
    "[", "]", ";", ",", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "!", "~", "?", ":", "=", ".", "#", "@",
];

#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    script: &'a str,
    rest: &'a str,
    /// Whether a slash here divides; otherwise it begins a regular expression.
    after_value: bool,
    /// Whether a line ended before the token that came last.
    pub(super) on_new_line: bool,
    nested: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(script: &'a str) -> Self {
        let rest = script.trim_start_matches('\u{feff}');
        Self { script, rest, after_value: false, on_new_line: true, nested: 0 }
    }

    /// The script of an expression inside of a template.
    pub(super) fn inside(&self, expression: &'a str) -> Self {
        Self { nested: self.nested + 1, ..Self::new(expression) }
    }

    /// The line that is being read, from 1.
    pub(super) fn line(&self) -> usize {
        let read = &self.script[..self.script.len() - self.rest.len()];
        read.split('\n').count()
    }

    fn bad(&self, why: &str) -> BadConfig {
        BadConfig::NotUnderstood { line: self.line(), why: why.to_owned() }
    }

    pub(super) fn next(&mut self) -> Result<Token<'a>, BadConfig> {
        self.blank()?;
        let Some(first) = self.rest.chars().next() else { return Ok(Token::End) };
        let token = match first {
            '"' | '\'' => Token::Text(self.quoted(first)?),
            '`' => self.template()?,
            '0'..='9' => Token::Number(self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_'))),
            '.' if self.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                Token::Number(self.run(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_')))
            }
            '/' if !self.after_value => self.regex()?,
            c if begins_word(c) => Token::Word(self.run(|c| begins_word(c) || c.is_alphanumeric())),
            _ => self.mark()?,
        };
        self.after_value = match &token {
            Token::Word(word) => !matches!(
                *word,
                "return" | "typeof" | "case" | "in" | "of" | "delete" | "void" | "throw" | "new" | "else" | "do"
            ),
            Token::Mark(mark) => matches!(*mark, ")" | "]" | "}"),
            Token::Text(_) | Token::Template(..) | Token::Number(_) | Token::Regex | Token::End => true,
        };
        Ok(token)
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let (run, rest) = self.rest.split_at(self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len()));
        self.rest = rest;
        run
    }

    fn mark(&mut self) -> Result<Token<'a>, BadConfig> {
        let Some(mark) = MARKS.iter().find(|mark| self.rest.starts_with(**mark)) else {
            return Err(self.bad("a character that no script has there"));
        };
        // `a ?.5 : b` is a choice.
        let choice = *mark == "?." && self.rest[2..].starts_with(|c: char| c.is_ascii_digit());
        let mark = if choice { "?" } else { mark };
        self.rest = &self.rest[mark.len()..];
        Ok(Token::Mark(mark))
    }

    /// Passes over spaces, line ends and comments.
    fn blank(&mut self) -> Result<(), BadConfig> {
        self.on_new_line = self.rest.len() == self.script.trim_start_matches('\u{feff}').len();
        loop {
            let space = self.run(|c| c.is_whitespace() || c == '\u{feff}');
            self.on_new_line |= space.contains(line_ends);
            if self.rest.starts_with("//")
                || self.rest.starts_with("<!--")
                || self.on_new_line && self.rest.starts_with("-->")
            {
                self.run(|c| !line_ends(c));
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                let Some((comment, after)) = comment.split_once("*/") else {
                    return Err(self.bad("a comment without an end"));
                };
                self.on_new_line |= comment.contains(line_ends);
                self.rest = after;
            } else {
                return Ok(());
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Result<String, BadConfig> {
        let mut text = String::new();
        self.rest = &self.rest[1..];
        loop {
            text.push_str(self.run(|c| c != quote && c != '\\' && !matches!(c, '\n' | '\r')));
            match self.rest.chars().next() {
                Some(c) if c == quote => break,
                Some('\\') => self.escape(&mut text)?,
                Some(_) | None => return Err(self.bad("a text without an end")),
            }
        }
        self.rest = &self.rest[1..];
        Ok(text)
    }

    fn escape(&mut self, text: &mut String) -> Result<(), BadConfig> {
        self.escaped(text).ok_or_else(|| self.bad("an escape that stands for nothing"))
    }

    /// What a backslash stands for.
    fn escaped(&mut self, text: &mut String) -> Option<()> {
        let mut rest = self.rest[1..].chars();
        let c = rest.next()?;
        self.rest = rest.as_str();
        match c {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'v' => text.push('\u{b}'),
            '0' if !self.rest.starts_with(|c: char| c.is_ascii_digit()) => text.push('\0'),
            'x' => text.push(self.hexadecimal(2)?),
            'u' => match self.rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
                Some((digits, after)) => {
                    self.rest = after;
                    text.push(u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?);
                }
                None => text.push(self.hexadecimal(4)?),
            },
            '\r' => self.rest = self.rest.strip_prefix('\n').unwrap_or(self.rest),
            c if line_ends(c) => {}
            c if c.is_ascii_digit() => return None,
            c => text.push(c),
        }
        Some(())
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<char> {
        let (number, rest) = self.rest.split_at_checked(digits)?;
        self.rest = rest;
        let all = number.bytes().all(|b| b.is_ascii_hexdigit());
        all.then(|| u32::from_str_radix(number, 16).ok()).flatten().and_then(char::from_u32)
    }

    fn template(&mut self) -> Result<Token<'a>, BadConfig> {
        if self.nested > NESTED {
            return Err(BadConfig::TooDeep);
        }
        let (mut texts, mut expressions, mut text) = (Vec::new(), Vec::new(), String::new());
        self.rest = &self.rest[1..];
        loop {
            text.push_str(self.run(|c| !matches!(c, '`' | '\\' | '$')));
            if let Some(rest) = self.rest.strip_prefix('`') {
                self.rest = rest;
                texts.push(text);
                return Ok(Token::Template(texts, expressions));
            } else if self.rest.starts_with('\\') {
                self.escape(&mut text)?;
            } else if let Some(rest) = self.rest.strip_prefix("${") {
                let mut inner =
                    Lexer { rest, script: rest, after_value: false, nested: self.nested + 1, ..self.clone() };
                let mut open = 0_usize;
                let end = loop {
                    let before = inner.rest;
                    match inner.next()? {
                        Token::Mark("{") => open += 1,
                        Token::Mark("}") if open == 0 => break before,
                        Token::Mark("}") => open -= 1,
                        Token::End => return Err(self.bad("a template without an end")),
                        _ => {}
                    }
                };
                expressions.push(&rest[..rest.len() - end.len()]);
                texts.push(std::mem::take(&mut text));
                self.rest = inner.rest;
            } else if let Some(rest) = self.rest.strip_prefix('$') {
                text.push('$');
                self.rest = rest;
            } else {
                return Err(self.bad("a template without an end"));
            }
        }
    }

    fn regex(&mut self) -> Result<Token<'a>, BadConfig> {
        let mut in_class = false;
        let mut letters = self.rest[1..].chars();
        loop {
            match letters.next() {
                Some('\\') => {
                    letters.next();
                }
                Some('[') => in_class = true,
                Some(']') => in_class = false,
                Some('/') if !in_class => break,
                Some(c) if !line_ends(c) => {}
                Some(_) | None => return Err(self.bad("a regular expression without an end")),
            }
        }
        self.rest = letters.as_str();
        self.run(char::is_alphanumeric);
        Ok(Token::Regex)
    }
}

fn begins_word(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '$')
}

fn line_ends(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}
