//! IP addresses and networks: normal forms, classes, membership.
//!
//! Addresses are those of the standard library: dotted IPv4 without leading zeros, IPv6 after
//! RFC 4291, written as RFC 5952 has it. An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) is the IPv4
//! address everywhere, also in a network. White space around, brackets, a zone (`%eth0`) and a port
//! are dropped unless said otherwise. Classes follow the IANA registries of special addresses.
//!
//! Limits: no network is both IPv4 and IPv6, so `::/0` holds no IPv4 address, mapped or not.
//! Netmasks (`/255.0.0.0`) are not read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::text::excerpt;

/// Reads an address, with or without brackets, zone and port.
pub(in crate::jq) fn parse_ip(text: &str) -> Result<IpAddr, String> {
    bare_ip(text.trim())
        .or_else(|| ip_port(text).ok().and_then(|(host, _)| bare_ip(host)))
        .ok_or_else(|| format!("{} is no IP address", excerpt(text)))
}

/// The address in its shortest form, without brackets, zone and port.
pub(in crate::jq) fn ip_normalize(text: &str) -> Result<String, String> {
    parse_ip(text).map(|address| address.to_string())
}

/// 4 or 6. A mapped address is of version 4.
pub(in crate::jq) fn ip_version(text: &str) -> Result<u8, String> {
    parse_ip(text).map(|address| if address.is_ipv4() { 4 } else { 6 })
}

/// Whether the text is an address and nothing else: no port, brackets or white space, but a zone
/// may stand behind an IPv6 address.
pub(in crate::jq) fn is_ip(text: &str) -> bool {
    bare_ip(text).is_some()
}

/// Whether a network holds all of another one.
pub(in crate::jq) fn cidr_contains(outer: &str, inner: &str) -> Result<bool, String> {
    Ok(Cidr::parse(outer)?.covers(&Cidr::parse(inner)?))
}

/// The network with the bits behind its prefix set to zero: `10.1.2.3/8` is `10.0.0.0/8`.
pub(in crate::jq) fn cidr_normalize(cidr: &str) -> Result<String, String> {
    Cidr::parse(cidr).map(|cidr| cidr.to_string())
}

/// Splits `host:port`, `[::1]:port` or a host alone. The host is not checked, and loses brackets.
pub(in crate::jq) fn ip_port(text: &str) -> Result<(&str, Option<u16>), String> {
    let fail = |why: &str| format!("{} is no host and port: {why}", excerpt(text));
    let whole = text.trim();
    let (host, port) = if let Some(rest) = whole.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or_else(|| fail("the bracket is not closed"))?;
        if behind.is_empty() {
            (host, None)
        } else {
            (host, Some(behind.strip_prefix(':').ok_or_else(|| fail("a `:` must follow the bracket"))?))
        }
    } else {
        match whole.split_once(':') {
            None => (whole, None),
            Some((_, port)) if port.contains(':') => {
                if bare_ip(whole).is_none() {
                    return Err(fail("put an IPv6 address into brackets, as in [::1]:80"));
                }
                (whole, None)
            }
            Some((host, port)) => (host, Some(port)),
        }
    };
    if host.is_empty() {
        return Err(fail("the host is empty"));
    }
    let port = port.map(|port| number(port).ok_or_else(|| fail("a port must be 0 to 65535"))).transpose()?;
    Ok((host, port))
}

/// The special range that an address is from, or `public`.
///
/// One of `unspecified`, `loopback`, `private` (also unique local IPv6), `link_local`, `shared`
/// (carrier NAT), `multicast`, `broadcast`, `documentation`, `benchmarking`, `reserved`, `public`.
pub(in crate::jq) fn ip_class(text: &str) -> Result<&'static str, String> {
    parse_ip(text).map(|address| match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => class_v6(address),
    })
}

fn class_v4(address: Ipv4Addr) -> &'static str {
    match address.octets() {
        _ if address.is_unspecified() => "unspecified",
        _ if address.is_loopback() => "loopback",
        _ if address.is_private() => "private",
        _ if address.is_link_local() => "link_local",
        _ if address.is_multicast() => "multicast",
        _ if address.is_broadcast() => "broadcast",
        _ if address.is_documentation() => "documentation",
        [100, 64..=127, ..] => "shared",
        [198, 18 | 19, ..] => "benchmarking",
        // two anycast addresses of this range are reachable
        [192, 0, 0, 9 | 10] => "public",
        [0 | 240.., ..] | [192, 0, 0, _] => "reserved",
        _ => "public",
    }
}

fn class_v6(address: Ipv6Addr) -> &'static str {
    match address.segments() {
        _ if address.is_unspecified() => "unspecified",
        _ if address.is_loopback() => "loopback",
        _ if address.is_unique_local() => "private",
        _ if address.is_unicast_link_local() => "link_local",
        _ if address.is_multicast() => "multicast",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "documentation",
        [0x2001, 2, 0, ..] => "benchmarking",
        // NAT64, and what was given out so far
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x2000..=0x3fff, ..] => "public",
        _ => "reserved",
    }
}

