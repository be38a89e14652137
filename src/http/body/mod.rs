//! Content codings: decoding a response's body as it comes, within a bound.
//!
//! A [`Decoder`] works in constant memory, whatever the ratio of compression: the caller pulls out of
//! each chunk what fits into its buffer. More than the bound is an error before it is handed out.
//!
//! - `gzip` (`x-gzip`): several members; zeros after the last one are padding, other bytes an error, as
//!   they may be a damaged member. Checksum and length are checked.
//! - `deflate`: zlib or bare. `zstd`: several frames, windows to 8 MiB. `identity`. Any four of them stacked.
//! - A body of no bytes is an empty body in every coding. A body that ends in the middle is an error.

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

mod stage;
#[cfg(test)]
mod tests;

use stage::{Deflate, Gzip, Stage, Zstd};

/// Codings of one body.
const MAX_STAGES: usize = 4;

/// Bytes between two codings.
const BETWEEN: usize = 16 * 1024;

/// What [`Decoder::extend`] pulls at a time.
const PIECE: usize = 64 * 1024;

/// Why a body cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The header names a coding that is not known.
    #[error("the content coding {0:?} is not supported")]
    Unsupported(String),
    /// It names too many.
    #[error("more than {MAX_STAGES} content codings")]
    TooManyCodings,
    /// It is longer than allowed.
    #[error("the body is longer than {limit} bytes")]
    TooLong {
        /// The bound.
        limit: u64,
    },
    /// The bytes are not what the coding says.
    #[error("the body is not valid {coding}: {reason}")]
    Invalid {
        /// The coding.
        coding: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// It ended early.
    #[error("the body ends in the middle of its {coding} data")]
    Truncated {
        /// The coding.
        coding: &'static str,
    },
}

/// A body on its way through its codings.
pub struct Decoder {
    /// The first one gets the bytes of the wire.
    links: Vec<Link>,
    limit: u64,
    given: u64,
    /// The buffer of [`Self::extend`].
    piece: Vec<u8>,
}

/// A coding, with the part of the input that the one before it gave.
struct Link {
    stage: Stage,
    input: Vec<u8>,
    range: std::ops::Range<usize>,
    /// Bytes it gave.
    given: u64,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let codings: Vec<&str> = self.links.iter().rev().map(|link| link.stage.name()).collect();
        f.debug_struct("Decoder")
            .field("codings", &codings)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// For codings in the order in which they were applied, as in `Content-Encoding`; `limit` bounds the
    /// decoded bytes.
    pub fn new<'c>(codings: impl IntoIterator<Item = &'c str>, limit: u64) -> Result<Self, BodyError> {
        let mut links = Vec::new();
        for coding in codings {
            let coding = coding.trim().to_ascii_lowercase();
            let stage = match coding.as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Stage::Gzip(Gzip::new()),
                "deflate" => Stage::Deflate(Deflate::new()),
                "zstd" => {
                    Stage::Zstd(Zstd::new().map_err(|reason| BodyError::Invalid { coding: "zstd", reason })?)
                }
                other => return Err(BodyError::Unsupported(other.chars().take(40).collect())),
            };
            if links.len() == MAX_STAGES {
                return Err(BodyError::TooManyCodings);
            }
            links.push(Link { stage, input: Vec::new(), range: 0..0, given: 0 });
        }
        links.reverse();
        for link in links.iter_mut().skip(1) {
            link.input.resize(BETWEEN, 0);
        }
        Ok(Decoder { links, limit, given: 0, piece: Vec::new() })
    }

    /// For the codings of a response's headers.
    pub fn for_headers(headers: &HeaderMap, limit: u64) -> Result<Self, BodyError> {
        let mut codings = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            // what is no text is no coding either
            codings.extend(value.to_str().unwrap_or("?").split(','));
        }
        Self::new(codings, limit)
    }

    /// Decodes some of `input` into `output`, and moves `input` forward. Call it with the rest of a chunk
    /// until it gives 0; then `input` is empty and the next chunk can come. `output` must not be empty.
    pub fn read(&mut self, input: &mut &[u8], output: &mut [u8]) -> Result<usize, BodyError> {
        let given = pull(&mut self.links, input, output, self.limit)?;
        self.given += given as u64;
        if self.given > self.limit {
            return Err(BodyError::TooLong { limit: self.limit });
        }
        Ok(given)
    }

    /// Decodes a whole chunk to the end of `output`; after an error, what came before it.
    pub fn extend(&mut self, chunk: &[u8], output: &mut Vec<u8>) -> Result<(), BodyError> {
        let mut rest = chunk;
        let mut piece = std::mem::take(&mut self.piece);
        piece.resize(PIECE, 0);
        let result = loop {
            match self.read(&mut rest, &mut piece) {
                Ok(0) => break Ok(()),
                Ok(given) => output.extend_from_slice(piece.get(..given).unwrap_or_default()),
                Err(error) => break Err(error),
            }
        };
        self.piece = piece;
        result
    }

    /// Checks that the body is complete, after its last chunk.
    pub fn finish(&self) -> Result<(), BodyError> {
        // the outermost first: what is truncated there is truncated further in too
        match self.links.iter().find(|link| !link.stage.is_complete()) {
            Some(link) => Err(BodyError::Truncated { coding: link.stage.name() }),
            None => Ok(()),
        }
    }

    /// Decoded bytes so far.
    pub fn given(&self) -> u64 {
        self.given
    }
}

/// Pulls decoded bytes out of the last link, and input for it out of the ones before.
fn pull(links: &mut [Link], input: &mut &[u8], output: &mut [u8], limit: u64) -> Result<usize, BodyError> {
    let Some((last, before)) = links.split_last_mut() else {
        let len = input.len().min(output.len());
        let (now, later) = input.split_at(len);
        if let Some(output) = output.get_mut(..len) {
            output.copy_from_slice(now);
        }
        *input = later;
        return Ok(len);
    };
    loop {
        let from = match before {
            [] => *input,
            _ => last.input.get(last.range.clone()).unwrap_or_default(),
        };
        let available = from.len();
        let (taken, given) = last
            .stage
            .run(from, output)
            .map_err(|reason| BodyError::Invalid { coding: last.stage.name(), reason })?;
        if before.is_empty() {
            *input = input.get(taken..).unwrap_or_default();
        } else {
            last.range.start += taken;
        }
        if given > 0 {
            last.given += given as u64;
            // data between two codings may be a little longer than what it stands for
            if last.given > limit.saturating_mul(2).saturating_add(64 * 1024) {
                return Err(BodyError::TooLong { limit });
            }
            return Ok(given);
        }
        if taken < available {
            if taken == 0 {
                let reason = "no progress".to_owned();
                return Err(BodyError::Invalid { coding: last.stage.name(), reason });
            }
            continue;
        }
        if before.is_empty() {
            return Ok(0);
        }
        let len = pull(before, input, &mut last.input, limit)?;
        if len == 0 {
            return Ok(0);
        }
        last.range = 0..len;
    }
}
