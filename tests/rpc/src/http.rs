//! An HTTP client of few words.

use std::net::SocketAddr;

use eyre::{OptionExt, Result};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// An answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The body, without any content encoding.
    pub body: String,
}

impl HttpAnswer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.body)?)
    }
}

/// Sends one request: `verb` and `path`, with a content type and a body unless they are empty.
///
/// # Errors
/// When the server does not answer with HTTP.
pub async fn http_exchange(
    address: SocketAddr,
    verb: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> Result<HttpAnswer> {
    let mut head = format!("{verb} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    if !content_type.is_empty() {
        head += &format!("content-type: {content_type}\r\ncontent-length: {}\r\n", body.len());
    }
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_eyre("an answer without a head")?;
    let status = head.split(' ').nth(1).ok_or_eyre("an answer without a status")?.parse()?;
    Ok(HttpAnswer { status, body: body.to_owned() })
}
