//! A class that does what a test tells it to, through its query.

#[path = "act.rs"]
mod act;
#[path = "pay.rs"]
mod pay;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callgate::IncomingMessage;
use callgate::OutgoingMessage;
use callgate::Session;
use callgate::Singleton;
use callgate::base::DeviceId;
use callgate::http::HandlerError;
use callgate::http::Reply;
use callgate::http::message::Picture;
use callgate::http::session::Privileges;
use callgate::http::session::RestoreOptions;
use callgate::token::MintOptions;
use callgate::token::Outcome;
use serde_json::Value;
use serde_json::json;
use tokio::sync::Semaphore;

/// The rows that the probe answers: one for each of its functions, and some with conditions.
pub(crate) const TABLE: &str = r#"[
    { "class": "Probe", "method": "whoami", "pattern": "whoami" },
    { "class": "Probe", "method": "read", "pattern": "read" },
    { "class": "Probe", "method": "write", "pattern": "write" },
    { "class": "Probe", "method": "add", "pattern": "add" },
    { "class": "Probe", "method": "mint", "pattern": "mint" },
    { "class": "Probe", "method": "url", "pattern": "url" },
    { "class": "Probe", "method": "restore", "pattern": "restore" },
    { "class": "Probe", "method": "login", "pattern": "login" },
    { "class": "Probe", "method": "clear", "pattern": "clear" },
    { "class": "Probe", "method": "logout", "pattern": "logout" },
    { "class": "Probe", "method": "devices", "pattern": "devices" },
    { "class": "Probe", "method": "endDevice", "pattern": "endDevice" },
    { "class": "Probe", "method": "linger", "pattern": "linger" },
    { "class": "Probe", "method": "peek", "pattern": "peek" },
    { "class": "Probe", "method": "remove", "pattern": "remove" },
    { "class": "Probe", "method": "fail", "pattern": "fail" },
    { "class": "Probe", "method": "panic", "pattern": "panic" },
    { "class": "Probe", "method": "echo", "pattern": "echo" },
    { "class": "Probe", "method": "say", "pattern": "say" },
    { "class": "Probe", "method": "submit", "pattern": "submit" },
    { "class": "Probe", "method": "message", "pattern": "message" },
    { "class": "Probe", "method": "reply", "pattern": "reply" },
    { "class": "Probe", "method": "errand", "pattern": "errand" },
    { "class": "Probe", "method": "elevateAndFail", "pattern": "elevate-and-fail" },
    { "class": "Probe", "method": "other", "pattern": "other" },
    { "class": "Probe", "method": "lend", "pattern": "lend" },
    { "class": "Probe", "method": "lendMany", "pattern": "lend-many" },
    { "class": "Probe", "method": "whoami", "pattern": "get-only", "verbs": "GET" },
    { "class": "Probe", "method": "whoami", "pattern": "admin", "requires": "admin" },
    { "class": "Probe", "method": "whoami", "pattern": "simple-only", "requires": "simple" },
    { "class": "Probe", "method": "lingerLogout", "pattern": "linger-logout" },
    { "class": "Probe", "method": "lingerMint", "pattern": "linger-mint" },
    { "class": "Probe", "method": "lingerLogin", "pattern": "linger-login" },
    { "class": "Probe", "method": "whoami", "pattern": "state", "otp": { "param": "state" } },
    { "class": "Probe", "method": "whoami", "pattern": "share", "otp": { "mode": "share" } },
    { "class": "Probe", "method": "whoami", "pattern": "context", "otp": { "mode": "context" } },
    { "class": "Probe", "method": "whoami", "pattern": "transfer", "otp": { "mode": "transfer" } },
    { "class": "Probe", "method": "login", "pattern": "context-login", "otp": { "mode": "context" } },
    { "class": "Probe", "method": "logout", "pattern": "context-logout", "otp": { "mode": "context" } },
    { "class": "Probe", "method": "fail", "pattern": "share-fail", "otp": { "mode": "share" } },
    { "class": "Probe", "method": "panic", "pattern": "share-panic", "otp": { "mode": "share" } },
    { "class": "Probe", "method": "linger", "pattern": "share-linger", "otp": { "mode": "share" } },
    { "class": "Probe", "method": "whoami", "pattern": "strip", "otp": { "strip": true } },
    { "class": "Probe", "method": "whoami", "pattern": "strip-state", "otp": { "strip": true, "param": "state" } },
    { "class": "Probe", "method": "whoami", "pattern": "strip-context", "otp": { "strip": true, "mode": "context" } },
    { "class": "Probe", "method": "whoami", "pattern": "refuse", "otp": { "onRefused": { "status": 403 } } },
    { "class": "Probe", "method": "whoami", "pattern": "moved", "otp": { "onRefused": { "redirect": "/expired" } } },
    { "class": "Probe", "method": "whoami", "pattern": "foreign", "otp": { "confirm": "foreign" } },
    { "class": "Probe", "method": "whoami", "pattern": "always", "otp": { "confirm": "always" } },
    { "class": "Probe", "method": "message", "pattern": "foreign-message", "otp": { "confirm": "foreign" } },
    { "class": "Probe", "method": "say", "pattern": "foreign-say", "otp": { "confirm": "foreign" } },
    { "class": "Probe", "method": "login", "pattern": "foreign-login", "otp": { "confirm": "foreign" } },
    { "class": "Probe", "method": "whoami", "pattern": "foreign-share", "otp": { "confirm": "foreign", "mode": "share" } },
    { "class": "Probe", "method": "whoami", "pattern": "foreign-transfer", "otp": { "confirm": "foreign", "mode": "transfer" } },
    { "class": "Probe", "method": "whoami", "pattern": "foreign-context", "otp": { "confirm": "foreign", "mode": "context" } },
    { "class": "Probe", "method": "whoami", "pattern": "foreign-state", "otp": { "confirm": "foreign", "param": "state" } },
    { "class": "Probe", "method": "whoami", "pattern": "foreign-strip", "otp": { "confirm": "foreign", "strip": true } },
    { "class": "Probe", "method": "say", "pattern": "strip-say", "otp": { "strip": true } },
    { "class": "Probe", "method": "say", "pattern": "foreign-strip-say", "otp": { "confirm": "foreign", "strip": true } },
    { "class": "Probe", "method": "whoami", "pattern": "foreign-refuse", "otp": { "confirm": "foreign", "onRefused": { "status": 410 } } },
    { "class": "Probe", "method": "whoami", "pattern": "foreign-get", "verbs": "GET", "otp": { "confirm": "foreign" } },
    { "class": "Probe", "method": "whoami", "pattern": "foreign-admin", "requires": "admin", "otp": { "confirm": "foreign" } },
    { "class": "Probe", "method": "echo", "pattern": "small", "limits": { "bodyBytes": 10 } },
    { "class": "Probe", "method": "linger", "pattern": "hasty", "limits": { "timeoutMs": 50 } },
    { "class": "Probe", "method": "whoami", "regexPattern": "/orders/(?<number>[0-9]+)" },
    { "class": "Probe", "method": "pay", "pattern": "pay", "repeat": 7200 },
    { "class": "Probe", "method": "pay", "pattern": "pay-share", "repeat": 7200, "otp": { "mode": "share" } },
    { "class": "Probe", "method": "pay", "pattern": "pay-again", "repeat": 7200, "onInterrupted": "run" },
    { "class": "Probe", "method": "pay", "pattern": "pay-admin", "repeat": 7200, "requires": "admin" },
    { "class": "Probe", "method": "pay", "pattern": "pay-strip", "repeat": 7200, "otp": { "strip": true, "mode": "share" } },
    { "class": "Probe", "method": "pay", "pattern": "pay-always", "repeat": 7200, "otp": { "confirm": "always" } },
    { "class": "Probe", "method": "pay", "pattern": "pay-state", "repeat": 7200, "otp": { "param": "state" } },
    { "class": "Probe", "method": "pay", "pattern": "pay-hasty", "repeat": 7200, "limits": { "timeoutMs": 50 } },
    { "class": "Probe", "method": "pay", "pattern": "pay-refuse", "repeat": 7200, "otp": { "onRefused": { "status": 403 } } },
    { "class": "Probe", "method": "fail", "pattern": "pay-fail", "repeat": 7200 },
    { "class": "Probe", "method": "panic", "pattern": "pay-panic", "repeat": 7200 },
    { "class": "Probe", "method": "restore", "pattern": "pay-restore", "repeat": 7200 },
    { "class": "Probe", "method": "write", "pattern": "context-write", "otp": { "mode": "context" } },
    { "class": "Probe", "method": "act", "pattern": "act" },
    { "class": "Probe", "method": "act", "pattern": "context-act", "otp": { "mode": "context" } },
    { "class": "Probe", "method": "actAtOnce", "pattern": "act-at-once" },
    { "class": "Probe", "method": "actAtOnce", "pattern": "context-act-at-once", "otp": { "mode": "context" } },
    { "class": "Probe", "method": "actAtOnce", "pattern": "transfer-act-at-once", "otp": { "mode": "transfer" } },
    { "class": "Probe", "method": "login", "pattern": "share-login", "otp": { "mode": "share" } },
    { "class": "Nobody", "method": "home", "pattern": "no-class" },
    { "class": "Probe", "method": "nothing", "pattern": "no-method" }
]"#;

