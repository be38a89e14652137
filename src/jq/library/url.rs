//! URLs after the WHATWG standard, by the `url` crate, and queries of them.
//!
//! The standard normalises: scheme and host in lower case, `a/../b` resolved, spaces and letters
//! beyond ASCII percent-encoded, international hosts in Punycode.
//!
//! Limits: a URL must have a scheme. A password is told of but not given out, and no message quotes
//! the text, since it may hold one.

use std::borrow::Cow;

use url::{Host, ParseError, Url, form_urlencoded};

/// Parts of a URL. The fields are named as their keys in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jq) struct UrlParts {
    /// In lower case, without the colon.
    pub(in crate::jq) scheme: String,
    /// Percent-encoded as in the URL.
    pub(in crate::jq) username: Option<String>,
    /// Whether there is one. It is left out.
    pub(in crate::jq) has_password: bool,
    /// In lower case; an IPv6 address without brackets.
    pub(in crate::jq) host: Option<String>,
    /// What the host is.
    pub(in crate::jq) host_type: Option<HostType>,
    /// As written, or the default of http, https, ws, wss and ftp.
    pub(in crate::jq) port: Option<u16>,
    /// Percent-encoded as in the URL.
    pub(in crate::jq) path: String,
    /// Raw, without the `?`. For [`parse_query`].
    pub(in crate::jq) query: Option<String>,
    /// Raw, without the `#`.
    pub(in crate::jq) fragment: Option<String>,
}

/// Kinds of hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jq) enum HostType {
    /// A name.
    Domain,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
}

impl HostType {
    /// The keyword of the kind.
    pub(in crate::jq) fn as_str(self) -> &'static str {
        match self {
            HostType::Domain => "domain",
            HostType::Ipv4 => "ipv4",
            HostType::Ipv6 => "ipv6",
        }
    }
}

/// Takes a URL apart.
pub(in crate::jq) fn parse_url(text: &str) -> Result<UrlParts, String> {
    let url = Url::parse(text).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => {
            "invalid URL: it has no scheme; put one before it, such as `https://`".to_owned()
        }
        error => format!("invalid URL: {error}"),
    })?;
    let (host, host_type) = match url.host() {
        Some(Host::Domain("")) | None => (None, None),
        Some(Host::Domain(name)) => (Some(name.to_owned()), Some(HostType::Domain)),
        Some(Host::Ipv4(address)) => (Some(address.to_string()), Some(HostType::Ipv4)),
        Some(Host::Ipv6(address)) => (Some(address.to_string()), Some(HostType::Ipv6)),
    };
    Ok(UrlParts {
        scheme: url.scheme().to_owned(),
        username: Some(url.username()).filter(|name| !name.is_empty()).map(str::to_owned),
        has_password: url.password().is_some(),
        host,
        host_type,
        port: url.port_or_known_default(),
        path: url.path().to_owned(),
        query: url.query().map(str::to_owned),
        fragment: url.fragment().map(str::to_owned),
    })
}

/// Splits `a=1&b=x+y` into decoded pairs, in the order of the text; keys may repeat.
///
/// A `?` before it is dropped. `+` is a space, a key without `=` has an empty value, and bytes that
/// are no UTF-8 become U+FFFD.
pub(in crate::jq) fn parse_query(text: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(text.strip_prefix('?').unwrap_or(text).as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts() {
        let url = parse_url("HTTPS://bob:s3cret@Example.COM:8443/a/../b c?q=1&r=ü#top").unwrap();
        assert_eq!(
            url,
            UrlParts {
                scheme: "https".into(),
                username: Some("bob".into()),
                has_password: true,
                host: Some("example.com".into()),
                host_type: Some(HostType::Domain),
                port: Some(8443),
                path: "/b%20c".into(),
                query: Some("q=1&r=%C3%BC".into()),
                fragment: Some("top".into()),
            }
        );
    }

    #[test]
    fn hosts_and_ports() {
        for (text, host, kind, port) in [
            ("http://[2001:DB8::0:1]/", "2001:db8::1", "ipv6", Some(80)),
            ("wss://10.0.0.1", "10.0.0.1", "ipv4", Some(443)),
            ("http://0x7f.1/", "127.0.0.1", "ipv4", Some(80)),
            ("ssh://git@host/x", "host", "domain", None),
            ("https://bücher.example", "xn--bcher-kva.example", "domain", Some(443)),
        ] {
            let url = parse_url(text).unwrap();
            assert_eq!(url.host.as_deref(), Some(host));
            assert_eq!(url.host_type.map(HostType::as_str), Some(kind));
            assert_eq!(url.port, port);
        }
        for text in ["mailto:a@b", "file:///etc/passwd", "data:,x"] {
            let url = parse_url(text).unwrap();
            assert_eq!((url.host, url.host_type, url.port), (None, None, None), "{text}");
        }
    }

    #[test]
    fn a_message_never_holds_the_text() {
        for text in ["", "example.com/x", "/x", "http://", "http://u:s3cret@[::1", "http://u:s3cret@h:99999/"]
        {
            let error = parse_url(text).unwrap_err();
            assert!(error.starts_with("invalid URL: ") && !error.contains("s3cret"), "{error}");
        }
        assert!(parse_url("example.com").unwrap_err().contains("https://"));
    }

    #[test]
    fn queries() {
        let pairs = parse_query("?a=1&b=x+y%20z&&c&a=%FF%zz&%C3%BC=ü=");
        let pairs: Vec<_> = pairs.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(pairs, [("a", "1"), ("b", "x y z"), ("c", ""), ("a", "\u{fffd}%zz"), ("ü", "ü=")]);
        assert!(parse_query("").is_empty());
    }

    #[test]
    fn hostile_texts_take_one_pass() {
        let n = 1 << 18;
        assert_eq!(parse_url(&format!("http://h/{}", "ü".repeat(n))).unwrap().path.len(), 1 + 6 * n);
        assert_eq!(parse_url(&format!("http://h{}", "/..".repeat(n))).unwrap().path, "/");
        assert!(parse_url(&format!("http://h/{}{}", "a/".repeat(n), "../".repeat(n))).is_ok());
        assert!(parse_url(&format!("http://{}@h/", "a@".repeat(n))).is_ok());
        assert!(parse_url(&format!("http://{}/", "ü".repeat(n))).is_err());
        assert!(parse_url(&format!("http://{}/", "é.".repeat(n))).is_ok());
        assert_eq!(parse_query(&"a&".repeat(n)).len(), n);
    }
}
