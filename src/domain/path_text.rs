//! Paths and other values as users write them: `~` for the home folder, `$NAME` for a variable,
//! quotes around the whole.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use super::text::CleanText;

/// The longest part of a path shown in an error, in bytes.
const MAX_SHOWN: usize = 80;

/// The variables a path may contain.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PathVariables(BTreeMap<OsString, OsString>);

impl FromIterator<(OsString, OsString)> for PathVariables {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl fmt::Debug for PathVariables {
    /// Without values: an environment holds secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PathVariables({})", self.0.len())
    }
}

/// The reason why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Only white space and quotes.
    Empty,
    /// `~`, but the home folder is not known.
    NoHome,
    /// `~name`: another user's home folder.
    OtherHome(CleanText),
    /// A variable that is unset or empty.
    UnknownVariable(CleanText),
    /// A `$` without a name after it.
    MissingVariableName,
}

/// Strips white space, byte order marks and pairs of quotes from both ends of a value.
///
/// Docker, systemd and compose keep the quotes and line ends of `.env` files, which a shell would
/// remove.
pub fn strip_quotes(value: &str) -> &str {
    let margin = |c: char| c.is_whitespace() || c == '\u{feff}';
    let mut value = value.trim_matches(margin);
    for quote in ['"', '\'', '"'] {
        let inner = value.strip_prefix(quote);
        if let Some(inner) = inner.and_then(|inner| inner.strip_suffix(quote)) {
            value = inner.trim_matches(margin);
        }
    }
    value
}

/// Expands a path: `~` at its start is `home`, `$NAME` and `${NAME}` are variables, `$$` is `$`.
///
/// A variable's value is not expanded again, and an empty one is an error: `$DIR/list.db` would
/// become a file in the root folder.
pub fn expand(
    text: &OsStr,
    home: Option<&Path>,
    variables: &PathVariables,
) -> Result<PathBuf, PathError> {
    let text = text
        .to_str()
        .map_or(text, |text| OsStr::new(strip_quotes(text)))
        .as_bytes();
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    let (mut path, mut rest) = match text.strip_prefix(b"~") {
        Some(rest) if rest.is_empty() || rest.starts_with(b"/") => {
            let home = home.ok_or(PathError::NoHome)?;
            (home.as_os_str().as_bytes().to_vec(), rest)
        }
        Some(_) => {
            let folder = text.split(|byte| *byte == b'/').next().unwrap_or(text);
            return Err(PathError::OtherHome(shown(folder)));
        }
        None => (Vec::new(), text),
    };
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        let (before, after) = rest.split_at(at);
        path.extend_from_slice(before);
        rest = variable(after, variables, &mut path)?;
    }
    path.extend_from_slice(rest);
    Ok(PathBuf::from(OsString::from_vec(path)))
}

/// Appends the value of the variable at the start of `text`, and returns the rest.
fn variable<'a>(
    text: &'a [u8],
    variables: &PathVariables,
    path: &mut Vec<u8>,
) -> Result<&'a [u8], PathError> {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let (name, rest) = match text {
        [b'$', b'$', rest @ ..] => {
            path.push(b'$');
            return Ok(rest);
        }
        [b'$', b'{', rest @ ..] => {
            let end = rest.iter().position(|byte| *byte == b'}');
            let (name, rest) = rest.split_at(end.ok_or(PathError::MissingVariableName)?);
            (name, rest.strip_prefix(b"}").unwrap_or(rest))
        }
        [_, rest @ ..] => rest.split_at(rest.iter().take_while(|byte| is_letter(byte)).count()),
        [] => return Err(PathError::MissingVariableName),
    };
    if name.is_empty()
        || name.first().is_some_and(u8::is_ascii_digit)
        || !name.iter().all(is_letter)
    {
        return Err(PathError::MissingVariableName);
    }
    let value = variables.0.get(OsStr::from_bytes(name));
    let value = value.filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| PathError::UnknownVariable(shown(name)))?;
    path.extend_from_slice(value.as_bytes());
    Ok(rest)
}

fn shown(text: &[u8]) -> CleanText {
    CleanText::line(&String::from_utf8_lossy(text), MAX_SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let variables = [("DIR", "/data"), ("SUB", "a$b"), ("EMPTY", "")]
            .map(|(name, value)| (name.into(), value.into()));
        let variables = variables.into_iter().collect();
        expand(OsStr::new(text), Some(Path::new("/home/me")), &variables)
            .map(|path| path.to_string_lossy().into_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn paths_are_parsed_in_common_spellings() {
        for (text, expected) in [
            ("/a/b", "/a/b"),
            ("rel/x", "rel/x"),
            ("~", "/home/me"),
            ("~/x", "/home/me/x"),
            ("a~b/~", "a~b/~"),
            ("./~me", "./~me"),
            ("$DIR/x", "/data/x"),
            ("${DIR}x/$SUB", "/datax/a$b"),
            ("~/${SUB}", "/home/me/a$b"),
            ("/a$$b$$", "/a$b$"),
            (" \"~/x\"\r\n", "/home/me/x"),
            ("\u{feff}'$DIR/a b'", "/data/a b"),
            ("/a\"b", "/a\"b"),
        ] {
            assert_eq!(read(text), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn unparsable_paths_are_errors() {
        for (text, expected) in [
            ("", "is empty"),
            (" '' ", "is empty"),
            ("~root/x", "write ~root in full"),
            ("~+/x", "write ~+ in full"),
            ("$NOPE/x", "the variable NOPE is not set"),
            ("${NOPE}", "the variable NOPE is not set"),
            ("/a/$EMPTY/x", "the variable EMPTY is not set"),
            ("/a/$", "a $ without a name"),
            ("/a/$(id)", "a $ without a name"),
            ("/a/$1", "a $ without a name"),
            ("${DIR", "a $ without a name"),
            ("${DIR:-/x}", "a $ without a name"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
        let none = expand(OsStr::new("~/x"), None, &PathVariables::default());
        assert_eq!(none, Err(PathError::NoHome));
    }

    #[test]
    fn non_utf8_paths_are_accepted() {
        let text = OsString::from_vec(b"~/\xff$$".to_vec());
        let path = expand(&text, Some(Path::new("/h")), &PathVariables::default());
        assert_eq!(path.unwrap().as_os_str().as_bytes(), b"/h/\xff$");
    }

    #[test]
    fn surrounding_quotes_and_blanks_are_trimmed() {
        for (value, expected) in [
            ("\"a b\"", "a b"),
            (" 'a'\r\n", "a"),
            ("\"'a'\"", "a"),
            ("'\" a \"'", "a"),
            ("\u{feff}a", "a"),
            ("\"", "\""),
            ("\"a", "\"a"),
            ("\"a'", "\"a'"),
            ("a\"b", "a\"b"),
            ("\"\"", ""),
        ] {
            assert_eq!(strip_quotes(value), expected, "{value}");
        }
    }

    #[test]
    fn debug_hides_the_value() {
        let variables: PathVariables = [("TOKEN".into(), "canary".into())].into_iter().collect();
        assert_eq!(format!("{variables:?}"), "PathVariables(1)");
    }
}
