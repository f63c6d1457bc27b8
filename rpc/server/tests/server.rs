//! The server as clients see it, over a socket, on a database with nothing but a genesis block.

mod common;

use std::sync::Arc;

use common::{address, call, exchange, fixture, get, port, post, serve, settings, with_port};
use portico_chain::{insert_header, write_checkpoint};
use portico_jsonrpc::{Namespace, NodeInfo};
use portico_server::{PortSettings, ServerError, ServerSettings, start};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test]
async fn calls_are_answered_alone_and_in_batches() {
    let fixture = fixture();
    let server = serve(&fixture, &settings()).await;
    let address = address(&server);
    let answer = post(address, "/", "", &call("eth_chainId", json!([]))).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "jsonrpc": "2.0", "id": 1, "result": "0x539" }))
    );
    let batch = json!([call("web3_clientVersion", json!([])), call("net_version", json!([]))]);
    let answer = post(address, "/", "", &batch).await.json();
    assert_eq!((&answer[0]["result"], &answer[1]["result"]), (&json!("Portico/test"), &json!("1337")));
    let answer = post(address, "/", "", &call("rpc_modules", json!([]))).await.json();
    assert_eq!(answer["result"], json!({ "eth": "1.0", "net": "1.0", "web3": "1.0", "rpc": "1.0" }));
    let answer = post(address, "/", "", &call("web3_sha3", json!(["0x"]))).await.json();
    assert_eq!(answer["result"], "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    server.stop().await;
}

#[tokio::test]
async fn refused_arguments_say_why() {
    let fixture = fixture();
    let server = serve(&fixture, &settings()).await;
    let calls = [
        call("eth_getBlockByNumber", json!(["5", false])),
        call("eth_getStorageAt", json!(["0xaa00000000000000000000000000000000000000", "0xasdf", "latest"])),
        call("eth_getLogs", json!([{ "address": "0x01" }])),
    ];
    let reasons =
        ["hex string without 0x prefix", "invalid hex in storage key", "expected an address of 20 bytes"];
    let answers = post(address(&server), "/", "", &json!(calls)).await.json();
    for (index, reason) in reasons.into_iter().enumerate() {
        let alone = post(address(&server), "/", "", &calls[index]).await.json();
        assert_eq!(alone, answers[index], "alone and in a batch");
        assert_eq!(alone["error"]["code"], -32602);
        let message = alone["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("invalid argument: ") && message.contains(reason), "{message}");
    }
}

#[tokio::test]
async fn only_namespaces_of_the_settings_are_served() {
    let fixture = fixture();
    let settings = with_port(PortSettings { namespaces: vec![Namespace::Net], ..port() });
    let server = serve(&fixture, &settings).await;
    let answer = post(address(&server), "/", "", &call("eth_chainId", json!([]))).await.json();
    assert_eq!(answer["error"]["code"], -32601);
    let answer = post(address(&server), "/", "", &call("net_peerCount", json!([]))).await.json();
    assert_eq!(answer["result"], "0x0");
}

#[tokio::test]
async fn limits_are_kept() {
    let fixture = fixture();
    let port = PortSettings { graphql: true, ..port() };
    let settings = ServerSettings { request_bytes_max: 1000, batch_max: 2, ..with_port(port) };
    let server = serve(&fixture, &settings).await;
    let long = call("web3_sha3", json!([format!("0x{}", "00".repeat(1000))]));
    let answer = post(address(&server), "/", "", &long).await;
    assert_eq!(answer.status, 413);
    let batch = vec![call("eth_chainId", json!([])); 3];
    let answer = post(address(&server), "/", "", &json!(batch)).await.json();
    assert_eq!(answer["error"]["code"], -32010);
    let answer = post(address(&server), "/graphql", "", &json!({ "query": " ".repeat(1001) })).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn health_and_readiness_are_told_apart() {
    let fixture = fixture();
    let server = serve(&fixture, &settings()).await;
    let address = address(&server);
    assert_eq!(get(address, "/health").await.json(), json!({ "status": "up" }));
    let ready = get(address, "/ready").await;
    assert_eq!((ready.status, ready.json()), (200, json!({ "ready": true, "head": 0 })));

    let txn = fixture.database.begin_rw().unwrap();
    let mut header = fixture.governor.query().spec().genesis_header().clone();
    header.number = 1;
    insert_header(&txn, &header, header.hash_slow(), header.difficulty).unwrap();
    txn.commit().unwrap();
    let ready = get(address, "/ready").await;
    assert_eq!((ready.status, ready.json()), (503, json!({ "ready": false, "head": 0, "highest": 1 })));
    let syncing = post(address, "/", "", &call("eth_syncing", json!([]))).await.json();
    assert_eq!(syncing["result"]["highestBlock"], "0x1");
    let beyond = post(address, "/", "", &call("eth_getBlockByNumber", json!(["0x1", false]))).await.json();
    assert_eq!(
        beyond["result"],
        json!(null),
        "blocks behind the head are not told before every stage is done"
    );

    let txn = fixture.database.begin_rw().unwrap();
    write_checkpoint(&txn, "Finish", 1).unwrap();
    txn.commit().unwrap();
    assert_eq!(get(address, "/ready").await.json(), json!({ "ready": true, "head": 1 }));
}

#[tokio::test]
async fn strangers_are_kept_out() {
    let fixture = fixture();
    let origins = vec!["https://good.example".to_owned()];
    let server = serve(&fixture, &with_port(PortSettings { cors_origins: origins, ..port() })).await;
    let address = address(&server);
    let body = call("eth_chainId", json!([]));
    let good = post(address, "/", "origin: https://good.example\r\n", &body).await;
    assert!(good.headers.contains("access-control-allow-origin: https://good.example"));
    let evil = post(address, "/", "origin: https://evil.example\r\n", &body).await;
    assert!(!evil.headers.contains("access-control-allow-origin"));
    let rebound = "GET /health HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n".to_owned();
    assert_eq!(exchange(address, rebound).await.status, 403);
}

/// A text frame of a client (RFC 6455): masked, shorter than 126 bytes.
fn frame(text: &str) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126).unwrap();
    let masked = text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [0x81, 0x80 | length].into_iter().chain(mask).chain(masked).collect()
}

