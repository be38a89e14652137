//! Digests of text in lower-case hex: SHA-2 and SHA-1 (FIPS 180-4), MD5 (RFC 1321), HMAC (RFC 2104)
//! over them, and name-based UUIDs (RFC 9562, version 5).
//!
//! They take the UTF-8 bytes of a text. MD5 and SHA-1 are here because threat feeds list files by
//! them; neither withstands somebody who looks for two texts with the same digest.

use hmac::SimpleHmac;
use hmac::digest::{Digest, Key, KeyInit, Mac, core_api::BlockSizeUser};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use uuid::Uuid;

use super::text::excerpt;

/// SHA-256, 64 hex digits.
pub(in crate::jq) fn sha256_hex(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// SHA-512, 128 hex digits.
pub(in crate::jq) fn sha512_hex(text: &str) -> String {
    hex(&Sha512::digest(text))
}

/// SHA-1, 40 hex digits.
pub(in crate::jq) fn sha1_hex(text: &str) -> String {
    hex(&Sha1::digest(text))
}

/// MD5, 32 hex digits.
pub(in crate::jq) fn md5_hex(text: &str) -> String {
    hex(&Md5::digest(text))
}

/// HMAC with SHA-256, 64 hex digits. A key of any length will do.
pub(in crate::jq) fn hmac_sha256_hex(key: &str, text: &str) -> String {
    hmac::<Sha256>(key, text)
}

/// HMAC with SHA-512, 128 hex digits.
pub(in crate::jq) fn hmac_sha512_hex(key: &str, text: &str) -> String {
    hmac::<Sha512>(key, text)
}

/// HMAC with SHA-1, 40 hex digits.
pub(in crate::jq) fn hmac_sha1_hex(key: &str, text: &str) -> String {
    hmac::<Sha1>(key, text)
}

/// The version 5 UUID of a name. The namespace is a UUID, or one of `dns`, `url`, `oid`, `x500`.
pub(in crate::jq) fn uuid5(namespace: &str, name: &str) -> Result<String, String> {
    let namespace = match namespace.to_ascii_lowercase().as_str() {
        "dns" => Uuid::NAMESPACE_DNS,
        "url" => Uuid::NAMESPACE_URL,
        "oid" => Uuid::NAMESPACE_OID,
        "x500" => Uuid::NAMESPACE_X500,
        _ => Uuid::parse_str(namespace).map_err(|_| {
            format!(
                "a UUID namespace must be a UUID or one of dns, url, oid, x500, not {}",
                excerpt(namespace)
            )
        })?,
    };
    Ok(Uuid::new_v5(&namespace, name.as_bytes()).hyphenated().to_string())
}

fn hmac<D: Digest + BlockSizeUser>(key: &str, text: &str) -> String {
    // a key as long as a block needs no fallible constructor
    let mut block = Key::<SimpleHmac<D>>::default();
    if key.len() <= block.len() {
        block[..key.len()].copy_from_slice(key.as_bytes());
    } else {
        let short = D::digest(key);
        block[..short.len()].copy_from_slice(&short);
    }
    let mut mac = <SimpleHmac<D> as KeyInit>::new(&block);
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests() {
        assert_eq!(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(sha1_hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(md5_hex("abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert!(sha512_hex("abc").starts_with("ddaf35a193617abacc417349ae204131"));
        assert_eq!(sha512_hex("").len(), 128);
        assert_eq!(md5_hex("é"), md5_hex("\u{e9}"));
    }

    #[test]
    fn the_cases_of_rfc_4231_and_rfc_2202() {
        let (key, text) = ("Jefe", "what do ya want for nothing?");
        assert_eq!(
            hmac_sha256_hex(key, text),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert!(hmac_sha512_hex(key, text).starts_with("164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd6"));
        assert_eq!(hmac_sha1_hex(key, text), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        // a key longer than a block is its digest
        let long = "k".repeat(200);
        assert_ne!(hmac_sha256_hex(&long, text), hmac_sha256_hex(&long[..64], text));
        assert_eq!(hmac_sha256_hex("", "").len(), 64);
    }

    #[test]
    fn uuids_of_names() {
        assert_eq!(uuid5("dns", "www.example.com").unwrap(), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
        assert_eq!(
            uuid5("6BA7B810-9DAD-11D1-80B4-00C04FD430C8", "www.example.com"),
            uuid5("DNS", "www.example.com")
        );
        assert_ne!(uuid5("url", ""), uuid5("oid", ""));
        assert!(uuid5("x500", &"é".repeat(1 << 20)).is_ok());
        assert!(uuid5("home", "x").unwrap_err().contains("`home`"));
        assert!(uuid5("", "x").is_err());
    }
}
