//! A server over a socket, on a database with nothing but a genesis block, and a client of few words.

#![expect(dead_code, reason = "no test target uses all of it")]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use portico_chain::insert_genesis;
use portico_chainspec::ChainSpec;
use portico_db::{Database, DatabaseSettings, LiveDatabase};
use portico_governor::{Governor, GovernorSettings};
use portico_jsonrpc::NodeInfo;
use portico_query::{Query, QuerySettings};
use portico_server::{PortSettings, RunningServer, ServerSettings, start};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub struct Fixture {
    pub database: Arc<Database>,
    pub governor: Governor,
    pub folder: TempDir,
}

pub fn fixture() -> Fixture {
    fixture_with(&GovernorSettings::default())
}

pub fn fixture_with(governor: &GovernorSettings) -> Fixture {
    let folder = TempDir::new().unwrap();
    let database = Arc::new(Database::open(folder.path(), &DatabaseSettings::default()).unwrap());
    let spec = ChainSpec::dev();
    let txn = database.begin_rw().unwrap();
    insert_genesis(&txn, spec.genesis_header(), spec.genesis_hash()).unwrap();
    txn.commit().unwrap();
    let query = Query::new(LiveDatabase::of(database.clone()), spec, QuerySettings::default());
    let governor = Governor::start(query, governor).unwrap();
    Fixture { database, governor, folder }
}

pub fn port() -> PortSettings {
    PortSettings { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..Default::default() }
}

pub fn settings() -> ServerSettings {
    with_port(port())
}

pub fn with_port(port: PortSettings) -> ServerSettings {
    ServerSettings { ports: vec![port], ..Default::default() }
}

pub async fn serve(fixture: &Fixture, settings: &ServerSettings) -> RunningServer {
    let node = Arc::new(NodeInfo::new("Portico/test".to_owned()));
    start(settings, &fixture.governor, &node).await.unwrap()
}

pub fn address(server: &RunningServer) -> SocketAddr {
    server.addresses()[0]
}

pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

pub async fn exchange(address: SocketAddr, request: String) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses a request need not read all of it.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (headers, body) = text.split_once("\r\n\r\n").unwrap();
    let status = headers[9..12].parse().unwrap();
    Answer { status, headers: headers.to_lowercase(), body: body.to_owned() }
}

pub async fn get(address: SocketAddr, path: &str) -> Answer {
    exchange(address, format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await
}

pub async fn post(address: SocketAddr, path: &str, headers: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let length = body.len();
    exchange(
        address,
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
        ),
    )
    .await
}

pub fn call(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}
