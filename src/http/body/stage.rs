//! One content coding: a state machine that takes and gives bytes as far as both sides have room.

use flate2::{Crc, Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, InBuffer, Operation as _, OutBuffer};

/// Windows of 8 MiB, the most that RFC 9659 allows in HTTP: a frame can ask for no more memory.
const ZSTD_WINDOW_LOG: u32 = 23;

/// What is wrong with the bytes.
pub(super) type Defect = String;

/// Bytes taken and bytes given.
pub(super) type Step = (usize, usize);

pub(super) enum Stage {
    Gzip(Gzip),
    Deflate(Deflate),
    Zstd(Zstd),
}

impl Stage {
    /// Decodes some. Takes nothing and gives nothing only if it needs more input.
    pub(super) fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Defect> {
        match self {
            Stage::Gzip(stage) => stage.run(input, output),
            Stage::Deflate(stage) => stage.run(input, output),
            Stage::Zstd(stage) => stage.run(input, output),
        }
    }

    /// Whether the stream may end here.
    pub(super) fn is_complete(&self) -> bool {
        match self {
            Stage::Gzip(stage) => matches!(stage.place, Place::Start | Place::Between | Place::Padding),
            Stage::Deflate(stage) => matches!(stage.state, DeflateState::Start | DeflateState::Done),
            Stage::Zstd(stage) => !stage.is_open,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Stage::Gzip(_) => "gzip",
            Stage::Deflate(_) => "deflate",
            Stage::Zstd(_) => "zstd",
        }
    }
}

/// Inflates some; whether the compressed data ended.
fn inflate(inflater: &mut Decompress, input: &[u8], output: &mut [u8]) -> Result<(Step, bool), Defect> {
    let (taken, given) = (inflater.total_in(), inflater.total_out());
    let status =
        inflater.decompress(input, output, FlushDecompress::None).map_err(|error| error.to_string())?;
    let step = ((inflater.total_in() - taken) as usize, (inflater.total_out() - given) as usize);
    Ok((step, status == Status::StreamEnd))
}

/// `gzip`, with any number of members (RFC 1952). Zeros after a member are padding; anything else there
/// is a defect, as it may be a member that was damaged.
pub(super) struct Gzip {
    place: Place,
    inflater: Decompress,
    crc: Crc,
}

/// Where in a member.
#[derive(Clone, Copy)]
enum Place {
    /// Before the first byte.
    Start,
    /// In the ten bytes of every header, of which so many are read.
    Fixed {
        read: usize,
        flags: u8,
    },
    /// The next optional part of the header is to be found.
    Optional {
        flags: u8,
    },
    /// In the two bytes of the length of the extra field.
    ExtraLength {
        flags: u8,
        low: Option<u8>,
    },
    /// In the extra field or the header's checksum, which is not checked.
    Skip {
        flags: u8,
        left: usize,
    },
    /// In a name or a comment, which ends with a zero.
    Text {
        flags: u8,
    },
    Data,
    /// In the checksum and the length.
    Trailer {
        read: usize,
        bytes: [u8; 8],
    },
    /// After a member.
    Between,
    Padding,
}

const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const RESERVED: u8 = 0b1110_0000;

impl Gzip {
    pub(super) fn new() -> Self {
        Gzip { place: Place::Start, inflater: Decompress::new(false), crc: Crc::new() }
    }

    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Defect> {
        let mut taken = 0;
        loop {
            if let Place::Data = self.place {
                let rest = input.get(taken..).unwrap_or_default();
                let ((used, given), is_end) = inflate(&mut self.inflater, rest, output)?;
                taken += used;
                self.crc.update(output.get(..given).unwrap_or_default());
                if is_end {
                    self.place = Place::Trailer { read: 0, bytes: [0; 8] };
                }
                if given > 0 || !is_end {
                    return Ok((taken, given));
                }
            } else if let Place::Optional { flags } = self.place {
                self.place = self.optional(flags);
            } else {
                let Some(byte) = input.get(taken) else { return Ok((taken, 0)) };
                self.place = self.next(*byte)?;
                taken += 1;
            }
        }
    }

    /// The part of the header that comes next, of those whose flag is still set.
    fn optional(&mut self, flags: u8) -> Place {
        if flags & EXTRA != 0 {
            Place::ExtraLength { flags: flags & !EXTRA, low: None }
        } else if flags & NAME != 0 {
            Place::Text { flags: flags & !NAME }
        } else if flags & COMMENT != 0 {
            Place::Text { flags: flags & !COMMENT }
        } else if flags & HEADER_CRC != 0 {
            Place::Skip { flags: flags & !HEADER_CRC, left: 2 }
        } else {
            self.inflater.reset(false);
            self.crc.reset();
            Place::Data
        }
    }

