//! What both peers do alike: standard input in large blocks, whole lines out of them, large writes to
//! a file that is synced at the end.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

/// Blocks that stay in the second-level cache are read faster than larger ones.
const BLOCK: usize = 256 << 10;

/// Calls `line` for each line of standard input that is not empty, without the line's end, and
/// `block_end` after each block.
///
/// # Errors
/// Those of reading, and of the two functions.
pub fn each_line<S>(
    state: &mut S,
    mut line: impl FnMut(&mut S, &[u8]) -> io::Result<()>,
    mut block_end: impl FnMut(&mut S) -> io::Result<()>,
) -> io::Result<()> {
    let mut input = io::stdin().lock();
    let mut block = vec![0; BLOCK];
    let mut filled = 0;
    loop {
        if filled == block.len() {
            // one line fills the block
            block.resize(block.len() * 2, 0);
        }
        let read = input.read(&mut block[filled..])?;
        let known = filled;
        filled += read;
        let whole = if read == 0 {
            filled
        } else {
            memchr::memrchr(b'\n', &block[known..filled]).map_or(0, |at| known + at + 1)
        };
        let mut begin = 0;
        while begin < whole {
            let end = memchr::memchr(b'\n', &block[begin..whole]).map_or(whole, |at| begin + at);
            let text = &block[begin..end];
            begin = end + 1;
            if !text.trim_ascii().is_empty() {
                line(state, text)?;
            }
        }
        block_end(state)?;
        if read == 0 {
            return Ok(());
        }
        block.copy_within(whole..filled, 0);
        filled -= whole;
    }
}

/// A file that gets few, large writes.
pub struct Out {
    file: File,
    /// What waits to be written.
    pub buffer: Vec<u8>,
}

impl Out {
    /// Begins the file anew.
    ///
    /// # Errors
    /// Those of creating it.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(path)?, buffer: Vec::with_capacity(2 * BLOCK) })
    }

    /// Writes the buffer once it is large.
    ///
    /// # Errors
    /// Those of writing.
    pub fn flush_if_large(&mut self) -> io::Result<()> {
        if self.buffer.len() >= BLOCK { self.flush() } else { Ok(()) }
    }

    /// Writes all and syncs.
    ///
    /// # Errors
    /// Those of writing.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

/// An error for input that is no JSON.
pub fn invalid(number: u64, problem: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("line {number}: {problem}"))
}
