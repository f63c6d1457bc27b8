//! Ways in besides plain HTTP, and clients that behave badly.

mod common;

use std::time::Duration;

use common::{address, call, exchange, fixture, fixture_with, get, port, post, serve, settings, with_port};
use portico_governor::{Class, GovernorSettings};
use portico_jsonrpc::Namespace;
use portico_server::{AuthSettings, IpcSettings, PortSettings, ServerError, ServerSettings, TlsFiles, start};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpStream, UnixStream},
};

const PASSWORD: &str = "correct horse";

/// A users file whose only user may call `net_*` and `eth_chainId`.
fn users() -> String {
    let hash = bcrypt::hash(PASSWORD, 4).unwrap();
    format!("[Users.ann]\npassword = \"{hash}\"\npermissions = [\"net:*\", \"eth:chainId\"]\n")
}

fn with_auth(auth: AuthSettings) -> ServerSettings {
    with_port(PortSettings { auth: Some(auth), graphql: true, ..port() })
}

#[tokio::test]
async fn users_get_a_token_and_may_call_what_they_are_allowed() {
    let fixture = fixture();
    let file = fixture.folder.path().join("users.toml");
    std::fs::write(&file, users()).unwrap();
    let server =
        serve(&fixture, &with_auth(AuthSettings { users: Some(file), ..AuthSettings::default() })).await;
    let address = address(&server);
    assert_eq!(post(address, "/", "", &call("eth_chainId", json!([]))).await.status, 401);
    assert_eq!(post(address, "/graphql", "", &json!({ "query": "{ chainID }" })).await.status, 401);
    assert_eq!(get(address, "/health").await.status, 200, "health checks carry no token");
    for (user, password) in [("ann", "wrong"), ("bob", PASSWORD)] {
        let login = json!({ "username": user, "password": password });
        assert_eq!(post(address, "/login", "", &login).await.status, 401);
    }
    let login = json!({ "username": "ann", "password": PASSWORD });
    let token = post(address, "/login", "", &login).await.json()["token"].as_str().unwrap().to_owned();
    let bearer = format!("authorization: Bearer {token}\r\n");
    let batch = json!([
        call("eth_chainId", json!([])),
        call("net_version", json!([])),
        call("eth_blockNumber", json!([])),
    ]);
    let answers = post(address, "/", &bearer, &batch).await.json();
    assert_eq!((&answers[0]["result"], &answers[1]["result"]), (&json!("0x539"), &json!("1337")));
    assert_eq!(answers[2]["error"], json!({ "code": -40100, "message": "Unauthorized" }));
    let forged = format!("authorization: Bearer {}x\r\n", token);
    assert_eq!(post(address, "/", &forged, &call("eth_chainId", json!([]))).await.status, 401);
}

#[tokio::test]
async fn tokens_of_others_are_checked_with_their_key() {
    let fixture = fixture();
    let file = fixture.folder.path().join("secret");
    std::fs::write(&file, format!("0x{}\n", "5a".repeat(32))).unwrap();
    let auth = AuthSettings { token_key: Some(file), ..AuthSettings::default() };
    let server = serve(&fixture, &with_auth(auth)).await;
    let token = |secret: &[u8], seconds_left: i64, algorithm| {
        let now = jsonwebtoken::get_current_timestamp();
        let claims = json!({ "permissions": ["*:*"], "exp": now.checked_add_signed(seconds_left).unwrap() });
        let key = jsonwebtoken::EncodingKey::from_secret(secret);
        jsonwebtoken::encode(&jsonwebtoken::Header::new(algorithm), &claims, &key).unwrap()
    };
    let status = async |token: String| {
        let bearer = format!("authorization: Bearer {token}\r\n");
        post(address(&server), "/", &bearer, &call("eth_chainId", json!([]))).await.status
    };
    let (right, wrong) = ([0x5a; 32], [0x5b; 32]);
    let hs256 = jsonwebtoken::Algorithm::HS256;
    assert_eq!(status(token(&right, 60, hs256)).await, 200);
    assert_eq!(status(token(&right, -3600, hs256)).await, 401, "it has ended");
    assert_eq!(status(token(&wrong, 60, hs256)).await, 401);
    assert_eq!(status(token(&right, 60, jsonwebtoken::Algorithm::HS512)).await, 401, "of another kind");
    assert_eq!(status("e30.e30.".to_owned()).await, 401);
    assert_eq!(post(address(&server), "/login", "", &json!({})).await.status, 422);
}

