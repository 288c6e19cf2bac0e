//! The token of deployments that let nobody in without one: from a file or the environment, never an argument.

use std::path::Path;

use super::Environment;
use crate::error::{Failure, Kind};
use crate::files;
use crate::probe::meeting::Token;

/// Holds the token itself.
const VARIABLE: &str = "MEETCTL_PROBE_TOKEN";
/// Names a file with the token.
const FILE_VARIABLE: &str = "MEETCTL_PROBE_TOKEN_FILE";
/// Prosody's own limit for a stanza is about this.
const LONGEST: usize = 16 * 1024;

/// The token that the probe is to show, when there is one. What goes wrong never repeats it.
pub fn token(file: Option<&Path>, environment: &Environment) -> Result<Option<Token>, Failure> {
    let named = environment.path(FILE_VARIABLE);
    let (text, origin) = match (file, environment.value(VARIABLE), named.as_deref()) {
        (Some(path), ..) | (None, None, Some(path)) => (read(path)?, path.display().to_string()),
        (None, Some(text), _) => (text.to_owned(), VARIABLE.to_owned()),
        (None, None, None) => return Ok(None),
    };
    let text = text.trim();
    let wrong = if text.is_empty() {
        Some("it is empty")
    } else if text.len() > LONGEST {
        Some("it is longer than 16 KiB")
    } else if text.bytes().any(|b| !b.is_ascii_graphic()) {
        Some("it has spaces or characters that no token has")
    } else {
        None
    };
    match wrong {
        None => Ok(Some(Token::new(text))),
        Some(why) => Err(Failure::new(Kind::Configuration, format!("{origin} is not a token"))
            .because(why)
            .next("put the token alone into it: one line of the form xxx.yyy.zzz")),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let unreadable = |why: String| {
        Failure::new(Kind::Configuration, format!("the token cannot be read from {}", path.display()))
            .because(why)
            .next("check the path, and that you may read the file")
    };
    // Some room for white space around it.
    let content = files::read(path, 4 * LONGEST as u64).map_err(|error| unreadable(error.to_string()))?;
    String::from_utf8(content).map_err(|_| unreadable("it is not text".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(values: &[(&str, &str)]) -> Environment {
        let variables = values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Environment { variables, ..Environment::default() }
    }

    #[test]
    fn a_file_wins_over_the_environment() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, "from.a.file\n").expect("written");
        let named = path.to_str().expect("UTF-8");
        let shown = |file, values: &[(&str, &str)]| {
            token(file, &environment(values)).map(|t| t.map(|t| t.reveal().to_owned())).map_err(|f| f.what)
        };
        assert_eq!(shown(None, &[]), Ok(None));
        assert_eq!(shown(Some(path.as_path()), &[(VARIABLE, "x")]), Ok(Some("from.a.file".into())));
        assert_eq!(shown(None, &[(FILE_VARIABLE, named), (VARIABLE, "x")]), Ok(Some("x".into())));
        assert_eq!(shown(None, &[(FILE_VARIABLE, named)]), Ok(Some("from.a.file".into())));
        for bad in ["a b", "a\nb", "é"] {
            let failure = token(None, &environment(&[(VARIABLE, bad)])).expect_err(bad);
            assert_eq!(failure.kind, Kind::Configuration);
            assert!(!format!("{failure:?}").contains(bad), "{failure:?}");
        }
        assert!(token(Some(&folder.path().join("none")), &environment(&[])).is_err());
    }
}
