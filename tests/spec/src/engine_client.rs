//! A consensus client of few words: calls over HTTP with a token in each, and blocks in the form of calls.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, SystemTime},
};

use alloy_consensus::{Block, Transaction as _};
use alloy_eips::eip7685::Requests;
use alloy_primitives::{B256, Bytes, U256, hex};
use alloy_rpc_types_engine::{ExecutionPayload, ExecutionPayloadV4};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use portico_chain::BlockParts;
use portico_chainspec::{ChainSpec, Fork};
use serde_json::{Value, json};

/// How long an answer is waited for.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);
/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// A connection that stays open.
#[derive(Debug)]
pub struct EngineClient {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    secret: Option<Vec<u8>>,
}

/// An answer over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpReply {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

#[derive(serde::Serialize)]
struct Claims {
    iat: u64,
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[expect(clippy::disallowed_methods, reason = "tokens say when they were made")]
fn token(secret: &[u8]) -> io::Result<String> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let claims = Claims { iat: now.map_or(0, |elapsed| elapsed.as_secs()) };
    let key = EncodingKey::from_secret(secret);
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).map_err(io::Error::other)
}

fn open(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    Ok(BufReader::new(stream))
}

impl EngineClient {
    /// Connects; `secret` is the text of the file that both sides have, none for a port without authentication.
    ///
    /// # Errors
    /// When nobody listens, or the secret is no hex.
    pub fn connect(address: SocketAddr, secret: Option<&str>) -> io::Result<Self> {
        let stream = open(address)?;
        let secret = secret.map(|secret| hex::decode(secret.trim())).transpose().map_err(io::Error::other)?;
        Ok(Self { address, stream, secret })
    }

    /// Opens another connection, for callers who paused for longer than the server keeps one that is idle.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn reconnect(&mut self) -> io::Result<()> {
        self.stream = open(self.address)?;
        Ok(())
    }

    /// Calls a method; gives the whole answer, which may be an error of the method.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no JSON.
    pub fn call(&mut self, method: &str, params: &Value) -> io::Result<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        Ok(serde_json::from_slice(&self.exchange(&body)?.body)?)
    }

    /// Sends a body and waits for the answer.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no HTTP.
    pub fn exchange(&mut self, body: &str) -> io::Result<HttpReply> {
        self.send(body)?;
        self.receive()
    }

    /// Sends a body, whose answer is still to be received.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn send(&mut self, body: &str) -> io::Result<()> {
        let authorization = match &self.secret {
            Some(secret) => format!("Authorization: Bearer {}\r\n", token(secret)?),
            None => String::new(),
        };
        let head = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\n{authorization}Content-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        self.stream.get_mut().write_all(&[head.as_bytes(), body.as_bytes()].concat())
    }

    fn receive(&mut self) -> io::Result<HttpReply> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| invalid("an answer without a status"))?;
        let (mut length, mut is_chunked) = (None, false);
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse::<usize>().ok();
            }
            is_chunked |= name.eq_ignore_ascii_case("transfer-encoding") && value.trim() == "chunked";
        }
        let mut body = Vec::new();
        if !is_chunked {
            self.read(length.ok_or_else(|| invalid("an answer without a length"))?, &mut body)?;
            return Ok(HttpReply { status, body });
        }
        loop {
            let line = self.line()?;
            let length = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16);
            let length = length.map_err(|_| invalid("a chunk without a length"))?;
            self.read(length, &mut body)?;
            self.line()?;
            if length == 0 {
                return Ok(HttpReply { status, body });
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn read(&mut self, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
        let start = body.len();
        let end = start.checked_add(length).filter(|end| *end <= ANSWER_BYTES_MAX);
        body.resize(end.ok_or_else(|| invalid("an answer of absurd length"))?, 0);
        self.stream.read_exact(&mut body[start..])
    }
}

/// What a payload comes with that its block does not hold.
#[derive(Debug, Clone, Default)]
pub struct BesidePayload {
    /// From Prague on.
    pub requests: Option<Requests>,
    /// RLP of the block access list, from Amsterdam on.
    pub access_list: Option<Bytes>,
}

/// `engine_newPayload` for a block, of the version that its fork asks for: the method, and the parameters.
pub fn new_payload_call(spec: &ChainSpec, block: &BlockParts, beside: BesidePayload) -> (String, Value) {
    let header = &block.header;
    let fork = spec.fork_at(spec.block_context(header.number, header.timestamp, U256::MAX));
    let version = match fork {
        fork if fork >= Fork::Amsterdam => 5,
        fork if fork >= Fork::Prague => 4,
        fork if fork >= Fork::Cancun => 3,
        fork if fork >= Fork::Shanghai => 2,
        _ => 1,
    };
    let typed: Block<_> = block.clone().into_block();
    let payload = if version >= 5 {
        let list = beside.access_list.unwrap_or_default();
        ExecutionPayload::V4(ExecutionPayloadV4::from_block_unchecked_with_bal(block.hash, &typed, list))
    } else {
        ExecutionPayload::from_block_unchecked(block.hash, &typed).0
    };
    let mut params = vec![json!(payload)];
    if version >= 3 {
        let hashes = block.transactions.iter().filter_map(|tx| tx.blob_versioned_hashes());
        let hashes: Vec<B256> = hashes.flatten().copied().collect();
        params.extend([json!(hashes), json!(header.parent_beacon_block_root.unwrap_or_default())]);
    }
    if version >= 4 {
        params.push(json!(beside.requests.unwrap_or_default()));
    }
    (format!("engine_newPayloadV{version}"), json!(params))
}
