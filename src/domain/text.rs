//! Text from outside is text: it says something, and does nothing to the terminal or the browser that shows it.

use std::fmt::Display;

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;

/// The longest line that is shown.
pub const LONGEST: usize = 2_000;
/// As much of a list is shown.
pub const MOST: usize = 20;

/// One line that only shows, and is not longer than any that is meant to be read.
pub fn line(text: &str) -> String {
    shortened(text, LONGEST)
}

/// Lines that only show; the line feeds between them stay.
pub fn lines(text: &str) -> String {
    text.split('\n').map(|text| line(text.strip_suffix('\r').unwrap_or(text))).collect::<Vec<_>>().join("\n")
}

/// One line that only shows, of at most `longest` characters and a `…`.
///
/// Controls (Cc) and separators of lines (Zl, Zp) become spaces. Formatting (Cf: what turns the direction of writing,
/// what has no width) is left out, and so are ANSI's sequences for colours and cursors.
pub fn shortened(text: &str, longest: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(4 * longest));
    let mut length = 0;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if let Some(after) = (c == '\u{1b}').then(|| sequence(rest.as_str())).flatten() {
            rest = after.chars();
            continue;
        }
        let c = match acts(c) {
            None => c,
            Some(Acts::Moves) => ' ',
            Some(Acts::Formats) => continue,
        };
        if length == longest {
            shown.push('…');
            break;
        }
        shown.push(c);
        length += 1;
    }
    shown
}

/// `1 person`, `2 people`.
pub fn count<N: Copy + Display + PartialEq + From<u8>>(n: N, one: &str, many: &str) -> String {
    let noun = if n == N::from(1) { one } else { many };
    format!("{n} {noun}")
}

/// Whether a character does something else than show.
pub fn is_active(c: char) -> bool {
    acts(c).is_some()
}

enum Acts {
    Moves,
    Formats,
}

fn acts(c: char) -> Option<Acts> {
    if matches!(c, ' '..='~') {
        return None;
    }
    match CodePointMapData::<GeneralCategory>::new().get(c) {
        GeneralCategory::Control | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator => {
            Some(Acts::Moves)
        }
        GeneralCategory::Format => Some(Acts::Formats),
        _ => None,
    }
}

/// What follows a control sequence (ECMA-48, 5.4) of which the escape has been read; `None` when there is none.
fn sequence(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix('[')?.trim_start_matches(|c| matches!(c, '0'..='?'));
    let rest = parameters.trim_start_matches(|c| matches!(c, ' '..='/'));
    rest.strip_prefix(|c| matches!(c, '@'..='~'))
}

/// `a, b, c … and 1 480 more`
pub fn list<T: Display>(items: impl IntoIterator<Item = T>, between: &str) -> String {
    let mut items = items.into_iter();
    let shown: Vec<String> = items.by_ref().take(MOST).map(|item| item.to_string()).collect();
    let more = items.count();
    let shown = shown.join(between);
    if more == 0 { shown } else { format!("{shown} {}", and_more(more)) }
}

/// `… and 1 480 more`
pub fn and_more(n: usize) -> String {
    format!("… and {} more", grouped(n))
}

/// `1 480`
fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_does_not() {
        for (text, shown) in [
            ("plain äöü 日本 ✔", "plain äöü 日本 ✔"),
            ("\u{1b}[31mred\u{1b}[0m and \u{1b}[2J\u{1b}[1;1Hhome", "red and home"),
            ("\u{1b}]0;title\u{7}text", " ]0;title text"),
            ("an \u{1b}[2;5é odd one", "an  [2;5é odd one"),
            ("the end\u{1b}[2", "the end [2"),
            ("one\r\ntwo\tthree\u{9b}31m", "one  two three 31m"),
            ("evil\u{202e}txt\u{2066}\u{200f}\u{feff}\u{ad}\u{e0041}", "eviltxt"),
            ("a\u{2028}b\u{2029}c\u{85}d", "a b c d"),
            ("end\r\n", "end  "),
        ] {
            assert_eq!(line(text), shown, "{text:?}");
        }
        assert_eq!(lines("a\u{7}b\n\u{202e}c\r\n"), "a b\nc\n");
        assert_eq!(lines("\u{1b}[1mone\u{1b}[m\r\n two\r\n"), "one\n two\n");
    }

    #[test]
    fn lines_and_lists_end() {
        assert_eq!(shortened("äöüß", 3), "äöü…");
        assert_eq!(shortened("abc", 3), "abc");
        assert_eq!(line(&"x".repeat(1 << 20)).chars().count(), LONGEST + 1);
        assert_eq!(list(["a", "b"], ", "), "a, b");
        assert_eq!(list([0; 0], ", "), "");
        assert!(list(0..1_500, ", ").ends_with("18, 19 … and 1 480 more"));
        assert_eq!(
            ["7", "70", "700", "7 000", "1 234 567"],
            [7, 70, 700, 7_000, 1_234_567].map(grouped).each_ref().map(String::as_str)
        );
    }

    proptest! {
        #[test]
        fn whatever_comes_only_shows(text in any::<String>(), longest in 0_usize..200) {
            let shown = shortened(&text, longest);
            prop_assert!(!shown.chars().any(is_active), "{:?}", shown);
            prop_assert!(shown.chars().count() <= longest + 1);
            prop_assert_eq!(&line(&shown), &shown, "what only shows stays");
        }
    }
}
