//! The API key: parsed, and never shown.
//!
//! Only the API client can read its characters. [`super::key_source`] finds the key.

use std::fmt;

use base64::{Engine as _, engine::general_purpose};
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::{id_extract::KnownSecrets, path_text::strip_quotes};

/// The longest key accepted, in characters; anything longer is a pasted file.
const MAX_KEY_LEN: usize = 1024;

const QUOTES: [char; 2] = ['"', '\''];

/// The API key. `Debug` hides it.
#[derive(Clone)]
pub struct ApiKey(SecretString);

/// The reason why a text is not a valid key. Never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("the key is empty")]
    Empty,
    #[error("the key is longer than {MAX_KEY_LEN} characters")]
    TooLong,
    #[error("the key has a quote at one end only")]
    UnpairedQuote,
    /// A space, a control character or a non-ASCII character.
    #[error("the key has an invalid character at position {position}")]
    InvalidCharacter {
        /// Counted from 1, after trimming.
        position: usize,
    },
}

impl ApiKey {
    /// Parses a key; trims white space, byte order marks and pairs of quotes around it.
    ///
    /// Only visible ASCII is accepted: other characters cannot be sent in the header as one token.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = strip_quotes(text);
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if let Some(at) = text.chars().position(|c| !c.is_ascii_graphic()) {
            return Err(KeyError::InvalidCharacter { position: at + 1 });
        }
        if text.starts_with(QUOTES) || text.ends_with(QUOTES) {
            return Err(KeyError::UnpairedQuote);
        }
        if text.len() > MAX_KEY_LEN {
            return Err(KeyError::TooLong);
        }
        Ok(Self(text.into()))
    }

    /// Returns the secret, for the `Authorization` header.
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Returns the spellings of the key that may occur in text searched for ids: plain and base64.
    pub fn known_spellings(&self) -> KnownSecrets {
        let key = self.expose();
        let encode = |text: &str| general_purpose::STANDARD_NO_PAD.encode(text);
        KnownSecrets::new(vec![
            key.to_owned(),
            encode(key),
            encode(&format!("{key}:")),
        ])
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // F71
    #[test]
    fn keys_are_trimmed_and_checked() {
        let table: [(&str, Result<&str, KeyError>); 18] = [
            ("sk-123", Ok("sk-123")),
            ("\"sk-123\"", Ok("sk-123")),
            (" ' sk-123 '\r\n", Ok("sk-123")),
            ("\u{feff}\"'sk-123'\"", Ok("sk-123")),
            ("sk\"1'23", Ok("sk\"1'23")),
            ("\"\"", Err(KeyError::Empty)),
            ("\"sk-123", Err(KeyError::UnpairedQuote)),
            ("sk-123'", Err(KeyError::UnpairedQuote)),
            ("\u{feff} sk-123\r\n", Ok("sk-123")),
            ("\u{feff}\u{feff}\tsk-123\u{feff}", Ok("sk-123")),
            ("", Err(KeyError::Empty)),
            (" \r\n\u{feff}", Err(KeyError::Empty)),
            ("sk\r\n123", Err(KeyError::InvalidCharacter { position: 3 })),
            ("sk 123", Err(KeyError::InvalidCharacter { position: 3 })),
            ("sk-123\0", Err(KeyError::InvalidCharacter { position: 7 })),
            ("sk-ключ", Err(KeyError::InvalidCharacter { position: 4 })),
            (
                "sk\u{200b}1",
                Err(KeyError::InvalidCharacter { position: 3 }),
            ),
            ("“sk-1”", Err(KeyError::InvalidCharacter { position: 1 })),
        ];
        for (text, expected) in table {
            let key = ApiKey::parse(text);
            assert_eq!(key.as_ref().map(ApiKey::expose), expected.as_ref().copied());
        }
        assert!(matches!(
            ApiKey::parse(&"k".repeat(MAX_KEY_LEN + 1)),
            Err(KeyError::TooLong)
        ));
    }

    // F71
    #[test]
    fn neither_debug_nor_an_error_shows_the_key() {
        let key = ApiKey::parse("canary-5d1f").unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(…)");

        let error = ApiKey::parse("canary\u{1b}5d1f").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the key has an invalid character at position 7"
        );
        assert!(!format!("{error:?}").contains("canary"));
    }
}
