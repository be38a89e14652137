//! `WWW-Authenticate` and `Authentication-Info`: what a server asks for, read tolerantly.
//!
//! Several headers, several challenges in one header, white space and case of names in any form,
//! unknown schemes and parameters are fine. Nothing here can fail: what cannot be understood is left out.

use http::HeaderMap;
use http::header::{HeaderName, WWW_AUTHENTICATE};

/// `Authentication-Info`, which the `http` crate has no name for.
const AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("authentication-info");

/// A challenge of any scheme, as written.
#[derive(Debug, PartialEq, Eq)]
struct Raw {
    scheme: String,
    params: Vec<(String, String)>,
}

/// The hash a challenge asks for. The order is that of strength.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hash {
    Md5,
    Sha256,
}

/// A Digest challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "these are the flags of the protocol")]
pub(super) struct Challenge {
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) opaque: Option<String>,
    pub(super) hash: Hash,
    /// The `-sess` variant: nonces are part of the hashed credentials.
    pub(super) is_session: bool,
    /// The algorithm as the server wrote it; old servers write none, and may not know the parameter.
    pub(super) algorithm: Option<String>,
    /// `qop=auth`; else the form of RFC 2069.
    pub(super) has_qop: bool,
    pub(super) is_stale: bool,
    pub(super) userhash: bool,
}

/// Why none of the challenges can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unusable {
    /// There is no Digest challenge; the schemes offered.
    NoDigest(Vec<String>),
    /// There is one, and what it asks for is not supported.
    Unsupported(String),
}

/// The strongest challenge that can be answered: SHA-256 before MD5, `qop=auth` before none, then the
/// server's order.
pub(super) fn choose(headers: &HeaderMap) -> Result<Challenge, Unusable> {
    let mut best: Option<Challenge> = None;
    let mut unsupported = None;
    let mut schemes = Vec::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        let Ok(text) = std::str::from_utf8(value.as_bytes()) else { continue };
        for raw in parse(text) {
            if !raw.scheme.eq_ignore_ascii_case("digest") {
                schemes.push(raw.scheme);
                continue;
            }
            match Challenge::from_raw(&raw) {
                Ok(next) => {
                    let rank = |challenge: &Challenge| (challenge.hash, challenge.has_qop);
                    if best.as_ref().is_none_or(|best| rank(&next) > rank(best)) {
                        best = Some(next);
                    }
                }
                Err(reason) => unsupported = unsupported.or(Some(reason)),
            }
        }
    }
    match (best, unsupported) {
        (Some(challenge), _) => Ok(challenge),
        (None, Some(reason)) => Err(Unusable::Unsupported(reason)),
        (None, None) => Err(Unusable::NoDigest(schemes)),
    }
}

/// The nonce the server wants next, from `Authentication-Info`.
pub(super) fn next_nonce(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(AUTHENTICATION_INFO)
        .iter()
        .filter_map(|value| std::str::from_utf8(value.as_bytes()).ok())
        .flat_map(|text| {
            let mut raw = Raw { scheme: String::new(), params: Vec::new() };
            let mut reader = Reader { text, at: 0 };
            while reader.item(std::slice::from_mut(&mut raw)) != Item::End {}
            raw.params
        })
        .find(|(name, value)| name.eq_ignore_ascii_case("nextnonce") && !value.is_empty())
        .map(|(_, value)| value)
}

impl Challenge {
    fn from_raw(raw: &Raw) -> Result<Self, String> {
        let get = |name: &str| {
            raw.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        };
        let is_true = |name| get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let algorithm = get("algorithm");
        let (hash, is_session) = match algorithm.unwrap_or("MD5").to_ascii_lowercase().as_str() {
            "md5" => (Hash::Md5, false),
            "md5-sess" => (Hash::Md5, true),
            "sha-256" => (Hash::Sha256, false),
            "sha-256-sess" => (Hash::Sha256, true),
            other => return Err(format!("algorithm {}", shorten(other))),
        };
        // `op` is what MongoDB's documentation shows
        let offered = get("qop").or_else(|| get("op")).unwrap_or_default();
        let mut offers = offered.split([',', ' ', '\t']).filter(|offer| !offer.is_empty()).peekable();
        let has_qop = offers.peek().is_some();
        if has_qop && !offers.any(|offer| offer.eq_ignore_ascii_case("auth")) {
            return Err(format!("quality of protection {}", shorten(offered)));
        }
        let nonce = get("nonce").filter(|nonce| !nonce.is_empty()).ok_or("a challenge without a nonce")?;
        Ok(Challenge {
            realm: get("realm").ok_or("a challenge without a realm")?.to_owned(),
            nonce: nonce.to_owned(),
            opaque: get("opaque").map(str::to_owned),
            hash,
            is_session,
            algorithm: algorithm.map(str::to_owned),
            has_qop,
            is_stale: is_true("stale"),
            userhash: is_true("userhash"),
        })
    }
}

