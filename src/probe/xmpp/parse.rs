//! How an element is read: with a limit on everything that grows, while it is read.
//!
//! A parser that takes the whole document first does all of its work before anybody can count: tens of thousands of
//! attributes or namespaces in one stanza then cost minutes of a thread that hears no signal meanwhile.

use xmlparser::{ElementEnd, StrSpan, Token, Tokenizer};

use super::Element;

/// What Prosody allows for one message; nothing that we need is near it.
pub const MESSAGE_LIMIT: usize = 256 * 1024;
const DEPTH_LIMIT: usize = 32;
/// Elements and pieces of text.
const NODE_LIMIT: usize = 5_000;
/// Of one element, declarations of namespaces included.
const ATTRIBUTE_LIMIT: usize = 64;
/// Declarations of namespaces that hold at one place.
const NAMESPACE_LIMIT: usize = 128;

const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Why a message is not one element.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadXml {
    #[error("a message of {0} bytes")]
    TooLarge(usize),
    #[error("elements nested deeper than {DEPTH_LIMIT}")]
    TooDeep,
    #[error("more than {NODE_LIMIT} elements and pieces of text")]
    TooManyNodes,
    #[error("more than {ATTRIBUTE_LIMIT} attributes on one element")]
    TooManyAttributes,
    #[error("more than {NAMESPACE_LIMIT} namespaces at one place")]
    TooManyNamespaces,
    #[error("{0}")]
    NotXml(String),
}

fn not_xml<T>(why: impl Into<String>) -> Result<T, BadXml> {
    Err(BadXml::NotXml(why.into()))
}

impl Element {
    /// Reads one element; document types and therefore entities of one's own are refused.
    pub fn parse(message: &str) -> Result<Self, BadXml> {
        if message.len() > MESSAGE_LIMIT {
            return Err(BadXml::TooLarge(message.len()));
        }
        let mut reader = Reader::default();
        for token in Tokenizer::from(message) {
            reader.take(token.map_err(|error| BadXml::NotXml(error.to_string()))?)?;
        }
        match reader.root {
            Some(root) if reader.open.is_empty() && reader.tag.is_none() => Ok(root),
            Some(_) | None => not_xml("it ends before its element does"),
        }
    }
}

/// What has been read of one element.
#[derive(Default)]
struct Reader<'a> {
    root: Option<Element>,
    open: Vec<Open<'a>>,
    tag: Option<Tag<'a>>,
    /// The declarations that hold here, the nearest last: prefix and name.
    namespaces: Vec<(&'a str, String)>,
    nodes: usize,
}

/// An element whose end has not come yet.
struct Open<'a> {
    element: Element,
    name: (&'a str, &'a str),
    /// How many declarations held around it.
    around: usize,
}

