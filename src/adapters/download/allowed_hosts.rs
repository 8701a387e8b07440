//! Where files may be fetched from: https and public addresses, checked before each hop and after
//! each name's lookup.
//!
//! A link comes from a server; it must not lead into the user's own network (a router, a cloud
//! machine's metadata, a service on this machine). Only when the API itself is on this machine may
//! files be too: demo and tests. The same goes for what a browser is sent to.

use std::{
    error::Error as StdError,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::{adapters::kie::ApiOrigin, domain::link::VideoUrl};

/// How near a file may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowedHosts {
    /// On public addresses, by https.
    PublicOnly,
    /// There, and on this machine, by plain http as well.
    PublicAndLoopback,
}

/// Says why an address is not fetched from; holds the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct HostNotAllowed(pub(super) String);

impl AllowedHosts {
    /// Returns how near files may be that the API at `origin` tells of.
    pub const fn for_origin(origin: &ApiOrigin) -> Self {
        if origin.is_loopback() {
            Self::PublicAndLoopback
        } else {
            Self::PublicOnly
        }
    }

    /// Reports whether a browser may be sent to a link.
    ///
    /// Plain http to a public host is: nothing of ours goes with it, and the browser warns by
    /// itself.
    pub(in crate::adapters) fn allows_in_browser(self, link: &VideoUrl) -> bool {
        self == Self::PublicAndLoopback || !link.is_loopback()
    }

    /// Checks a link before anything is sent: scheme, user information and host. The host may be
    /// neither a private address nor one of the user's proxies, whose names are looked up without
    /// the private-address rule.
    pub(super) fn check_link(self, url: &Url, proxies: &ProxyHosts) -> Result<(), HostNotAllowed> {
        let refused = |why: String| Err(HostNotAllowed(why));
        let host = url.host_str().unwrap_or_default();
        let is_here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return refused("the link has no host".into()),
        };
        match url.scheme() {
            "https" => {}
            "http" if self == Self::PublicAndLoopback && is_here => {}
            scheme => return refused(format!("{scheme}://{host} is not https")),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refused(format!("the link to {host} has a user name in it"));
        }
        if proxies.contains(host) {
            return refused(format!("{host} is the proxy's own host"));
        }
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            // The lookup decides.
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if self.allows_address(address) {
            return Ok(());
        }
        refused(format!("{host} is no public address"))
    }

    /// Reports whether a connection to that address may be made.
    pub(super) fn allows_address(self, address: IpAddr) -> bool {
        is_public(address)
            || (self == Self::PublicAndLoopback && address.to_canonical().is_loopback())
    }
}

/// Hosts of the user's proxies.
#[derive(Debug, Clone, Default)]
pub(super) struct ProxyHosts(Arc<[String]>);

impl ProxyHosts {
    /// Parses the hosts out of proxy addresses from the environment.
    pub(super) fn parse(proxies: impl Iterator<Item = String>) -> Self {
        let host = |text: String| {
            let spelt = if text.contains("://") {
                text
            } else {
                format!("http://{text}")
            };
            Some(Url::parse(&spelt).ok()?.host_str()?.to_owned())
        };
        Self(proxies.filter_map(host).collect())
    }

    /// Reports whether a host is one of them; a trailing dot is ignored.
    fn contains(&self, host: &str) -> bool {
        let bare = |host: &str| host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        self.0.iter().any(|proxy| bare(proxy) == bare(host))
    }
}

/// Looks names up and lets through only addresses that may be fetched from. The connection goes to
/// what was checked, so a name that answers differently the next time gains nothing.
#[derive(Debug, Clone)]
pub(super) struct CheckedResolver {
    allowed_hosts: AllowedHosts,
    /// The user's own proxies may be anywhere; they look the rest up themselves.
    proxies: ProxyHosts,
}

impl CheckedResolver {
    /// Returns a lookup for that reach. The hosts of `proxies` may resolve to private addresses; no
    /// link may name them.
    pub(super) const fn new(reach: AllowedHosts, proxies: ProxyHosts) -> Self {
        Self {
            allowed_hosts: reach,
            proxies,
        }
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let Self {
            allowed_hosts: reach,
            proxies,
        } = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let is_known = !found.is_empty();
            let admitted: Vec<_> = found
                .into_iter()
                .filter(|address| reach.allows_address(address.ip()) || proxies.contains(host))
                .collect();
            if is_known && admitted.is_empty() {
                let error = HostNotAllowed(format!("{host} is in a private network"));
                return Err(Box::new(error) as Box<dyn StdError + Send + Sync>);
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// Reports whether an address belongs to the public internet. An IPv6 address that stands for an
/// IPv4 one is judged as that one.
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
    let within = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // Mapped, and NAT64 at its well-known prefix.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            within(high, low)
        }
        // 6to4.
        [0x2002, high, low, ..] => within(high, low),
        // Teredo, ORCHID and the like; documentation.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Only this eighth is given out as public.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reach: AllowedHosts, link: &str) -> Result<(), HostNotAllowed> {
        reach.check_link(&Url::parse(link).unwrap(), &ProxyHosts::default())
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
        let proxies = ProxyHosts::parse(proxies.into_iter());
        let check =
            |link| AllowedHosts::PublicOnly.check_link(&Url::parse(link).unwrap(), &proxies);

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
        let lookup = |reach, proxies: &[String]| {
            CheckedResolver::new(reach, ProxyHosts::parse(proxies.iter().cloned()))
                .resolve("localhost".parse().unwrap())
        };
        let error = lookup(AllowedHosts::PublicOnly, &[]).await.err().unwrap();

        assert!(error.downcast_ref::<HostNotAllowed>().is_some(), "{error}");
        assert!(lookup(AllowedHosts::PublicAndLoopback, &[]).await.is_ok());
        // A proxy of the user's own may well stand on this machine.
        let proxies = ["http://user:word@localhost:3128".to_owned()];
        assert!(lookup(AllowedHosts::PublicOnly, &proxies).await.is_ok());
        assert!(
            lookup(AllowedHosts::PublicOnly, &["localhost:3128".to_owned()])
                .await
                .is_ok()
        );
    }
}
