//! Headers and URLs: `Link`, dates, origins, and URLs that may be shown.

use std::time::SystemTime;

use http::HeaderMap;
use http::header::{DATE, LINK};
use url::Url;

/// One link of a `Link` header (RFC 8288).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The reference as written, most often relative to the request's URL.
    pub target: String,
    /// The parameters: names in lower case, values without quotes.
    pub params: Vec<(String, String)>,
}

impl Link {
    /// The first parameter of this name, which is the one that counts.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether `relation` is one of its relations; case does not matter.
    pub fn has_relation(&self, relation: &str) -> bool {
        let relations = self.param("rel").unwrap_or_default();
        relations.split_ascii_whitespace().any(|name| name.eq_ignore_ascii_case(relation))
    }
}

/// All links of all `Link` headers, in order. What is no link is left out.
pub fn links(headers: &HeaderMap) -> Vec<Link> {
    let texts =
        headers.get_all(LINK).into_iter().filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
    texts.flat_map(parse_links).collect()
}

/// The URL of the next page: the first `rel=next` that belongs to this response, resolved against `base`.
///
/// It may lead to another server. Send credentials only if [`is_same_origin`].
pub fn next_link(headers: &HeaderMap, base: &Url) -> Option<Url> {
    // a link with an anchor is about something else than this response
    let is_next = |link: &Link| link.has_relation("next") && link.param("anchor").is_none();
    links(headers).into_iter().find(is_next).and_then(|link| base.join(&link.target).ok())
}

fn parse_links(text: &str) -> Vec<Link> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((target, params)) = after.split_once('>') else { break };
        let mut link = Link { target: target.trim().to_owned(), params: Vec::new() };
        rest = parse_params(params, &mut link.params);
        found.push(link);
    }
    found
}

/// Reads `; name=value` as often as it is there, and returns what follows.
fn parse_params<'t>(text: &'t str, params: &mut Vec<(String, String)>) -> &'t str {
    let mut rest = text;
    while let Some(after) = rest.trim_start().strip_prefix(';') {
        let name_end = after.find([';', ',', '=']).unwrap_or(after.len());
        let (name, after) = after.split_at(name_end);
        let mut value = String::new();
        rest = after;
        if let Some(after) = after.strip_prefix('=') {
            let after = after.trim_start();
            if let Some(inner) = after.strip_prefix('"') {
                rest = unquote(inner, &mut value);
            } else {
                let (token, after) = after.split_at(after.find([';', ',']).unwrap_or(after.len()));
                value.push_str(token.trim_end());
                rest = after;
            }
        }
        let name = name.trim().to_ascii_lowercase();
        if !name.is_empty() {
            params.push((name, value));
        }
    }
    rest
}

/// Reads up to the closing quote, and returns what follows it.
fn unquote<'t>(text: &'t str, value: &mut String) -> &'t str {
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        match next {
            '"' => break,
            '\\' => value.extend(chars.next()),
            _ => value.push(next),
        }
    }
    chars.as_str()
}

/// A date of HTTP, in any of its three forms.
pub fn http_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text.trim()).ok()
}

/// The server's clock when it made the response: its `Date` header. To the second, rounded down.
pub fn server_time(headers: &HeaderMap) -> Option<SystemTime> {
    http_date(headers.get(DATE)?.to_str().ok()?)
}

/// Whether both have the same scheme, host and port. URLs without a host are never of one origin.
pub fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.host().is_some() && one.origin() == other.origin()
}

/// A URL for messages: scheme, host, port and path; neither user nor password, query or fragment. What
/// cannot be read as a URL is treated as the text of one.
pub fn redacted(url: &str) -> String {
    if let Ok(mut url) = Url::parse(url)
        && url.has_host()
    {
        url.set_query(None);
        url.set_fragment(None);
        // fails for URLs that cannot have a user
        let _ = url.set_username("");
        let _ = url.set_password(None);
        return url.into();
    }
    let text = url.split(['?', '#']).next().unwrap_or_default();
    if text.starts_with('/') && !text.starts_with("//") {
        return text.to_owned();
    }
    // a password may hold anything here, so a path with an `@` is cut too
    let Some((before, host)) = text.rsplit_once('@') else { return text.to_owned() };
    let scheme = before.split_once("//").map_or("", |(scheme, _)| scheme);
    let is_scheme =
        scheme.strip_suffix(':').is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if is_scheme { format!("{scheme}//{host}") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn map(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(LINK, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn links_of_several_headers() {
        let headers = map(&[
            r#"<https://a.test/x?p=1,2;3>; rel="prev start" ; title="a, \"b\"; <c>", </y>;REL = Next;flag"#,
            r#"garbage, <z>, <w>; rel="next"; anchor="/other""#,
            "<broken",
        ]);
        let found = links(&headers);
        let targets: Vec<&str> = found.iter().map(|link| link.target.as_str()).collect();
        assert_eq!(targets, ["https://a.test/x?p=1,2;3", "/y", "z", "w"]);
        assert_eq!(found[0].param("title"), Some(r#"a, "b"; <c>"#));
        assert!(
            found[0].has_relation("PREV") && found[0].has_relation("start") && !found[0].has_relation("next")
        );
        assert_eq!(found[1].param("flag"), Some(""));
        let base = Url::parse("https://b.test/v1/events?x=1").unwrap();
        assert_eq!(next_link(&headers, &base).unwrap().as_str(), "https://b.test/y");
        assert_eq!(
            next_link(&map(&["<?p=2>; rel=next; rel=prev"]), &base).unwrap().as_str(),
            "https://b.test/v1/events?p=2"
        );
        assert_eq!(next_link(&map(&[r#"<w>; rel=next; anchor="/o""#]), &base), None);
        assert_eq!(next_link(&HeaderMap::new(), &base), None);
    }

    #[test]
    fn dates() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            " Sun, 06 Nov 1994 08:49:37 GMT ",
        ] {
            assert_eq!(http_date(text), Some(expected), "{text}");
        }
        assert_eq!(http_date("1994-11-06"), None);
        let mut headers = HeaderMap::new();
        assert_eq!(server_time(&headers), None);
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(server_time(&headers), Some(expected));
    }

    #[test]
    fn origins() {
        let same =
            |one: &str, other: &str| is_same_origin(&Url::parse(one).unwrap(), &Url::parse(other).unwrap());
        assert!(same("https://A.test/x", "https://u:p@a.test:443/y?z"));
        assert!(!same("https://a.test", "http://a.test"));
        assert!(!same("https://a.test", "https://a.test:8443"));
        assert!(!same("https://a.test", "https://a.test.evil.test"));
        assert!(!same("data:x", "data:x"));
    }

    #[test]
    fn redaction() {
        for (url, expected) in [
            ("https://u:secret@a.test:8443/p/q?token=secret#secret", "https://a.test:8443/p/q"),
            ("https://a.test?secret", "https://a.test/"),
            ("/p/q?secret", "/p/q"),
            ("https://u:se@cret@/p?x", "https:///p"),
            ("//u:secret@host/p?x", "host/p"),
            ("https://u:sec/ret@host:port/p", "https://host:port/p"),
            ("u:secret@//host/p@q", "q"),
            ("/p@q#x", "/p@q"),
            ("u:secret@host/p", "host/p"),
            ("", ""),
        ] {
            assert_eq!(redacted(url), expected, "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in r#"(.|[<>;,="\\]|rel|next)*"#) {
            parse_links(&text);
            http_date(&text);
            prop_assert!(!redacted(&text).contains('?'));
        }
    }
}
