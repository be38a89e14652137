//! Bodies in all codings, cut into chunks of all sizes.

use std::io::Write as _;

use proptest::prelude::*;

use super::*;

const PLENTY: u64 = 1 << 30;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn encoded(coding: &str, data: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::fast();
    match coding {
        "gzip" => gzip(data),
        "zlib" => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "bare" => {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        }
        "zstd" => zstd::stream::encode_all(data, 1).unwrap(),
        _ => data.to_vec(),
    }
}

/// What the header says for [`encoded`].
fn name(coding: &str) -> &str {
    if matches!(coding, "zlib" | "bare") { "deflate" } else { coding }
}

fn decode(codings: &[&str], body: &[u8], chunk: usize, limit: u64) -> Result<Vec<u8>, BodyError> {
    let mut decoder = Decoder::new(codings.iter().copied(), limit)?;
    let mut output = Vec::new();
    for chunk in body.chunks(chunk) {
        decoder.extend(chunk, &mut output)?;
    }
    decoder.finish()?;
    assert_eq!(decoder.given(), output.len() as u64);
    Ok(output)
}

fn sample() -> Vec<u8> {
    (0..4000)
        .flat_map(|line| format!("{{\"id\":{line},\"t\":{}}}\n", line * 7919 % 1000).into_bytes())
        .collect()
}

#[test]
fn every_coding_in_every_chunk_size() {
    let data = sample();
    for coding in ["identity", "gzip", "zlib", "bare", "zstd"] {
        let body = encoded(coding, &data);
        for chunk in [1, 2, 3, 7, 1000, usize::MAX] {
            assert_eq!(decode(&[name(coding)], &body, chunk, PLENTY).unwrap(), data, "{coding} {chunk}");
        }
    }
}

#[test]
fn stacked_codings() {
    let data = sample();
    let body = encoded("gzip", &encoded("zstd", &encoded("bare", &data)));
    let codings = ["deflate", "identity", "ZSTD", "x-gzip"];
    assert_eq!(decode(&codings, &body, 11, PLENTY).unwrap(), data);
    let error = decode(&codings, &body[..body.len() - 1], 11, PLENTY).unwrap_err();
    assert_eq!(error, BodyError::Truncated { coding: "gzip" });
    let inner = encoded("zstd", &data);
    let error = decode(&["zstd", "gzip"], &gzip(&inner[..inner.len() - 5]), 11, PLENTY).unwrap_err();
    assert_eq!(error, BodyError::Truncated { coding: "zstd" });
    assert_eq!(decode(&["gzip"; 5], &[], 1, 1).unwrap_err(), BodyError::TooManyCodings);
}

