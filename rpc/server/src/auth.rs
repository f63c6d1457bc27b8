//! Users, passwords and tokens, as Besu knows them.
//!
//! ```text
//!  POST /login {"username", "password"} ──> {"token"}      users file: bcrypt hashes, permissions
//!  any request with "Authorization: Bearer TOKEN" ──> its Permissions
//! ```
//! Tokens of `/login` are signed with a key that exists as long as the process. Tokens of others are checked with
//! the key of a file. Both name what is allowed in `permissions`, and must have an end (`exp`).

use std::{collections::HashMap, path::Path, sync::Arc};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    http::StatusCode,
    routing::post,
};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    get_current_timestamp,
};
use portico_jsonrpc::Permissions;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::{AuthSettings, ServerError, tls::bad_file};

/// How long a token of `/login` is good.
const TOKEN_SECONDS: u64 = 300;
/// Passwords that are checked at the same time: each takes some fifty milliseconds of a processor.
const CHECKS_MAX: usize = 2;
/// Bytes of a request to `/login`.
const LOGIN_BYTES_MAX: usize = 4096;
/// The hash of no password: an unknown user takes as long as a wrong password.
const NO_PASSWORD: &str = "$2b$10$abcdefghijklmnopqrstuuLbUNMyrlQoJGM2IqKrGqtPVDQdJTaVG";

/// Knows users and tokens.
#[derive(Clone)]
pub(crate) struct Auth {
    inner: Arc<Inner>,
}

struct Inner {
    users: HashMap<String, User>,
    own: Option<(EncodingKey, DecodingKey)>,
    others: Option<(Algorithm, DecodingKey)>,
    engine: Option<DecodingKey>,
    checks: Semaphore,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("users", &self.inner.users.len()).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct UsersFile {
    #[serde(rename = "Users")]
    users: HashMap<String, User>,
}

#[derive(Deserialize)]
struct User {
    password: String,
    #[serde(default)]
    permissions: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    permissions: Vec<String>,
    exp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
}

/// What the consensus client's tokens say.
#[derive(Deserialize)]
struct EngineClaims {
    iat: u64,
}

/// How far the consensus client's clock may be from ours.
const ENGINE_SECONDS: u64 = 60;

/// What `/login` takes.
#[derive(Deserialize)]
struct Login {
    username: String,
    password: String,
}

impl Auth {
    pub fn new(settings: &AuthSettings) -> Result<Self, ServerError> {
        let users = settings.users.as_deref().map(read_users).transpose()?;
        let own = users.is_some().then(own_key);
        let others = settings.token_key.as_deref().map(read_key).transpose()?;
        let engine = settings.engine_secret.as_deref().map(read_secret).transpose()?;
        let checks = Semaphore::new(CHECKS_MAX);
        let inner = Inner { users: users.unwrap_or_default(), own, others, engine, checks };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A token for a user with the right password.
    async fn login(&self, login: Login) -> Option<String> {
        let (key, _) = self.inner.own.as_ref()?;
        let user = self.inner.users.get(&login.username);
        let hash = user.map_or_else(|| NO_PASSWORD.to_owned(), |user| user.password.clone());
        let permit = self.inner.checks.acquire().await.expect("the semaphore is never closed");
        let password = login.password;
        let check = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false));
        let is_right = check.await.unwrap_or(false);
        drop(permit);
        let user = user.filter(|_| is_right)?;
        let exp = get_current_timestamp() + TOKEN_SECONDS;
        let claims = Claims { permissions: user.permissions.clone(), exp, username: Some(login.username) };
        encode(&Header::new(Algorithm::HS256), &claims, key).ok()
    }

    /// What the value of an `Authorization` header allows; `None` when it is no good token.
    pub fn permissions(&self, authorization: &str) -> Option<Permissions> {
        let token = authorization.strip_prefix("Bearer ")?.trim();
        let algorithm = decode_header(token).ok()?.alg;
        if let Some(key) = &self.inner.engine {
            return is_of_consensus_client(token, key).then(|| Permissions::new(["*:*".to_owned()]));
        }
        let own = self.inner.own.as_ref().map(|(_, key)| (Algorithm::HS256, key));
        let others = self.inner.others.as_ref().map(|(algorithm, key)| (*algorithm, key));
        let keys = own.into_iter().chain(others).filter(|(expected, _)| *expected == algorithm);
        let claims = keys
            .filter_map(|(algorithm, key)| decode::<Claims>(token, key, &Validation::new(algorithm)).ok());
        Some(Permissions::new({ claims }.next()?.claims.permissions))
    }
}

fn is_of_consensus_client(token: &str, key: &DecodingKey) -> bool {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.required_spec_claims.clear();
    // These tokens have no end, and other claims do not matter.
    (rules.validate_exp, rules.validate_aud) = (false, false);
    let claims = decode::<EngineClaims>(token, key, &rules);
    claims.is_ok_and(|token| token.claims.iat.abs_diff(get_current_timestamp()) <= ENGINE_SECONDS)
}

/// The path `/login`.
pub(crate) fn routes(auth: Auth) -> Router {
    Router::new().route("/login", post(login)).layer(DefaultBodyLimit::max(LOGIN_BYTES_MAX)).with_state(auth)
}

async fn login(State(auth): State<Auth>, Json(login): Json<Login>) -> Result<Json<Value>, StatusCode> {
    match auth.login(login).await {
        Some(token) => Ok(Json(json!({ "token": token }))),
        None => Err(StatusCode::UNAUTHORIZED),
    }
}

fn read_users(path: &Path) -> Result<HashMap<String, User>, ServerError> {
    let text = std::fs::read_to_string(path).map_err(|error| bad_file(path, error))?;
    let file: UsersFile = toml::from_str(&text).map_err(|error| bad_file(path, error))?;
    for (name, user) in &file.users {
        let parts = user.password.parse::<bcrypt::HashParts>();
        parts.map_err(|_| bad_file(path, format!("the password of {name} is not a bcrypt hash")))?;
    }
    Ok(file.users)
}

fn own_key() -> (EncodingKey, DecodingKey) {
    let secret: [u8; 32] = rand::random();
    (EncodingKey::from_secret(&secret), DecodingKey::from_secret(&secret))
}

/// A shared secret in hexadecimal, or a public key.
fn read_key(path: &Path) -> Result<(Algorithm, DecodingKey), ServerError> {
    let text = std::fs::read_to_string(path).map_err(|error| bad_file(path, error))?;
    if text.contains("-----BEGIN") {
        return DecodingKey::from_rsa_pem(text.as_bytes())
            .map(|key| (Algorithm::RS256, key))
            .or_else(|_| DecodingKey::from_ec_pem(text.as_bytes()).map(|key| (Algorithm::ES256, key)))
            .map_err(|error| bad_file(path, error));
    }
    Ok((Algorithm::HS256, secret_of(path, &text)?))
}

fn read_secret(path: &Path) -> Result<DecodingKey, ServerError> {
    secret_of(path, &std::fs::read_to_string(path).map_err(|error| bad_file(path, error))?)
}

fn secret_of(path: &Path, text: &str) -> Result<DecodingKey, ServerError> {
    let digits = text.trim().trim_start_matches("0x");
    let secret = alloy_primitives::hex::decode(digits).map_err(|error| bad_file(path, error))?;
    if secret.len() < 32 {
        return Err(bad_file(path, "the secret must have 32 bytes (64 hexadecimal digits) or more"));
    }
    Ok(DecodingKey::from_secret(&secret))
}
