//! Which value a value is, in 128 bits: to know it again without keeping it.

use sha2::{Digest as _, Sha256};

use super::value::{Type, Val, append_number_identity, guard, is_nan};

/// 128 bits that are the same for values that jq's `==` takes for equal, however they are written,
/// and different for all others. `None` for null, and for NaN, which is written as null.
///
/// The bits are those of SHA-256: whoever writes the events cannot make two values that meet.
pub(super) fn identity(value: &Val) -> Option<u128> {
    if matches!(value, Val::Null) || is_nan(value) {
        return None;
    }
    let mut text = Vec::with_capacity(64);
    append(value, &mut text);
    let digest = Sha256::digest(&text);
    let mut bits = [0; 16];
    bits.copy_from_slice(&digest[..16]);
    Some(u128::from_le_bytes(bits))
}

/// Appends a form that no other value has and that is not the beginning of another's.
fn append(value: &Val, out: &mut Vec<u8>) {
    match value.kind() {
        Type::Null => out.push(b'n'),
        Type::False => out.push(b'f'),
        Type::True => out.push(b't'),
        Type::Number => {
            out.push(b'#');
            append_number_identity(value, out);
            out.push(b';');
        }
        Type::String => {
            out.push(b'"');
            append_text(value.as_str().unwrap_or_default(), out);
        }
        Type::Array => {
            guard();
            let items = value.as_items().unwrap_or_default();
            out.push(b'[');
            append_length(items.len(), out);
            items.iter().for_each(|item| append(item, out));
        }
        Type::Object => {
            guard();
            let members = value.as_members().unwrap_or_default();
            out.push(b'{');
            append_length(members.len(), out);
            for (key, member) in members.sorted() {
                append_text(key.as_str(), out);
                append(member, out);
            }
        }
    }
}

fn append_text(text: &str, out: &mut Vec<u8>) {
    append_length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

fn append_length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(length as u64).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use crate::jq::Json;
    use crate::jq::value::equal;

    fn json(text: &str) -> Json {
        Json::parse(Bytes::copy_from_slice(text.as_bytes()), 512).unwrap()
    }

    #[test]
    fn equal_values_have_one_identity_however_they_are_written() {
        let groups = [
            &["1", "1.0", "1e0", "10E-1"][..],
            &["0", "-0", "0.0", "-0.0"],
            &["1.5", "15e-1", "1.50"],
            &["9007199254740993"],
            &["9007199254740992", "9007199254740992.0", "9007199254740993.0"],
            &["100000000000000000000", "1e20"],
            &["1e400", "1e500"],
            &["-1e400"],
            &["\"é\"", "\"\\u00e9\""],
            &["\"1\""],
            &["[1,[2]]", "[ 1.0, [2] ]"],
            &["[1,2]"],
            &["[[1],2]"],
            &["[]"],
            &["{}"],
            &["\"\""],
            &["false"],
            &["true"],
            &["{\"a\":1,\"b\":[2]}", "{\"b\":[2.0],\"a\":1}", "{\"a\":7,\"b\":[2],\"a\":1}"],
            &["{\"a\":{\"b\":1}}"],
            &["{\"a\":null}"],
        ];
        let mut seen = Vec::new();
        for group in groups {
            let first = json(group[0]).identity().unwrap();
            for text in group {
                assert_eq!(json(text).identity(), Some(first), "{text}");
            }
            assert!(!seen.contains(&first), "{}", group[0]);
            seen.push(first);
        }
        assert_eq!(json("null").identity(), None);
    }

    fn number() -> impl Strategy<Value = String> {
        let digits = (any::<bool>(), 0_u64..=u64::MAX, 0_i32..4, -3_i32..25);
        digits.prop_map(|(minus, digits, cut, exponent)| {
            let digits = digits >> (cut * 20);
            let sign = if minus { "-" } else { "" };
            if exponent == 0 { format!("{sign}{digits}") } else { format!("{sign}{digits}e{exponent}") }
        })
    }

    proptest! {
        #[test]
        fn numbers_are_one_exactly_if_they_are_equal(a in number(), b in number()) {
            let again = if a.contains('e') { a.clone() } else { format!("{a}.0") };
            for other in [b, again] {
                let (mut one, mut two) = (json(&a), json(&other));
                let same = equal(&one.value().clone(), &two.value().clone());
                prop_assert_eq!(one.identity() == two.identity(), same, "{} {}", a, other);
            }
        }
    }
}
