//! Taking secrets out of what is recorded.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::exchange::{Body, Exchange};
use super::needle::{Literal, placeholder, placeholder_length, without};

/// Names of members that hold secrets, without case and punctuation, and their labels.
const SECRET_NAMES: [(&str, &str); 20] = [
    ("accesstoken", "access_token"),
    ("apikey", "api_key"),
    ("apisecret", "api_secret"),
    ("assertion", "assertion"),
    ("authorization", "authorization"),
    ("clientassertion", "client_assertion"),
    ("clientsecret", "client_secret"),
    ("cookie", "cookie"),
    ("idtoken", "id_token"),
    ("passphrase", "passphrase"),
    ("passwd", "password"),
    ("password", "password"),
    ("privatekey", "private_key"),
    ("refreshtoken", "refresh_token"),
    ("secret", "secret"),
    ("secretaccesskey", "secret_access_key"),
    ("secretkey", "secret_key"),
    ("sessiontoken", "session_token"),
    ("setcookie", "set_cookie"),
    ("token", "token"),
];

/// Parameters of Digest that are new each time, and their labels.
const NONCES: [(&str, &str); 5] = [
    ("nonce", "nonce"),
    ("nextnonce", "nonce"),
    ("cnonce", "cnonce"),
    ("opaque", "opaque"),
    ("rspauth", "rspauth"),
];

/// A secret of so many bytes is looked for everywhere.
pub(super) const LEAST_LISTED: usize = 4;

/// The same for one that was only found by its name: `"token": "next"` may not take every `next` away.
const LEAST_FOUND: usize = 12;

/// In names of members only longer secrets are looked for, lest `token` is no name any more.
const LEAST_IN_NAMES: usize = 8;

/// Knows the secrets so far. Shown nowhere.
#[derive(Default)]
pub(super) struct Redactor {
    /// Further names, like those of [`SECRET_NAMES`].
    names: HashMap<String, String>,
    /// The longest first.
    literals: Vec<Literal>,
    /// Placeholders of values.
    known: HashMap<String, String>,
    /// Secrets that are too short to be looked for within a text.
    short: HashMap<String, String>,
    counts: HashMap<String, usize>,
}

impl Redactor {
    /// Takes a member's name for that of a secret.
    pub(super) fn add_name(&mut self, name: &str) {
        let label: String = name
            .chars()
            .map(|each| if each.is_ascii_alphabetic() { each.to_ascii_lowercase() } else { '_' })
            .collect();
        let label = if label.bytes().any(|byte| byte != b'_') { label } else { "member".to_owned() };
        self.names.insert(normal(name), label);
    }

    /// Shows `shown` for a text that is no secret.
    pub(super) fn add_stand_in(&mut self, text: &str, shown: &str) {
        if !text.is_empty() {
            self.push(Literal::new(text, shown.to_owned(), false));
        }
    }

    /// Takes a text for a secret that is looked for everywhere.
    pub(super) fn add_secret(&mut self, label: &str, text: &str) {
        if text.is_empty() || is_placeholder(text) {
            return;
        }
        let shown = self.shown(label, text, LEAST_LISTED);
        if text.len() < LEAST_LISTED {
            self.short.insert(text.to_owned(), shown);
        }
    }

    /// What is shown for a secret.
    fn shown(&mut self, label: &str, text: &str, least: usize) -> String {
        if is_placeholder(text) {
            return text.to_owned();
        }
        let shown = match self.known.get(text) {
            Some(shown) => shown.clone(),
            None => {
                let count = self.counts.entry(label.to_owned()).or_default();
                *count += 1;
                let shown = placeholder(label, *count);
                self.known.insert(text.to_owned(), shown.clone());
                shown
            }
        };
        if text.len() >= least && !self.literals.iter().any(|literal| literal.shown == shown) {
            self.push(Literal::new(text, shown.clone(), true));
        }
        shown
    }

    fn push(&mut self, literal: Literal) {
        let at = self.literals.partition_point(|other| other.length >= literal.length);
        self.literals.insert(at, literal);
    }

    /// The label of a name that stands for a secret.
    pub(super) fn label(&self, name: &str) -> Option<String> {
        let name = decoded(name);
        // `user[password]`, `login.password`
        let last = name.trim_end_matches(']').rsplit(['.', '[']).next().unwrap_or_default();
        let last = normal(last);
        let common =
            SECRET_NAMES.iter().find(|(known, _)| *known == last).map(|(_, label)| (*label).to_owned());
        common.or_else(|| self.names.get(&last).cloned())
    }

