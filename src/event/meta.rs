//! Identity and provenance of an event: `$meta` and the error record.
//!
//! Ids are computed only when something asks for them. They are a function of the place and the
//! offset, so reading the same record again gives the same id, and equal records at two offsets
//! have two ids. For standard input, which has no identity of its own, the content takes part.

use base64::Engine as _;
use chrono::SecondsFormat;
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::{Fault, Origin, Place};

/// How an event came about from its source event: a running mix of the steps and output numbers.
///
/// Zero is the source event itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Derivation(u64);

impl Derivation {
    /// The derivation of output `number` of the step with the given stable number.
    #[must_use]
    pub fn step(self, step: u64, number: u64) -> Self {
        let mut x = self.0 ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ number;
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Derivation((x ^ (x >> 31)) | 1)
    }
}

/// What is known of an event besides its value; borrowed from its batch.
#[derive(Debug, Clone, Copy)]
pub struct Meta<'a> {
    /// What the batch shares.
    pub origin: &'a Origin,
    /// Position in the place.
    pub offset: u128,
    /// Hash of the original text, for the id of events whose place has no identity.
    pub text_hash: TextHash<'a>,
    /// Steps since the source.
    pub derivation: Derivation,
}

/// The hash of an event's text, or the text that it can be made of when somebody asks.
#[derive(Debug, Clone, Copy)]
pub enum TextHash<'a> {
    /// What [`Place::text_hash`] gave.
    Known(u64),
    /// The text itself.
    Of(&'a [u8]),
}

impl TextHash<'_> {
    /// The hash, for an event of this place.
    pub fn get(self, place: &Place) -> u64 {
        match self {
            TextHash::Known(hash) => hash,
            TextHash::Of(text) => place.text_hash(text),
        }
    }
}

impl Place {
    /// The part of an event's id that comes from its text: standard input has no identity of its
    /// own, so the content takes part.
    pub fn text_hash(&self, text: &[u8]) -> u64 {
        match self {
            Place::Stdin => xxh3_64(text),
            Place::File { .. } | Place::Generated { .. } | Place::Polled { .. } | Place::Alerts { .. } => 0,
        }
    }
}

impl Meta<'_> {
    /// Stable id: 32 hex digits.
    pub fn id(&self) -> String {
        format!("{:032x}", self.id_number())
    }

    /// Key unique per sink: the source's name, the id, and the steps since.
    pub fn key(&self) -> String {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(self.origin.source.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&self.id_number().to_le_bytes());
        bytes.extend_from_slice(&self.derivation.0.to_le_bytes());
        format!("{:032x}", xxh3_128(&bytes))
    }

    fn id_number(&self) -> u128 {
        let mut bytes = Vec::with_capacity(64);
        match &self.origin.place {
            Place::Stdin => {
                bytes.extend_from_slice(b"stdin\0");
                bytes.extend_from_slice(&self.text_hash.get(&self.origin.place).to_le_bytes());
            }
            Place::File { identity, .. } => {
                bytes.extend_from_slice(b"file\0");
                bytes.extend_from_slice(&identity.to_le_bytes());
            }
            Place::Generated { recipe } => {
                bytes.extend_from_slice(b"generate\0");
                bytes.extend_from_slice(recipe.as_bytes());
            }
            Place::Polled { stream, partition, sequence, .. } => {
                bytes.extend_from_slice(b"polled\0");
                bytes.extend_from_slice(stream.as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(partition.as_bytes());
                bytes.push(0);
                bytes.extend_from_slice(&sequence.unwrap_or_default().to_le_bytes());
                // a digest, not a number that would fit into half of it
                bytes.extend_from_slice(&self.offset.to_le_bytes());
            }
            Place::Alerts { run } => {
                bytes.extend_from_slice(b"alerts\0");
                bytes.extend_from_slice(run.as_bytes());
            }
        }
        bytes.extend_from_slice(&(self.offset as u64).to_le_bytes());
        xxh3_128(&bytes)
    }

    /// The members of `$meta`: `{source, id, key, ingested_at, origin}`.
    pub fn to_value(&self) -> Value {
        let origin = match &self.origin.place {
            Place::Stdin => json!({ "stdin": true, "offset": self.offset }),
            Place::File { path, .. } => json!({ "file": &**path, "offset": self.offset }),
            Place::Generated { recipe } => {
                json!({ "generate": &**recipe, "number": self.offset })
            }
            Place::Polled { stream, partition, fetched_at, sequence } => {
                let mut origin = Map::new();
                origin.insert("stream".into(), (&**stream).into());
                if !partition.is_empty() {
                    origin.insert("partition".into(), (&**partition).into());
                }
                let fetched_at = fetched_at.to_rfc3339_opts(SecondsFormat::Millis, true);
                origin.insert("fetched_at".into(), fetched_at.into());
                if let Some(sequence) = sequence {
                    origin.insert("sequence".into(), (*sequence).into());
                }
                Value::Object(origin)
            }
            Place::Alerts { .. } => json!({ "alert": self.offset }),
        };
        json!({
            "source": &*self.origin.source,
            "id": self.id(),
            "key": self.key(),
            "ingested_at": self.origin.ingested_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "origin": origin,
        })
    }
}

/// The record of a failed event, as error edges and dead letters carry it:
/// `{event, error: {component, kind, message, position?}, meta}`.
///
/// `event` is the original JSON text, byte for byte, when there is one; otherwise `event` is null
/// and `raw` holds the original text, or `raw_base64` its bytes.
pub fn error_record(component: &str, fault: &Fault, event: Option<&[u8]>, meta: &Meta<'_>) -> Vec<u8> {
    let mut error = Map::new();
    error.insert("component".into(), component.into());
    error.insert("kind".into(), fault.kind.into());
    error.insert("message".into(), fault.message.as_str().into());
    if let Some(position) = &fault.position {
        error.insert("position".into(), position.as_str().into());
    }
    if let Some(clipped) = &fault.clipped {
        error.insert("length".into(), clipped.length.into());
        error.insert("sha256".into(), clipped.sha256.as_str().into());
    }

    let mut out = Vec::with_capacity(256 + event.map_or(fault.raw.len(), <[u8]>::len));
    out.extend_from_slice(b"{\"event\":");
    match event {
        Some(text) => super::json::append_compact(text, &mut out),
        None => {
            out.extend_from_slice(b"null,");
            // a null in the text would be legal JSON, but it is as good a sign of binary data as any
            match std::str::from_utf8(&fault.raw) {
                Ok(text) if !text.contains('\0') => {
                    out.extend_from_slice(b"\"raw\":");
                    append_json(&mut out, &Value::from(text));
                }
                _ => {
                    let encoded = base64::engine::general_purpose::STANDARD.encode(&fault.raw);
                    out.extend_from_slice(b"\"raw_base64\":");
                    append_json(&mut out, &Value::from(encoded));
                }
            }
        }
    }
    out.extend_from_slice(b",\"error\":");
    append_json(&mut out, &Value::Object(error));
    out.extend_from_slice(b",\"meta\":");
    append_json(&mut out, &meta.to_value());
    out.push(b'}');
    out
}

fn append_json(out: &mut Vec<u8>, value: &Value) {
    // writing a `Value` into memory has no way to fail
    let _ = serde_json::to_writer(out, value);
}
