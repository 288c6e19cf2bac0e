//! A foreign text as its words: a phrase matches where it stands as words, and never inside of a name.

/// The words of a text, in lower case, without ARNs, addresses, images, ids and other names.
///
/// So `denied` is found in `pull access denied`, and not in `ghcr.io/jitsi/denied:403`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    pub fn of(text: &str) -> Self {
        let mut words = String::from(" ");
        let separates = |c: char| c.is_whitespace() || "\"`(){}[],;=│".contains(c);
        let plain = text.split(separates).map(trimmed).filter(|word| !word.is_empty() && !is_name(word));
        for word in plain {
            words.extend(word.chars().map(|c| if c == '\u{2019}' { '\'' } else { c.to_ascii_lowercase() }));
            words.push(' ');
        }
        Self(words)
    }

    /// Whether a phrase stands in the text.
    pub fn say(&self, phrase: &str) -> bool {
        let phrase = phrase.to_ascii_lowercase();
        let mut places = self.0.match_indices(&phrase);
        places.any(|(at, _)| self.0[..at].ends_with(' ') && self.0[at + phrase.len()..].starts_with(' '))
    }

    /// Whether one phrase of each list stands in the text.
    pub fn say_all(&self, all: &[&[&str]]) -> bool {
        all.iter().all(|any| any.iter().any(|phrase| self.say(phrase)))
    }
}

fn trimmed(word: &str) -> &str {
    // The bytes of a Python program: `b'mount.nfs4: …'`.
    let word = word.strip_prefix("b'").unwrap_or(word);
    word.trim_matches(|c: char| !c.is_alphanumeric() && c != '/')
}

/// Whether a word names a thing: whatever it is made of says nothing about what happened to the thing.
fn is_name(word: &str) -> bool {
    let has = |chars: fn(char) -> bool| word.contains(chars);
    let is_path = word.contains('/') && !["i/o", "I/O"].contains(&word);
    let is_number_with_parts =
        word.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ':') && has(|c| c == '.' || c == ':');
    let is_id =
        word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-') && has(|c| c.is_ascii_digit());
    let is_numbered = word.contains('-') && has(|c| c.is_ascii_digit());
    is_path || is_number_with_parts || is_id || is_numbered || word.contains('@') || word.starts_with("arn:")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_phrase_is_found_as_words_and_not_in_names() {
        let words = Words::of(
            "CannotPullContainerError: failed to resolve ref \"ghcr.io/denied/429:unauthorized\": Head \
             \"https://ghcr.io/v2/403\": dial tcp 140.82.121.34:443: i/o timeout (arn:aws:iam::403404500503:role/x), \
             can’t find eni-0toomanyrequests1 b'mount.nfs4: stop'",
        );
        for phrase in ["CannotPullContainerError", "dial tcp i/o timeout", "can't find", "mount.nfs4 stop"] {
            assert!(words.say(phrase), "{phrase}: {words:?}");
        }
        for phrase in ["denied", "429", "403", "unauthorized", "toomanyrequests", "Pull", "time", "role"] {
            assert!(!words.say(phrase), "{phrase}: {words:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,120}", phrase in "\\PC{0,12}") {
            let _ = Words::of(&text).say(&phrase);
        }
    }
}