    /// Where a byte outside of the data leads to.
    fn next(&self, byte: u8) -> Result<Place, Defect> {
        let fail = |what: &str| Err(what.to_owned());
        Ok(match self.place {
            Place::Between | Place::Padding if byte == 0 => Place::Padding,
            Place::Padding => return fail("bytes after the end"),
            Place::Start if byte != 0x1f => return fail("not gzip"),
            Place::Between if byte != 0x1f => return fail("bytes after the end"),
            Place::Start | Place::Between => Place::Fixed { read: 1, flags: 0 },
            Place::Fixed { read: 1, .. } if byte != 0x8b => return fail("not gzip"),
            Place::Fixed { read: 2, .. } if byte != 8 => return fail("unknown compression method"),
            Place::Fixed { read: 3, .. } if byte & RESERVED != 0 => return fail("unknown flags"),
            Place::Fixed { read: 3, .. } => Place::Fixed { read: 4, flags: byte },
            Place::Fixed { read: 9.., flags } => Place::Optional { flags },
            Place::Fixed { read, flags } => Place::Fixed { read: read + 1, flags },
            Place::ExtraLength { flags, low: None } => Place::ExtraLength { flags, low: Some(byte) },
            Place::ExtraLength { flags, low: Some(low) } => {
                match usize::from(u16::from_le_bytes([low, byte])) {
                    0 => Place::Optional { flags },
                    left => Place::Skip { flags, left },
                }
            }
            Place::Skip { flags, left: ..=1 } => Place::Optional { flags },
            Place::Skip { flags, left } => Place::Skip { flags, left: left - 1 },
            Place::Text { flags } if byte == 0 => Place::Optional { flags },
            place @ (Place::Text { .. } | Place::Optional { .. } | Place::Data) => place,
            Place::Trailer { read, mut bytes } => {
                if let Some(slot) = bytes.get_mut(read) {
                    *slot = byte;
                }
                if read < 7 {
                    return Ok(Place::Trailer { read: read + 1, bytes });
                }
                let [c0, c1, c2, c3, l0, l1, l2, l3] = bytes;
                if u32::from_le_bytes([c0, c1, c2, c3]) != self.crc.sum() {
                    return fail("wrong checksum");
                }
                if u32::from_le_bytes([l0, l1, l2, l3]) != self.crc.amount() {
                    return fail("wrong length");
                }
                Place::Between
            }
        })
    }
}

/// `deflate`: in a zlib wrapper as the standard says, or bare as some servers do.
pub(super) struct Deflate {
    state: DeflateState,
}

enum DeflateState {
    Start,
    /// One byte is not enough to know which.
    First(u8),
    Data(Box<Decompress>),
    Done,
}

impl Deflate {
    pub(super) fn new() -> Self {
        Deflate { state: DeflateState::Start }
    }

    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Defect> {
        let mut taken = 0;
        loop {
            let rest = input.get(taken..).unwrap_or_default();
            match (&mut self.state, rest) {
                (DeflateState::Data(inflater), _) => {
                    let ((used, given), is_end) = inflate(inflater, rest, output)?;
                    taken += used;
                    if is_end {
                        self.state = DeflateState::Done;
                    }
                    if given > 0 || !is_end {
                        return Ok((taken, given));
                    }
                }
                (_, []) => return Ok((taken, 0)),
                (DeflateState::Start, [first, ..]) => {
                    self.state = DeflateState::First(*first);
                    taken += 1;
                }
                (DeflateState::First(first), [second, ..]) => {
                    let first = *first;
                    let is_zlib = first & 0x0f == 8
                        && first >> 4 <= 7
                        && u16::from_be_bytes([first, *second]).is_multiple_of(31);
                    let mut inflater = Box::new(Decompress::new(is_zlib));
                    // neither form gives anything for its first byte
                    inflate(&mut inflater, &[first], &mut [0])?;
                    self.state = DeflateState::Data(inflater);
                }
                (DeflateState::Done, _) => return Err("bytes after the end".to_owned()),
            }
        }
    }
}

/// `zstd`, with any number of frames.
pub(super) struct Zstd {
    decoder: ZstdDecoder<'static>,
    /// Within a frame.
    is_open: bool,
}

impl Zstd {
    pub(super) fn new() -> Result<Self, Defect> {
        let fail = |error: std::io::Error| error.to_string();
        let mut decoder = ZstdDecoder::new().map_err(fail)?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(fail)?;
        Ok(Zstd { decoder, is_open: false })
    }

    fn run(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, Defect> {
        if input.is_empty() && !self.is_open {
            return Ok((0, 0));
        }
        let mut input = InBuffer::around(input);
        let mut output = OutBuffer::around(output);
        let hint = self.decoder.run(&mut input, &mut output).map_err(|error| error.to_string())?;
        self.is_open = hint != 0;
        Ok((input.pos(), output.pos()))
    }
}
