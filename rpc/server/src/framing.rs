//! Where one JSON value ends and the next begins, in a stream without any other frame.

/// Why no more values can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FramingError {
    /// A value is longer than allowed.
    #[error("the request is larger than {limit} bytes")]
    TooLarge {
        /// Bytes of a value, at most.
        limit: usize,
    },
    /// Something else than an object or an array begins.
    #[error("a request begins with {{ or [")]
    NotARequest,
}

/// Cuts a stream of bytes into objects and arrays. Each byte is looked at once, however they arrive; whether what
/// is between the brackets is JSON is for others.
#[derive(Debug)]
pub(crate) struct Framing {
    bytes: Vec<u8>,
    /// How many of `bytes` were looked at.
    seen: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    limit: usize,
}

impl Framing {
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), seen: 0, depth: 0, in_string: false, escaped: false, limit }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next value, or `None` until more bytes come. After an error nothing more can be read.
    pub fn next_value(&mut self) -> Result<Option<Vec<u8>>, FramingError> {
        if self.depth == 0 {
            let blank = self.bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            self.bytes.drain(..blank);
            self.seen = 0;
        }
        while let Some(byte) = self.bytes.get(self.seen).copied() {
            if self.seen >= self.limit {
                return Err(FramingError::TooLarge { limit: self.limit });
            }
            if self.depth == 0 && !matches!(byte, b'{' | b'[') {
                return Err(FramingError::NotARequest);
            }
            self.seen += 1;
            if self.ends_value(byte) {
                let rest = self.bytes.split_off(self.seen);
                self.seen = 0;
                return Ok(Some(std::mem::replace(&mut self.bytes, rest)));
            }
        }
        Ok(None)
    }

    /// Takes one byte into account.
    fn ends_value(&mut self, byte: u8) -> bool {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(chunks: &[&[u8]], limit: usize) -> Result<Vec<String>, FramingError> {
        let mut framing = Framing::new(limit);
        let mut found = Vec::new();
        for chunk in chunks {
            framing.push(chunk);
            while let Some(value) = framing.next_value()? {
                found.push(String::from_utf8(value).unwrap());
            }
        }
        Ok(found)
    }

    const TEXT: &str = r#" {"a":"}{\"]"}[1,{"b":[]}]
        {"c":"\\"}"#;
    const VALUES: [&str; 3] = [r#"{"a":"}{\"]"}"#, r#"[1,{"b":[]}]"#, r#"{"c":"\\"}"#];

    #[test]
    fn values_are_the_same_however_the_bytes_arrive() {
        assert_eq!(values(&[TEXT.as_bytes()], 100).unwrap(), VALUES);
        let single: Vec<&[u8]> = TEXT.as_bytes().chunks(1).collect();
        assert_eq!(values(&single, 100).unwrap(), VALUES);
    }

    #[test]
    fn a_value_that_does_not_end_is_cut_off_at_the_limit() {
        let long = format!("[\"{}", "x".repeat(200));
        assert_eq!(values(&[long.as_bytes()], 100), Err(FramingError::TooLarge { limit: 100 }));
        assert_eq!(values(&["[".repeat(200).as_bytes()], 100), Err(FramingError::TooLarge { limit: 100 }));
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        for text in ["1", "\"x\"", "}", "null", "GET / HTTP/1.1"] {
            assert_eq!(values(&[text.as_bytes()], 100), Err(FramingError::NotARequest), "{text}");
        }
        assert_eq!(values(&[b"  \n\t "], 100).unwrap(), Vec::<String>::new());
    }
}