/// A server's word in a message: short.
fn shorten(text: &str) -> String {
    text.chars().take(40).collect()
}

/// All challenges of one header.
fn parse(text: &str) -> Vec<Raw> {
    let mut found = Vec::new();
    let mut reader = Reader { text, at: 0 };
    loop {
        match reader.item(&mut found) {
            Item::Scheme(scheme) => found.push(Raw { scheme, params: Vec::new() }),
            Item::Other => {}
            Item::End => return found,
        }
    }
}

/// What a reader found.
#[derive(PartialEq, Eq)]
enum Item {
    Scheme(String),
    Other,
    End,
}

/// A place in a header. `at` is always at the start of a character.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    /// Reads one parameter into the last of `open`, or a scheme, or skips what is neither. Goes forward
    /// unless it is at the end.
    fn item(&mut self, open: &mut [Raw]) -> Item {
        self.skip(|byte| matches!(byte, b' ' | b'\t' | b','));
        if self.at == self.text.len() {
            return Item::End;
        }
        let name = self.take(is_token);
        if name.is_empty() {
            // garbage up to the next comma; a quoted string in it may hold commas
            if self.peek() == Some(b'"') {
                drop(self.quoted());
            } else {
                self.skip(|byte| byte != b',' && byte != b'"');
            }
            return Item::Other;
        }
        let name = name.to_owned();
        let before = self.at;
        self.skip_space();
        if self.peek() == Some(b'=') {
            self.at += 1;
            self.skip_space();
            let value = match self.peek() {
                Some(b'"') => self.quoted(),
                _ => self.take(|byte| !matches!(byte, b' ' | b'\t' | b',')).to_owned(),
            };
            // of two parameters of one name the first counts
            if let Some(last) = open.last_mut() {
                last.params.push((name, value));
            }
            return Item::Other;
        }
        if self.at > before {
            // `Negotiate abc`: the token is no scheme
            let at = self.at;
            let token = self.take(|byte| is_token(byte) || byte == b'/');
            let is_token68 = !token.is_empty() && {
                self.skip(|byte| byte == b'=');
                self.skip_space();
                matches!(self.peek(), None | Some(b','))
            };
            if !is_token68 {
                self.at = at;
            }
        }
        Item::Scheme(name)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'t str {
        let start = self.at;
        self.skip(is_wanted);
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Bytes that are not ASCII are wanted all or none, so that `at` stays at the start of a character.
    fn skip(&mut self, is_wanted: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| !is_wanted(*byte)).unwrap_or(rest.len());
    }

    fn skip_space(&mut self) {
        self.skip(|byte| matches!(byte, b' ' | b'\t'));
    }

    /// A quoted string, without quotes and escapes; one that does not end goes to the end of the header.
    fn quoted(&mut self) -> String {
        let mut value = String::new();
        let mut chars = self.text.get(self.at + 1..).unwrap_or_default().char_indices();
        while let Some((_, next)) = chars.next() {
            match next {
                '"' => {
                    self.at = self.text.len() - chars.as_str().len();
                    return value;
                }
                '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
                _ => value.push(next),
            }
        }
        self.at = self.text.len();
        value
    }
}

