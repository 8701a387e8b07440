//! The proxy variables of the environment, checked before the first request.
//!
//! The HTTP library ignores a proxy it cannot parse and connects directly; kietop must not.

use std::env;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::domain::{api_origin::ApiOrigin, path_text::strip_quotes};

/// Variables with proxies. For https the first that is set applies; within a pair the first, even
/// if it is empty.
const PROXY_VARIABLES: [[&str; 2]; 3] = [
    ["HTTPS_PROXY", "https_proxy"],
    ["ALL_PROXY", "all_proxy"],
    ["HTTP_PROXY", "http_proxy"],
];

/// With this variable the library ignores all proxies: it assumes a CGI program (httpoxy).
const CGI_MARKER: &str = "REQUEST_METHOD";

/// Variables that list hosts reached without a proxy.
const NO_PROXY_VARIABLES: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// A proxy variable that cannot be used. Its value is not shown: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("{0} is not a proxy address: use http://host:port, without quotes")]
    Unreadable(&'static str),
    #[error(
        "{0} is a SOCKS proxy, which kietop does not support: set an HTTP proxy in HTTPS_PROXY"
    )]
    SocksUnsupported(&'static str),
    /// The other variable of the pair is empty and takes precedence.
    #[error("{0} is set, but {1} is empty and takes precedence: unset one of them")]
    Shadowed(&'static str, &'static str),
    #[error("{0} is set, but {CGI_MARKER} disables proxies: unset one of them")]
    Disabled(&'static str),
    #[error("{0} is not a list of hosts: use host,.domain, without quotes")]
    UnreadableExemptions(&'static str),
}

/// Returns host and port of the proxy used for an address, without user information.
///
/// Read each time from the environment or the system settings, as the HTTP client did when it was
/// built.
pub(in crate::adapters) fn proxy_for(origin: &ApiOrigin) -> Option<String> {
    if origin.is_loopback() {
        return None;
    }
    let address = origin.as_str().parse().ok()?;
    let proxy = Matcher::from_system().intercept(&address)?;
    let (host, port) = (proxy.uri().host()?, proxy.uri().port_u16());
    Some(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

/// Returns the proxies that the environment names for https.
pub(in crate::adapters) fn https_proxies() -> impl Iterator<Item = String> {
    let names = PROXY_VARIABLES.into_iter().flatten();
    let names = names.filter(|name| !is_http_only(name));
    names.filter_map(|name| env::var(name).ok())
}

fn is_http_only(name: &str) -> bool {
    name.eq_ignore_ascii_case("http_proxy")
}

/// Fails on proxy variables that the HTTP library would ignore.
pub fn check_environment() -> Result<(), ProxyError> {
    check_variables(|name| env::var_os(name).map(|value| value.to_str().map(str::to_owned)))
}

/// Checks variables; a value that is not UTF-8 is `Some(None)`.
fn check_variables(value: impl Fn(&str) -> Option<Option<String>>) -> Result<(), ProxyError> {
    let mut has_proxy = false;
    for pair in PROXY_VARIABLES {
        for name in pair {
            let text = match value(name) {
                None => continue,
                Some(None) => return Err(ProxyError::Unreadable(name)),
                Some(Some(text)) if text.is_empty() => continue,
                Some(Some(text)) => text,
            };
            let proxy = parse_proxy(&text).ok_or(ProxyError::Unreadable(name))?;
            let [first, second] = pair;
            if name == second && value(first).flatten().as_deref() == Some("") {
                return Err(ProxyError::Shadowed(name, first));
            }
            if value(CGI_MARKER).is_some() {
                return Err(ProxyError::Disabled(name));
            }
            let is_http = matches!(proxy.uri().scheme_str(), Some("http" | "https"));
            if !is_http && !has_proxy && !is_http_only(name) {
                return Err(ProxyError::SocksUnsupported(name));
            }
            has_proxy = true;
        }
    }
    for name in NO_PROXY_VARIABLES {
        match value(name) {
            Some(Some(text)) if text.contains(['"', '\'']) => {}
            Some(None) => {}
            _ => continue,
        }
        return Err(ProxyError::UnreadableExemptions(name));
    }
    Ok(())
}

/// Parses an address with the library's own code; rejects one that it would read differently.
fn parse_proxy(text: &str) -> Option<Intercept> {
    if strip_quotes(text) != text {
        return None;
    }
    let any = "https://host.invalid".parse().ok()?;
    let proxy = Matcher::builder().all(text).build().intercept(&any)?;
    let (host, authority) = (proxy.uri().host()?, proxy.uri().authority()?.as_str());
    let (_, authority) = authority.rsplit_once('@').unwrap_or(("", authority));
    // The library would replace an unreadable port by the default one.
    let has_port = match authority.strip_prefix(host)? {
        "" => true,
        _ => proxy.uri().port_u16().is_some_and(|port| port > 0),
    };
    (!host.is_empty() && has_port).then_some(proxy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)]) -> Result<(), ProxyError> {
        check_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| Some((*value).to_owned()))
        })
    }

    #[test]
    fn a_valid_proxy_is_accepted() {
        for value in [
            "",
            "http://127.0.0.1:3128",
            "proxy.corp:3128",
            "proxy.corp",
            "https://proxy.corp/",
            "http://me:pass%40word@proxy.corp:3128",
            "http://[::1]:3128",
        ] {
            for name in PROXY_VARIABLES.concat() {
                assert_eq!(check(&[(name, value)]), Ok(()), "{name}={value}");
            }
        }
    }

    #[test]
    fn an_invalid_proxy_is_named_without_its_password() {
        for value in [
            "\"http://me:canary@127.0.0.1:9\"",
            "'http://me:canary@127.0.0.1:9'",
            "http://127.0.0.1:9\n",
            " http://127.0.0.1:9",
            "http://127.0.0.1:9\r",
            " ",
            "http//proxy:3128",
            "http:/proxy:3128",
            "htp://proxy:3128",
            "http://",
            "http://:3128",
            "http://proxy:31a28",
            "http://proxy:99999",
            "http://proxy:0",
            "http://proxy:",
            "http://a b:1",
            "/proxy",
            "“http://proxy:1”",
        ] {
            for name in PROXY_VARIABLES.concat() {
                assert_eq!(
                    check(&[(name, value)]),
                    Err(ProxyError::Unreadable(name)),
                    "{name}={value}"
                );
            }
        }
        let message = ProxyError::Unreadable("HTTPS_PROXY").to_string();
        assert!(
            message.starts_with("HTTPS_PROXY is not a proxy address"),
            "{message}"
        );
        let not_utf8 = check_variables(|name| (name == "all_proxy").then_some(None));
        assert_eq!(not_utf8, Err(ProxyError::Unreadable("all_proxy")));
    }

    #[test]
    fn an_active_socks_proxy_is_refused() {
        let socks = ("ALL_PROXY", "socks5://127.0.0.1:1080");
        assert_eq!(
            check(&[socks]),
            Err(ProxyError::SocksUnsupported("ALL_PROXY"))
        );
        assert_eq!(
            check(&[socks, ("https_proxy", "http://127.0.0.1:1")]),
            Ok(())
        );
        assert_eq!(check(&[("http_proxy", "socks5h://127.0.0.1:1")]), Ok(()));
    }

    #[test]
    fn an_ignored_proxy_is_named() {
        let proxy = ("https_proxy", "http://127.0.0.1:1");
        let shadowed = check(&[("HTTPS_PROXY", ""), proxy]);
        assert_eq!(
            shadowed,
            Err(ProxyError::Shadowed("https_proxy", "HTTPS_PROXY"))
        );
        let disabled = check(&[("REQUEST_METHOD", "GET"), proxy]);
        assert_eq!(disabled, Err(ProxyError::Disabled("https_proxy")));
        assert_eq!(check(&[("REQUEST_METHOD", "GET")]), Ok(()));
    }

    #[test]
    fn no_proxy_must_not_be_quoted() {
        for value in ["\"corp,.lan\"", "'corp'", "corp,\"lan\""] {
            let checked = check(&[("NO_PROXY", value)]);
            assert_eq!(checked, Err(ProxyError::UnreadableExemptions("NO_PROXY")));
        }
        assert_eq!(check(&[("no_proxy", "corp, .lan, 10.0.0.0/8, *")]), Ok(()));
    }
}
