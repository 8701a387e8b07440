//! Hosts that files may be fetched from: https and public addresses, checked before each request
//! and after each DNS lookup.
//!
//! A link comes from a server and must not reach the user's own network (a router, a cloud metadata
//! service, a service on this machine). Only if the API itself is on this machine (demo, tests) may
//! files be there too. The same rule applies to links opened in the browser.

use std::{
    error::Error as StdError,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::domain::{api_origin::ApiOrigin, link::VideoUrl};

/// Which hosts files may be fetched from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedHosts {
    /// Public addresses, by https.
    PublicOnly,
    /// Also this machine, by https or plain http.
    PublicAndLoopback,
}

/// The reason why a host must not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::adapters) struct HostNotAllowed(pub(in crate::adapters) String);

impl AllowedHosts {
    /// Returns the rule for files of the API at `origin`.
    pub const fn for_origin(origin: &ApiOrigin) -> Self {
        if origin.is_loopback() {
            Self::PublicAndLoopback
        } else {
            Self::PublicOnly
        }
    }

    /// Reports whether a link may be opened in the browser.
    ///
    /// Plain http to a public host may: nothing secret is sent, and the browser shows a warning.
    pub(in crate::adapters) fn allows_in_browser(self, link: &VideoUrl) -> bool {
        self == Self::PublicAndLoopback || !link.is_loopback()
    }

    fn allows_address(self, address: IpAddr) -> bool {
        is_public(address)
            || (self == Self::PublicAndLoopback && address.to_canonical().is_loopback())
    }
}

/// The rules for file hosts. As a DNS resolver, returns only allowed addresses: the connection uses
/// the checked address, so a name that later resolves differently (DNS rebinding) is harmless.
#[derive(Debug, Clone)]
pub(in crate::adapters) struct HostRules {
    allowed_hosts: AllowedHosts,
    /// Hosts of the user's proxies. They may have any address, and resolve other names themselves.
    proxies: Arc<[String]>,
}

impl HostRules {
    /// Creates rules for a client that uses the proxies at these addresses.
    pub(in crate::adapters) fn new(
        allowed_hosts: AllowedHosts,
        proxies: impl Iterator<Item = String>,
    ) -> Self {
        let host = |text: String| {
            let url = if text.contains("://") {
                text
            } else {
                format!("http://{text}")
            };
            Some(Url::parse(&url).ok()?.host_str()?.to_owned())
        };
        Self {
            allowed_hosts,
            proxies: proxies.filter_map(host).collect(),
        }
    }

    /// Reports whether a host is a proxy; ignores case and a trailing dot.
    fn is_proxy(&self, host: &str) -> bool {
        let bare = |host: &str| host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.proxies.iter().any(|proxy| bare(proxy) == bare(host))
    }

    /// Checks scheme, user information and host of a link. The host must be neither a private
    /// address nor one of the user's proxies, because proxy names may resolve to private addresses.
    pub(in crate::adapters) fn check_link(&self, url: &Url) -> Result<(), HostNotAllowed> {
        let refused = |reason: String| Err(HostNotAllowed(reason));
        let host = url.host_str().unwrap_or_default();
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            // Checked after the DNS lookup.
            Some(Host::Domain(_)) => None,
            None => return refused("the link has no host".into()),
        };
        let is_loopback = address.map_or(host == "localhost", |address| address.is_loopback());
        let allows_plain = self.allowed_hosts == AllowedHosts::PublicAndLoopback && is_loopback;
        match url.scheme() {
            "https" => {}
            "http" if allows_plain => {}
            scheme => return refused(format!("{scheme}://{host} is not https")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused(format!("the link to {host} contains a user name"));
        }
        if self.is_proxy(host) {
            return refused(format!("{host} is your proxy"));
        }
        if address.is_some_and(|address| !self.allowed_hosts.allows_address(address)) {
            return refused(format!("{host} is not a public address"));
        }
        Ok(())
    }
}