/// A start tag of which the attributes are being read.
struct Tag<'a> {
    name: (&'a str, &'a str),
    attributes: Vec<(&'a str, &'a str, String)>,
    around: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, token: Token<'a>) -> Result<(), BadXml> {
        match token {
            Token::ElementStart { prefix, local, .. } => self.start((prefix.as_str(), local.as_str())),
            Token::Attribute { prefix, local, value, .. } => self.attribute(prefix.as_str(), local.as_str(), value),
            Token::ElementEnd { end: ElementEnd::Open, .. } => self.enter(),
            Token::ElementEnd { end: ElementEnd::Empty, .. } => {
                self.enter()?;
                self.leave(None)
            }
            Token::ElementEnd { end: ElementEnd::Close(prefix, local), .. } => {
                self.leave(Some((prefix.as_str(), local.as_str())))
            }
            Token::Text { text } => self.text(&resolved(text.as_str(), Place::Text)?),
            Token::Cdata { text, .. } => self.text(&text.as_str().replace("\r\n", "\n").replace('\r', "\n")),
            Token::Comment { .. } | Token::ProcessingInstruction { .. } | Token::Declaration { .. } => Ok(()),
            Token::DtdStart { .. }
            | Token::EmptyDtd { .. }
            | Token::EntityDeclaration { .. }
            | Token::DtdEnd { .. } => not_xml("a document type, which XMPP forbids"),
        }
    }

    fn count(&mut self) -> Result<(), BadXml> {
        self.nodes += 1;
        if self.nodes > NODE_LIMIT { Err(BadXml::TooManyNodes) } else { Ok(()) }
    }

    fn start(&mut self, name: (&'a str, &'a str)) -> Result<(), BadXml> {
        self.count()?;
        if self.open.len() > DEPTH_LIMIT {
            return Err(BadXml::TooDeep);
        }
        self.tag = Some(Tag { name, attributes: Vec::new(), around: self.namespaces.len() });
        Ok(())
    }

    fn attribute(&mut self, prefix: &'a str, local: &'a str, value: StrSpan<'a>) -> Result<(), BadXml> {
        let Some(tag) = &mut self.tag else { return not_xml("an attribute outside of a tag") };
        let declared = self.namespaces.len() - tag.around;
        if tag.attributes.len() + declared >= ATTRIBUTE_LIMIT {
            return Err(BadXml::TooManyAttributes);
        }
        if value.as_str().contains('<') {
            return not_xml(format!("a < in the attribute {local}"));
        }
        let value = resolved(value.as_str(), Place::Attribute)?;
        let namespace = match (prefix, local) {
            ("", "xmlns") => Some(""),
            ("xmlns", local) => Some(local),
            _ => None,
        };
        let Some(namespace) = namespace else {
            if tag.attributes.iter().any(|(p, l, _)| (*p, *l) == (prefix, local)) {
                return not_xml(format!("the attribute {local} twice"));
            }
            tag.attributes.push((prefix, local, value));
            return Ok(());
        };
        if self.namespaces[tag.around..].iter().any(|(known, _)| *known == namespace) {
            return not_xml(format!("the namespace {namespace:?} declared twice"));
        }
        if !namespace.is_empty() && (value.is_empty() || namespace == "xmlns" || namespace == "xml" && value != XML) {
            return not_xml(format!("the namespace {namespace:?} declared as {value:?}"));
        }
        if self.namespaces.len() >= NAMESPACE_LIMIT {
            return Err(BadXml::TooManyNamespaces);
        }
        self.namespaces.push((namespace, value));
        Ok(())
    }

    /// The start tag is complete.
    fn enter(&mut self) -> Result<(), BadXml> {
        let Some(tag) = self.tag.take() else { return not_xml("the end of a tag that has not begun") };
        let mut element = Element::new(tag.name.1, self.namespace(tag.name.0)?);
        for (prefix, name, value) in tag.attributes {
            // One with a prefix is none of ours, but its prefix has to be known.
            if prefix.is_empty() {
                element.attributes.push((name.to_owned(), value));
            } else {
                self.namespace(prefix)?;
            }
        }
        self.open.push(Open { element, name: tag.name, around: tag.around });
        Ok(())
    }

    /// The end of an element; `closing` is the name in its end tag, if it has one.
    fn leave(&mut self, closing: Option<(&str, &str)>) -> Result<(), BadXml> {
        let Some(Open { element, name, around }) = self.open.pop() else {
            return not_xml("an end tag without a start tag");
        };
        if closing.is_some_and(|closing| closing != name) {
            return not_xml(format!("{} does not end with its own name", name.1));
        }
        self.namespaces.truncate(around);
        match self.open.last_mut() {
            Some(parent) => parent.element.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), BadXml> {
        self.count()?;
        if let Some(open) = self.open.last_mut() {
            open.element.text.push_str(text);
        }
        Ok(())
    }

    fn namespace(&self, prefix: &str) -> Result<&str, BadXml> {
        match self.namespaces.iter().rev().find(|(known, _)| *known == prefix) {
            Some((_, name)) => Ok(name),
            None if prefix.is_empty() => Ok(""),
            None if prefix == "xml" => Ok(XML),
            None => not_xml(format!("the prefix {prefix:?} is not declared")),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    /// Line breaks and tabulators count as spaces.
    Attribute,
}

/// A text with its references resolved and its line breaks as one character.
fn resolved(text: &str, place: Place) -> Result<String, BadXml> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['&', '\r', '\n', '\t']) {
        plain.push_str(&rest[..at]);
        let (special, after) = rest[at..].split_at(1);
        rest = after;
        match special {
            "&" => {
                let Some((name, after)) = rest.split_once(';') else { return not_xml("a reference without an end") };
                plain.push(referred(name)?);
                rest = after;
            }
            _ if place == Place::Attribute => plain.push(' '),
            "\r" => plain.push('\n'),
            other => plain.push_str(other),
        }
        if special == "\r" {
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
    }
    plain.push_str(rest);
    Ok(plain)
}

/// The character that a reference stands for: one of XML's five, or one by its number.
fn referred(name: &str) -> Result<char, BadXml> {
    let unknown =
        || BadXml::NotXml(format!("the reference {:?} stands for nothing", name.chars().take(20).collect::<String>()));
    let number = |digits: &str, radix| {
        // `from_str_radix` takes a sign, which XML does not.
        let plain = !digits.is_empty() && digits.len() <= 8 && digits.chars().all(|c| c.is_digit(radix));
        plain
            .then(|| u32::from_str_radix(digits, radix).ok())
            .flatten()
            .and_then(char::from_u32)
            .filter(|c| allowed(*c))
    };
    match (name, name.strip_prefix("#x"), name.strip_prefix('#')) {
        ("amp", ..) => Ok('&'),
        ("lt", ..) => Ok('<'),
        ("gt", ..) => Ok('>'),
        ("quot", ..) => Ok('"'),
        ("apos", ..) => Ok('\''),
        (_, Some(digits), _) => number(digits, 16).ok_or_else(unknown),
        (_, None, Some(digits)) => number(digits, 10).ok_or_else(unknown),
        (_, None, None) => Err(unknown()),
    }
}

/// What XML 1.0 calls a character.
const fn allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use roxmltree::{Document, Node, ParsingOptions};

    use super::*;

    /// The same element by another reader.
    fn by_another(message: &str) -> Option<Element> {
        fn owned(node: Node<'_, '_>) -> Element {
            let mut element = Element::new(node.tag_name().name(), node.tag_name().namespace().unwrap_or_default());
            let plain = node.attributes().filter(|a| a.namespace().is_none());
            element.attributes = plain.map(|a| (a.name().to_owned(), a.value().to_owned())).collect();
            for child in node.children() {
                if child.is_element() {
                    element.children.push(owned(child));
                } else if let Some(text) = child.text().filter(|_| child.is_text()) {
                    element.text.push_str(text);
                }
            }
            element
        }
        let options = ParsingOptions { allow_dtd: false, nodes_limit: 1_000, ..ParsingOptions::default() };
        Document::parse_with_options(message, options).ok().map(|document| owned(document.root_element()))
    }

    #[test]
    fn an_element_is_what_another_reader_reads() {
        for message in [
            "<a/>",
            "<a xmlns='urn:a' b='1' c=\"2\">text<d xmlns='urn:d'>more</d> and <e/></a>",
            "<s:a xmlns:s='urn:s' s:x='gone' y='kept'><s:b/><c xmlns=''/></s:a>",
            "<a xml:lang='en'><!-- no --><?pi no?><![CDATA[<&\r\n]]></a>",
            "<a b='&lt;&#65;&#x42;&amp;&quot;&apos;\r\n\t'>&gt;\r\n\rx&#13;</a>",
            "<?xml version='1.0'?>\n<a>\u{1f600}</a>\n",
        ] {
            let read = Element::parse(message);
            assert_eq!(read.clone().ok(), by_another(message), "{message} gave {read:?}");
            assert!(read.is_ok(), "{message}");
        }
    }

    #[test]
    fn what_is_not_one_element_is_refused() {
        for message in [
            "",
            "text",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>text",
            "<a b='1' b='2'/>",
            "<a:b/>",
            "<a b:c='1'/>",
            "<a xmlns:b='1' xmlns:b='2'/>",
            "<a b='<'/>",
            "<a b='&'/>",
            "<a>&nbsp;</a>",
            "<a>&#0;</a>",
            "<a>&#+65;</a>",
            "<a>&#xffff;</a>",
            "<a>&#99999999999;</a>",
            "<a b=1/>",
            "<a>]]></a>",
            "<a>\u{1}</a>",
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        ] {
            assert!(Element::parse(message).is_err(), "{message}");
            assert_eq!(by_another(message), None, "{message}");
        }
    }

    /// How long a message takes to be read, and what it comes to.
    fn timed(message: &str) -> (Result<Element, BadXml>, Duration) {
        #[expect(clippy::disallowed_methods, reason = "what is measured is the time of a thread")]
        let start = Instant::now();
        let read = Element::parse(message);
        (read, start.elapsed())
    }

    fn full(before: &str, one: impl Fn(usize) -> String, after: &str) -> String {
        let mut message = before.to_owned();
        let mut n = 0;
        while message.len() < 215_000 {
            message += &one(n);
            n += 1;
        }
        message + after
    }

    #[test]
    fn whatever_grows_is_limited_while_it_is_read() {
        let nested = format!("{}{}", "<a>".repeat(30_000), "</a>".repeat(30_000));
        for (message, wanted) in [
            (full("<a", |n| format!(" x{n}='1'"), "/>"), BadXml::TooManyAttributes),
            (full("<a", |n| format!(" xmlns:x{n}='urn:{n}'"), "/>"), BadXml::TooManyAttributes),
            (
                full(
                    "<a>",
                    |n| format!("<a xmlns:x{n}='u' xmlns:y{n}='u' xmlns:z{n}='u' xmlns:w{n}='u' xmlns:v{n}='u'>"),
                    "",
                ),
                BadXml::TooManyNamespaces,
            ),
            (full("<a>", |n| format!("<b xmlns='urn:{n}'/>"), "</a>"), BadXml::TooManyNodes),
            (full("<a>", |_| "<b/>t".into(), "</a>"), BadXml::TooManyNodes),
            (full("<a>", |_| "<![CDATA[]]>".into(), "</a>"), BadXml::TooManyNodes),
            (nested, BadXml::TooDeep),
            ("x".repeat(MESSAGE_LIMIT + 1), BadXml::TooLarge(MESSAGE_LIMIT + 1)),
        ] {
            let (read, took) = timed(&message);
            assert_eq!(read, Err(wanted), "{}", &message[..60]);
            assert!(took < Duration::from_secs(3), "{took:?} for {}", &message[..60]);
        }
    }

    #[test]
    fn what_is_long_and_plain_is_read_in_time() {
        for message in [
            full("<a b='", |_| "&amp;".into(), "'/>"),
            full("<a>", |_| "&#65;".into(), "</a>"),
            full("<a>", |_| "\r".into(), "</a>"),
            full("<a><!--", |_| "- ".into(), "--></a>"),
            full("<a ", |_| " ".into(), "/>"),
        ] {
            let (read, took) = timed(&message);
            assert!(read.is_ok() && took < Duration::from_secs(3), "{took:?} for {}", &message[..60]);
        }
    }

    proptest! {
        #[test]
        fn any_message_is_read_like_another_reader_reads_it(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("<a"), Just("<b:c"), Just(">"), Just("/>"), Just("</a>"), Just(" x='1'"), Just(" xmlns='u'"),
                    Just(" xmlns:b='v'"), Just(" b:y=\"2\""), Just("text"), Just("&amp;"), Just("&#x41;"), Just("&"),
                    Just("<!--c-->"), Just("<![CDATA[d]]>"), Just("\r\n"), Just("</b:c>"), Just("<?p?>"), Just("'"),
                ],
                0..24,
            )
        ) {
            let message = parts.concat();
            prop_assert_eq!(Element::parse(&message).ok(), by_another(&message), "{}", message);
        }

        #[test]
        fn any_text_is_survived(message in "\\PC{0,80}") {
            let _ = Element::parse(&message);
        }
    }
}
