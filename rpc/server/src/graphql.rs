//! `/graphql`: requests as JSON by POST, and a page to try them by GET.

use async_graphql::{Request, Response};
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    response::Html,
    routing::get,
};
use portico_governor::Governor;
use portico_graphql::{GraphqlSettings, Service};

use crate::ServerSettings;

/// The path `/graphql`.
pub(crate) fn routes(settings: &ServerSettings, governor: &Governor) -> Router {
    let service = Service::new(governor.clone(), &GraphqlSettings::default());
    Router::new()
        .route("/graphql", get(page).post(answer))
        .layer(DefaultBodyLimit::max(settings.request_bytes_max as usize))
        .with_state(service)
}

async fn answer(
    State(service): State<Service>,
    Json(request): Json<Request>,
) -> (StatusCode, Json<Response>) {
    let response = service.execute(request).await;
    let status = if response.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    (status, Json(response))
}

async fn page() -> Html<&'static str> {
    Html(include_str!("graphql.html"))
}
