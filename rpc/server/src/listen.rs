//! Accepting connections: one task each, with TLS where it is set, until the server stops.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse, StopHandle};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_rustls::TlsAcceptor;
use tower::{BoxError, Service};

/// How long requests that are being answered are waited for when the server stops.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// Pause after the system has refused a connection, mostly because there are too many.
const REFUSAL_PAUSE: Duration = Duration::from_millis(50);

/// Bounds of a port.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// How long a client may take to say what it wants: for TLS, and for the header of each request.
    pub request_time: Duration,
}

/// Accepts connections until `stop`; each gets a service of its own.
pub(crate) async fn accept<S>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    service: impl Fn() -> S + Send + Sync + 'static,
    stop: StopHandle,
) where
    S: Service<HttpRequest<Incoming>, Response = HttpResponse<HttpBody>, Error = BoxError>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    let permits = Arc::new(Semaphore::new(limits.connections.clamp(1, Semaphore::MAX_PERMITS)));
    let graceful = GracefulShutdown::new();
    let stopped = stop.shutdown();
    tokio::pin!(stopped);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stopped => break,
        };
        let (socket, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(REFUSAL_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            metrics::counter!("portico_rpc_connections_refused_total").increment(1);
            continue;
        };
        // Small answers must not wait for more to be sent; a socket that cannot do that still works.
        let _ = socket.set_nodelay(true);
        let watcher = graceful.watcher();
        match tls.clone() {
            None => drop(tokio::spawn(serve(socket, service(), watcher, permit, limits))),
            Some(tls) => {
                let service = service();
                tokio::spawn(async move {
                    match tokio::time::timeout(limits.request_time, tls.accept(socket)).await {
                        Ok(Ok(stream)) => serve(stream, service, watcher, permit, limits).await,
                        Ok(Err(error)) => tracing::debug!(%error, "TLS failed"),
                        Err(_) => tracing::debug!("TLS took too long"),
                    }
                });
            }
        }
    }
    drop(listener);
    // What takes longer is cut off with the runtime.
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, graceful.shutdown()).await;
}

fn serve<I, S>(
    stream: I,
    service: S,
    watcher: Watcher,
    permit: OwnedSemaphorePermit,
    limits: Limits,
) -> impl Future<Output = ()> + Send
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: Service<HttpRequest<Incoming>, Response = HttpResponse<HttpBody>, Error = BoxError>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.request_time);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(limits.request_time);
    let has_asked = Arc::<AtomicBool>::default();
    let service = TowerToHyperService::new(Heard { service, has_asked: has_asked.clone() });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let connection = watcher.watch(connection.into_owned());
    async move {
        metrics::gauge!("portico_rpc_connections").increment(1.0);
        tokio::select! {
            ended = connection => if let Err(error) = ended {
                tracing::debug!(%error, "a connection failed");
            },
            () = silence(&has_asked, limits.request_time) => tracing::debug!("a client said nothing"),
        }
        metrics::gauge!("portico_rpc_connections").decrement(1.0);
        drop(permit);
    }
}

/// Waits until a client has had its time without asking for anything; for ever when it asks in time. The library under
/// us looks at its clock only when it knows which version of HTTP a client speaks.
async fn silence(has_asked: &AtomicBool, request_time: Duration) {
    tokio::time::sleep(request_time).await;
    if has_asked.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Notes that a request has come.
#[derive(Debug, Clone)]
struct Heard<S> {
    service: S,
    has_asked: Arc<AtomicBool>,
}

impl<S: Service<R>, R> Service<R> for Heard<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.has_asked.store(true, Ordering::Relaxed);
        self.service.call(request)
    }
}