/// What all requests share: doors at which lingering requests wait, and what the test asks later.
pub(crate) struct Probe {
    /// Counts the requests that have come to the door.
    pub(crate) arrived: Semaphore,
    /// Lets as many pass as it has permits.
    pub(crate) door: Semaphore,
    /// How often `whoami` has run.
    pub(crate) runs: AtomicUsize,
    /// The token of the last errand.
    pub(crate) minted: Mutex<String>,
    /// Capabilities that requests have lent, the oldest first.
    lent: Mutex<Vec<String>>,
}

/// The class of the table above, with a probe whose doors the test holds.
pub(crate) fn singleton(probe: Arc<Probe>) -> Singleton<Probe> {
    Singleton::shared("Probe", probe)
        .method("whoami", async |probe: Arc<Probe>, request, session| {
            probe.runs.fetch_add(1, Ordering::SeqCst);
            whoami(&request, &session)
        })
        .method("read", read)
        .method("write", write)
        .method("add", add)
        .method("mint", mint)
        .method("url", url)
        .method("restore", restore)
        .method("login", login)
        .method("clear", async |_, request, session: Session| {
            session.clear_privileges();
            whoami(&request, &session)
        })
        .method("logout", logout)
        .method("devices", devices)
        .method("endDevice", end_device)
        .method("linger", linger)
        .method("act", act::act)
        .method("actAtOnce", act::act_at_once)
        .method("pay", pay::pay)
        .method("peek", peek)
        .method("remove", async |_, request: IncomingMessage, session: Session| {
            session.remove(&query(&request, "key"));
        })
        .method("lingerMint", async |probe: Arc<Probe>, request, session| {
            probe.pass().await;
            mint(probe, request, session).await
        })
        .method("lingerLogin", async |probe: Arc<Probe>, request, session| {
            probe.pass().await;
            login(probe, request, session).await
        })
        .method("lingerLogout", async |probe: Arc<Probe>, request, session: Session| {
            probe.pass().await;
            logout(probe, request, session).await
        })
        .method("fail", async |_, request: IncomingMessage, _| {
            // As careless as handlers are: the address of a callback brings a token.
            Err::<(), _>(HandlerError::new(format!("inner text of a failure at {}", request.url())))
        })
        .method("panic", async |_, _, _| -> Value { panic!("inner text of a panic") })
        .method("echo", echo)
        .method("say", say)
        .method("submit", async |_, request: IncomingMessage, _| {
            let name = request.form().await?.text("name");
            Ok::<_, HandlerError>(OutgoingMessage::new().with_body(name.unwrap_or_default()))
        })
        .method("message", message)
        .method("reply", async |_, request: IncomingMessage, _| reply(&query(&request, "kind")))
        .method("errand", errand)
        .method("elevateAndFail", elevate_and_fail)
        .method("lend", lend)
        .method("lendMany", lend_many)
        .method("other", async |_, request, session| whoami(&request, &session))
}