    /// A text without secrets.
    pub(super) fn text(&mut self, text: &str) -> String {
        if let Some(shown) = self.short.get(text) {
            return shown.clone();
        }
        let text = self
            .pairs(text, |next| next.is_whitespace() || matches!(next, '&' | '#' | '"' | '\'' | '<' | '>'));
        let text = self.quoted_members(&text);
        let text = self.passwords_of_urls(&text);
        self.literal(&text, 0)
    }

    /// A query or a form without secrets.
    pub(super) fn form(&mut self, text: &str) -> String {
        let text = self.pairs(text, |next| next == '&');
        let short = |part: &str| {
            let (name, value) = part.split_once('=')?;
            Some(format!("{name}={}", self.short.get(&decoded(value))?))
        };
        let parts: Vec<String> =
            text.split('&').map(|part| short(part).unwrap_or_else(|| part.to_owned())).collect();
        self.literal(&parts.join("&"), 0)
    }

    /// A URL without secrets, user, password and fragment.
    pub(super) fn url(&mut self, url: &url::Url) -> String {
        let mut url = url.clone();
        if let Some(password) = url.password().map(decoded) {
            self.add_secret("password", &password);
        }
        // fails for URLs that cannot have a user
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        match url.as_str().split_once('?') {
            Some((before, query)) => format!("{}?{}", self.literal(before, 0), self.form(query)),
            None => self.literal(url.as_str(), 0),
        }
    }

    /// A challenge or its like without secrets and nonces.
    pub(super) fn challenge(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut done = 0;
        for (equal, _) in text.match_indices('=') {
            if equal < done {
                continue;
            }
            let before = text[..equal].trim_end();
            let name = before.rsplit(|next: char| !next.is_ascii_alphanumeric()).next().unwrap_or_default();
            let known = NONCES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
            let Some((_, label)) = known else { continue };
            let rest = text[equal + 1..].trim_start();
            let start = text.len() - rest.len();
            let (start, end) = match rest.strip_prefix('"') {
                Some(inner) => (start + 1, start + 1 + end_of_quoted(inner)),
                None => (start, start + rest.find([',', ' ', '\t']).unwrap_or(rest.len())),
            };
            if start < end {
                out += &text[done..start];
                // never looked for elsewhere
                out += &self.shown(label, &text[start..end], usize::MAX);
                done = end;
            }
        }
        out += &text[done..];
        self.text(&out)
    }

    /// `name=value`, where a value ends as told.
    fn pairs(&mut self, text: &str, is_end: impl Fn(char) -> bool) -> String {
        let is_name = |next: char| next.is_ascii_alphanumeric() || "_-.%[]".contains(next);
        let mut out = String::new();
        let mut done = 0;
        for (equal, _) in text.match_indices('=') {
            if equal < done {
                continue;
            }
            let before = &text[done..equal];
            let name = &before[before.trim_end_matches(is_name).len()..];
            let rest = &text[equal + 1..];
            let value = &rest[..rest.find(&is_end).unwrap_or(rest.len())];
            if value.is_empty() {
                continue;
            }
            let Some(label) = self.label(name) else { continue };
            out += &text[done..=equal];
            out += &self.shown(&label, &decoded(value), LEAST_FOUND);
            done = equal + 1 + value.len();
        }
        out += &text[done..];
        out
    }

    /// `"name": "value"` in a text that need not be JSON.
    fn quoted_members(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut done = 0;
        for (colon, _) in text.match_indices(':') {
            if colon < done {
                continue;
            }
            let Some(before) = text[done..colon].trim_end().strip_suffix('"') else { continue };
            let Some((_, name)) = before.rsplit_once('"') else { continue };
            let rest = text[colon + 1..].trim_start();
            let start = text.len() - rest.len();
            let inner = rest.strip_prefix('"');
            let end = match inner {
                Some(inner) => end_of_quoted(inner),
                None => rest
                    .find(|next: char| !next.is_ascii_alphanumeric() && !"+-.".contains(next))
                    .unwrap_or(rest.len()),
            };
            let value = &inner.unwrap_or(rest)[..end];
            if value.is_empty() || (inner.is_none() && matches!(value, "null" | "true" | "false")) {
                continue;
            }
            let Some(label) = self.label(name) else { continue };
            let plain = serde_json::from_str(&format!("\"{value}\"")).unwrap_or_else(|_| value.to_owned());
            out += &text[done..start];
            let shown = self.shown(&label, &plain, LEAST_FOUND);
            // a quote at the end that is not there in a cut text does not come either
            let has_end = inner.is_none_or(|inner| inner.len() > end);
            out += &format!("\"{shown}{}", if has_end { "\"" } else { "" });
            done = start + end + usize::from(inner.is_some()) + usize::from(inner.is_some() && has_end);
        }
        out += &text[done..];
        out
    }

