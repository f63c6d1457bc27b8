//! `/health`: the process lives. `/ready`: it can answer questions about the newest block that it knows of.

use axum::{Json, extract::State, http::StatusCode};
use portico_query::{Query, QueryError};
use serde_json::{Value, json};

/// Says that the process lives; touches nothing.
pub(crate) async fn health() -> Json<Value> {
    Json(json!({ "status": "up" }))
}

/// Says whether the database answers and every stage has reached the newest header.
pub(crate) async fn ready(State(query): State<Query>) -> (StatusCode, Json<Value>) {
    let status = tokio::task::spawn_blocking(move || progress(&query)).await;
    match status {
        Ok(Ok((head, highest))) if head >= highest => {
            (StatusCode::OK, Json(json!({ "ready": true, "head": head })))
        }
        Ok(Ok((head, highest))) => not_ready(json!({ "ready": false, "head": head, "highest": highest })),
        Ok(Err(error)) => not_ready(json!({ "ready": false, "error": error.to_string() })),
        Err(_) => not_ready(json!({ "ready": false, "error": "internal error" })),
    }
}

fn progress(query: &Query) -> Result<(u64, u64), QueryError> {
    let snapshot = query.snapshot()?;
    let highest = snapshot.sync_status()?.map_or(snapshot.head(), |status| status.highest_block);
    Ok((snapshot.head(), highest))
}

fn not_ready(body: Value) -> (StatusCode, Json<Value>) {
    (StatusCode::SERVICE_UNAVAILABLE, Json(body))
}
