//! A sliding window over a byte stream, so that a whole block lies in one slice without being copied out first.
//!
//! ```text
//! buffer  |  consumed  |  read, not consumed  |  free  |
//!         0          start                   end    capacity
//! ```
//! The buffer has [`WINDOW_BYTES`] and grows only for a block that is longer, and only as its bytes arrive.

use std::io::{self, Read};

/// Bytes of the buffer to begin with.
pub(crate) const WINDOW_BYTES: usize = 512 << 10;

/// The window.
#[derive(Debug)]
pub(crate) struct Window<R> {
    reader: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where `start` is in the stream.
    offset: u64,
}

impl<R: Read> Window<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: vec![0; WINDOW_BYTES], start: 0, end: 0, offset: 0 }
    }

    /// Where in the stream the next unconsumed byte is.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn reader(&self) -> &R {
        &self.reader
    }

    /// Bytes read from the stream but not consumed.
    pub(crate) fn buffered(&self) -> usize {
        self.end - self.start
    }

    /// The next `wanted` bytes; fewer only where the stream ends. They stay until they are consumed.
    pub(crate) fn fill(&mut self, wanted: usize) -> io::Result<&[u8]> {
        while self.buffered() < wanted && self.read_more(wanted)? > 0 {}
        Ok(&self.buffer[self.start..self.end.min(self.start + wanted)])
    }

    /// Steps over bytes that [`Self::fill`] has shown.
    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.buffered(), "only bytes that were seen are consumed");
        self.start += count;
        self.offset += count as u64;
    }

    /// Steps over `count` bytes and returns how many there were: fewer only where the stream ends.
    pub(crate) fn discard(&mut self, count: u64) -> io::Result<u64> {
        let mut left = count;
        while left > 0 {
            if self.buffered() == 0 && self.read_more(1)? == 0 {
                break;
            }
            let step = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffered());
            self.consume(step);
            left -= step as u64;
        }
        Ok(count - left)
    }

    /// Reads once, making room first; `wanted` is how many bytes will be needed in all.
    fn read_more(&mut self, wanted: usize) -> io::Result<usize> {
        if self.start > 0 && self.start + wanted > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(wanted.min(2 * self.buffer.len()), 0);
        }
        loop {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::repeat;

    #[test]
    fn shows_consumes_and_discards() {
        let stream: Vec<u8> = (0..=255).cycle().take(3 * WINDOW_BYTES).collect();
        let mut window = Window::new(stream.as_slice());
        assert_eq!(window.fill(3).unwrap(), &stream[..3]);
        assert_eq!(window.fill(2).unwrap(), &stream[..2]);
        window.consume(1);
        assert_eq!(window.fill(WINDOW_BYTES + 9).unwrap(), &stream[1..WINDOW_BYTES + 10]);
        assert_eq!(window.discard(WINDOW_BYTES as u64 * 2).unwrap(), WINDOW_BYTES as u64 * 2);
        assert_eq!(window.offset(), WINDOW_BYTES as u64 * 2 + 1);
        assert_eq!(window.fill(usize::MAX >> 1).unwrap(), &stream[2 * WINDOW_BYTES + 1..]);
        assert_eq!(window.discard(u64::MAX).unwrap(), WINDOW_BYTES as u64 - 1);
        assert!(window.fill(1).unwrap().is_empty());
    }

    #[test]
    fn memory_follows_the_largest_request_that_the_stream_can_fill() {
        let mut window = Window::new(repeat(1).take(1 << 30));
        for _ in 0..2_000 {
            window.fill(100_000).unwrap();
            window.consume(100_000);
        }
        assert_eq!(window.buffer.len(), WINDOW_BYTES);
        let mut short = Window::new(repeat(1).take(WINDOW_BYTES as u64));
        short.fill(1 << 30).unwrap();
        assert_eq!(short.buffer.len(), 2 * WINDOW_BYTES, "a false length costs one doubling, not its bytes");
    }
}
