//! Links to videos: which may be opened, and how many are kept.

use std::{fmt, net::Ipv4Addr};

use url::{Host, Url};

use super::text::CleanText;

/// The longest video link accepted, in bytes: launchers and browsers handle this length.
const MAX_URL_LEN: usize = 2048;

/// The most links kept of one answer; the others are counted.
const MAX_LINKS: usize = 32;

/// A link that may be opened: http or https, with a host, without user name or password, and not to
/// an address of the local network, where a click may reset a router. Loopback is allowed for the
/// simulator's videos; callers that open, save or compare accept it only if the API is on this
/// machine too ([`Self::is_loopback`]).
///
/// The link is in normal form. The host is an address, or a name of `a-z`, `0-9`, `.`, `-` and `_`
/// (some stores use it); the rest has no control character, space, quote, backtick, `<` or `>`. So
/// a link cannot end an HTML attribute, nor its host a source of a content security policy. It is
/// kept as text: a parsed link takes four times the memory, and a list may hold 300,000.
#[derive(Clone, PartialEq, Eq)]
pub struct VideoUrl(Box<str>);

impl VideoUrl {
    /// Parses a link; `None` if it may only be shown.
    pub fn parse(text: &str) -> Option<Self> {
        if is_normal(text) {
            return Some(Self(text.into()));
        }
        let url = Url::parse(text).ok()?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_bare = url.username().is_empty() && url.password().is_none();
        let is_remote = url.host().is_some_and(|host| match &host {
            Host::Domain(name) => name.bytes().all(is_host_byte),
            Host::Ipv4(_) | Host::Ipv6(_) => !is_local_network(&host),
        });
        if !(is_web && is_bare && is_remote) {
            return None;
        }
        // The parser keeps these, but they could end a script or an attribute.
        let text = url.as_str().replace('\'', "%27").replace('`', "%60");
        (text.len() <= MAX_URL_LEN).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the parsed link. Never `None`: it was parsed before.
    pub fn to_url(&self) -> Option<Url> {
        Url::parse(&self.0).ok()
    }

    /// Returns the host in normal form (ASCII, an IPv6 address in brackets), without the port.
    pub fn host(&self) -> &str {
        let (host, _) = self.parts();
        match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        }
    }

    /// Reports whether the host is this machine, judged by its spelling only.
    pub fn is_loopback(&self) -> bool {
        match self.to_url().as_ref().and_then(Url::host) {
            // `localhost.` and its subdomains are the same by RFC 6761.
            Some(Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == "localhost" || name.ends_with(".localhost")
            }
            Some(Host::Ipv4(v4)) => v4.is_loopback(),
            Some(Host::Ipv6(v6)) => v6.to_canonical().is_loopback(),
            None => false,
        }
    }

    /// Returns the last segment of the path; may be empty.
    pub fn file_name(&self) -> &str {
        let (_, rest) = self.parts();
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        path.rsplit('/').next().unwrap_or_default()
    }

    /// Returns the host with its port, and the rest after it.
    fn parts(&self) -> (&str, &str) {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        // In normal form, a slash follows each host.
        rest.split_once('/').unwrap_or((rest, ""))
    }
}

const fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
}

/// Reports whether a host is an address of the local network. Names are not resolved.
fn is_local_network(host: &Host<&str>) -> bool {
    let is_local = |v4: Ipv4Addr| {
        let [first, second, ..] = v4.octets();
        // The last is the shared address space of providers (RFC 6598).
        v4.is_private()
            || v4.is_link_local()
            || v4.is_broadcast()
            || v4.is_multicast()
            || first == 0
            || (first == 100 && second & 0xc0 == 64)
    };
    match host {
        Host::Domain(_) => false,
        Host::Ipv4(v4) => is_local(*v4),
        Host::Ipv6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_local(v4),
            None => {
                v6.is_unique_local()
                    || v6.is_unicast_link_local()
                    || v6.is_unspecified()
                    || v6.is_multicast()
            }
        },
    }
}

/// Reports whether a link is in normal form, and simple enough to decide without the parser.
///
/// Most are, and the parser costs ten times as much: a list of 100,000 tasks has three links for
/// each.
fn is_normal(text: &str) -> bool {
    let Some(rest) = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))
    else {
        return false;
    };
    let Some((host, rest)) = rest.split_once('/') else {
        return false;
    };
    // A last label that begins with a digit may be a number in disguise (0x7f.1), a double hyphen
    // punycode.
    let is_named = host
        .split('.')
        .next_back()
        .is_some_and(|part| part.bytes().next().is_some_and(|b| b.is_ascii_lowercase()));
    let is_plain_host = is_named
        && host.len() <= 253
        && !host.contains("--")
        && host.split('.').all(|part| {
            (1..=63).contains(&part.len())
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
    // A path segment that begins with a dot may be the folder itself or its parent.
    let is_path = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.');
    let is_query = |b: u8| is_path(b) || matches!(b, b'=' | b'&' | b'%' | b'+');
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    is_plain_host
        && text.len() <= MAX_URL_LEN
        && path.bytes().all(is_path)
        && !path.starts_with('.')
        && !path.contains("/.")
        && query.bytes().all(is_query)
}

impl fmt::Debug for VideoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VideoUrl({})", self.0)
    }
}

/// A link of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    Video(VideoUrl),
    /// Another link (`ftp:`, `javascript:`, with a password …): shown, never opened.
    Rejected(CleanText),
}