impl Probe {
    pub(crate) fn new() -> Self {
        Self {
            arrived: Semaphore::new(0),
            door: Semaphore::new(0),
            runs: AtomicUsize::new(0),
            minted: Mutex::default(),
            lent: Mutex::default(),
        }
    }

    /// Comes to the door and waits until it is let through.
    async fn pass(&self) {
        self.arrived.add_permits(1);
        self.door.acquire().await.unwrap().forget();
    }

    /// Waits until one more request has come to the door.
    pub(crate) async fn arrival(&self) {
        let arrival = tokio::time::timeout(Duration::from_secs(20), self.arrived.acquire()).await;
        arrival.expect("nobody came to the door for a long time").unwrap().forget();
    }

    /// How often `whoami` has run.
    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// Takes the capabilities that were lent since this was asked last.
    pub(crate) fn lent(&self) -> Vec<String> {
        std::mem::take(&mut self.lent.lock().unwrap())
    }

    pub(crate) fn minted(&self) -> MutexGuard<'_, String> {
        self.minted.lock().unwrap()
    }
}

/// Everything a handler can see, as JSON, with the outcome in a header.
fn whoami(request: &IncomingMessage, session: &Session) -> OutgoingMessage {
    let mut message = OutgoingMessage::new().with_body(json!({
        "id": session.id().to_string(),
        "guest": session.is_guest(),
        "user": session.user_name(),
        "privileges": session.privileges(),
        "storage": session.storage(),
        "idle": session.idle_timeout(),
        "expires": session.expiration_date().to_string(),
        "path": request.path(),
        "params": request.params(),
        "verb": request.verb(),
    }));
    message.set_header("x-outcome", request.otp().name()).unwrap();
    if let Outcome::Used { at } = request.otp() {
        message.set_header("x-used-at", &at.to_string()).unwrap();
    }
    message
}

