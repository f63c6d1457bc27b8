//! Where an answer is written to.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use bytes::Bytes;
use jsonrpsee::types::ErrorObjectOwned;
use portico_query::{Budget, QueryError};
use serde::Serialize;
use tokio::sync::mpsc;

/// Bytes that are sent at once, and up to which an error can still replace what was written.
const CHUNK: usize = 64 << 10;
/// Pause before looking again whether the client has read something.
const PAUSE: Duration = Duration::from_millis(2);
/// How long a client may read nothing.
const STALL_MAX: Duration = Duration::from_secs(10);

/// What a worker tells the connection.
#[derive(Debug)]
pub(crate) enum Message {
    /// All of the answer.
    Whole(Bytes),
    /// More of the answer.
    Chunk(Bytes),
    /// The answer is complete.
    End,
    /// There is no answer, or no more of it.
    Failed(ErrorObjectOwned),
}

/// Where an answer is written to: one text, or chunks for a connection.
#[derive(Debug)]
pub(crate) struct Sink {
    buffer: Vec<u8>,
    chunks: Option<mpsc::Sender<Message>>,
    /// Bytes that may still be written.
    left: usize,
    limit: usize,
    budget: Budget,
    has_sent: bool,
    /// Why nothing can be written any more.
    broken: Option<Broken>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    TooLarge,
    Gone,
    Stalled,
}

impl Sink {
    /// Keeps the whole text.
    pub fn collecting(limit: usize, budget: Budget) -> Self {
        Self { buffer: Vec::new(), chunks: None, left: limit, limit, budget, has_sent: false, broken: None }
    }

    /// Sends chunks.
    pub fn sending(chunks: mpsc::Sender<Message>, limit: usize, budget: Budget) -> Self {
        Self { chunks: Some(chunks), ..Self::collecting(limit, budget) }
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// When the answer is too large, or nobody reads it.
    pub fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), QueryError> {
        serde_json::to_writer(&mut *self, value).map_err(|error| self.error(&error.into()))
    }

    /// Writes text that is a part of JSON.
    ///
    /// # Errors
    /// As [`Sink::value`].
    pub fn raw(&mut self, text: &str) -> Result<(), QueryError> {
        self.write_all(text.as_bytes()).map_err(|error| self.error(&error))
    }

    /// The query's word for a failed write to this sink.
    pub fn error(&self, error: &io::Error) -> QueryError {
        match self.broken {
            Some(Broken::TooLarge) => QueryError::AnswerTooLarge { limit: self.limit },
            Some(Broken::Gone) => QueryError::Cancelled,
            Some(Broken::Stalled) => QueryError::TimedOut { limit: STALL_MAX },
            None => QueryError::Unwritable(error.to_string()),
        }
    }

    /// A failure to write here is why others failed.
    pub fn explain(&self, result: Result<(), QueryError>) -> Result<(), QueryError> {
        match self.broken {
            Some(_) => result.map_err(|error| self.error(&io::Error::other(error.to_string()))),
            None => result,
        }
    }

    /// The text of a collecting sink.
    pub fn into_text(self) -> String {
        String::from_utf8(self.buffer).expect("JSON writers write UTF-8")
    }

    /// Sends what is left and says how it ended. When nothing was sent yet, an error replaces what was written.
    pub fn close(mut self, result: Result<(), ErrorObjectOwned>) {
        let message = match result {
            Ok(()) if !self.has_sent => Message::Whole(std::mem::take(&mut self.buffer).into()),
            Ok(()) => match self.flush() {
                Ok(()) => Message::End,
                Err(_) => return,
            },
            Err(error) => Message::Failed(error),
        };
        // Nobody may be there any more to hear it.
        let _ = self.deliver(message);
    }

    fn deliver(&mut self, mut message: Message) -> io::Result<()> {
        let Some(chunks) = &self.chunks else { return Ok(()) };
        let begun = Instant::now();
        loop {
            match chunks.try_send(message) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Closed(_)) => return self.fail(Broken::Gone),
                Err(mpsc::error::TrySendError::Full(back)) => message = back,
            }
            if self.budget.is_cancelled() {
                return self.fail(Broken::Gone);
            }
            if begun.elapsed() > STALL_MAX {
                return self.fail(Broken::Stalled);
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn fail<T>(&mut self, broken: Broken) -> io::Result<T> {
        self.broken = Some(broken);
        Err(io::Error::other("the answer cannot be written"))
    }
}

impl Write for Sink {
    /// Serializers write a few bytes at a time: what fits into the chunk goes there and nowhere else.
    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let has_room = self.chunks.is_none() || self.buffer.len() + bytes.len() < CHUNK;
        if has_room && bytes.len() <= self.left {
            self.left -= bytes.len();
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.write(bytes).map(drop)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.left {
            return self.fail(Broken::TooLarge);
        }
        self.left -= bytes.len();
        self.buffer.extend_from_slice(bytes);
        if self.chunks.is_some() && self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunks.is_none() || self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.has_sent = true;
        self.deliver(Message::Chunk(chunk.into()))
    }
}

/// Writes an array, element by element, as `produce` hands them to its argument.
///
/// # Errors
/// Those of `produce`, and of the sink.
pub(crate) fn write_array<T: Serialize>(
    sink: &mut Sink,
    produce: impl FnOnce(&mut dyn FnMut(T) -> Result<(), QueryError>) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    sink.raw("[")?;
    let mut is_first = true;
    produce(&mut |element| {
        if !std::mem::take(&mut is_first) {
            sink.raw(",")?;
        }
        sink.value(&element)
    })?;
    sink.raw("]")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Budget {
        Budget::lasting(Duration::from_secs(60))
    }

    #[test]
    fn arrays_are_written_element_by_element() {
        let mut sink = Sink::collecting(1 << 20, budget());
        write_array(&mut sink, |push| (1..=3).try_for_each(push)).unwrap();
        assert_eq!(sink.into_text(), "[1,2,3]");
        let mut sink = Sink::collecting(1 << 20, budget());
        write_array::<u8>(&mut sink, |_| Ok(())).unwrap();
        assert_eq!(sink.into_text(), "[]");
    }

    #[test]
    fn an_answer_over_its_limit_is_an_error_that_names_the_limit() {
        let mut sink = Sink::collecting(10, budget());
        let error = sink.value(&"0123456789").unwrap_err();
        assert!(matches!(error, QueryError::AnswerTooLarge { limit: 10 }), "{error}");
    }

    #[test]
    fn nothing_is_computed_for_a_client_that_is_gone() {
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        let mut sink = Sink::sending(sender, usize::MAX, budget());
        let error = sink.value(&"x".repeat(CHUNK)).unwrap_err();
        assert!(matches!(error, QueryError::Cancelled), "{error}");
    }

    #[test]
    fn chunks_and_the_end_arrive_in_order() {
        let (sender, mut receiver) = mpsc::channel(8);
        let mut sink = Sink::sending(sender, usize::MAX, budget());
        sink.value(&"x".repeat(CHUNK)).unwrap();
        sink.value(&1).unwrap();
        sink.close(Ok(()));
        let mut text = Vec::new();
        while let Ok(Message::Chunk(chunk)) = receiver.try_recv() {
            text.extend_from_slice(&chunk);
        }
        assert_eq!(text.len(), CHUNK + 3);
        assert!(receiver.try_recv().is_err(), "the end was taken by the loop");
    }
}