#[tokio::test]
async fn a_users_file_that_makes_no_sense_is_named() {
    let fixture = fixture();
    let file = fixture.folder.path().join("users.toml");
    std::fs::write(&file, "[Users.ann]\npassword = \"plain\"\n").unwrap();
    let settings = with_auth(AuthSettings { users: Some(file.clone()), ..AuthSettings::default() });
    let node = std::sync::Arc::new(portico_jsonrpc::NodeInfo::new(String::new()));
    let error = start(&settings, &fixture.governor, &node).await.unwrap_err();
    assert!(matches!(&error, ServerError::BadFile { path, .. } if *path == file), "{error}");
    assert!(error.to_string().contains("the password of ann is not a bcrypt hash"), "{error}");
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_ask() {
    let fixture = fixture();
    let server = serve(&fixture, &settings()).await;
    let batch = json!(vec![call("eth_getBlockByNumber", json!(["0x0", false])); 20]);
    let plain = post(address(&server), "/", "", &batch).await;
    let body = batch.to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\naccept-encoding: gzip\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address(&server)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let head = String::from_utf8_lossy(&bytes[..300.min(bytes.len())]).to_lowercase();
    assert!(head.contains("content-encoding: gzip"), "{head}");
    assert!(bytes.len() * 4 < plain.body.len(), "{} of {}", bytes.len(), plain.body.len());
}

#[tokio::test]
async fn encrypted_connections_are_served() {
    let fixture = fixture();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificates, key) = (fixture.folder.path().join("cert.pem"), fixture.folder.path().join("key.pem"));
    std::fs::write(&certificates, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = Some(TlsFiles { certificates: certificates.clone(), key });
    let server = serve(&fixture, &with_port(PortSettings { tls, ..port() })).await;

    use tokio_rustls::rustls;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = TcpStream::connect(address(&server)).await.unwrap();
    let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("{\"status\":\"up\"}"), "{answer}");

    let tls = Some(TlsFiles { certificates, key: fixture.folder.path().join("missing.pem") });
    let node = std::sync::Arc::new(portico_jsonrpc::NodeInfo::new(String::new()));
    let settings = with_port(PortSettings { tls, ..port() });
    let error = start(&settings, &fixture.governor, &node).await.unwrap_err();
    assert!(error.to_string().contains("missing.pem"), "{error}");
}

