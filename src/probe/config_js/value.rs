//! What is known of a value of a script without running it.

use std::collections::BTreeMap;

/// As many candidates are kept of a value that is undecided.
const MOST: usize = 16;
/// The longest text that is put together.
const LONGEST: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `undefined` and `null`.
    Nothing,
    Text(String),
    Number(f64),
    Bool(bool),
    Object(BTreeMap<String, Value>),
    /// A function, a list, a regular expression: there, and none of the above.
    Thing,
    /// One of these, as a condition decides.
    Either(Vec<Value>),
    /// Only running the script could tell.
    Computed,
}

impl Value {
    pub(super) fn object<const N: usize>(fields: [(&str, Self); N]) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// One of these; a value that all have is decided.
    pub(super) fn either(values: impl IntoIterator<Item = Self>) -> Self {
        let mut all: Vec<Self> = Vec::new();
        for value in values {
            let each = if let Self::Either(inner) = value { inner } else { vec![value] };
            for one in each {
                if all.contains(&one) {
                    continue;
                }
                if all.len() == MOST {
                    return Self::Computed;
                }
                all.push(one);
            }
        }
        if all.len() == 1 { all.remove(0) } else { Self::Either(all) }
    }

    /// As a condition; `None` when that cannot be told.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Self::Nothing => Some(false),
            Self::Text(text) => Some(!text.is_empty()),
            Self::Number(number) => Some(*number != 0.0 && !number.is_nan()),
            Self::Bool(bool) => Some(*bool),
            Self::Object(_) | Self::Thing => Some(true),
            Self::Either(values) => {
                let mut each = values.iter().map(Self::truth);
                let first = each.next().flatten()?;
                each.all(|truth| truth == Some(first)).then_some(first)
            }
            Self::Computed => None,
        }
    }

    /// A field of an object.
    pub(super) fn field(&self, name: &str) -> Self {
        match self {
            Self::Object(fields) => fields.get(name).cloned().unwrap_or(Self::Nothing),
            Self::Either(values) => Self::either(values.iter().map(|value| value.field(name))),
            Self::Nothing | Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Thing | Self::Computed => {
                Self::Computed
            }
        }
    }

    /// What `+` makes of two values.
    pub(super) fn plus(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Either(values), other) => Self::either(values.iter().map(|value| value.plus(other))),
            (value, Self::Either(others)) => Self::either(others.iter().map(|other| value.plus(other))),
            (Self::Number(a), Self::Number(b)) => Self::Number(a + b),
            (a, b) => match (a.text(), b.text()) {
                (Some(left), Some(right))
                    if matches!((a, b), (Self::Text(_), _) | (_, Self::Text(_)))
                        && left.len() + right.len() <= LONGEST =>
                {
                    Self::Text(left + &right)
                }
                _ => Self::Computed,
            },
        }
    }

    /// As part of a text; `None` when that cannot be told.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Number(number) => Some(number.to_string()),
            Self::Bool(bool) => Some(bool.to_string()),
            Self::Nothing | Self::Object(_) | Self::Thing | Self::Either(_) | Self::Computed => None,
        }
    }

    /// Whether two values are the same to `===`.
    pub(super) fn same(&self, other: &Self) -> Option<bool> {
        match (self, other) {
            (Self::Computed | Self::Either(_) | Self::Object(_) | Self::Thing, _)
            | (_, Self::Computed | Self::Either(_) | Self::Object(_) | Self::Thing) => None,
            (a, b) => Some(a == b),
        }
    }

    /// What a call of one of its methods gives.
    pub(super) fn call(&self, method: &str, arguments: &[&Self]) -> Self {
        match (self, method, arguments) {
            (Self::Text(text), "startsWith", [Self::Text(other)]) => Self::Bool(text.starts_with(other.as_str())),
            (Self::Text(text), "endsWith", [Self::Text(other)]) => Self::Bool(text.ends_with(other.as_str())),
            (Self::Text(text), "includes", [Self::Text(other)]) => Self::Bool(text.contains(other.as_str())),
            (Self::Text(text), "toLowerCase", []) => Self::Text(text.to_lowercase()),
            (Self::Text(text), "trim", []) => Self::Text(text.trim().to_owned()),
            (Self::Text(text), "toString", []) => Self::Text(text.clone()),
            (text @ Self::Text(_), "concat", others) => others.iter().fold(text.clone(), |sum, other| sum.plus(other)),
            (Self::Object(fields), "hasOwnProperty", [Self::Text(name)]) => Self::Bool(fields.contains_key(name)),
            _ => Self::Computed,
        }
    }

    /// How many values it is made of.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Object(fields) => 1 + fields.values().map(Self::size).sum::<usize>(),
            Self::Either(values) => 1 + values.iter().map(Self::size).sum::<usize>(),
            Self::Text(text) => 1 + text.len() / 64,
            Self::Nothing | Self::Number(_) | Self::Bool(_) | Self::Thing | Self::Computed => 1,
        }
    }

    /// Its texts, for people who have to decide.
    pub(super) fn candidates(&self) -> Vec<String> {
        match self {
            Self::Either(values) => values.iter().flat_map(Self::candidates).collect(),
            Self::Nothing => vec!["nothing".to_owned()],
            Self::Computed => vec!["something computed".to_owned()],
            Self::Object(_) | Self::Thing => vec!["no text".to_owned()],
            Self::Text(_) | Self::Number(_) | Self::Bool(_) => self.text().into_iter().collect(),
        }
    }
}
