//! The only address that the key may be sent to: a checked scheme, host and port.

use std::{borrow::Cow, fmt};

use url::{Host, Url};

const OFFICIAL_ORIGIN: &str = "https://api.kie.ai";

/// The address of the API: https, or http to this machine only.
///
/// Normalised to `scheme://host[:port]`, so a host in capitals, in another script or as a number
/// shows what it really is. The key goes nowhere else.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ApiOrigin {
    text: Cow<'static, str>,
    is_loopback: bool,
}

/// The reason why a text is not a valid API address. Never quotes the text, which may contain a
/// password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    #[error("the API address must have the form https://host")]
    NotAnAddress,
    /// White space or a control character, which browsers silently drop.
    #[error("the API address contains a space or a control character")]
    NotPrintable,
    #[error("the API address must begin with https://")]
    OtherScheme,
    /// http to another machine: the key would cross the network unencrypted.
    #[error(
        "the API address must begin with https:// (http:// is for localhost, 127.0.0.1 and [::1] only)"
    )]
    PlainHttp,
    /// A user name or a password, often used to disguise the real host.
    #[error("the API address must not contain a user name or password")]
    HasUser,
    #[error("the API address must end after host and port")]
    HasPath,
}

impl ApiOrigin {
    /// Parses an address; ignores white space around it and a trailing `/`.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let text = text.trim();
        if text
            .chars()
            .any(|c| c.is_whitespace() || super::text::is_unsafe(c))
        {
            return Err(OriginError::NotPrintable);
        }
        let Ok(url) = Url::parse(text) else {
            return Err(OriginError::NotAnAddress);
        };
        let is_plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(OriginError::OtherScheme),
        };
        // An empty user name leaves no trace after parsing, but an `@` is always a trick.
        if !url.username().is_empty() || url.password().is_some() || text.contains('@') {
            return Err(OriginError::HasUser);
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(OriginError::HasPath);
        }
        let is_loopback = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Err(OriginError::NotAnAddress),
        };
        if is_plain && !is_loopback {
            return Err(OriginError::PlainHttp);
        }
        Ok(Self {
            text: url.origin().ascii_serialization().into(),
            is_loopback,
        })
    }

    /// Returns the normalised address, without a trailing `/`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns host and port, for display.
    pub fn host(&self) -> &str {
        self.text
            .split_once("://")
            .map_or(self.as_str(), |(_, host)| host)
    }

    /// Reports whether the host is this machine: the simulator or a test server.
    pub const fn is_loopback(&self) -> bool {
        self.is_loopback
    }
}

impl Default for ApiOrigin {
    fn default() -> Self {
        Self {
            text: Cow::Borrowed(OFFICIAL_ORIGIN),
            is_loopback: false,
        }
    }
}

impl fmt::Display for ApiOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for ApiOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiOrigin({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deceptive_origins_are_refused() {
        let table = [
            ("http://api.kie.ai", OriginError::PlainHttp),
            ("https://api.kie.ai@evil.example/", OriginError::HasUser),
            ("https://user:pass@api.kie.ai", OriginError::HasUser),
            ("https://@api.kie.ai", OriginError::HasUser),
            ("http://127.0.0.1@evil.example", OriginError::HasUser),
            ("http://localhost.evil.example", OriginError::PlainHttp),
            ("http://127.0.0.1.nip.io", OriginError::PlainHttp),
            ("http://localhost.", OriginError::PlainHttp),
            ("http://128.0.0.1", OriginError::PlainHttp),
            ("http://0.0.0.0", OriginError::PlainHttp),
            ("http://[::ffff:127.0.0.1]", OriginError::PlainHttp),
            ("http://192.168.0.1:8080", OriginError::PlainHttp),
            ("https://api.kie.ai/#@evil", OriginError::HasUser),
            ("https://api.kie.ai/#x", OriginError::HasPath),
            ("https://api.kie.ai/?a=b", OriginError::HasPath),
            ("https://api.kie.ai?", OriginError::HasPath),
            ("https://api.kie.ai/v1", OriginError::HasPath),
            ("https://api.kie.ai\\.evil.example", OriginError::HasPath),
            (
                "https://api.kie.ai\n.evil.example",
                OriginError::NotPrintable,
            ),
            ("https://api.kie.ai\u{202e}", OriginError::NotPrintable),
            ("file:///etc/passwd", OriginError::OtherScheme),
            ("javascript:alert(1)", OriginError::OtherScheme),
            ("ws://127.0.0.1", OriginError::OtherScheme),
            ("api.kie.ai", OriginError::NotAnAddress),
            ("https://", OriginError::NotAnAddress),
            ("", OriginError::NotAnAddress),
        ];
        for (text, expected) in table {
            assert_eq!(ApiOrigin::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn accepted_origins_are_displayed_normalized() {
        let table = [
            ("https://api.kie.ai", "https://api.kie.ai", false),
            (" HTTPS://API.KIE.AI:443/ ", "https://api.kie.ai", false),
            // Another https host is the user's choice; its name is shown in full.
            (
                "https://api.kie.ai.evil.example",
                "https://api.kie.ai.evil.example",
                false,
            ),
            (
                "https://\u{430}pi.kie.ai",
                "https://xn--pi-6kc.kie.ai",
                false,
            ),
            ("https://10.0.0.1:8443", "https://10.0.0.1:8443", false),
            ("http://localhost:4010", "http://localhost:4010", true),
            ("http://127.0.0.1:4010/", "http://127.0.0.1:4010", true),
            ("http://[::1]:4010", "http://[::1]:4010", true),
            ("http://0x7f000001", "http://127.0.0.1", true),
            ("http://2130706433", "http://127.0.0.1", true),
            ("https://127.0.0.1", "https://127.0.0.1", true),
        ];
        for (text, normal, is_loopback) in table {
            let origin = ApiOrigin::parse(text).unwrap();
            assert_eq!(origin.as_str(), normal);
            assert_eq!(origin.is_loopback(), is_loopback, "{text}");
        }
        assert_eq!(ApiOrigin::parse(OFFICIAL_ORIGIN), Ok(ApiOrigin::default()));
        assert_eq!(ApiOrigin::default().host(), "api.kie.ai");
    }

    #[test]
    fn origin_errors_do_not_repeat_the_input() {
        let error = ApiOrigin::parse("https://user:hunter2@host").unwrap_err();

        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}
