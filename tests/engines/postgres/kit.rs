//! What the tests of the engine work with: a server for all of them, and rows to write.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use callgate::base::ClaimId;
use callgate::base::Digest;
use callgate::base::RestoreMode;
use callgate::base::SessionId;
use callgate::base::Timestamp;
use callgate::base::TokenId;
use callgate::store::postgres;
use callgate::store::postgres::Address;
use callgate::store::shared::engine::Asks;
use callgate::store::shared::engine::ClaimOrder;
use callgate::store::shared::engine::Commit;
use callgate::store::shared::engine::Committed;
use callgate::store::shared::engine::Engine;
use callgate::store::shared::engine::Expect;
use callgate::store::shared::engine::NEVER;
use callgate::store::shared::engine::SessionRow;
use callgate::store::shared::engine::TokenRow;
use callgate::store::shared::engine::Unspent;

use crate::patience;
use crate::services::postgres::Server;
use crate::services::postgres::is_installed;

/// The present of the tests.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);
pub(crate) const HOUR_MS: u64 = 3_600_000;

/// A server for every test that does nothing to it; `None` if none is installed.
pub(crate) fn server() -> Option<&'static Mutex<Server>> {
    static SERVER: OnceLock<Mutex<Server>> = OnceLock::new();
    is_installed().then(|| SERVER.get_or_init(|| Mutex::new(Server::start())))
}

/// Where that server is.
pub(crate) fn url() -> Option<String> {
    Some(server()?.lock().unwrap().url())
}

/// A fresh application in that server.
pub(crate) async fn engine() -> Option<Arc<dyn Engine>> {
    Some(open(&url()?).await)
}

/// A fresh application in the database at this address.
pub(crate) async fn open(url: &str) -> Arc<dyn Engine> {
    open_as(url, &app()).await
}

/// An application in the database at this address.
pub(crate) async fn open_as(url: &str, app: &str) -> Arc<dyn Engine> {
    let address = Address::parse(url).unwrap();
    patience::open(|| postgres::open(&address, app)).await
}

/// A name that no other test has.
pub(crate) fn app() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("app{}", NUMBER.fetch_add(1, Ordering::SeqCst))
}

pub(crate) fn session_id(seed: u8) -> SessionId {
    SessionId::from_bytes([seed; 16])
}

pub(crate) fn digest(seed: u8) -> Digest {
    Digest::from_bytes([seed; 32])
}

pub(crate) fn claim_id(seed: u8) -> ClaimId {
    ClaimId::from_bytes([seed; 16])
}

pub(crate) fn after_ms(ms: u64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + ms)
}

/// A session with one device, which is used now.
pub(crate) fn row() -> SessionRow {
    SessionRow {
        version: 0,
        seen_at: NOW,
        idle_ms: HOUR_MS,
        absolute_at: NEVER,
        ended_at: None,
        doc: b"doc \0 with a nul \xff".to_vec(),
        joined: Vec::new(),
        devices: vec![digest(0xd1)],
        unspent: Vec::new(),
        answers: Vec::new(),
    }
}

/// A token of session `session` for anybody.
pub(crate) fn token(seed: u8, session: SessionId) -> TokenRow {
    TokenRow {
        digest: digest(seed),
        id: TokenId::from_bytes([seed; 8]),
        session,
        expires_at: after_ms(HOUR_MS / 2),
        forget_at: after_ms(HOUR_MS),
        handlers: Vec::new(),
        mode: None,
        confirm: 0,
        binding: None,
        claim: None,
        run: Vec::new(),
        answer: Vec::new(),
        doc: b"\0token".to_vec(),
    }
}

pub(crate) fn unspent(token: &TokenRow) -> Unspent {
    Unspent { digest: token.digest, id: token.id, expires_at: token.expires_at }
}

/// A commit that writes nothing. The versions of these tests are counted up.
pub(crate) fn commit(id: SessionId, expect: Expect) -> Commit {
    let next = match expect {
        Expect::Absent => 1,
        Expect::Version(version) => version + 1,
    };
    Commit {
        id,
        expect,
        next,
        expect_seen: None,
        expect_fence: None,
        session: None,
        guest: false,
        mint: None,
        marks: Vec::new(),
        drops: Vec::new(),
        due_at: after_ms(HOUR_MS),
    }
}

/// Founds a session with a token.
pub(crate) async fn found(engine: &dyn Engine, row: SessionRow, token: TokenRow) {
    let row = SessionRow { unspent: vec![unspent(&token)], ..row };
    let id = token.session;
    let founding = Commit { session: Some(row), mint: Some(token), ..commit(id, Expect::Absent) };
    assert_eq!(engine.commit(founding).await.unwrap(), Committed::Done);
}

/// Mints a token of a session that has its first version.
pub(crate) async fn mint(engine: &dyn Engine, token: TokenRow) {
    let expect = Expect::Version(1);
    let minting = Commit { mint: Some(token.clone()), ..commit(token.session, expect) };
    assert_eq!(engine.commit(minting).await.unwrap(), Committed::Done);
}

/// An attempt of a browser that nothing is known of, and that nobody must ask.
pub(crate) fn order(token: Digest) -> ClaimOrder {
    ClaimOrder {
        now: NOW,
        token,
        id: claim_id(1),
        handler: "Pay.done".to_owned(),
        row_mode: RestoreMode::Auto,
        auto_shares: true,
        asks: Asks { click: None, browser: None, signed_in: None },
        current: None,
        newcomer_digest: digest(0xee),
        newcomer: b"{\"newcomer\":1}".to_vec(),
        run: None,
        devices_max: 32,
        next: 2,
    }
}
