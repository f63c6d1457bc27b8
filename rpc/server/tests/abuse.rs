//! Clients that take their time, and clients that leave things behind.

mod common;

use std::time::{Duration, Instant};

use common::{address, call, fixture, post, serve, settings};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use portico_server::ServerSettings;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long anything is waited for.
const WAIT: Duration = Duration::from_secs(20);

const UPGRADE: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_say_nothing_or_one_byte_at_a_time_are_cut_off() {
    let fixture = fixture();
    let settings =
        ServerSettings { request_time_max: Duration::from_millis(300), connections_max: 8, ..settings() };
    let server = serve(&fixture, &settings).await;
    let address = address(&server);
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    for (begin, trickle) in [
        (String::new(), ""),
        // What HTTP/2 begins with, and no more of it.
        ("PRI * HT".to_owned(), ""),
        (head.to_owned(), "x"),
        (format!("{head}content-length: 100000\r\n\r\n"), " "),
    ] {
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(begin.as_bytes()).await.unwrap();
        // Others are not held up by it.
        let answer = post(address, "/", "", &call("eth_blockNumber", json!([]))).await;
        assert_eq!(answer.json()["result"], "0x0");
        let begun = Instant::now();
        let mut answer = Vec::new();
        loop {
            // It goes on until there is nobody who would take it.
            let _ = slow.write_all(trickle.as_bytes()).await;
            let mut buffer = [0; 256];
            let read = tokio::time::timeout(Duration::from_millis(50), slow.read(&mut buffer)).await;
            match read {
                Ok(Ok(0) | Err(_)) => break,
                Ok(Ok(read)) => answer.extend_from_slice(&buffer[..read]),
                Err(_) => assert!(begun.elapsed() < WAIT, "{begin:?} is still connected"),
            }
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{begin:?}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_limit_wait_for_none_of_the_others() {
    let fixture = fixture();
    let settings = ServerSettings { connections_max: 2, ..settings() };
    let server = serve(&fixture, &settings).await;
    let held = [
        TcpStream::connect(address(&server)).await.unwrap(),
        TcpStream::connect(address(&server)).await.unwrap(),
    ];
    let mut refused = TcpStream::connect(address(&server)).await.unwrap();
    let read = tokio::time::timeout(WAIT, refused.read(&mut [0; 1])).await.expect("it is closed at once");
    assert!(matches!(read, Ok(0) | Err(_)));
    drop(held);
    let begun = Instant::now();
    loop {
        let mut stream = TcpStream::connect(address(&server)).await.unwrap();
        let _ =
            stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        if answer.starts_with("HTTP/1.1 200 ") {
            break;
        }
        assert!(begun.elapsed() < WAIT, "there is no room again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A text frame of a client (RFC 6455): masked, shorter than 126 bytes.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126).unwrap();
    let mask = [1, 2, 3, 4];
    let masked = text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [0x81, 0x80 | length].into_iter().chain(mask).chain(masked).collect()
}

/// The value of a gauge.
fn gauge(metrics: &PrometheusHandle, name: &str) -> f64 {
    let text = metrics.render();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

async fn wait_for(metrics: &PrometheusHandle, name: &str, wanted: f64) {
    let begun = Instant::now();
    while gauge(metrics, name) != wanted {
        assert!(begun.elapsed() < WAIT, "{name} is {}, not {wanted}", gauge(metrics, name));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_are_left_behind_end() {
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    let fixture = fixture();
    let server = serve(&fixture, &settings()).await;
    let mut connections = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(address(&server)).await.unwrap();
        stream.write_all(UPGRADE.as_bytes()).await.unwrap();
        for kind in ["newHeads", "logs", "syncing"] {
            stream.write_all(&frame(&call("eth_subscribe", json!([kind])).to_string())).await.unwrap();
        }
        connections.push(stream);
    }
    wait_for(&metrics, "portico_rpc_subscriptions", 30.0).await;
    drop(connections);
    wait_for(&metrics, "portico_rpc_subscriptions", 0.0).await;
}
