//! The round trip of a token on axum with tower-sessions and its Redis store, as somebody would
//! write it who has no callgate: a token is a key of its own that leads to a session, and is taken
//! out when it comes back.

use std::sync::Arc;

use axum::Router;
use axum::extract::Query;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::routing::get;
use serde::Deserialize;
use tower_sessions::Expiry;
use tower_sessions::Session;
use tower_sessions::SessionManagerLayer;
use tower_sessions::cookie::time::Duration;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::*;
use uuid::Uuid;

/// Seconds that a session may idle and a token lives.
const LIFE: i64 = 3600;

struct House {
    redis: Pool,
    store: Arc<RedisStore<Pool>>,
}

#[derive(Deserialize)]
struct Words {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
    #[serde(default, rename = "$4DSID")]
    token: String,
}

type Failed = (StatusCode, String);

fn failed(error: impl std::fmt::Display) -> Failed {
    (StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

async fn write(session: Session, Query(words): Query<Words>) -> Result<String, Failed> {
    session.insert(&words.key, &words.value).await.map_err(failed)?;
    Ok("ok".to_owned())
}

/// Mints a token for the session of the request, and notes a value in it if there is one.
async fn mint(
    State(house): State<Arc<House>>,
    session: Session,
    Query(words): Query<Words>,
) -> Result<String, Failed> {
    session.load().await.map_err(failed)?;
    let id = session.id().ok_or_else(|| failed("no session"))?;
    if !words.value.is_empty() {
        session.insert("minted", &words.value).await.map_err(failed)?;
    }
    let token = Uuid::new_v4().simple().to_string().to_uppercase();
    let life = Some(Expiration::EX(LIFE));
    let key = format!("token:{token}");
    let _: () = house
        .redis
        .set(key, id.to_string(), life, Some(SetOptions::NX), false)
        .await
        .map_err(failed)?;
    Ok(token)
}

/// Takes the token out and works in its session; writes a value there if there is one.
async fn redeem(
    State(house): State<Arc<House>>,
    Query(words): Query<Words>,
) -> Result<(HeaderMap, String), Failed> {
    let found: Option<String> =
        house.redis.getdel(format!("token:{}", words.token)).await.map_err(failed)?;
    let mut headers = HeaderMap::new();
    let Some(id) = found else {
        headers.insert("x-outcome", HeaderValue::from_static("used"));
        return Ok((headers, String::new()));
    };
    let id = id.parse().map_err(failed)?;
    let life = Expiry::OnInactivity(Duration::seconds(LIFE));
    let session = Session::new(Some(id), house.store.clone(), Some(life));
    session.load().await.map_err(failed)?;
    if !words.value.is_empty() {
        session.insert(&words.key, &words.value).await.map_err(failed)?;
        session.save().await.map_err(failed)?;
    }
    let said: Option<String> = session.get("a").await.map_err(failed)?;
    headers.insert("x-outcome", HeaderValue::from_static("restored"));
    Ok((headers, said.unwrap_or_default()))
}

#[tokio::main]
async fn main() {
    let url = std::env::var("REDIS").unwrap();
    let redis = Pool::new(Config::from_url(&url).unwrap(), None, None, None, 6).unwrap();
    redis.connect();
    redis.wait_for_connect().await.unwrap();
    let store = RedisStore::new(redis.clone());
    let house = Arc::new(House { redis, store: Arc::new(store.clone()) });
    let sessions = SessionManagerLayer::new(store)
        .with_secure(false)
        .with_name("id")
        .with_expiry(Expiry::OnInactivity(Duration::seconds(LIFE)));
    let routes = Router::new()
        .route("/write", get(write))
        .route("/mint", get(mint))
        .route("/context", get(redeem))
        .route("/context-write", get(redeem))
        .layer(sessions)
        .with_state(house);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    axum::serve(listener, routes).await.unwrap();
}
