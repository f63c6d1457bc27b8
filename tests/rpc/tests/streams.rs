//! Large answers over HTTP: whole, or cut off.

use std::sync::Arc;

use portico_governor::{Governor, GovernorSettings};
use portico_jsonrpc::{Namespace, NodeInfo};
use portico_query::QuerySettings;
use portico_server::{PortSettings, RunningServer, ServerSettings, start};
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const CHAIN: &str = "besu-rpc/debug-geth/chain-data";
/// The last chunk of a body that is complete.
const END: &str = "\r\n0\r\n\r\n";

struct Served {
    node: RpcNode,
    server: RunningServer,
}

async fn serve(limits: &[&str]) -> Option<Served> {
    let folder = fixture(CHAIN)?;
    let settings = QuerySettings { call_gas_max: u64::MAX / 2, ..QuerySettings::default() };
    let node =
        RpcNode::import_with(&folder.join("genesis.json"), &folder.join("blocks.bin"), settings).unwrap();
    let mut bounds = GovernorSettings::default();
    limits.iter().for_each(|limit| bounds.set(limit).unwrap());
    let governor = Governor::start(node.query().clone(), &bounds).unwrap();
    let port = PortSettings {
        address: ([127, 0, 0, 1], 0).into(),
        namespaces: Namespace::ALL.to_vec(),
        ..PortSettings::default()
    };
    let settings = ServerSettings { ports: vec![port], ..ServerSettings::default() };
    let server = start(&settings, &governor, &Arc::new(NodeInfo::new(String::new()))).await.unwrap();
    Some(Served { node, server })
}

fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

impl Served {
    /// Sends a request and leaves the answer to be read.
    async fn send(&self, request: &Value) -> TcpStream {
        let body = request.to_string();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(self.server.addresses()[0]).await.unwrap();
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        stream
    }

    /// The header and the body as it came.
    async fn exchange(&self, request: &Value) -> (String, String) {
        let mut bytes = Vec::new();
        // A connection that is cut off ends with an error or without.
        let _ = self.send(request).await.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        // What is cut off early may not even have begun.
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        (head.to_lowercase(), body.to_owned())
    }

    /// The request whose answer is the longest.
    async fn longest(&self) -> (Value, String) {
        let head = self.node.query().snapshot().unwrap().head();
        let mut found = (Value::Null, String::new());
        for number in 1..=head {
            let request = request(
                "debug_traceBlockByNumber",
                json!([format!("{number:#x}"), { "enableMemory": true }]),
            );
            let answer = self.node.call(&request).await.unwrap().to_string();
            if answer.len() > found.1.len() {
                found = (request, answer);
            }
        }
        found
    }
}

/// The text in chunks of a body (RFC 9112).
fn joined(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        text.push_str(&rest[..length]);
        body = rest[length..].trim_start_matches("\r\n");
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_answer_arrives_in_chunks_and_whole() {
    let Some(served) = serve(&[]).await else { return };
    let (request, expected) = served.longest().await;
    assert!(expected.len() > 200_000, "{} bytes are no large answer", expected.len());
    let (head, body) = served.exchange(&request).await;
    assert!(head.contains("transfer-encoding: chunked") && head.contains("content-type: application/json"));
    assert!(body.ends_with(END));
    let answer: Value = serde_json::from_str(&joined(&body)).unwrap();
    assert_eq!(answer, serde_json::from_str::<Value>(&expected).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_over_its_limit_is_an_error_or_cut_off_but_never_half() {
    let Some(served) = serve(&["trace.bytes=20000"]).await else { return };
    let (request, _) = served.longest().await;
    let (_, body) = served.exchange(&request).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer["error"]["code"], -32005, "nothing was sent yet: {answer}");

    let served = serve(&["trace.bytes=150000"]).await.unwrap();
    let (_, body) = served.exchange(&request).await;
    assert!(body.len() < 150_100 && !body.ends_with(END), "{} bytes came", body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_gets_no_answer() {
    let Some(served) = serve(&[]).await else { return };
    let one = json!({ "jsonrpc": "2.0", "method": "eth_call", "params": [{}, "latest"] });
    for notified in [one.clone(), json!([one, one])] {
        let (head, body) = served.exchange(&notified).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(body, "", "to {notified}");
    }
    let (_, body) = served.exchange(&json!([one, request("eth_chainId", json!([]))])).await;
    let answer: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(answer.as_array().unwrap().len(), 1, "{answer}");
}
