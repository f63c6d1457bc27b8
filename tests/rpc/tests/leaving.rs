//! Clients that leave: what is worked on for them stops.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use portico_governor::{Class, Governor, GovernorSettings};
use portico_jsonrpc::{Namespace, NodeInfo};
use portico_query::QuerySettings;
use portico_server::{IpcSettings, PortSettings, RunningServer, ServerSettings, start};
use portico_test_support::fixture;
use portico_tests_rpc::RpcNode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

const CHAIN: &str = "besu-rpc/debug-geth/chain-data";
/// Within which work has to stop.
const STOP_TIME_MAX: Duration = Duration::from_millis(100);
/// How long anything is waited for.
const WAIT: Duration = Duration::from_secs(30);
/// Tries for each call: other programs may hold up one of them.
const TRIES: usize = 5;

struct Served {
    governor: Governor,
    server: RunningServer,
    ipc: PathBuf,
    _node: RpcNode,
    _folder: tempfile::TempDir,
}

/// A node on which calls may run for ten minutes.
async fn serve() -> Option<Served> {
    let chain = fixture(CHAIN)?;
    let settings = QuerySettings { call_gas_max: u64::MAX / 2, ..QuerySettings::default() };
    let node =
        RpcNode::import_with(&chain.join("genesis.json"), &chain.join("blocks.bin"), settings).unwrap();
    let mut bounds = GovernorSettings::default();
    for class in Class::ALL {
        let bounds = bounds.of_mut(class);
        // How soon work stops is measured, and not how soon a busy machine lets its thread run.
        (bounds.time, bounds.nice) = (Duration::from_secs(600), 0);
    }
    let governor = Governor::start(node.query().clone(), &bounds).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ipc = folder.path().join("portico.ipc");
    let namespaces = Namespace::ALL.to_vec();
    let port = PortSettings {
        address: ([127, 0, 0, 1], 0).into(),
        namespaces: namespaces.clone(),
        ..PortSettings::default()
    };
    let settings = ServerSettings {
        ports: vec![port],
        ipc: Some(IpcSettings { path: ipc.clone(), namespaces }),
        ..ServerSettings::default()
    };
    let server = start(&settings, &governor, &Arc::new(NodeInfo::new(String::new()))).await.unwrap();
    Some(Served { governor, server, ipc, _node: node, _folder: folder })
}

#[derive(Debug, Clone, Copy)]
enum Transport {
    Http,
    WebSocket,
    Ipc,
}

impl Served {
    /// Sends a request; the connection is open as long as what is returned.
    async fn send(&self, transport: Transport, request: &str) -> Box<dyn AsyncWrite + Unpin> {
        let address = self.server.addresses()[0];
        match transport {
            Transport::Http => {
                let head = format!(
                    "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    request.len()
                );
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all((head + request).as_bytes()).await.unwrap();
                Box::new(stream)
            }
            Transport::WebSocket => {
                let mut stream = TcpStream::connect(address).await.unwrap();
                stream.write_all(UPGRADE.as_bytes()).await.unwrap();
                let mut answer = Vec::new();
                while !answer.ends_with(b"\r\n\r\n") {
                    answer.push(stream.read_u8().await.unwrap());
                }
                assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
                stream.write_all(&frame(request)).await.unwrap();
                Box::new(stream)
            }
            Transport::Ipc => {
                let mut stream = UnixStream::connect(&self.ipc).await.unwrap();
                stream.write_all(request.as_bytes()).await.unwrap();
                Box::new(stream)
            }
        }
    }

    /// Waits until so many threads of the class work.
    async fn wait_for(&self, class: Class, running: usize, what: &str) {
        let begun = Instant::now();
        while self.governor.running(class) != running {
            assert!(begun.elapsed() < WAIT, "{what}: {} threads work", self.governor.running(class));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/// A text frame of a client (RFC 6455): masked, from 126 to 65,535 bytes long.
fn frame(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).ok().filter(|length| *length >= 126).unwrap();
    let mask = [1, 2, 3, 4];
    let masked = text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    [0x81, 0xfe].into_iter().chain(length.to_be_bytes()).chain(mask).chain(masked).collect()
}

/// Calls that run until somebody stops them, by class.
fn endless() -> Vec<(Class, &'static str, Value)> {
    let address = "0x00000000000000000000000000000000000000aa";
    let code = json!({ address: { "code": "0x5b600056" } });
    let call = json!({ "to": address, "gas": "0xffffffffffff" });
    let script = "{step(log){this.last=log.op.toString()},fault(){},result(){return 1}}";
    let traced = |tracer: &str| json!([call, "latest", { "stateOverrides": code, "tracer": tracer }]);
    vec![
        (Class::Call, "eth_call", json!([call, "latest", code])),
        (Class::Trace, "debug_traceCall", traced("callTracer")),
        (Class::Trace, "debug_traceCall", traced(script)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn work_stops_within_100_ms_when_the_client_leaves() {
    let Some(served) = serve().await else { return };
    for (class, method, params) in endless() {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        for transport in [Transport::Http, Transport::WebSocket, Transport::Ipc] {
            let what = format!("{method} over {transport:?}");
            let mut fastest = Duration::MAX;
            for _ in 0..TRIES {
                let connection = served.send(transport, &request).await;
                served.wait_for(class, 1, &format!("{what} did not begin")).await;
                // It is well under way.
                tokio::time::sleep(Duration::from_millis(30)).await;
                assert_eq!(served.governor.running(class), 1, "{what} has ended by itself");
                let left = Instant::now();
                drop(connection);
                served.wait_for(class, 0, &format!("{what} did not stop")).await;
                fastest = fastest.min(left.elapsed());
                if fastest < STOP_TIME_MAX {
                    break;
                }
            }
            assert!(fastest < STOP_TIME_MAX, "{what}: {fastest:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_socket_that_only_stops_writing_gets_its_answer() {
    let Some(served) = serve().await else { return };
    let mut stream = UnixStream::connect(&served.ipc).await.unwrap();
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "trace_filter", "params": [{}] });
    stream.write_all(request.to_string().as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert!(!answer["result"].as_array().unwrap().is_empty());
}
