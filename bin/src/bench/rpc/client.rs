//! A client that sends calls over HTTP and measures how long the answers take.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use eyre::{Result, ensure, eyre};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client as HttpClient, connect::HttpConnector},
    rt::TokioExecutor,
};
use rand::{SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

/// A method and its parameters.
pub(super) type Call = (&'static str, Value);

/// Makes what is measured as one: a call, or several that are sent one after the other.
pub(super) type Ask = Arc<dyn Fn(&mut StdRng) -> Vec<Call> + Send + Sync>;

/// Sends calls to one server. Clones share connections.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: HttpClient<HttpConnector, Full<Bytes>>,
    address: SocketAddr,
}

/// How an answer was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A result, of so many bytes with its frame.
    Answered(usize),
    /// An error object.
    Refused(Refused),
    /// The connection ended, or what came is no answer.
    Broken,
}

/// Why a call has no result.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Refused {
    pub code: i64,
    pub message: String,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        Self { http: HttpClient::builder(TokioExecutor::new()).build_http(), address }
    }

    /// Sends one call and reads the whole answer.
    pub async fn call(&self, method: &str, params: &Value) -> Outcome {
        match self.measure(method, params).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::Broken,
        }
    }

    /// Sends calls one after the other, as long as they are answered; gives the bytes of all answers.
    async fn call_all(&self, calls: &[Call]) -> Outcome {
        let mut bytes = 0;
        for (method, params) in calls {
            match self.call(method, params).await {
                Outcome::Answered(more) => bytes += more,
                other => return other,
            }
        }
        Outcome::Answered(bytes)
    }

    /// Reads the answer without keeping more of it than tells how it was.
    async fn measure(&self, method: &str, params: &Value) -> Result<Outcome> {
        let mut body = self.send(method, params).await?;
        let (mut head, mut last, mut length) = (Vec::new(), None, 0);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            let room = HEAD_KEPT - head.len();
            head.extend_from_slice(&data[..data.len().min(room)]);
            last = data.last().copied().or(last);
            length += data.len();
        }
        Ok(outcome(&head, last, length))
    }

    async fn exchange(&self, method: &str, params: &Value) -> Result<Bytes> {
        Ok(self.send(method, params).await?.collect().await?.to_bytes())
    }

    async fn send(&self, method: &str, params: &Value) -> Result<Incoming> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let request = hyper::Request::post(format!("http://{}/", self.address))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let response = self.http.request(request).await?;
        ensure!(response.status().is_success(), "status {}", response.status());
        Ok(response.into_body())
    }

    /// The result of one call.
    pub async fn result(&self, method: &str, params: &Value) -> Result<Value> {
        let mut answer: Value = serde_json::from_slice(&self.exchange(method, params).await?)?;
        answer.get_mut("result").map(Value::take).ok_or_else(|| eyre!("{method} {params}: {answer}"))
    }
}

/// Bytes of an answer that are kept: errors are shorter.
const HEAD_KEPT: usize = 4096;

/// Large answers are not taken apart: only whether they begin and end as a result does.
fn outcome(head: &[u8], last: Option<u8>, length: usize) -> Outcome {
    const RESULT: &[u8] = br#"{"jsonrpc":"2.0","id":1,"result":"#;
    if head.starts_with(RESULT) && last == Some(b'}') {
        return Outcome::Answered(length);
    }
    let Ok(answer) = serde_json::from_slice::<Value>(head) else { return Outcome::Broken };
    let error = &answer["error"];
    let Some(code) = error["code"].as_i64() else { return Outcome::Broken };
    Outcome::Refused(Refused { code, message: error["message"].as_str().unwrap_or_default().to_owned() })
}

/// What many calls took.
#[derive(Debug, Default)]
pub(super) struct Measured {
    /// How long each answer took, in microseconds; sorted.
    pub micros: Vec<u64>,
    /// How often a call got which error.
    pub refused: BTreeMap<Refused, u64>,
    /// Calls that got no answer.
    pub broken: u64,
    /// Bytes of all answers.
    pub bytes: u64,
    /// How long all of it took.
    pub elapsed: Duration,
}

impl Measured {
    /// The time within which this part of all calls was answered.
    pub fn quantile(&self, part: f64) -> Duration {
        let Some(last) = self.micros.len().checked_sub(1) else { return Duration::ZERO };
        let index = (last as f64 * part).round() as usize;
        Duration::from_micros(self.micros[index.min(last)])
    }

    pub fn per_second(&self) -> f64 {
        self.micros.len() as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    /// Calls that have no result.
    pub fn unanswered(&self) -> u64 {
        self.refused.values().sum::<u64>() + self.broken
    }

    /// Adds what was measured later.
    pub fn join(&mut self, later: Self) {
        self.elapsed += later.elapsed;
        self.add(later);
        self.micros.sort_unstable();
    }

    fn add(&mut self, other: Self) {
        self.micros.extend(other.micros);
        for (error, count) in other.refused {
            *self.refused.entry(error).or_default() += count;
        }
        self.broken += other.broken;
        self.bytes += other.bytes;
    }
}

/// Lets `clients` send calls, each one after the other, until `stop`.
pub(super) async fn load(
    address: SocketAddr,
    clients: usize,
    ask: &Ask,
    pause: Duration,
    stop: &Arc<AtomicBool>,
) -> Measured {
    let begun = Instant::now();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..clients {
        let (ask, stop, client) = (ask.clone(), stop.clone(), Client::new(address));
        running.spawn(async move {
            let mut random = StdRng::seed_from_u64(number as u64);
            let mut measured = Measured::default();
            while !stop.load(Ordering::Relaxed) {
                let calls = ask(&mut random);
                let sent = Instant::now();
                match client.call_all(&calls).await {
                    Outcome::Answered(bytes) => {
                        measured.micros.push(sent.elapsed().as_micros() as u64);
                        measured.bytes += bytes as u64;
                    }
                    Outcome::Refused(error) => *measured.refused.entry(error).or_default() += 1,
                    Outcome::Broken => measured.broken += 1,
                }
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            measured
        });
    }
    let mut all = Measured::default();
    while let Some(measured) = running.join_next().await {
        all.add(measured.unwrap_or_default());
    }
    all.micros.sort_unstable();
    all.elapsed = begun.elapsed();
    all
}