#[tokio::test]
async fn the_socket_in_the_file_system_answers_values_one_after_another() {
    let fixture = fixture();
    let path = fixture.folder.path().join("portico.ipc");
    let ipc = IpcSettings { path: path.clone(), namespaces: Namespace::ALL.to_vec() };
    let settings = ServerSettings { ports: Vec::new(), ipc: Some(ipc), ..ServerSettings::default() };
    let server = serve(&fixture, &settings).await;
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "only the user that runs the node");
    let (reader, mut writer) = UnixStream::connect(&path).await.unwrap().into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut next =
        async || -> Value { serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap() };
    // No line break, and a request in two parts.
    let text = call("eth_chainId", json!([])).to_string();
    writer.write_all(&text.as_bytes()[..10]).await.unwrap();
    writer.flush().await.unwrap();
    writer.write_all(&text.as_bytes()[10..]).await.unwrap();
    assert_eq!(next().await["result"], "0x539");
    let batch = json!([call("net_version", json!([])), call("nothing", json!([])), 5]);
    writer.write_all(batch.to_string().as_bytes()).await.unwrap();
    let answer = next().await;
    assert_eq!(answer[0]["result"], "1337");
    assert_eq!((&answer[1]["error"]["code"], &answer[2]["error"]["code"]), (&json!(-32601), &json!(-32600)));
    writer.write_all(b"hello").await.unwrap();
    assert_eq!(next().await["error"]["code"], -32700);
    assert!(lines.next_line().await.unwrap().is_none(), "the connection ends after what is no request");

    let node = std::sync::Arc::new(portico_jsonrpc::NodeInfo::new(String::new()));
    let error = start(&settings, &fixture.governor, &node).await.unwrap_err();
    assert!(error.to_string().contains("another process listens there"), "{error}");
    server.stop().await;
    drop(std::os::unix::net::UnixListener::bind(fixture.folder.path().join("left.ipc")).unwrap());
    let left = IpcSettings { path: fixture.folder.path().join("left.ipc"), namespaces: Vec::new() };
    let settings = ServerSettings { ports: Vec::new(), ipc: Some(left), ..ServerSettings::default() };
    serve(&fixture, &settings).await.stop().await;
}

#[tokio::test]
async fn websockets_may_have_a_port_of_their_own() {
    let fixture = fixture();
    let server = serve(&fixture, &with_port(PortSettings { http: false, ..port() })).await;
    assert_eq!(post(address(&server), "/", "", &call("eth_chainId", json!([]))).await.status, 403);
    let upgrade = "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    let mut stream = TcpStream::connect(address(&server)).await.unwrap();
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
}

#[tokio::test]
async fn streamed_methods_refuse_what_makes_no_sense_like_the_others() {
    let fixture = fixture();
    let port = PortSettings { namespaces: vec![Namespace::Trace], ..port() };
    let server = serve(&fixture, &with_port(port)).await;
    let address = address(&server);
    let bad = call("trace_filter", json!([{ "fromAddress": "0x01" }]));
    let alone = post(address, "/", "", &bad).await;
    assert_eq!(alone.status, 200);
    let in_batch = post(address, "/", "", &json!([bad])).await.json();
    assert_eq!(alone.json(), in_batch[0], "streamed or not");
    assert_eq!(alone.json()["error"]["code"], -32602);
    let nothing = post(address, "/", "", &call("trace_filter", json!([{}]))).await;
    assert_eq!(nothing.json(), json!({ "jsonrpc": "2.0", "id": 1, "result": [] }));
    let unknown =
        post(address, "/", "", &call("trace_replayBlockTransactions", json!(["0x5", ["trace"]]))).await;
    assert_eq!(unknown.json()["result"], json!(null));
    let reversed = call("trace_filter", json!([{ "fromBlock": "0x5", "toBlock": "0x0" }]));
    assert!(post(address, "/", "", &reversed).await.json()["error"]["message"].is_string());
}