impl Link {
    pub fn parse(text: &str) -> Self {
        VideoUrl::parse(text).map_or_else(
            || Self::Rejected(CleanText::line(text, MAX_URL_LEN)),
            Self::Video,
        )
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Video(url) => url.as_str(),
            Self::Rejected(text) => text.as_str(),
        }
    }
}

/// The links of one answer, at most 32.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Links {
    kept: Vec<Link>,
    omitted: usize,
}

impl Links {
    /// Parses links; empty texts are skipped, those above the limit counted.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut links = Self::default();
        for text in texts
            .into_iter()
            .map(str::trim)
            .filter(|text| !text.is_empty())
        {
            if links.kept.len() < MAX_LINKS {
                links.kept.push(Link::parse(text));
            } else {
                links.omitted += 1;
            }
        }
        links
    }

    pub fn from_stored(mut kept: Vec<Link>, omitted: usize) -> Self {
        let excess = kept.len().saturating_sub(MAX_LINKS);
        kept.truncate(MAX_LINKS);
        Self {
            kept,
            omitted: omitted.saturating_add(excess),
        }
    }

    /// Returns the kept links in the server's order.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.kept.iter()
    }

    /// Returns the links that may be opened, in the server's order.
    pub fn videos(&self) -> impl Iterator<Item = &VideoUrl> {
        self.kept.iter().filter_map(|link| match link {
            Link::Video(url) => Some(url),
            Link::Rejected(_) => None,
        })
    }

    pub fn lacks_video(&self) -> bool {
        self.videos().next().is_none()
    }

    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Returns the number of links above the limit.
    pub const fn omitted(&self) -> usize {
        self.omitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_web_links_are_videos() {
        for bad in [
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://u:p@x/",
            "ftp://x/y",
            "",
        ] {
            assert_eq!(VideoUrl::parse(bad), None, "{bad}");
        }
        let url = VideoUrl::parse("https://ex.com/a b\u{1b}.mp4").unwrap();
        assert_eq!(url.as_str(), "https://ex.com/a%20b%1B.mp4");
        assert_eq!(url.file_name(), "a%20b%1B.mp4");
    }

    #[test]
    fn links_cannot_break_out_of_html_or_csp() {
        for host in [
            "evil\"",
            "*",
            "*.ex.com",
            "a;script-src-elem",
            "a'b",
            "a,b",
            "a$b",
            "(a)",
            "{a}",
            "a&b",
            "a`b",
            "a!b",
            "a=b",
            "a+b",
            "a~b",
        ] {
            for scheme in ["http", "https"] {
                let link = format!("{scheme}://{host}/v.mp4");
                assert_eq!(VideoUrl::parse(&link), None, "{link}");
                assert!(matches!(Link::parse(&link), Link::Rejected(_)), "{link}");
            }
        }
        for host in [
            "b\u{fc}cher.example",
            "my_files.ex.com",
            "EX.com.",
            "1.1.1.1",
            "[2606:4700::1]",
        ] {
            let link = VideoUrl::parse(&format!("http://{host}:81/v.mp4")).unwrap();
            let is_plain = |b: u8| is_host_byte(b) || matches!(b, b'[' | b']' | b':');
            assert!(link.host().bytes().all(is_plain), "{link:?}");
        }
        let link = VideoUrl::parse("https://ex.com/a'\"`<>b?c='\"`<>#d'\"`<>").unwrap();
        assert!(
            !link.as_str().contains(['\'', '"', '`', '<', '>']),
            "{link:?}"
        );
        assert_eq!(VideoUrl::parse(link.as_str()), Some(link));
    }

    #[test]
    fn accepted_links_are_in_normal_form() {
        let hosts = [
            "ex.com",
            "a-b.ex.com",
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "ex.0",
            "localhost",
            "ex.com.",
            "EX.com",
            "xn--a.com",
            "ex..com",
            "-a.com",
            "ex.com:80",
            "ex.com:8080",
            "[::1]",
            "[::1]:81",
            "u:p@ex.com",
            "",
            "a_b.com",
            "ex.c%6fm",
        ];
        let rests = [
            "",
            "/",
            "/a/b.mp4",
            "/a/../b",
            "/./a",
            "/.a",
            "/a/.",
            "/a b",
            "/a?b=c&d=%20+e",
            "/?",
            "/a#b",
            "/a?b?c",
            "/a?'",
            "/%2e%2e/a",
            "//a",
            "/a//",
            "?a",
            "#a",
            "/\u{e9}",
            "/a?\u{202e}",
        ];
        for scheme in ["https://", "http://", "HTTPS://", "ftp://"] {
            for (host, rest) in hosts.iter().flat_map(|host| rests.map(|rest| (host, rest))) {
                let text = format!("{scheme}{host}{rest}");
                let url = Url::parse(&text).ok();

                if is_normal(&text) {
                    assert_eq!(url.as_ref().map(Url::as_str), Some(text.as_str()));
                }
                let Some(link) = VideoUrl::parse(&text) else {
                    continue;
                };
                let url = url.unwrap();
                assert_eq!(link.as_str(), url.as_str());
                assert_eq!(Some(link.host()), url.host_str(), "{text}");
                let name = url.path_segments().unwrap().next_back();
                assert_eq!(Some(link.file_name()), name, "{text}");
                assert_eq!(link.to_url(), Some(url));
            }
        }
    }

    #[test]
    fn links_are_capped_and_counted() {
        let urls = vec!["https://ex.com/1.mp4"; 40];

        let links = Links::parse(urls);

        assert_eq!((links.iter().count(), links.omitted()), (MAX_LINKS, 8));
    }
}
