//! What is taken out, and what is not.

use serde_json::json;

use crate::http::cassette::redact::Redactor;

#[test]
fn names_in_every_form() {
    let mut redactor = Redactor::default();
    redactor.add_name("X-Magic 7");
    let mut value = json!({
        "before": "the-long-access-token",
        "accessToken": "the-long-access-token", "PASSWORD": "a", "Client-Secret": 12, "token": ["b", null],
        "secret": {"id": "c", "is": true}, "x_magic_7": "d", "tokens": "kept", "password": "",
        "url": "https://h/p?token=b&page=2#x", "text": r#"{"api_key": "e\"f", "token":77, "password":null}"#,
    });
    redactor.value(&mut value);
    let expected = json!({
        "before": "REDACTED_access_token_1_",
        "accessToken": "REDACTED_access_token_1_", "PASSWORD": "REDACTED_password_1_",
        "Client-Secret": "REDACTED_client_secret_1_", "token": ["REDACTED_token_1_", null],
        "secret": {"id": "REDACTED_secret_1_", "is": true}, "x_magic_7": "REDACTED_x_magic___1_",
        "tokens": "kept", "password": "",
        "url": "https://h/p?token=REDACTED_token_1_&page=2#x",
        "text": r#"{"api_key": "REDACTED_api_key_1_", "token":"REDACTED_token_2_", "password":null}"#,
    });
    assert_eq!(value, expected);
    redactor.value(&mut value);
    assert_eq!(value, expected);
}

#[test]
fn queries_and_forms() {
    let mut redactor = Redactor::default();
    redactor.add_secret("secret", "a&b/c");
    redactor.add_secret("secret", "xy");
    assert_eq!(
        redactor.form("user[password]=p%20w,x&q=a%26b%2Fc&token=&r=xy&xyz=xyz&id_token=e=="),
        "user[password]=REDACTED_password_1_&q=REDACTED_secret_1_&token=&r=REDACTED_secret_2_&xyz=xyz\
         &id_token=REDACTED_id_token_1_"
    );
    let url = url::Url::parse("https://u:pass-word@h/a&b%2Fc/pass-word?secret=z#frag").unwrap();
    assert_eq!(
        redactor.url(&url),
        "https://h/REDACTED_secret_1_/REDACTED_password_2_?secret=REDACTED_secret_3_"
    );
}

#[test]
fn urls_in_texts() {
    let mut redactor = Redactor::default();
    assert_eq!(
        redactor.text("see <https://u:p%40w@h:1/a@b:c> or http://h:80/x@y, ftp://u:@h"),
        "see <https://u:REDACTED_password_1_@h:1/a@b:c> or http://h:80/x@y, ftp://u:@h"
    );
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_and_once_is_enough(
        text in r#"(.|[=&:"'@\\{}%,#/ é]|://|token|"secret"|password|nonce|REDACTED_token_1_)*"#
    ) {
        let mut redactor = Redactor::default();
        redactor.add_secret("secret", "é😀x=");
        for pass in [Redactor::text, Redactor::form, Redactor::challenge] {
            let once = pass(&mut redactor, &text);
            proptest::prop_assert_eq!(&pass(&mut redactor, &once), &once);
        }
    }
}

#[test]
fn challenges() {
    let mut redactor = Redactor::default();
    let text = r#"Digest realm="r, nonce", nonce = "a=\"b", opaque=xyz,qop="auth", stale=true, Bearer"#;
    assert_eq!(
        redactor.challenge(text),
        r#"Digest realm="r, nonce", nonce = "REDACTED_nonce_1_", opaque=REDACTED_opaque_1_,qop="auth", stale=true, Bearer"#
    );
    assert_eq!(
        redactor.challenge(r#"nextnonce="c", cnonce="d""#),
        r#"nextnonce="REDACTED_nonce_2_", cnonce="REDACTED_cnonce_1_""#
    );
    assert_eq!(redactor.challenge(r#"Digest nonce="a=\"b""#), r#"Digest nonce="REDACTED_nonce_1_""#);
}

#[test]
fn a_secret_among_numbers_and_names() {
    let mut redactor = Redactor::default();
    redactor.add_secret("secret", "12345678");
    redactor.add_secret("secret", "data");
    let mut value = json!({"12345678": [912_345_678_u64, "datadata"], "data": 1});
    redactor.value(&mut value);
    assert_eq!(
        value,
        json!({"REDACTED_secret_1_": ["9REDACTED_secret_1_", "REDACTED_secret_2_REDACTED_secret_2_"], "data": 1})
    );
}