#[test]
fn codings_of_headers() {
    let mut headers = HeaderMap::new();
    assert_eq!(
        format!("{:?}", Decoder::for_headers(&headers, 9).unwrap()),
        "Decoder { codings: [], limit: 9, .. }"
    );
    headers.append(CONTENT_ENCODING, "deflate , GZIP".parse().unwrap());
    headers.append(CONTENT_ENCODING, "zstd".parse().unwrap());
    let decoder = Decoder::for_headers(&headers, 9).unwrap();
    assert_eq!(format!("{decoder:?}"), r#"Decoder { codings: ["deflate", "gzip", "zstd"], limit: 9, .. }"#);
    headers.append(CONTENT_ENCODING, "br".parse().unwrap());
    let error = Decoder::for_headers(&headers, 9).unwrap_err();
    assert_eq!(error.to_string(), r#"the content coding "br" is not supported"#);
}

#[test]
fn nothing_is_nothing() {
    for coding in ["identity", "gzip", "deflate", "zstd"] {
        assert_eq!(decode(&[coding], b"", 1, 0).unwrap(), b"");
    }
    for coding in ["gzip", "zlib", "bare", "zstd"] {
        assert_eq!(decode(&[name(coding)], &encoded(coding, b""), 1, 0).unwrap(), b"", "{coding}");
    }
}

#[test]
fn the_bound_is_hard() {
    let zeros = vec![0; 1 << 20];
    for coding in ["identity", "gzip", "zlib", "bare", "zstd"] {
        let body = encoded(coding, &zeros);
        assert_eq!(decode(&[name(coding)], &body, 4096, 1 << 20).unwrap().len(), 1 << 20);
        let error = decode(&[name(coding)], &body, 4096, (1 << 20) - 1).unwrap_err();
        assert_eq!(error.to_string(), "the body is longer than 1048575 bytes");
        // never more than the bound is kept
        let mut decoder = Decoder::new([name(coding)], 100_000).unwrap();
        let mut output = Vec::new();
        decoder.extend(&body, &mut output).unwrap_err();
        assert!(output.len() <= 100_000, "{coding}");
    }
    // a bomb within a bomb, whose inside gives little
    let body = gzip(&gzip(b"").repeat(1 << 16));
    assert_eq!(decode(&["gzip", "gzip"], &body, 4096, 10).unwrap_err(), BodyError::TooLong { limit: 10 });
}

#[test]
fn truncation_is_seen_at_every_byte() {
    let data = &sample()[..300];
    for coding in ["gzip", "zlib", "bare", "zstd"] {
        let body = encoded(coding, data);
        for len in 1..body.len() {
            let error = decode(&[name(coding)], &body[..len], 13, PLENTY).unwrap_err();
            assert_eq!(error, BodyError::Truncated { coding: name(coding) }, "{coding} {len}");
        }
    }
}

#[test]
fn damage_is_seen() {
    let body = gzip(&sample());
    for (at, reason) in [
        (0, "not gzip"),
        (1, "not gzip"),
        (2, "unknown compression method"),
        (3, "unknown flags"),
        (body.len() - 5, "wrong checksum"),
        (body.len() - 1, "wrong length"),
    ] {
        let mut body = body.clone();
        body[at] ^= 0xe0;
        let error = decode(&["gzip"], &body, 13, PLENTY).unwrap_err();
        assert_eq!(error, BodyError::Invalid { coding: "gzip", reason: reason.to_owned() });
    }
    for coding in ["gzip", "zlib", "bare", "zstd"] {
        let mut body = encoded(coding, &sample());
        body.extend(b"garbage");
        assert!(decode(&[name(coding)], &body, 13, PLENTY).is_err(), "{coding}");
    }
}

#[test]
fn members_frames_and_padding() {
    let mut body = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
    assert_eq!(decode(&["gzip"], &body, 1, PLENTY).unwrap(), b"one two");
    assert_eq!(decode(&["gzip"], &body, 1000, PLENTY).unwrap(), b"one two");
    body.extend([0; 20]);
    assert_eq!(decode(&["gzip"], &body, 3, PLENTY).unwrap(), b"one two");
    body.push(0x1f);
    assert!(decode(&["gzip"], &body, 3, PLENTY).is_err());
    let frames =
        [encoded("zstd", b"one "), vec![0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, b'x'], encoded("zstd", b"two")];
    for chunk in [1, 5, 1000] {
        assert_eq!(decode(&["zstd"], &frames.concat(), chunk, PLENTY).unwrap(), b"one two");
    }
}

#[test]
fn a_header_with_everything() {
    let plain = gzip(b"text");
    let mut body = vec![0x1f, 0x8b, 8, HEADER_FLAGS, 1, 2, 3, 4, 0, 3];
    body.extend([3, 0, b'a', 0, b'c']);
    body.extend(b"name\0comment\0");
    body.extend([9, 9]);
    body.extend(&plain[10..]);
    for chunk in [1, 4, 1000] {
        assert_eq!(decode(&["gzip"], &body, chunk, PLENTY).unwrap(), b"text");
    }
    let no_extra = [&[0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 3, 0, 0][..], &plain[10..]].concat();
    assert_eq!(decode(&["gzip"], &no_extra, 1, PLENTY).unwrap(), b"text");
}

/// Text, checksum, extra field, name and comment.
const HEADER_FLAGS: u8 = 0b1_1111;

#[test]
fn large_windows_are_refused() {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(25).unwrap();
    encoder.write_all(&sample()).unwrap();
    let body = encoder.finish().unwrap();
    assert!(matches!(decode(&["zstd"], &body, 13, PLENTY), Err(BodyError::Invalid { coding: "zstd", .. })));
}

proptest! {
    #[test]
    fn any_data_survives(
        data in proptest::collection::vec(any::<u8>(), 0..5000),
        stack in proptest::collection::vec(proptest::sample::select(vec!["identity", "gzip", "zlib", "bare", "zstd"]), 0..4),
        chunk in 1_usize..600,
    ) {
        let body = stack.iter().fold(data.clone(), |body, coding| encoded(coding, &body));
        let codings: Vec<&str> = stack.iter().map(|coding| name(coding)).collect();
        prop_assert_eq!(decode(&codings, &body, chunk, 5000).unwrap(), data);
    }

    #[test]
    fn any_bytes_are_survived(
        body in proptest::collection::vec(any::<u8>(), 0..300),
        coding in proptest::sample::select(vec!["gzip", "deflate", "zstd"]),
        chunk in 1_usize..50,
    ) {
        let _ = decode(&[coding], &body, chunk, 10_000);
    }

    #[test]
    fn any_damage_is_survived(
        at in 0_usize..10_000,
        bit in 0_u8..8,
        coding in proptest::sample::select(vec!["gzip", "zlib", "bare", "zstd"]),
    ) {
        let data = sample();
        let mut body = encoded(coding, &data);
        let at = at % body.len();
        body[at] ^= 1 << bit;
        if let Ok(decoded) = decode(&[name(coding)], &body, 64, PLENTY) && coding == "gzip" {
            // time stamps and padding bits may be damaged without harm
            prop_assert!(decoded == data);
        }
    }
}
