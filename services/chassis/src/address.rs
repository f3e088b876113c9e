//! Addresses.
//!
//! Owns where a request comes from, as far as rates are concerned, and what one address may do. Promises that a header
//! is believed only from proxies that are trusted, so that nobody is another. Never shows an address.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, HeaderName};

use crate::rates::Rate;

/// How many people's rate an address has: an office, or a street, may stand behind one.
pub const PEOPLE: u32 = 20;
/// New connections of an address. All of an office that come back at once are let in at once; of a larger one the rest
/// are, as they try again, within seconds.
pub const CONNECTIONS: Rate = Rate::every(Duration::from_millis(20), 1_000);

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// An address that rates are counted by: of IPv6 the network of 64 bits, which is what one host is commonly given.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

impl Address {
    /// That of a peer; IPv4 inside IPv6 is IPv4.
    pub fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64)).into(),
            ip => ip,
        })
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(not shown)")
    }
}

/// An address, or a network of them, that is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    ip: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `10.0.0.7`, `10.0.0.0/8` or `fd00::/8`.
    ///
    /// # Errors
    /// It is neither, or everybody.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::read(text).ok_or_else(|| {
            "expected addresses or networks, such as 10.0.0.7 or fd00::/8, and not all there are".to_owned()
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (ip, bits) = text.split_once('/').map_or((text, None), |(ip, bits)| (ip, Some(bits)));
        let ip: IpAddr = ip.parse().ok()?;
        if ip.to_canonical() != ip {
            return None; // IPv4 inside IPv6: peers are known as IPv4
        }
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (1..=most).contains(&bits).then_some(Self { ip, bits })
    }

    fn contains(&self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(ours), IpAddr::V4(ip)) => (ours.to_bits() ^ ip.to_bits()) >> (32 - self.bits) == 0,
            (IpAddr::V6(ours), IpAddr::V6(ip)) => (ours.to_bits() ^ ip.to_bits()) >> (128 - self.bits) == 0,
            _ => false,
        }
    }
}

/// The proxies whose `X-Forwarded-For` is believed. Clones are handles to the same.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    trusted: Arc<[Network]>,
    has_warned: Arc<AtomicBool>,
}

impl Proxies {
    /// Believes these.
    pub fn new(trusted: Vec<Network>) -> Self {
        Self { trusted: trusted.into(), has_warned: Arc::default() }
    }

    /// Whose rates a request counts to: its peer's, or, where proxies that are trusted forwarded it, those of the
    /// nearest address that is no such proxy. `None`, nobody's, is this machine itself.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> Option<Address> {
        let mut nearest = peer.ip().to_canonical();
        if !self.trusts(nearest) && headers.contains_key(FORWARDED_FOR) {
            self.warn();
        }
        let values = headers.get_all(FORWARDED_FOR).iter();
        // What a client says of itself stands to the left of what proxies saw. A hop that is no address ends what can
        // be known.
        let mut hops = values.flat_map(|value| value.to_str().unwrap_or_default().split(',')).rev().map(hop);
        let mut is_forwarded = false;
        while self.trusts(nearest)
            && let Some(Some(hop)) = hops.next()
        {
            (nearest, is_forwarded) = (hop, true);
        }
        (is_forwarded || !nearest.is_loopback()).then(|| Address::of(nearest))
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(ip))
    }

    fn warn(&self) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "a peer that is not trusted sent X-Forwarded-For, which was not believed: where it is a proxy, rates \
                 per address count all its clients as one; name it in PARLOUR_TRUSTED_PROXIES"
            );
        }
    }
}

