//! The response of a token endpoint (RFC 6749, 5.1 and 5.2), and what can go wrong.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// The life of a token whose response says nothing about it.
const DEFAULT_LIFE: Duration = Duration::from_mins(5);

/// No token is used longer, whatever the response says.
const MAX_LIFE: Duration = Duration::from_hours(24);

/// A server's word in an error, in characters.
const MAX_QUOTE: usize = 200;

/// An access token. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text for the `Authorization` header or for the revocation.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a token endpoint gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The token.
    pub token: Secret,
    /// How long it lives, counted from the request.
    pub life: Duration,
}

/// Why there is no token. Holds no secret: neither the request's nor a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The server does not accept client id and secret, or not this request. Someone has to look at it.
    #[error("the token request was refused: {reason}")]
    Refused {
        /// The server's error code and description.
        reason: String,
    },
    /// It may work soon: no connection, too many requests, trouble at the server.
    #[error("no token for now: {reason}")]
    Unavailable {
        /// What happened.
        reason: String,
        /// How long the server asked to wait.
        retry_after: Option<Duration>,
    },
    /// The response makes no sense.
    #[error("the token response is not usable: {reason}")]
    Malformed {
        /// What is wrong with it; its text is not quoted.
        reason: String,
    },
    /// The keeper has ended.
    #[error("tokens are no longer requested")]
    Closed,
}

/// Reads the response of a token endpoint. Each of `secrets` that the server repeats in an error is
/// replaced, so hand over the client secret. `retry_after` goes into the error.
pub fn parse_grant(
    status: u16,
    body: &[u8],
    retry_after: Option<Duration>,
    secrets: &[&str],
) -> Result<Grant, TokenError> {
    let json: Option<Value> = serde_json::from_slice(body).ok();
    let text = |name: &str| json.as_ref()?.get(name)?.as_str();
    let error = text("error").filter(|code| !code.is_empty());
    if !(200..=299).contains(&status) || error.is_some() {
        let mut reason = error.map_or_else(|| format!("status {status}"), |code| quote(code, secrets));
        if let Some(description) = text("error_description").or_else(|| text("detail")) {
            reason = format!("{reason}: {}", quote(description, secrets));
        }
        let is_temporary = matches!(status, 408 | 425 | 429 | 500..=599)
            || matches!(error, Some("temporarily_unavailable" | "server_error" | "slow_down"));
        return Err(match is_temporary {
            true => TokenError::Unavailable { reason, retry_after },
            false => TokenError::Refused { reason },
        });
    }
    let malformed = |reason: &str| TokenError::Malformed { reason: reason.to_owned() };
    let Some(Value::Object(fields)) = &json else { return Err(malformed("it is not a JSON object")) };
    let is_bearer = |kind: &Value| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    if fields.get("token_type").is_some_and(|kind| !is_bearer(kind)) {
        return Err(malformed("token_type is not Bearer"));
    }
    let token = text("access_token").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| malformed("it has no access_token"))?;
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("access_token has characters that do not fit into a header"));
    }
    let life = match fields.get("expires_in") {
        None | Some(Value::Null) => DEFAULT_LIFE,
        Some(value) => seconds(value).ok_or_else(|| malformed("expires_in is not a number of seconds"))?,
    };
    Ok(Grant { token: Secret(token.to_owned()), life: life.min(MAX_LIFE) })
}

/// A number, or a string with one. Zero and less mean nothing known.
fn seconds(value: &Value) -> Option<Duration> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    if number.is_nan() {
        return None;
    }
    if number <= 0.0 {
        return Some(DEFAULT_LIFE);
    }
    Some(Duration::from_secs_f64(number.min(MAX_LIFE.as_secs_f64())))
}

/// A server's text for an error: without secrets and control characters, and short.
fn quote(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret, "***");
    }
    text.chars().map(|each| if each.is_control() { ' ' } else { each }).take(MAX_QUOTE).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(status: u16, body: &str) -> Result<Grant, TokenError> {
        parse_grant(status, body.as_bytes(), Some(Duration::from_secs(9)), &["", "s3cret"])
    }

    #[test]
    fn lives() {
        for (field, expected) in [
            ("", 300),
            (r#","expires_in":3600"#, 3600),
            (r#","expires_in":"3600""#, 3600),
            (r#","expires_in":3599.5"#, 3599),
            (r#","expires_in":null"#, 300),
            (r#","expires_in":0"#, 300),
            (r#","expires_in":-5,"token_type":"bearer""#, 300),
            (r#","expires_in":1e300"#, 86400),
            (r#","expires_in":99999999999999999999999"#, 86400),
            (r#","expires_in":"inf""#, 86400),
        ] {
            let grant = parse(200, &format!(r#"{{"access_token":"abc"{field}}}"#)).unwrap();
            assert_eq!((grant.life.as_secs(), grant.token.reveal()), (expected, "abc"), "{field}");
            assert!(!format!("{grant:?}").contains("abc"));
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (status, body, expected) in [
            (
                401,
                r#"{"error":"invalid_client","error_description":"no client has s3cret"}"#,
                "the token request was refused: invalid_client: no client has ***",
            ),
            (400, "<html>s3cret</html>", "the token request was refused: status 400"),
            (
                200,
                r#"{"error":"invalid_scope","access_token":"x"}"#,
                "the token request was refused: invalid_scope",
            ),
            (429, r#"{"error":429,"detail":"slow\ndown"}"#, "no token for now: status 429: slow down"),
            (400, r#"{"error":"temporarily_unavailable"}"#, "no token for now: temporarily_unavailable"),
            (200, "s3cret", "the token response is not usable: it is not a JSON object"),
            (200, "[]", "the token response is not usable: it is not a JSON object"),
            (200, r#"{"access_token":""}"#, "the token response is not usable: it has no access_token"),
            (
                200,
                r#"{"access_token":"x","token_type":"mac"}"#,
                "the token response is not usable: token_type is not Bearer",
            ),
            (
                200,
                r#"{"access_token":"x\r\ny"}"#,
                "the token response is not usable: access_token has characters that do not fit into a header",
            ),
            (
                200,
                r#"{"access_token":"x","expires_in":"soon"}"#,
                "the token response is not usable: expires_in is not a number of seconds",
            ),
        ] {
            assert_eq!(parse(status, body).unwrap_err().to_string(), expected);
        }
        let TokenError::Unavailable { retry_after, .. } = parse(503, "").unwrap_err() else { panic!() };
        assert_eq!(retry_after, Some(Duration::from_secs(9)));
    }

    proptest! {
        #[test]
        fn any_response_is_read(status: u16, body: Vec<u8>) {
            let _ = parse_grant(status, &body, None, &["a"]);
        }

        #[test]
        fn no_secret_gets_out(before in "[a-z ]*", after in ".*") {
            let body = serde_json::json!({ "error": "x", "error_description": format!("{before}s3cret{after}") });
            let error = parse(400, &body.to_string()).unwrap_err();
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains("s3cret"));
        }
    }
}
