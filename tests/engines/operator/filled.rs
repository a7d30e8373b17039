//! Stores with sessions that have something of everything, and a look at all that is in them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use callgate::base::Clock;
use callgate::base::SessionId;
use callgate::base::TokenId;
use callgate::base::clock::SystemClock;
use callgate::gate::open_store;
use callgate::session::AccessChange;
use callgate::session::Lifetime;
use callgate::session::Patch;
use callgate::session::Record;
use callgate::session::Right;
use callgate::settings::Settings;
use callgate::settings::StoreUrl;
use callgate::store::Store;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::port::Created;
use callgate::store::port::Founding;
use callgate::store::port::Redeemed;
use callgate::token::Token;
use serde_json::json;

use crate::kit::claim;
use crate::kit::founding;
use crate::kit::set;
use crate::kit::token;

/// All that can be seen of a store: sessions by their id, tokens by their name.
#[derive(Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) sessions: BTreeMap<SessionId, String>,
    pub(super) tokens: BTreeMap<TokenId, Token>,
}

/// Makes a store with so many sessions, of each of which one token can be redeemed.
pub(super) async fn fill(folder: &Path, sessions: usize) {
    let store = Arc::new(EmbeddedStore::open(folder).unwrap());
    let mut under_way = tokio::task::JoinSet::new();
    for n in 0..sessions {
        under_way.spawn(live_in(Arc::clone(&store), n));
    }
    under_way.join_all().await;
    store.close().await.unwrap();
}

async fn live_in(store: Arc<EmbeddedStore>, n: usize) {
    let now = SystemClock.now();
    let Founding { record, .. } = founding();
    let mut device = record.devices[0].clone();
    device.label = String::from("Lynx/2.8 \"ü\"");
    // A database may spread sessions and tokens by how their names begin.
    let id = SessionId::from_bytes(turned(*record.id.bytes()));
    let record = Record::new(id, now, Lifetime::default(), device);
    let access = AccessChange {
        grant: vec!["clerk".into(), "admin".into()],
        user_name: Some("ada".to_owned()),
        known: true,
        ..AccessChange::default()
    };
    let patch = Patch {
        access: Some(access),
        idle_minutes: Some(90),
        ..set("cart", &json!({ "n": n, "ü": null }))
    };
    let lasting = |token: Token| Token {
        id: TokenId::from_bytes(turned(*token.id.bytes())),
        expires_at: now.after_secs(3_600),
        minted_at: now,
        ..token
    };
    let shared = lasting(token(id));
    let founding = Founding { record, patch, token: Some(shared.clone()) };
    assert!(matches!(store.create(now, founding).await.unwrap(), Created::New(_)));
    // One session in ten was opened by a second browser.
    if n.is_multiple_of(10) {
        let joined = store.redeem(now, claim(&shared)).await.unwrap();
        assert!(matches!(joined, Redeemed::Granted(_)), "{joined:?}");
        let handlers = vec!["Pay.done".into()];
        let bound = Token { handlers, ..lasting(token(id)) };
        store.mint(now, Right::Operator, set("gone", &json!(1)), bound).await.unwrap();
        let gone = Patch { entries: vec![("gone".into(), None)], ..Patch::default() };
        store.patch(now, id, Right::Operator, gone).await.unwrap();
    }
}

/// What counts up at its end, counting up at its beginning.
fn turned<const N: usize>(mut bytes: [u8; N]) -> [u8; N] {
    bytes[..8].reverse();
    bytes
}

/// Opens a store as the program does.
pub(super) async fn open(url: &str) -> Arc<dyn Store> {
    let settings = Settings { store: StoreUrl::parse(url).unwrap(), ..Settings::default() };
    open_store(&settings, SystemClock.now()).await.unwrap_or_else(|error| panic!("{error}"))
}

/// All that lives in a store.
pub(super) async fn seen(url: &str) -> Seen {
    let (store, now) = (open(url).await, SystemClock.now());
    let mut seen = Seen { sessions: BTreeMap::new(), tokens: BTreeMap::new() };
    let mut last = None;
    loop {
        let page = store.sessions(now, last, 1_000).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some(end.record.id);
        seen.sessions.extend(page.iter().map(|it| (it.record.id, whole(&it.record))));
    }
    let mut last = None;
    loop {
        let page = store.tokens(now, last, 1_000).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some(end.id);
        seen.tokens.extend(page.into_iter().map(|token| (token.id, token)));
    }
    store.close().await.unwrap();
    seen
}

/// All of a record, with the texts of its values and their revisions.
fn whole(record: &Record) -> String {
    let Record { id, created_at, lifetime, access, storage, devices, generation } = record;
    let mut text = format!("{id} {created_at} {lifetime:?} {access:?} {devices:?} {generation}");
    for (key, entry) in storage.entries() {
        let _ = write!(text, " {key}:{}={}", entry.revision, entry.json.text());
    }
    let _ = write!(text, " {}", storage.last_revision());
    text
}