/// Waits for as long as the query says, while others may end the right of the request.
async fn pause(request: &IncomingMessage) -> Result<(), HandlerError> {
    if let Some(ms) = request.url_query().find("pause") {
        tokio::time::sleep(Duration::from_millis(ms.parse()?)).await;
    }
    Ok(())
}

fn query(request: &IncomingMessage, name: &str) -> String {
    request.url_query().find(name).unwrap_or_default().to_owned()
}

async fn read(
    _: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<Value, HandlerError> {
    Ok(session.get(&query(&request, "key"))?.unwrap_or_default())
}

async fn write(
    _: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<String, HandlerError> {
    let value =
        if request.blob().is_empty() { json!(query(&request, "value")) } else { request.json()? };
    session.set(&query(&request, "key"), value)?;
    if let Some(minutes) = request.url_query().find("idle") {
        session.set_idle_timeout(minutes.parse()?);
    }
    Ok(session.id().to_string())
}

/// Adds one to a number in the storage, atomically.
async fn add(
    _: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<Value, HandlerError> {
    let key = query(&request, "key");
    Ok(session.update(&key, |old| json!(old.as_u64().unwrap_or(0) + 1)).await?)
}

fn wish(request: &IncomingMessage) -> Result<MintOptions, HandlerError> {
    let handlers = query(request, "for");
    let mode = request.url_query().find("mode").map(str::parse).transpose()?;
    Ok(MintOptions {
        lifespan_secs: request.url_query().find("lifespan").map(str::parse).transpose()?,
        handlers: handlers.split(',').filter(|name| !name.is_empty()).map(Into::into).collect(),
        mode,
        confirm: request.url_query().find("confirm").map(str::parse).transpose()?,
        same_browser: request.url_query().find("sameBrowser").is_some(),
        param: request.url_query().find("param").map(str::to_owned),
    })
}

async fn mint(
    _: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, HandlerError> {
    pause(&request).await?;
    if let Some(value) = request.url_query().find("value") {
        session.set("minted", value)?;
    }
    let token = session.create_otp(wish(&request)?).await?;
    Ok(OutgoingMessage::new()
        .with_body(token)
        .with_header("x-session", &session.id().to_string())?)
}

async fn url(
    _: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, HandlerError> {
    let url = session.create_callback_url(&query(&request, "path"), wish(&request)?).await?;
    Ok(OutgoingMessage::new().with_body(url))
}

async fn restore(
    _: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, HandlerError> {
    let options = RestoreOptions { switch: request.url_query().find("switch").is_some() };
    let outcome = session.restore_with(&query(&request, "token"), options).await?;
    let (restored, id) = (outcome.is_restored(), session.id().to_string());
    let body = json!({ "restored": restored, "id": id, "storage": session.storage() });
    Ok(OutgoingMessage::new().with_body(body).with_header("x-outcome", outcome.name())?)
}

async fn login(
    _: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, HandlerError> {
    let list = |name: &str| vec![query(&request, name)];
    session.set_privileges(Privileges {
        privileges: list("privileges"),
        roles: list("roles"),
        user_name: request.url_query().find("user").map(str::to_owned),
        account: None,
        keep_devices: request.url_query().find("keep").is_some(),
    })?;
    if let Some(name) = request.url_query().find("then") {
        session.set_privileges(Privileges {
            privileges: vec![name.to_owned()],
            keep_devices: true,
            ..Privileges::default()
        })?;
    }
    Ok(whoami(&request, &session))
}

async fn logout(
    _: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, HandlerError> {
    session.logout().await?;
    Ok(whoami(&request, &session))
}

async fn devices(_: Arc<Probe>, _: IncomingMessage, session: Session) -> Value {
    let device = |device: &callgate::http::session::DeviceView| json!({ "id": device.id.to_string(), "label": device.label, "current": device.current });
    session.devices().iter().map(device).collect()
}

async fn end_device(
    _: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<bool, HandlerError> {
    let id: DeviceId = query(&request, "id").parse()?;
    Ok(session.end_device(id).await?)
}

/// Comes to the door, waits, and writes what it was told to.
async fn linger(
    probe: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, HandlerError> {
    session.set("lingered", query(&request, "value"))?;
    probe.pass().await;
    Ok(whoami(&request, &session))
}

/// Comes to the door, waits, and looks at what has changed meanwhile.
async fn peek(
    probe: Arc<Probe>,
    _: IncomingMessage,
    session: Session,
) -> Result<Value, HandlerError> {
    probe.pass().await;
    let reloaded = session.reload().await?;
    let (user, secret) = (session.user_name(), session.get::<Value>("secret")?);
    Ok(json!({ "reloaded": reloaded, "user": user, "secret": secret }))
}

/// Sends somebody off and waits until the callback has written `answer`.
async fn errand(
    probe: Arc<Probe>,
    _: IncomingMessage,
    session: Session,
) -> Result<Value, HandlerError> {
    session.set("step", "waiting")?;
    let token = session.create_otp(MintOptions::default()).await?;
    *probe.minted() = token;
    probe.arrived.add_permits(1);
    loop {
        session.reload().await?;
        if let Some(value) = session.get("answer")? {
            return Ok(value);
        }
        tokio::task::yield_now().await;
    }
}

/// Lends somebody the session until the door opens, as a row does that forwards, having written
/// so many keys.
async fn lend(
    probe: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<OutgoingMessage, HandlerError> {
    for n in 0..query(&request, "keys").parse().unwrap_or(0) {
        session.set(&n.to_string(), n)?;
    }
    let granted = session.capability()?;
    assert_eq!(format!("{granted:?}"), "Granted(..)");
    probe.lent.lock().unwrap().push(granted.expose());
    probe.pass().await;
    Ok(whoami(&request, &session))
}

/// Lends the session so many times, and takes it back each time at once.
async fn lend_many(
    probe: Arc<Probe>,
    request: IncomingMessage,
    session: Session,
) -> Result<(), HandlerError> {
    for _ in 0..query(&request, "times").parse::<u32>()? {
        let granted = session.capability()?;
        probe.lent.lock().unwrap().push(granted.expose());
    }
    Ok(())
}

/// Gains privileges, has that published by a mint, and fails all the same.
async fn elevate_and_fail(
    _: Arc<Probe>,
    _: IncomingMessage,
    session: Session,
) -> Result<(), HandlerError> {
    session.set_privileges("admin")?;
    session.create_otp(MintOptions::default()).await?;
    Err(HandlerError::new("inner text after the mint"))
}

/// Every member of a request.
async fn message(_: Arc<Probe>, request: IncomingMessage, _: Session) -> Value {
    let headers: BTreeMap<&str, &str> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("?")))
        .collect();
    let form = request.form().await.map(|form| {
        let field = |field: &callgate::http::form::Field| {
            let text = String::from_utf8_lossy(&field.value).into_owned();
            json!([field.name, text, field.file_name, field.media_type])
        };
        form.fields().iter().map(field).collect::<Value>()
    });
    json!({
        "url": request.url(),
        "path": request.path(),
        "urlPath": request.url_path(),
        "urlQuery": request.url_query().pairs().collect::<Vec<_>>(),
        "query": request.query().iter().collect::<Vec<_>>(),
        "last": request.url_query().find("a"),
        "verb": request.verb(),
        "headers": headers,
        "mixed": request.header("X-MiXeD"),
        "absent": request.header("x-absent"),
        "text": request.text(),
        "json": request.json().unwrap_or_else(|_| json!("invalid")),
        "bytes": request.blob().len(),
        "picture": request.picture().map(|picture| picture.media_type),
        "form": form.unwrap_or(Value::Null),
        "otp": request.otp().name(),
        "id": request.id().to_string(),
        "remote": request.remote_address().map(|address| address.to_string()),
    })
}

/// The first bytes of a PNG.
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n....";

/// Everything that a handler may return.
fn reply(kind: &str) -> Reply {
    let message = OutgoingMessage::new();
    match kind {
        "text" => message.with_body("text").into(),
        "blob" => message.with_body(vec![0_u8, 1]).into(),
        "object" => message.with_body(json!({ "a": [1, null] })).into(),
        "picture" => {
            let bytes = PNG.into();
            message.with_body(Picture { media_type: "image/png", bytes }).into()
        }
        "html" => OutgoingMessage::html("<p>").into(),
        "empty" => message.into(),
        "value" => json!({ "status": "ok" }).into(),
        "number" => 7_i64.into(),
        "null" => Value::Null.into(),
        _ => ().into(),
    }
}

async fn echo(
    _: Arc<Probe>,
    request: IncomingMessage,
    _: Session,
) -> Result<OutgoingMessage, HandlerError> {
    Ok(OutgoingMessage::new().with_body(request.blob().clone()))
}

/// Answers with status, header and body of its query.
async fn say(
    _: Arc<Probe>,
    request: IncomingMessage,
    _: Session,
) -> Result<OutgoingMessage, HandlerError> {
    let mut message = OutgoingMessage::new().with_body(query(&request, "body"));
    if let Some(status) = request.url_query().find("status") {
        message.set_status(status.parse()?)?;
    }
    if let Some(name) = request.url_query().find("header") {
        message.set_header(name, &query(&request, "value"))?;
    }
    Ok(message)
}
