//! Files of recorded requests and answers (execution-apis `.io`).
//!
//! ```text
//!  // a comment; "// speconly:" means that only the shape of answers counts
//!  >> {"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}
//!  << {"jsonrpc":"2.0","id":1,"result":"0x36"}
//! ```

use std::path::{Path, PathBuf};

use eyre::{Context, Result, bail};
use serde_json::Value;

/// One file.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// The file.
    pub path: PathBuf,
    /// Only the shape of answers counts.
    pub shape_only: bool,
    /// Requests with their answers, in order.
    pub exchanges: Vec<Exchange>,
}

/// A request and its recorded answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The request.
    pub request: Value,
    /// The answer.
    pub response: Value,
}

impl Exchange {
    /// The method that is called.
    pub fn method(&self) -> &str {
        self.request["method"].as_str().unwrap_or_default()
    }
}

impl Conversation {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).wrap_err_with(|| path.display().to_string())?;
        Self::parse(path, &text).wrap_err_with(|| path.display().to_string())
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let mut exchanges = Vec::new();
        let mut pending = None;
        for line in text.lines() {
            if let Some(request) = line.strip_prefix(">> ") {
                if pending.replace(serde_json::from_str(request)?).is_some() {
                    bail!("a request without an answer");
                }
            } else if let Some(response) = line.strip_prefix("<< ") {
                let Some(request) = pending.take() else { bail!("an answer without a request") };
                exchanges.push(Exchange { request, response: serde_json::from_str(response)? });
            }
        }
        if pending.is_some() || exchanges.is_empty() {
            bail!("the conversation does not end with an answer");
        }
        let shape_only = text.lines().any(|line| line.starts_with("// speconly:"));
        Ok(Self { path: path.to_owned(), shape_only, exchanges })
    }

    /// All conversations below a folder, by name.
    pub fn read_all(folder: &Path) -> Result<Vec<Self>> {
        let mut paths = Vec::new();
        for method in std::fs::read_dir(folder)? {
            let method = method?.path();
            if !method.is_dir() {
                continue;
            }
            for file in std::fs::read_dir(method)? {
                paths.extend(
                    Some(file?.path()).filter(|path| path.extension().is_some_and(|end| end == "io")),
                );
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// The file without the folders above the method's: `eth_getLogs/no-topics`.
    pub fn name(&self) -> String {
        let method = self.path.parent().and_then(Path::file_name).unwrap_or_default();
        let file = self.path.file_stem().unwrap_or_default();
        format!("{}/{}", method.to_string_lossy(), file.to_string_lossy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_are_paired() {
        let text = "// speconly: x\n>> {\"method\":\"a\"}\n<< {\"result\":1}\n>> {\"method\":\"b\"}\n<< {\"result\":2}\n";
        let conversation = Conversation::parse(Path::new("/x/a/one.io"), text).unwrap();
        assert!(conversation.shape_only);
        assert_eq!(conversation.name(), "a/one");
        assert_eq!(conversation.exchanges.iter().map(Exchange::method).collect::<Vec<_>>(), ["a", "b"]);
        for broken in ["", ">> {}\n", "<< {}\n", ">> {}\n>> {}\n<< {}\n"] {
            assert!(Conversation::parse(Path::new("x"), broken).is_err(), "{broken:?}");
        }
    }
}
