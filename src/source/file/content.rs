//! The decompressed content of a file, from any offset.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Device and inode.
pub(super) type Inode = (u64, u64);

/// What a file's content is packed in, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// What the system says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileState {
    pub(super) inode: Inode,
    pub(super) size: u64,
    /// Nanoseconds since 1970.
    pub(super) modified: i128,
    /// Names that lead to it.
    pub(super) links: u64,
}

impl FileState {
    pub(super) fn of(metadata: &std::fs::Metadata) -> Self {
        FileState {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
            links: metadata.nlink(),
        }
    }
}

/// An open file, read as content.
pub(super) struct Content {
    pub(super) packing: Packing,
    stream: Stream,
    /// Bytes of content read so far.
    pub(super) position: u64,
}

enum Stream {
    Plain(File),
    Gzip(Box<flate2::read::MultiGzDecoder<io::BufReader<File>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, io::BufReader<File>>>),
}

impl Content {
    /// Opens a file at the beginning of its content.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::of(File::open(path)?)
    }

    /// The content of an open file, from its beginning.
    pub(super) fn of(mut file: File) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(4);
        file.seek(SeekFrom::Start(0))?;
        (&mut file).take(4).read_to_end(&mut magic)?;
        file.seek(SeekFrom::Start(0))?;
        let buffered = |file| io::BufReader::with_capacity(64 << 10, file);
        let (packing, stream) = match magic.as_slice() {
            [0x1f, 0x8b, ..] => {
                (Packing::Gzip, Stream::Gzip(Box::new(flate2::read::MultiGzDecoder::new(buffered(file)))))
            }
            [0x28, 0xb5, 0x2f, 0xfd] => {
                let decoder = zstd::stream::read::Decoder::with_buffer(buffered(file))?;
                (Packing::Zstd, Stream::Zstd(Box::new(decoder)))
            }
            _ => (Packing::Plain, Stream::Plain(file)),
        };
        Ok(Content { packing, stream, position: 0 })
    }

    /// The file beneath.
    fn file(&self) -> &File {
        match &self.stream {
            Stream::Plain(file) => file,
            Stream::Gzip(decoder) => decoder.get_ref().get_ref(),
            Stream::Zstd(decoder) => decoder.get_ref().get_ref(),
        }
    }

    /// What the system says of the file now.
    pub(super) fn state(&self) -> io::Result<FileState> {
        Ok(FileState::of(&self.file().metadata()?))
    }

    /// The same file, to be read from its beginning beside this one.
    pub(super) fn again(&self) -> io::Result<Self> {
        // a descriptor of its own, for a clone would share the position; the path may be gone
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(self.file()));
        match File::open(link) {
            Ok(file) => Self::of(file),
            Err(error) => Err(error),
        }
    }

    /// Moves on to an offset at or after the current one. `Ok(false)` if the content ends before.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<bool> {
        if let Stream::Plain(file) = &mut self.stream {
            if file.metadata()?.len() < offset {
                return Ok(false);
            }
            file.seek(SeekFrom::Start(offset))?;
            self.position = offset;
            return Ok(true);
        }
        let distance = offset.saturating_sub(self.position);
        let skipped = io::copy(&mut (&mut *self).take(distance), &mut io::sink())?;
        Ok(skipped == distance)
    }

    /// Reads up to `length` bytes at an offset at or after the current one; `None` if the content
    /// ends before the last of them.
    pub(super) fn bytes_at(&mut self, offset: u64, length: usize) -> io::Result<Option<Vec<u8>>> {
        if !self.skip_to(offset)? {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(length);
        self.take(length as u64).read_to_end(&mut bytes)?;
        Ok((bytes.len() == length).then_some(bytes))
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.stream {
            Stream::Plain(file) => file.read(buffer),
            Stream::Gzip(decoder) => decoder.read(buffer),
            Stream::Zstd(decoder) => decoder.read(buffer),
        }?;
        self.position += read as u64;
        Ok(read)
    }
}

/// Whether all of the first content is the beginning of the second.
pub(super) fn is_beginning_of(mut short: Content, mut long: Content) -> io::Result<bool> {
    let mut one = vec![0; 64 << 10];
    let mut two = vec![0; 64 << 10];
    loop {
        let read = short.read(&mut one)?;
        if read == 0 {
            return Ok(true);
        }
        match long.read_exact(&mut two[..read]) {
            Ok(()) if one[..read] == two[..read] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}
