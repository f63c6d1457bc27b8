//! JSON-RPC over a socket in the file system: values one after another, as go-ethereum's clients speak it.
//!
//! Requests of one connection are answered as they come, several at a time; an answer ends with a line break.
//! Subscriptions' messages go out between answers.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use jsonrpsee::{RpcModule, server::StopHandle};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{UnixListener, UnixStream, unix::OwnedReadHalf},
    sync::{Semaphore, mpsc},
};

use crate::{IpcSettings, ServerError, framing::Framing, subscription_ids};

/// Requests of one connection that are worked on at the same time.
const CALLS_MAX: usize = 64;
/// Messages of one connection that may wait to be written; who reads slower than it asks is waited for.
const MESSAGES_WAITING: usize = 1024;

/// Pause between two looks whether a client that stopped writing is there still.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// JSON-RPC 2.0: what came is no JSON.
const PARSE_ERROR: i32 = -32700;
/// JSON-RPC 2.0: what came is no request.
const INVALID_REQUEST: i32 = -32600;

/// Bounds of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IpcLimits {
    pub connections: usize,
    pub request_bytes: usize,
    pub batch: usize,
}

/// Listens at the path. A socket that an ended process left there is replaced, one that answers is not.
pub(crate) fn bind(settings: &IpcSettings) -> Result<UnixListener, ServerError> {
    let path = &settings.path;
    let error = |source| ServerError::BindIpc { path: path.clone(), source };
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(error(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")));
    }
    let is_socket = std::fs::symlink_metadata(path)
        .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()));
    if is_socket {
        std::fs::remove_file(path).map_err(error)?;
    }
    let listener = UnixListener::bind(path).map_err(error)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(error)?;
    Ok(listener)
}

/// Accepts connections until `stop`, then removes the socket.
pub(crate) async fn accept(
    listener: UnixListener,
    path: PathBuf,
    limits: IpcLimits,
    methods: RpcModule<()>,
    stop: StopHandle,
) {
    let permits = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let stopped = stop.shutdown();
    tokio::pin!(stopped);
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => break,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else { continue };
        let Ok(permit) = permits.clone().try_acquire_owned() else { continue };
        let methods = methods.clone();
        connections.spawn(async move {
            if let Err(error) = serve(stream, limits, methods).await {
                tracing::debug!(%error, "an IPC connection failed");
            }
            drop(permit);
        });
    }
    // It may be gone already.
    let _ = std::fs::remove_file(&path);
}

async fn serve(stream: UnixStream, limits: IpcLimits, methods: RpcModule<()>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let (messages, mut waiting) = mpsc::channel::<String>(MESSAGES_WAITING);
    let read = read(reader, limits, methods, messages);
    let write = async {
        while let Some(mut message) = waiting.recv().await {
            message.push('\n');
            writer.write_all(message.as_bytes()).await?;
        }
        Ok(())
    };
    // When the client stops reading nothing it asks for is worked on any more; when it stops writing, it still gets
    // the answers to what it asked.
    tokio::select! {
        biased;
        result = write => result,
        result = read => result,
    }
}

async fn read(
    mut reader: OwnedReadHalf,
    limits: IpcLimits,
    methods: RpcModule<()>,
    messages: mpsc::Sender<String>,
) -> io::Result<()> {
    let mut framing = Framing::new(limits.request_bytes);
    let mut calls = tokio::task::JoinSet::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = reader.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        framing.push(&buffer[..read]);
        loop {
            match framing.next_value() {
                Ok(Some(value)) => {
                    if calls.len() >= CALLS_MAX {
                        calls.join_next().await;
                    }
                    calls.spawn(answer(value, limits.batch, methods.clone(), messages.clone()));
                }
                Ok(None) => break,
                // Where the next value begins cannot be told.
                Err(reason) => {
                    let text = error_text(PARSE_ERROR, &reason.to_string());
                    calls.spawn(async move { drop(messages.send(text).await) });
                    calls.join_all().await;
                    return Ok(());
                }
            }
        }
    }
    // Who stopped writing may wait for answers; who closed the socket does not.
    tokio::select! {
        _ = calls.join_all() => Ok(()),
        result = closed(&reader) => result,
    }
}

/// Waits until the client can be told nothing any more.
async fn closed(reader: &OwnedReadHalf) -> io::Result<()> {
    while !reader.ready(Interest::WRITABLE).await?.is_write_closed() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// Answers a request, or the requests of a batch one after another.
async fn answer(value: Vec<u8>, batch: usize, methods: RpcModule<()>, messages: mpsc::Sender<String>) {
    let Ok(text) = String::from_utf8(value) else {
        drop(messages.send(error_text(PARSE_ERROR, "the request is not UTF-8")).await);
        return;
    };
    let answer = if text.starts_with('[') {
        match serde_json::from_str::<Vec<&RawValue>>(&text) {
            Ok(requests) if requests.is_empty() => error_text(INVALID_REQUEST, "an empty batch"),
            Ok(requests) if requests.len() > batch => {
                error_text(INVALID_REQUEST, &format!("a batch has more than {batch} requests"))
            }
            Ok(requests) => {
                let mut answers = Vec::with_capacity(requests.len());
                for request in requests {
                    answers.push(answer_one(request.get(), &methods, &messages).await);
                }
                format!("[{}]", answers.join(","))
            }
            Err(error) => error_text(PARSE_ERROR, &error.to_string()),
        }
    } else {
        answer_one(&text, &methods, &messages).await
    };
    // The client may be gone.
    drop(messages.send(answer).await);
}

async fn answer_one(request: &str, methods: &RpcModule<()>, messages: &mpsc::Sender<String>) -> String {
    let started = Instant::now();
    match subscription_ids::request(methods, request, MESSAGES_WAITING).await {
        Ok((answer, subscribed)) => {
            portico_jsonrpc::record_raw(request, &answer, started);
            forward(subscribed, messages.clone());
            answer.get().to_owned()
        }
        Err(error) => error_text(INVALID_REQUEST, &error.to_string()),
    }
}

/// Passes on what a subscription says. A call that is none has closed its channel already.
fn forward(mut subscribed: mpsc::Receiver<Box<RawValue>>, messages: mpsc::Sender<String>) {
    tokio::spawn(async move {
        while let Some(message) = subscribed.recv().await {
            // The subscription sees that nobody receives any more and ends.
            if messages.send(message.get().to_owned()).await.is_err() {
                break;
            }
        }
    });
}

fn error_text(code: i32, message: &str) -> String {
    let message = serde_json::Value::from(message);
    format!(r#"{{"jsonrpc":"2.0","id":null,"error":{{"code":{code},"message":{message}}}}}"#)
}
