//! Where values are kept: variables, and the fields under them.

use std::collections::BTreeMap;
use std::mem::replace;

use super::{COPY_LIMIT, Effect, Found, Read, Script, Value};
use crate::probe::config_js::BadConfig;

impl Script<'_> {
    /// What stands at a place; `Nothing` where there is nothing.
    pub(super) fn at(&self, path: &[String]) -> &Value {
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

    pub(super) fn peek<'f>(&'f self, found: &'f Found) -> &'f Value {
        match found {
            Found::Value(value) => value,
            Found::At(path) => self.at(path),
            Found::Somewhere(_) => &Value::Computed,
        }
    }

    pub(super) fn value(&mut self, found: Found) -> Read<Value> {
        match found {
            Found::Value(value) => Ok(value),
            Found::At(_) | Found::Somewhere(_) => self.copy(&found),
        }
    }

    /// The value of what was found, copied out of where it is. What is copied again and again grows without an end.
    pub(super) fn copy(&mut self, found: &Found) -> Read<Value> {
        let value = match found {
            Found::Value(value) => value.clone(),
            Found::At(path) => self.deep(path),
            Found::Somewhere(_) => Value::Computed,
        };
        self.copied += value.size();
        if self.copied > COPY_LIMIT { Err(BadConfig::TooDeep) } else { Ok(value) }
    }

    /// As `at`, also through what is undecided.
    pub(super) fn deep(&self, path: &[String]) -> Value {
        let undecided = (1..path.len()).find(|n| matches!(self.at(&path[..*n]), Value::Either(_)));
        match undecided {
            Some(n) => path[n..].iter().fold(self.at(&path[..n]).clone(), |value, field| value.field(field)),
            None => self.at(path).clone(),
        }
    }

    pub(super) fn assign(&mut self, to: &Found, value: Value) {
        match to {
            Found::At(path) => self.set(path, value),
            // Any of its fields may be meant.
            Found::Somewhere(path) => self.set(path, Value::Computed),
            Found::Value(_) => {}
        }
    }

    pub(super) fn set(&mut self, path: &[String], value: Value) {
        let effect = self.effect;
        if effect == Effect::Never {
            return;
        }
        let Some((variable, fields)) = path.split_first() else { return };
        let mut place = self.variables.entry(variable.clone()).or_insert(Value::Nothing);
        for field in fields {
            match place {
                Value::Nothing | Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::Thing => {
                    *place = Value::Object(BTreeMap::new());
                }
                // One of several objects is changed, and nobody knows which.
                Value::Either(_) | Value::Computed => {
                    *place = Value::Computed;
                    return;
                }
                Value::Object(_) => {}
            }
            let Value::Object(known) = place else { return };
            place = known.entry(field.clone()).or_insert(Value::Nothing);
        }
        let old = replace(place, Value::Nothing);
        *place = if effect == Effect::Perhaps { Value::either([old, value]) } else { value };
    }
}