/// Reads one entry of `X-Forwarded-For`: an address, perhaps with a port.
fn hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let ip = bare.parse().or_else(|_| text.parse().map(|address: SocketAddr| address.ip()));
    ip.ok().map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::of(text.parse().unwrap())
    }

    fn seen(trusted: &[&str], peer: &str, forwarded: &[&str]) -> Option<Address> {
        let proxies = Proxies::new(trusted.iter().map(|text| Network::parse(text).unwrap()).collect());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        proxies.client(SocketAddr::new(peer.parse().unwrap(), 1), &headers)
    }

    #[test]
    fn ipv6_counts_by_its_network_and_ipv4_inside_it_as_ipv4() {
        assert_eq!(address("2001:db8:0:1::1"), address("2001:db8:0:1:ffff::2"));
        assert_ne!(address("2001:db8:0:1::1"), address("2001:db8:0:2::1"));
        assert_eq!(address("::ffff:203.0.113.7"), address("203.0.113.7"));
        assert_ne!(address("203.0.113.7"), address("203.0.113.8"));
        assert!(!format!("{:?}", address("203.0.113.7")).contains("203"), "never shown");
    }

    #[test]
    fn a_header_is_believed_only_from_who_is_trusted_and_only_as_far() {
        let proxies = ["10.0.0.0/8", "2001:db8::5", "127.0.0.1"];
        for (trusted, peer, forwarded, expected) in [
            // Nobody is trusted: the peer it is, whatever it says.
            (&proxies[..0], "203.0.113.7", &[][..], Some("203.0.113.7")),
            (&proxies[..0], "203.0.113.7", &["198.51.100.1"][..], Some("203.0.113.7")),
            (&proxies[..0], "127.0.0.1", &["198.51.100.1"], None),
            (&proxies[..0], "::1", &[], None),
            (&proxies[..0], "::ffff:127.0.0.1", &[], None),
            // A peer that is not trusted, though others are.
            (&proxies, "203.0.113.7", &["10.0.0.1, 198.51.100.1"], Some("203.0.113.7")),
            // Trusted ones are believed, up to the right-most that is none of them.
            (&proxies, "10.1.2.3", &["203.0.113.7"], Some("203.0.113.7")),
            (&proxies, "::ffff:10.1.2.3", &["203.0.113.7"], Some("203.0.113.7")),
            (&proxies, "2001:db8::5", &["203.0.113.7"], Some("203.0.113.7")),
            (&proxies, "2001:db8::6", &["203.0.113.7"], Some("2001:db8::6")),
            (&proxies, "127.0.0.1", &["198.51.100.1, 203.0.113.7"], Some("203.0.113.7")),
            (&proxies, "127.0.0.1", &["198.51.100.1, 203.0.113.7, 10.9.9.9"], Some("203.0.113.7")),
            (&proxies, "127.0.0.1", &["198.51.100.1", "203.0.113.7,10.9.9.9"], Some("203.0.113.7")),
            (&proxies, "127.0.0.1", &["10.0.0.1,10.0.0.2"], Some("10.0.0.1")),
            // A forwarded loopback is somebody like any other.
            (&proxies, "127.0.0.1", &["127.0.0.1"], Some("127.0.0.1")),
            // With ports and brackets.
            (&proxies, "127.0.0.1", &["203.0.113.7:4711"], Some("203.0.113.7")),
            (&proxies, "127.0.0.1", &["[2001:db8::7]:443"], Some("2001:db8::7")),
            (&proxies, "127.0.0.1", &["[2001:db8::7]"], Some("2001:db8::7")),
            (&proxies, "127.0.0.1", &["::ffff:203.0.113.7"], Some("203.0.113.7")),
            // What is no address ends it: nothing to the left is believed.
            (&proxies, "10.1.2.3", &["203.0.113.7, unknown"], Some("10.1.2.3")),
            (&proxies, "10.1.2.3", &["203.0.113.7, 10.0.0.1, _x, 10.0.0.2"], Some("10.0.0.2")),
            (&proxies, "10.1.2.3", &["203.0.113.7,"], Some("10.1.2.3")),
            (&proxies, "10.1.2.3", &["caf\u{e9}"], Some("10.1.2.3")),
            (&proxies, "10.1.2.3", &["[203.0.113.7", "999.1.1.1", "fe80::1%eth0"], Some("10.1.2.3")),
            (&proxies, "127.0.0.1", &[""], None),
        ] {
            assert_eq!(seen(trusted, peer, forwarded), expected.map(address), "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn networks_are_told_from_what_is_none() {
        let network = Network::parse("10.1.2.3/8").unwrap();
        assert!(
            network.contains("10.255.0.1".parse().unwrap()) && !network.contains("11.0.0.1".parse().unwrap())
        );
        let network = Network::parse("fd00::/8").unwrap();
        assert!(
            network.contains("fdff::1".parse().unwrap()) && !network.contains("fe00::1".parse().unwrap())
        );
        for wrong in
            ["", "proxy", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/0", "::/0", "::1/129", "::ffff:10.0.0.1"]
        {
            assert!(Network::parse(wrong).is_err(), "{wrong}");
        }
    }
}