/// A network, read once for many addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::jq) struct Cidr {
    /// First address, with IPv4 in the low 32 bits.
    first: u128,
    mask: u128,
    prefix: u8,
    is_v4: bool,
}

impl Cidr {
    /// Reads `address/prefix`. An address alone is a network of its own.
    pub(in crate::jq) fn parse(text: &str) -> Result<Cidr, String> {
        let fail = |why: &str| format!("{} is no network: {why}", excerpt(text));
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let written: IpAddr =
            address.parse().map_err(|_| fail("it must be written as 10.0.0.0/8 or 2001:db8::/32"))?;
        let width: u8 = if written.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(prefix) => number(prefix)
                .filter(|prefix| *prefix <= width)
                .ok_or_else(|| fail(&format!("the prefix must be 0 to {width}")))?,
        };
        Ok(match (written.to_canonical(), written) {
            (IpAddr::V4(address), IpAddr::V4(_)) => Cidr::v4(address, prefix),
            (IpAddr::V4(address), _) if prefix >= 96 => Cidr::v4(address, prefix - 96),
            (_, IpAddr::V6(address)) | (IpAddr::V6(address), _) => {
                Cidr::new(address.to_bits(), 128, prefix, false)
            }
        })
    }

    fn v4(address: Ipv4Addr, prefix: u8) -> Cidr {
        Cidr::new(u128::from(address.to_bits()), 32, prefix, true)
    }

    fn new(bits: u128, width: u8, prefix: u8, is_v4: bool) -> Cidr {
        // a shift by all 128 bits has no result of its own
        let host = 1u128.checked_shl(u32::from(width - prefix)).map_or(u128::MAX, |bit| bit - 1);
        Cidr { first: bits & !host, mask: !host, prefix, is_v4 }
    }

    /// Whether the address is in the network. A mapped address counts as IPv4.
    pub(in crate::jq) fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.is_v4 && u128::from(address.to_bits()) & self.mask == self.first,
            IpAddr::V6(address) => !self.is_v4 && address.to_bits() & self.mask == self.first,
        }
    }

    /// Whether all of the other network is in this one.
    pub(in crate::jq) fn covers(&self, other: &Cidr) -> bool {
        self.is_v4 == other.is_v4 && self.prefix <= other.prefix && other.first & self.mask == self.first
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_v4 {
            write!(f, "{}/{}", Ipv4Addr::from_bits(self.first as u32), self.prefix)
        } else {
            write!(f, "{}/{}", Ipv6Addr::from_bits(self.first), self.prefix)
        }
    }
}

/// An address without brackets and port; a zone behind IPv6 is dropped.
fn bare_ip(text: &str) -> Option<IpAddr> {
    let address: IpAddr = match text.split_once('%') {
        Some((address, zone)) if zone_id(zone) => address.parse::<Ipv6Addr>().ok()?.into(),
        _ => text.parse().ok()?,
    };
    Some(address.to_canonical())
}

fn zone_id(zone: &str) -> bool {
    !zone.is_empty()
        && zone.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'~'))
}

