//! Text that is ready to be shown. Nothing else can be written, and there is no way around what makes it harmless.

use std::fmt;
use std::ops::{AddAssign, Deref};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, Width};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::style::{Page, Style, Tone, wrap};
use crate::domain::text::{MOST, and_more, is_active, line, lines};

/// As many lines of one cell are shown.
const MOST_LINES: usize = 2 * MOST;

/// Text in which nothing does more than show, but for line feeds and colours that are ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown(String);

impl Deref for Shown {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AddAssign for Shown {
    fn add_assign(&mut self, more: Self) {
        self.0.push_str(&more.0);
    }
}

/// Our own words.
impl AddAssign<&'static str> for Shown {
    fn add_assign(&mut self, more: &'static str) {
        self.0.push_str(more);
    }
}

impl Shown {
    /// One line.
    pub fn line(text: &str) -> Self {
        Self(line(text) + "\n")
    }

    /// Lines of which the first begins something, and the others cannot be taken for another beginning.
    pub fn block(text: &str) -> Self {
        let hung =
            |line: &str| if line.starts_with(' ') || line.is_empty() { line.to_owned() } else { format!("  {line}") };
        let text = lines(text.trim_end());
        let mut each = text.split('\n');
        let first = each.next().unwrap_or_default().to_owned();
        Self(std::iter::once(first).chain(each.map(hung)).collect::<Vec<_>>().join("\n") + "\n")
    }

    /// A piece of a line.
    pub(super) fn piece(text: &str) -> Self {
        Self(line(text))
    }

    /// A piece of a line in its tone.
    pub(super) fn toned(style: Style, tone: Tone, text: &str) -> Self {
        Self(style.paint(tone, &line(text)))
    }

    /// A piece of a line in which what stands in backticks is to be typed.
    pub(super) fn with_commands(style: Style, text: &str) -> Self {
        Self(style.commands(&line(text)))
    }

    /// Lines in one tone, as a block.
    pub(super) fn toned_block(style: Style, tone: Tone, text: &str) -> Self {
        Self(style.paint(tone, Self::block(text).trim_end()) + "\n")
    }

    /// Text that this program has made for another one: it may hold tabulators, and be long.
    pub fn made(text: &str) -> Self {
        let mut shown: String = text.chars().filter(|c| matches!(c, '\n' | '\t') || !is_active(*c)).collect();
        if !shown.ends_with('\n') {
            shown.push('\n');
        }
        Self(shown)
    }

    /// One line of JSON. What acts on a terminal can only stand in its strings, and is written by its number there.
    pub fn json(value: &impl Serialize) -> Option<Self> {
        use fmt::Write;
        let plain = serde_json::to_string(value).ok()?;
        let mut shown = String::with_capacity(plain.len() + 1);
        for c in plain.chars() {
            if is_active(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(shown, "\\u{unit:04x}");
                }
            } else {
                shown.push(c);
            }
        }
        shown.push('\n');
        Some(Self(shown))
    }

    /// A row of the terminal: its head in its tone, the rest of its line, and a note below the rest.
    pub(super) fn row((style, tone): (Style, Tone), head: &str, rest: &str, note: Option<&str>) -> Self {
        let indent = " ".repeat(head.width() + 1);
        let mut shown = format!("{} {}", style.paint(tone, &line(head)), line(rest));
        shown.truncate(shown.trim_end().len());
        if let Some(note) = note {
            shown.push('\n');
            shown.push_str(&indent);
            shown.push_str(&style.paint(Tone::Dim, &line(note)));
        }
        Self(shown + "\n")
    }

    /// A text that goes on below its own beginning, which is `first`; what stands in backticks is to be typed.
    pub fn hanging(first: impl Into<Label>, rest: &str, text: &str, page: &Page) -> Self {
        let Label(tone, first) = first.into();
        let room = page.width.saturating_sub(rest.width()).max(20);
        let lines = wrap(&line(text), room).join(&format!("\n{rest}"));
        let first = tone.map_or_else(|| line(&first), |tone| page.style.paint(tone, &line(&first)));
        Self(format!("{first}{}\n", page.style.commands(&lines)))
    }
}

/// What stands before a text.
pub struct Label(Option<Tone>, String);

impl From<&str> for Label {
    fn from(text: &str) -> Self {
        Self(None, text.to_owned())
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        Self(None, text)
    }
}

impl From<(Tone, &str)> for Label {
    fn from((tone, text): (Tone, &str)) -> Self {
        Self(Some(tone), text.to_owned())
    }
}

/// A table without lines.
pub(super) struct Grid(Table);

impl Grid {
    pub(super) fn new(page: &Page) -> Self {
        let mut table = Table::new();
        table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(page.width).unwrap_or(u16::MAX));
        match page.style {
            Style::Colour => table.enforce_styling(),
            Style::Plain => table.force_no_tty(),
        };
        Self(table)
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.0.add_row(Row::from(cells.into_iter().map(|cell| cell.0).collect::<Vec<_>>()));
    }

    /// Gives the first columns their widths, and the last one what is left.
    pub(super) fn fix(&mut self, widths: &[usize]) {
        for column in self.0.column_iter_mut() {
            column.set_padding((0, 2));
        }
        for (column, width) in self.0.column_iter_mut().zip(widths) {
            let width = u16::try_from(width + 2).unwrap_or(u16::MAX);
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
        }
    }

    pub(super) fn shown(&self) -> Shown {
        Shown(self.0.trim_fmt() + "\n")
    }
}

/// A cell of a table: lines, and not very many.
pub(super) struct Cell(comfy_table::Cell);

impl Cell {
    pub(super) fn new(text: impl AsRef<str>) -> Self {
        let all = lines(text.as_ref());
        let more = all.split('\n').count().saturating_sub(MOST_LINES);
        if more == 0 {
            return Self(comfy_table::Cell::new(all));
        }
        let mut most: Vec<&str> = all.split('\n').take(MOST_LINES).collect();
        let more = and_more(more);
        most.push(&more);
        Self(comfy_table::Cell::new(most.join("\n")))
    }

    pub(super) fn toned(tone: Tone, text: impl AsRef<str>) -> Self {
        Self(tone.of_cell(Self::new(text).0))
    }

    /// Words stand to the left, figures to the right.
    pub(super) fn right(self) -> Self {
        Self(self.0.set_alignment(CellAlignment::Right))
    }
}