/// `tchar` of RFC 9110.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn one_header_with_several_challenges() {
        let found = parse(
            r#"Basic realm="a, b=\"c\"", Negotiate, NTLM abc/+=, Negotiate QWxhZGRpbg, DIGEST Realm = "x" , nonce=n1,,opaque="",  extra=1 Digest nonce="n2""#,
        );
        let schemes: Vec<&str> = found.iter().map(|raw| raw.scheme.as_str()).collect();
        assert_eq!(schemes, ["Basic", "Negotiate", "NTLM", "Negotiate", "DIGEST", "Digest"]);
        assert_eq!(found[0].params, [("realm".to_owned(), r#"a, b="c""#.to_owned())]);
        let names: Vec<&str> = found[4].params.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Realm", "nonce", "opaque", "extra"]);
        assert_eq!(found[5].params, [("nonce".to_owned(), "n2".to_owned())]);
    }

    #[test]
    fn the_strongest_is_chosen() {
        let md5 = r#"Digest realm="r", nonce="m", qop="auth", algorithm=MD5"#;
        let sha = r#"Digest realm="r", nonce="s", qop="auth-int,Auth", algorithm=sha-256-SESS"#;
        let new = r#"Digest realm="r", nonce="t", qop="auth", algorithm=SHA-512-256"#;
        for order in [[md5, sha, new], [new, sha, md5], [sha, new, md5]] {
            let challenge = choose(&headers(&order)).unwrap();
            assert_eq!(
                (challenge.nonce.as_str(), challenge.hash, challenge.is_session),
                ("s", Hash::Sha256, true)
            );
            assert_eq!(choose(&headers(&[&order.join(", ")])).unwrap(), challenge);
        }
        let old = r#"Digest realm="r", nonce="o""#;
        assert_eq!(choose(&headers(&[old, md5])).unwrap().nonce, "m");
        assert!(!choose(&headers(&[old])).unwrap().has_qop);
    }

    #[test]
    fn what_is_not_supported() {
        let error = |values: &[&str]| choose(&headers(values)).unwrap_err();
        assert_eq!(error(&[]), Unusable::NoDigest(vec![]));
        assert_eq!(
            error(&["Basic realm=x", "Bearer"]),
            Unusable::NoDigest(vec!["Basic".into(), "Bearer".into()])
        );
        let unsupported = |text: &str| Unusable::Unsupported(text.to_owned());
        assert_eq!(
            error(&[r#"Digest realm="r", nonce="n", qop="auth-int""#]),
            unsupported("quality of protection auth-int")
        );
        assert_eq!(
            error(&["Digest realm=r, nonce=n, algorithm=SHA-512-256"]),
            unsupported("algorithm sha-512-256")
        );
        assert_eq!(error(&["Digest realm=r"]), unsupported("a challenge without a nonce"));
    }

    #[test]
    fn the_challenge_of_the_atlas_documentation() {
        let text = r#"Digest realm="MMS Public API", domain="", nonce="4GKn2L", algorithm=MD5, op="auth", stale=false"#;
        let challenge = choose(&headers(&[text])).unwrap();
        assert_eq!(challenge.realm, "MMS Public API");
        assert!(challenge.has_qop && !challenge.is_stale && !challenge.userhash);
    }

    #[test]
    fn next_nonces() {
        let mut headers = HeaderMap::new();
        assert_eq!(next_nonce(&headers), None);
        headers
            .append(AUTHENTICATION_INFO, r#"rspauth="ab", NextNonce = "x\"y", nc=00000001"#.parse().unwrap());
        assert_eq!(next_nonce(&headers).as_deref(), Some(r#"x"y"#));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".*") {
            parse(&text);
        }

        #[test]
        fn likely_text_is_read(text in r#"((Digest|Basic|nonce|realm|qop|a)|[=,"\\ \t;/é])*"#) {
            let found = parse(&text);
            prop_assert!(found.len() <= text.len());
        }

        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(32_u8..=255, 0..200)) {
            if let Ok(value) = http::HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.append(AUTHENTICATION_INFO, value.clone());
                headers.append(WWW_AUTHENTICATE, value);
                let _ = (choose(&headers), next_nonce(&headers));
            }
        }

        #[test]
        fn quoted_values_survive(realm in "[ -~é]*", nonce in "[!-~]+") {
            let quote = |text: &str| text.replace('\\', r"\\").replace('"', r#"\""#);
            let text = format!(r#"Basic realm="b",Digest realm="{}" ,nonce="{}""#, quote(&realm), quote(&nonce));
            let found = parse(&text);
            prop_assert_eq!(found.len(), 2);
            prop_assert_eq!(&found[1].params[0].1, &realm);
            prop_assert_eq!(&found[1].params[1].1, &nonce);
        }
    }
}