    /// `https://user:password@host`
    fn passwords_of_urls(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut done = 0;
        for (mark, _) in text.match_indices("://") {
            if mark < done {
                continue;
            }
            let rest = &text[mark + 3..];
            let is_end = |next: char| next.is_whitespace() || "/?#\"'<>\\".contains(next);
            let authority = &rest[..rest.find(is_end).unwrap_or(rest.len())];
            let login = authority.rsplit_once('@').and_then(|(login, _)| login.split_once(':'));
            let Some((user, password)) = login.filter(|(_, password)| !password.is_empty()) else { continue };
            let start = mark + 3 + user.len() + 1;
            out += &text[done..start];
            out += &self.shown("password", &decoded(password), LEAST_FOUND);
            done = start + password.len();
        }
        out += &text[done..];
        out
    }

    /// A text without the secrets that are known by their text.
    fn literal(&self, text: &str, least: usize) -> String {
        let literals = self.literals.iter().filter(|literal| literal.length >= least);
        let out = without(text.as_bytes(), literals);
        out.map_or_else(|| text.to_owned(), |out| String::from_utf8_lossy(&out).into_owned())
    }

    /// Bytes without them, if they hold any.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        without(bytes, self.literals.iter())
    }

    /// Takes the secrets out of a value.
    pub(super) fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Number(number) => {
                let text = number.to_string();
                let shown = self.literal(&text, 0);
                if shown != text {
                    *value = Value::String(shown);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(members) => {
                // secrets are found by their names first, so that the members before them lose them, too
                for (name, member) in members.iter_mut() {
                    if let Some(label) = self.label(name) {
                        self.leaves(&label, member);
                    }
                }
                members.values_mut().for_each(|member| self.value(member));
                let renamed = |name: &String| self.literal(name, LEAST_IN_NAMES);
                if members.keys().any(|name| renamed(name) != *name) {
                    let all = std::mem::take(members);
                    *members =
                        all.into_iter().map(|(name, member)| (renamed(&name), member)).collect::<Map<_, _>>();
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Takes all there is below a secret's name.
    fn leaves(&mut self, label: &str, value: &mut Value) {
        match value {
            Value::String(text) if text.is_empty() => {}
            Value::String(text) => *text = self.shown(label, text, LEAST_FOUND),
            Value::Number(number) => {
                *value = Value::String(self.shown(label, &number.to_string(), LEAST_FOUND));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.leaves(label, item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.leaves(label, member)),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Takes out of an earlier exchange what turned out to be a secret later.
    pub(super) fn again(&mut self, exchange: &mut Exchange) {
        let request = &mut exchange.request;
        request.url = self.literal(&request.url, 0);
        let response = exchange.response.as_mut();
        let (lines, body) = response.map(|response| (&mut response.headers, &mut response.body)).unzip();
        for line in request.headers.iter_mut().chain(lines.into_iter().flatten()) {
            *line = self.literal(line, 0);
        }
        for body in request.body.iter_mut().chain(body.and_then(Option::as_mut)) {
            if let Some(value) = &mut body.json {
                self.value(value);
            }
            if let Some(lines) = &body.text {
                let text = lines.join("\n");
                *body = Body::text(&self.literal(&text, 0));
            }
        }
        if let Some(message) = exchange.error.as_mut().and_then(|error| error.message.as_mut()) {
            *message = self.literal(message, 0);
        }
    }
}

/// A name without case and punctuation.
fn normal(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|next| next.to_ascii_lowercase()).collect()
}

fn is_placeholder(text: &str) -> bool {
    placeholder_length(text.as_bytes()) == Some(text.len())
}

/// A value of a form, read.
fn decoded(text: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    // what looks like a pair or several is not encoded
    match (text.contains(['=', '&']), pairs.next()) {
        (false, Some((name, _))) => name.into_owned(),
        _ => text.to_owned(),
    }
}

/// Where the closing quote is, or the end.
fn end_of_quoted(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.find(|next: char| {
        let ends = next == '"' && !is_escaped;
        is_escaped = next == '\\' && !is_escaped;
        ends
    });
    end.unwrap_or(text.len())
}
