//! `/graphql`: requests as JSON by POST, and a page to try them by GET.

use std::sync::Arc;

use async_graphql::{Request, Response};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::Html,
    routing::get,
};
use portico_graphql::{GraphqlSettings, Service};
use portico_query::Query;
use tokio::sync::Semaphore;

use crate::ServerSettings;

#[derive(Debug, Clone)]
struct Shared {
    service: Service,
    permits: Arc<Semaphore>,
}

/// The path `/graphql`, which takes as many threads as heavy calls may.
pub(crate) fn routes(settings: &ServerSettings, query: &Query) -> Router {
    let permits = settings.workers.heavy.clamp(1, Semaphore::MAX_PERMITS);
    let service = Service::new(query.clone(), &GraphqlSettings::default());
    Router::new()
        .route("/graphql", get(page).post(answer))
        .layer(DefaultBodyLimit::max(settings.request_bytes_max as usize))
        .with_state(Shared { service, permits: Arc::new(Semaphore::new(permits)) })
}

async fn answer(State(shared): State<Shared>, Json(request): Json<Request>) -> (StatusCode, Json<Response>) {
    let _permit = shared.permits.acquire().await.expect("the semaphore is never closed");
    let response = shared.service.execute(request).await;
    let status = if response.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    (status, Json(response))
}

async fn page() -> Html<&'static str> {
    Html(include_str!("graphql.html"))
}