#[tokio::test]
async fn connections_become_websockets_when_the_settings_say_so() {
    const UPGRADE: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    let fixture = fixture();
    let server = serve(&fixture, &settings()).await;
    let mut stream = TcpStream::connect(address(&server)).await.unwrap();
    stream.write_all(UPGRADE.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    stream.write_all(&frame(&call("eth_blockNumber", json!([])).to_string())).await.unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.unwrap();
    let mut text = vec![0; head[1].into()];
    stream.read_exact(&mut text).await.unwrap();
    let answer: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((head[0], &answer["result"]), (0x81, &json!("0x0")));

    let server = serve(&fixture, &with_port(PortSettings { websocket: false, ..port() })).await;
    let answer =
        exchange(address(&server), UPGRADE.replace("connection: upgrade", "connection: upgrade, close"))
            .await;
    assert_ne!(answer.status, 101);
}

#[tokio::test]
async fn graphql_is_there_when_asked_for() {
    let fixture = fixture();
    let server = serve(&fixture, &settings()).await;
    let query =
        json!({ "query": "{ chainID block { number hash transactionCount } syncing { currentBlock } }" });
    assert_eq!(post(address(&server), "/graphql", "", &query).await.status, 404);

    let server = serve(&fixture, &with_port(PortSettings { graphql: true, ..port() })).await;
    let answer = post(address(&server), "/graphql", "", &query).await;
    let block = json!({
        "number": "0x0", "hash": fixture.governor.query().spec().genesis_hash(), "transactionCount": "0x0",
    });
    let expected = json!({ "data": { "chainID": "0x539", "block": block, "syncing": null } });
    assert_eq!((answer.status, answer.json()), (200, expected));
    let answer = post(address(&server), "/graphql", "", &json!({ "query": "{ nothing }" })).await;
    assert_eq!(answer.status, 400);
    assert!(answer.json()["errors"][0]["message"].as_str().unwrap().contains("nothing"));
    assert!(get(address(&server), "/graphql").await.body.contains("Portico GraphQL"));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let fixture = fixture();
    let server = serve(&fixture, &settings()).await;
    let settings = with_port(PortSettings { address: address(&server), ..port() });
    let node = Arc::new(NodeInfo::new(String::new()));
    let error = start(&settings, &fixture.governor, &node).await.unwrap_err();
    assert!(
        matches!(&error, ServerError::Bind { address, .. } if *address == server.addresses()[0]),
        "{error}"
    );
}
