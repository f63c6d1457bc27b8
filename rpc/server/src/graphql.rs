//! `/graphql`: requests by POST or in the address by GET, and a page to try them.

use async_graphql::{Request, Response, ServerError, Value, http::parse_query_string};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, Uri, header::CONTENT_TYPE},
    response::{Html, IntoResponse, Response as HttpResponse},
    routing::get,
};
use portico_governor::Governor;
use portico_graphql::{GraphqlSettings, Service};
use serde::Serialize;

use crate::ServerSettings;

/// The path `/graphql`, and `/graphql/ui`, where go-ethereum has its page.
pub(crate) fn routes(settings: &ServerSettings, governor: &Governor) -> Router {
    let service = Service::new(governor.clone(), &GraphqlSettings::default());
    Router::new()
        .route("/graphql", get(answer_address).post(answer_body))
        .route("/graphql/", get(answer_address).post(answer_body))
        .route("/graphql/ui", get(page))
        .layer(DefaultBodyLimit::max(settings.request_bytes_max as usize))
        .with_state(service)
}

/// `query`, `operationName` and `variables` (JSON) of the address; the page where there is no query.
async fn answer_address(State(service): State<Service>, address: Uri) -> HttpResponse {
    let parameters = address.query().unwrap_or_default();
    match parse_query_string(parameters) {
        Ok(request) if !request.query.is_empty() => respond(service.execute_query(request).await),
        Ok(_) => page().await.into_response(),
        Err(error) => refuse(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

/// A JSON object with `query`, `operationName` and `variables`, or the query alone as `application/graphql`.
async fn answer_body(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> HttpResponse {
    let content = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let request = match content.split(';').next().unwrap_or_default().trim() {
        "application/json" => serde_json::from_slice(&body).map_err(|error| error.to_string()),
        "application/graphql" => match std::str::from_utf8(&body) {
            Ok(query) => Ok(Request::new(query)),
            Err(error) => Err(error.to_string()),
        },
        _ => {
            let reason = "the content type must be application/json or application/graphql";
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, reason.to_owned());
        }
    };
    match request {
        Ok(request) => respond(service.execute(request).await),
        Err(reason) => refuse(StatusCode::BAD_REQUEST, format!("malformed request: {reason}")),
    }
}

/// Any error makes the status 400, also beside data: hive's and Besu's cases want it so.
fn respond(response: Response) -> HttpResponse {
    let status = if response.is_ok() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    // Where nothing was executed there is no data, not even null (GraphQL, 7.1).
    if response.data == Value::Null && response.errors.iter().all(|error| error.path.is_empty()) {
        return (status, Json(Failure { errors: response.errors })).into_response();
    }
    (status, Json(response)).into_response()
}

/// A response without data.
#[derive(Serialize)]
struct Failure {
    errors: Vec<ServerError>,
}

fn refuse(status: StatusCode, reason: String) -> HttpResponse {
    (status, Json(Failure { errors: vec![ServerError::new(reason, None)] })).into_response()
}

async fn page() -> Html<&'static str> {
    Html(include_str!("graphql.html"))
}
