//! Colours and widths.

use std::borrow::Cow;

use owo_colors::OwoColorize;
use textwrap::{Options, WordSplitter};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Whether colours are used. What is coloured is also said in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Colour,
    Plain,
}

/// What a text means; each tone is a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Good,
    Warning,
    Bad,
    /// Something to type.
    Type,
    /// Less important.
    Dim,
    Strong,
}

/// A place to write on.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub width: usize,
    pub style: Style,
}

impl Style {
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        match (self, tone) {
            (Self::Plain, _) => text.to_owned(),
            (Self::Colour, Tone::Good) => text.green().to_string(),
            (Self::Colour, Tone::Warning) => text.yellow().to_string(),
            (Self::Colour, Tone::Bad) => text.red().to_string(),
            (Self::Colour, Tone::Type) => text.cyan().to_string(),
            (Self::Colour, Tone::Dim) => text.dimmed().to_string(),
            (Self::Colour, Tone::Strong) => text.bold().to_string(),
        }
    }

    /// Colours what stands in backticks.
    pub(super) fn commands(self, text: &str) -> String {
        let parts = text.split('`').enumerate();
        let painted = parts.map(|(i, part)| if i % 2 == 1 { self.paint(Tone::Type, part) } else { part.to_owned() });
        painted.collect::<Vec<_>>().join("`")
    }
}

impl Tone {
    /// The same tone for the cells of a table.
    pub(super) fn of_cell(self, cell: comfy_table::Cell) -> comfy_table::Cell {
        use comfy_table::{Attribute, Color};
        match self {
            Self::Good => cell.fg(Color::DarkGreen),
            Self::Warning => cell.fg(Color::DarkYellow),
            Self::Bad => cell.fg(Color::DarkRed),
            Self::Type => cell.fg(Color::DarkCyan),
            Self::Dim => cell.add_attribute(Attribute::Dim),
            Self::Strong => cell.add_attribute(Attribute::Bold),
        }
    }
}

/// The width of the terminal that stdout is.
pub fn width_of_stdout() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from).filter(|w| *w > 0)
}

/// The width of the terminal that stderr is.
pub fn width_of_stderr() -> Option<usize> {
    comfy_table::Table::new().use_stderr().width().map(usize::from).filter(|w| *w > 0)
}

/// Cuts a line to a width in columns, with `…` where something is missing.
pub fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut room = width.saturating_sub(1);
    let fits = |c: &char| {
        let left = room.checked_sub(c.width().unwrap_or_default());
        left.inspect(|left| room = *left).is_some()
    };
    let kept: String = text.chars().take_while(fits).collect();
    format!("{}…", kept.trim_end())
}

/// Breaks a text into lines between words. A word that is longer than a line stays whole.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let options = Options::new(width).break_words(false).word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(&words, options).into_iter().map(Cow::into_owned).collect()
}