#[tokio::test]
async fn a_class_without_room_refuses_and_the_others_answer() {
    let mut limits = GovernorSettings::default();
    for limit in ["trace.threads=1", "trace.queue=1", "trace.wait=1", "trace.nice=0"] {
        limits.set(limit).unwrap();
    }
    let fixture = fixture_with(&limits);
    let port = PortSettings { namespaces: vec![Namespace::Trace, Namespace::Eth], ..port() };
    let server = serve(&fixture, &with_port(port)).await;
    let address = address(&server);
    let (release, wait) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let governor = fixture.governor.clone();
    let hog = tokio::spawn(async move {
        let hold = move |_| {
            begun.send(()).unwrap();
            wait.recv()
        };
        governor.run(Class::Trace, hold).await
    });
    has_begun.await.unwrap();
    let request = call("trace_filter", json!([{}]));
    // One waits in the only place of the queue; those who give up leave it free.
    for _ in 0..3 {
        let gives_up = post(address, "/", "", &request);
        assert!(tokio::time::timeout(Duration::from_millis(100), gives_up).await.is_err());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let waiting = {
        let request = request.clone();
        tokio::spawn(async move { post(address, "/", "", &request).await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    let full = post(address, "/", "", &request).await.json();
    assert_eq!(full["error"]["code"], -32005);
    assert!(full["error"]["message"].as_str().unwrap().contains("trace.queue"), "{full}");
    let waited = waiting.await.unwrap().json();
    assert_eq!(waited["error"]["code"], -32005);
    assert!(waited["error"]["message"].as_str().unwrap().contains("trace.wait"), "{waited}");
    assert_eq!(post(address, "/", "", &call("eth_blockNumber", json!([]))).await.json()["result"], "0x0");
    release.send(()).unwrap();
    hog.await.unwrap().unwrap().unwrap();
    assert_eq!(post(address, "/", "", &request).await.json()["result"], json!([]));
}

#[tokio::test]
async fn a_client_that_leaves_stops_its_call() {
    let mut limits = GovernorSettings::default();
    limits.set("trace.nice=0").unwrap();
    let fixture = fixture_with(&limits);
    let (told, stopped) = std::sync::mpsc::channel();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let work = fixture.governor.run(Class::Trace, move |budget| {
        begun.send(()).unwrap();
        while !budget.is_spent() {
            std::thread::sleep(Duration::from_millis(1));
        }
        told.send(budget.is_cancelled()).unwrap();
    });
    tokio::select! {
        _ = work => panic!("nobody has told the work to stop"),
        // The client gives up.
        begun = has_begun => begun.unwrap(),
    }
    assert!(stopped.recv_timeout(Duration::from_millis(100)).expect("work stops within 100 ms"));
}

#[tokio::test]
async fn panics_and_dropped_clients_leave_the_threads_alive() {
    let mut limits = GovernorSettings::default();
    limits.set("call.threads=1").unwrap();
    let fixture = fixture_with(&limits);
    let lost = fixture.governor.run(Class::Call, |_| panic!("a bug")).await;
    assert_eq!(lost, Err::<(), _>(portico_governor::Refusal::Lost));
    assert_eq!(fixture.governor.run(Class::Call, |_| 5).await, Ok(5));
}

/// JSON that is no request: the library under us calls it either bad JSON or a bad request.
const NO_REQUEST: i64 = 0;

#[tokio::test]
async fn absurd_requests_get_clean_errors() {
    let fixture = fixture();
    let server = serve(&fixture, &settings()).await;
    let address = address(&server);
    let raw = async |body: &str| {
        let length = body.len();
        let request = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        exchange(address, request).await
    };
    for (body, code) in [
        ("", -32700),
        ("{", -32700),
        ("nonsense", -32700),
        ("[]", -32600),
        ("{}", NO_REQUEST),
        ("5", NO_REQUEST),
        (r#"{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}"#, NO_REQUEST),
        (r#"{"jsonrpc":"2.0","id":{},"method":"eth_chainId"}"#, NO_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, NO_REQUEST),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":[1e400,false]}"#, -32602),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0xffffffffffffffffffff",false]}"#,
            -32602,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":{"a":1}}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber"}"#, -32602),
    ] {
        let answer = raw(body).await;
        let json: Value =
            serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{body}: {}", answer.body));
        let found = json["error"]["code"].as_i64().unwrap_or_else(|| panic!("{body}: {json}"));
        let is_right = if code == NO_REQUEST { [-32700, -32600].contains(&found) } else { found == code };
        assert!(is_right, "{body}: {json}");
    }
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"eth_call","params":[{}{}]}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(serde_json::from_str::<Value>(&raw(&deep).await.body).unwrap()["error"]["code"].is_number());
    let many = json!(vec![call("eth_chainId", json!([])); 10_000]);
    assert_eq!(raw(&many.to_string()).await.json()["error"]["code"], -32010);
    let large =
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"web3_sha3","params":["0x{}"]}}"#, "00".repeat(5 << 20));
    let refused = raw(&large).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (413, &json!(-32007)));
}
