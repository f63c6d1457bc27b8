//! Subscriptions as a client on a WebSocket or on the socket in the file system sees them.

mod common;

use common::{call, fixture, serve};
use portico_chain::{insert_header, write_checkpoint};
use portico_jsonrpc::Namespace;
use portico_server::{IpcSettings, ServerSettings};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
};

struct Client {
    lines: tokio::io::Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

impl Client {
    async fn connect(path: &std::path::Path) -> Self {
        let (reader, writer) = UnixStream::connect(path).await.unwrap().into_split();
        Self { lines: BufReader::new(reader).lines(), writer }
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(std::time::Duration::from_secs(10), self.lines.next_line()).await;
        serde_json::from_str(&line.expect("a message within ten seconds").unwrap().unwrap()).unwrap()
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.writer.write_all(call(method, params).to_string().as_bytes()).await.unwrap();
        self.next().await
    }
}

async fn served() -> (common::Fixture, portico_server::RunningServer, Client) {
    let fixture = fixture();
    let path = fixture.folder.path().join("portico.ipc");
    let ipc = IpcSettings { path: path.clone(), namespaces: Namespace::ALL.to_vec() };
    let settings = ServerSettings { ports: Vec::new(), ipc: Some(ipc), ..ServerSettings::default() };
    let server = serve(&fixture, &settings).await;
    let client = Client::connect(&path).await;
    (fixture, server, client)
}

#[tokio::test]
async fn syncing_is_told_when_it_begins_and_ends() {
    let (fixture, _server, mut client) = served().await;
    let id = client.ask("eth_subscribe", json!(["syncing"])).await["result"].clone();
    let digits = id.as_str().and_then(|id| id.strip_prefix("0x")).unwrap();
    assert!(digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
    let txn = fixture.database.begin_rw().unwrap();
    let mut header = fixture.governor.query().spec().genesis_header().clone();
    header.number = 1;
    insert_header(&txn, &header, header.hash_slow(), header.difficulty).unwrap();
    txn.commit().unwrap();
    let message = client.next().await;
    assert_eq!((&message["method"], &message["params"]["subscription"]), (&json!("eth_subscription"), &id));
    assert_eq!(message["params"]["result"]["syncing"], true);
    assert_eq!(message["params"]["result"]["status"]["highestBlock"], "0x1");
    let answer = client.ask("eth_unsubscribe", json!([id])).await;
    assert_eq!(answer["result"], true);
    let again = client.ask("eth_unsubscribe", json!([id])).await;
    assert_eq!(again["result"], false);
    let txn = fixture.database.begin_rw().unwrap();
    write_checkpoint(&txn, "Finish", 0).unwrap();
    txn.commit().unwrap();
}

#[tokio::test]
async fn subscriptions_that_make_no_sense_are_refused() {
    let (_fixture, _server, mut client) = served().await;
    for (params, code) in [
        (json!(["newHeadss"]), -32602),
        (json!([]), -32602),
        (json!(["logs", { "address": "0x01" }]), -32602),
        (json!(["logs", { "topics": [[], [], [], [], []] }]), -32602),
        (
            json!(["transactionReceipts", { "transactionHashes": vec![alloy_primitives::B256::ZERO; 201] }]),
            -32602,
        ),
        (json!(["newPendingTransactions"]), -32004),
    ] {
        let answer = client.ask("eth_subscribe", params.clone()).await;
        assert_eq!(answer["error"]["code"], code, "{params}: {answer}");
    }
}