impl Resolve for HostRules {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let mut addresses: Vec<SocketAddr> =
                tokio::net::lookup_host((host, 0)).await?.collect();
            let is_resolved = !addresses.is_empty();
            if !rules.is_proxy(host) {
                addresses.retain(|address| rules.allowed_hosts.allows_address(address.ip()));
            }
            if is_resolved && addresses.is_empty() {
                let error = HostNotAllowed(format!("{host} is in a private network"));
                return Err(Box::new(error) as Box<dyn StdError + Send + Sync>);
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Reports whether an address is public. An IPv6 address that embeds an IPv4 address follows the
/// rules of that address.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_broadcast()
        || a == 0
        || a >= 224
        // Carrier-grade NAT, IETF assignments, the old 6to4 relay, benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && matches!(b, 18 | 19));
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Mapped, and NAT64 at its well-known prefix.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            embedded(high, low)
        }
        // 6to4.
        [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, ORCHID and the like; documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Only this eighth is allocated as global unicast.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(allowed_hosts: AllowedHosts, link: &str) -> Result<(), HostNotAllowed> {
        let rules = HostRules::new(allowed_hosts, std::iter::empty());
        rules.check_link(&Url::parse(link).unwrap())
    }

    #[test]
    fn only_public_addresses_are_allowed() {
        let private = [
            "https://127.0.0.1/v.mp4",
            "https://0x7f000001/v.mp4",
            "https://2130706433/v.mp4",
            "https://0.0.0.0/v.mp4",
            "https://10.0.0.1/v.mp4",
            "https://172.16.0.1/v.mp4",
            "https://192.168.1.1/v.mp4",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/v.mp4",
            "https://192.0.0.8/v.mp4",
            "https://198.18.0.1/v.mp4",
            "https://224.0.0.1/v.mp4",
            "https://255.255.255.255/v.mp4",
            "https://[::1]/v.mp4",
            "https://[::]/v.mp4",
            "https://[::ffff:10.0.0.1]/v.mp4",
            "https://[::ffff:127.0.0.1]/v.mp4",
            "https://[::7f00:1]/v.mp4",
            "https://[64:ff9b::a00:1]/v.mp4",
            "https://[2002:a00:1::]/v.mp4",
            "https://[2001:0:1::1]/v.mp4",
            "https://[2001:db8::1]/v.mp4",
            "https://[fd00::1]/v.mp4",
            "https://[fe80::1]/v.mp4",
            "https://[fec0::1]/v.mp4",
            "https://[ff02::1]/v.mp4",
        ];
        for link in private {
            assert!(check(AllowedHosts::PublicOnly, link).is_err(), "{link}");
        }
        for link in [
            "https://tempfile.example/v.mp4",
            "https://1.1.1.1/v.mp4",
            "https://100.128.0.1/v.mp4",
            "https://[2606:4700::1]/v.mp4",
            "https://[64:ff9b::101:101]/v.mp4",
            "https://[::ffff:1.1.1.1]/v.mp4",
        ] {
            assert_eq!(check(AllowedHosts::PublicOnly, link), Ok(()), "{link}");
            assert_eq!(
                check(AllowedHosts::PublicAndLoopback, link),
                Ok(()),
                "{link}"
            );
        }
    }

    #[test]
    fn plain_http_is_loopback_only() {
        for link in [
            "http://127.0.0.1:9/v.mp4",
            "http://localhost/v.mp4",
            "http://[::1]/",
        ] {
            assert!(check(AllowedHosts::PublicOnly, link).is_err(), "{link}");
            assert_eq!(
                check(AllowedHosts::PublicAndLoopback, link),
                Ok(()),
                "{link}"
            );
        }
        for link in [
            "http://files.example/v.mp4",
            "http://localhost.evil.example/v.mp4",
            "http://10.0.0.1/v.mp4",
            "https://10.0.0.1/v.mp4",
            "http://1.1.1.1/v.mp4",
            "https://user@files.example/v.mp4",
            "ftp://files.example/v.mp4",
            "file:///etc/passwd",
        ] {
            assert!(
                check(AllowedHosts::PublicAndLoopback, link).is_err(),
                "{link}"
            );
        }
    }

    #[test]
    fn a_link_to_the_proxys_own_host_is_refused() {
        let proxies = ["http://me:word@proxy.corp:3128", "Other.corp:80"].map(str::to_owned);
        let rules = HostRules::new(AllowedHosts::PublicOnly, proxies.into_iter());
        let check = |link| rules.check_link(&Url::parse(link).unwrap());

        for link in [
            "https://proxy.corp/admin.mp4",
            "https://PROXY.corp.:8443/v.mp4",
            "https://other.corp/v.mp4",
        ] {
            assert!(check(link).is_err(), "{link}");
        }
        assert_eq!(check("https://files.proxy.corp/v.mp4"), Ok(()));
    }

    #[tokio::test]
    async fn names_resolving_to_loopback_are_refused() {
        let lookup = |allowed_hosts, proxies: &[String]| {
            HostRules::new(allowed_hosts, proxies.iter().cloned())
                .resolve("localhost".parse().unwrap())
        };
        let error = lookup(AllowedHosts::PublicOnly, &[]).await.err().unwrap();

        assert!(error.downcast_ref::<HostNotAllowed>().is_some(), "{error}");
        assert!(lookup(AllowedHosts::PublicAndLoopback, &[]).await.is_ok());
        // The user's proxy may run on this machine.
        let proxies = ["http://user:word@localhost:3128".to_owned()];
        assert!(lookup(AllowedHosts::PublicOnly, &proxies).await.is_ok());
        assert!(
            lookup(AllowedHosts::PublicOnly, &["localhost:3128".to_owned()])
                .await
                .is_ok()
        );
    }
}