/// Digits only: the standard library would take a sign.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        for (text, expected) in [
            ("10.0.0.1", "10.0.0.1"),
            (" 10.0.0.1:443 ", "10.0.0.1"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("[::1]", "::1"),
            ("[fe80::1%eth0.1]:1", "fe80::1"),
            ("fe80::1%25", "fe80::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("::FFFF:a00:1", "10.0.0.1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("::", "::"),
        ] {
            assert_eq!(ip_normalize(text).unwrap(), expected);
        }
        for text in [
            "",
            "localhost",
            "10.0.0",
            "010.0.0.1",
            "1.2.3.4%eth0",
            "::1%",
            "[::1",
            "[::1]x",
            "1.2.3.4:x",
            "::1 x",
            "١.1.1.1",
        ] {
            assert!(ip_normalize(text).unwrap_err().ends_with("is no IP address"), "{text}");
        }
    }

    #[test]
    fn versions_and_bare_addresses() {
        assert_eq!((ip_version("::ffff:1.2.3.4"), ip_version("[::1]:80")), (Ok(4), Ok(6)));
        assert!(is_ip("1.2.3.4") && is_ip("fe80::1%eth0") && is_ip("::ffff:1.2.3.4"));
        assert!(!is_ip("1.2.3.4:80") && !is_ip("[::1]") && !is_ip(" ::1") && !is_ip(""));
    }

    #[test]
    fn networks_hold_addresses() {
        for (ip, cidr, expected) in [
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.0.0.0", "10.255.255.255/8", false),
            ("::ffff:10.1.2.3", "10.0.0.0/8", true),
            ("10.1.2.3", "::ffff:10.0.0.0/104", true),
            ("1.2.3.4", "0.0.0.0/0", true),
            ("1.2.3.4", "::/0", false),
            ("1.2.3.4", "::ffff:0:0/95", false),
            ("::1", "::/0", true),
            ("::1", "0.0.0.0/0", false),
            ("2001:db8::1", "2001:db8::/32", true),
            ("2001:db9::1", "2001:db8::/32", false),
            ("1.2.3.4", "1.2.3.4", true),
            ("1.2.3.5", "1.2.3.4/32", false),
            ("[fe80::1%e]:1", "fe80::1/128", true),
        ] {
            assert_eq!(
                parse_ip(ip).and_then(|ip| Ok(Cidr::parse(cidr)?.contains(ip))),
                Ok(expected),
                "{ip} {cidr}"
            );
        }
    }

    #[test]
    fn messages_name_the_bad_text() {
        for (ip, cidr, bad) in [
            ("x", "10.0.0.0/8", "`x`"),
            ("1.1.1.1", "10.0.0.0/33", "`10.0.0.0/33`"),
            ("1.1.1.1", "::/129", "0 to 128"),
            ("1.1.1.1", "10.0.0.0/+8", "prefix"),
            ("1.1.1.1", "10.0.0.0/", "prefix"),
            ("1.1.1.1", "10.0.0.0/8/8", "prefix"),
            ("1.1.1.1", "10.0.0/8", "written as"),
            ("1.1.1.1", "", "written as"),
        ] {
            assert!(
                parse_ip(ip).and_then(|ip| Ok(Cidr::parse(cidr)?.contains(ip))).unwrap_err().contains(bad),
                "{ip} {cidr}"
            );
        }
        assert!(Cidr::parse(&"é/".repeat(1 << 20)).unwrap_err().len() < 300);
    }

    #[test]
    fn networks_hold_networks() {
        assert_eq!(cidr_contains("10.0.0.0/8", "10.9.0.0/16"), Ok(true));
        assert_eq!(cidr_contains("10.9.0.0/16", "10.0.0.0/8"), Ok(false));
        assert_eq!(cidr_contains("::/0", "0.0.0.0/0"), Ok(false));
        assert_eq!(cidr_contains("::/0", "::1"), Ok(true));
        assert_eq!(cidr_normalize("10.1.2.3/8").unwrap(), "10.0.0.0/8");
        assert_eq!(cidr_normalize(" 2001:DB8::1/32 ").unwrap(), "2001:db8::/32");
        assert_eq!(cidr_normalize("ffff::/0").unwrap(), "::/0");
        assert_eq!(cidr_normalize("255.1.1.1/0").unwrap(), "0.0.0.0/0");
        assert_eq!(cidr_normalize("::ffff:1.2.3.4").unwrap(), "1.2.3.4/32");
    }

    #[test]
    fn hosts_and_ports() {
        assert_eq!(ip_port("example.com:80"), Ok(("example.com", Some(80))));
        assert_eq!(ip_port("example.com"), Ok(("example.com", None)));
        assert_eq!(ip_port("[::1]:65535"), Ok(("::1", Some(65535))));
        assert_eq!(ip_port("[::1]"), Ok(("::1", None)));
        assert_eq!(ip_port("2001:db8::1:443"), Ok(("2001:db8::1:443", None)));
        for text in ["", ":80", "a:", "a:+1", "a:65536", "a:b:c", "[::1", "[::1]80", "[]:80"] {
            assert!(ip_port(text).is_err_and(|e| text.is_empty() || e.contains(text)), "{text}");
        }
        assert!(ip_port(&format!("h:{}", "9".repeat(1 << 20))).is_err());
    }

    #[test]
    fn classes() {
        for (ip, class) in [
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "reserved"),
            ("127.9.9.9", "loopback"),
            ("172.31.0.1", "private"),
            ("172.32.0.1", "public"),
            ("169.254.169.254", "link_local"),
            ("100.64.0.1", "shared"),
            ("100.128.0.1", "public"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "broadcast"),
            ("203.0.113.9", "documentation"),
            ("198.19.0.1", "benchmarking"),
            ("192.0.0.8", "reserved"),
            ("240.0.0.1", "reserved"),
            ("8.8.8.8", "public"),
            ("::", "unspecified"),
            ("::1", "loopback"),
            ("fd00::1", "private"),
            ("fe80::1%eth0", "link_local"),
            ("ff02::1", "multicast"),
            ("2001:db8::1", "documentation"),
            ("3fff::1", "documentation"),
            ("2001:4860:4860::8888", "public"),
            ("64:ff9b::8.8.8.8", "public"),
            ("100::1", "reserved"),
            ("::ffff:192.168.0.1", "private"),
        ] {
            assert_eq!(ip_class(ip), Ok(class), "{ip}");
        }
        assert!(ip_class("x").is_err());
    }
}
