//! Short ways to found sessions, mint and redeem in a test.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use callgate::base::ClaimId;
use callgate::base::DeviceId;
use callgate::base::Digest;
use callgate::base::RestoreMode;
use callgate::base::SessionId;
use callgate::base::Timestamp;
use callgate::base::TokenId;
use callgate::base::mode::Caller;
use callgate::session::Device;
use callgate::session::JsonText;
use callgate::session::Lifetime;
use callgate::session::Patch;
use callgate::session::Record;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::port::Claim;
use callgate::store::port::Created;
use callgate::store::port::Founding;
use callgate::store::port::Minted;
use callgate::token::Consent;
use callgate::token::Token;
use serde_json::Value;

/// Where the clock of the tests begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_900_000_000_000);

/// What a store keeps its things on: a disk, a database, or nothing.
pub(crate) struct Ground(Box<dyn FnMut() -> Opening>);

type Opening = Pin<Box<dyn Future<Output = Arc<dyn Store>>>>;

impl Ground {
    /// A ground on which a store is opened like this, after the process that had it open has died.
    pub(crate) fn of<F: Future<Output = Arc<dyn Store>> + 'static>(
        mut open: impl FnMut() -> F + 'static,
    ) -> Self {
        Self(Box::new(move || Box::pin(open())))
    }

    /// Opens the store, or opens it again as a process finds it whose predecessor died.
    pub(crate) async fn open(&mut self) -> Arc<dyn Store> {
        (self.0)().await
    }
}

/// Bytes that nobody else in this process gets.
fn unique<const N: usize>() -> [u8; N] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; N];
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    bytes
}

pub(crate) fn device() -> Device {
    let (id, digest) = (DeviceId::from_bytes(unique()), Digest::from_bytes(unique()));
    Device { id, digest, since: START, label: String::new() }
}

pub(crate) fn founding() -> Founding {
    let id = SessionId::from_bytes(unique());
    let record = Record::new(id, START, Lifetime::default(), device());
    Founding { record, patch: Patch::default(), token: None }
}

/// Founds a session; its record says by whom.
pub(crate) async fn session(store: &dyn Store) -> Record {
    let founding = founding();
    let record = founding.record.clone();
    let created = store.create(START, founding).await.unwrap();
    assert!(matches!(created, Created::New(_)), "{created:?}");
    record
}

pub(crate) fn token(session: SessionId) -> Token {
    Token {
        digest: Digest::from_bytes(unique()),
        id: TokenId::from_bytes(unique()),
        session,
        minted_at: START,
        expires_at: START.after_secs(600),
        handlers: Vec::new(),
        mode: None,
        confirm: None,
        binding: None,
        generation: 0,
        claim: None,
        run: None,
    }
}

pub(crate) async fn minted(store: &dyn Store, session: SessionId) -> Token {
    let token = token(session);
    let minted = store.mint(START, Right::Operator, Patch::default(), token.clone()).await.unwrap();
    assert!(matches!(minted, Minted::Done(_)), "{minted:?}");
    token
}

pub(crate) fn claim(token: &Token) -> Claim {
    Claim {
        token: token.digest,
        id: ClaimId::from_bytes(unique()),
        handler: "Pay.done".into(),
        row_mode: RestoreMode::Auto,
        caller: Caller::Browser,
        consent: Consent::Given,
        current: None,
        newcomer: device(),
        repeat: None,
    }
}

pub(crate) fn set(key: &str, value: &Value) -> Patch {
    Patch { entries: vec![(key.into(), Some(JsonText::of(value).unwrap()))], ..Patch::default() }
}

/// The value of a key of a session that lives.
pub(crate) async fn value(store: &dyn Store, id: SessionId, key: &str) -> Value {
    let opened =
        store.look(START, id, Right::Operator).await.unwrap().done().expect("a session that lives");
    opened.record.storage.find(key).map_or(Value::Null, |entry| entry.json.value())
}
