//! Short ways to write rows and claims in a rule.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callgate::base::ClaimId;
use callgate::base::Digest;
use callgate::base::RestoreMode;
use callgate::base::SessionId;
use callgate::base::Timestamp;
use callgate::base::TokenId;
use callgate::store::shared::Engine;
use callgate::store::shared::engine::Asks;
use callgate::store::shared::engine::ClaimOrder;
use callgate::store::shared::engine::Commit;
use callgate::store::shared::engine::Committed;
use callgate::store::shared::engine::Expect;
use callgate::store::shared::engine::Found;
use callgate::store::shared::engine::NEVER;
use callgate::store::shared::engine::SessionRow;
use callgate::store::shared::engine::TokenKey;
use callgate::store::shared::engine::TokenRow;
use callgate::store::shared::engine::Unspent;

/// Where the clock of the rules begins.
pub(super) const START: Timestamp = Timestamp::from_millis(1_900_000_000_000);
/// The version of a session of which a token was claimed; the largest one there is.
pub(super) const NEXT: u64 = 1 << 62;
pub(super) const HOUR: Duration = Duration::from_hours(1);
pub(super) const MINUTE: Duration = Duration::from_mins(1);

/// Bytes that look random, of which no two are the same.
pub(super) fn strewn<const N: usize>() -> [u8; N] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; N];
    for chunk in bytes.chunks_mut(8) {
        // The finaliser of SplitMix64, which is one to one.
        let mut mixed = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes()[..chunk.len()]);
    }
    bytes
}

pub(super) fn id() -> SessionId {
    SessionId::from_bytes(strewn())
}

pub(super) fn digest() -> Digest {
    Digest::from_bytes(strewn())
}

pub(super) fn claim_id() -> ClaimId {
    ClaimId::from_bytes(strewn())
}

/// A session with one device that lives for an hour unused.
pub(super) fn row() -> SessionRow {
    SessionRow {
        version: 1,
        seen_at: START,
        idle_ms: 3_600_000,
        absolute_at: NEVER,
        doc: b"{\"a\":\"\\n\"}\xFF\0\n".to_vec(),
        devices: vec![digest()],
        ..SessionRow::default()
    }
}

pub(super) fn token(session: SessionId) -> TokenRow {
    TokenRow {
        digest: digest(),
        id: TokenId::from_bytes(strewn()),
        session,
        expires_at: START.after(10 * MINUTE),
        forget_at: START.after(20 * MINUTE),
        handlers: Vec::new(),
        mode: None,
        confirm: 0,
        binding: None,
        claim: None,
        run: Vec::new(),
        answer: Vec::new(),
        doc: b"{\"t\":1}\n\0\xFE".to_vec(),
    }
}

pub(super) fn slip(token: &TokenRow) -> Unspent {
    Unspent { digest: token.digest, id: token.id, expires_at: token.expires_at }
}

/// A commit that changes nothing but the version.
pub(super) fn commit(id: SessionId, expect: Expect) -> Commit {
    Commit {
        id,
        next: match expect {
            Expect::Absent => 1,
            Expect::Version(version) => version + 1,
        },
        expect,
        expect_seen: None,
        expect_fence: None,
        session: None,
        guest: false,
        mint: None,
        marks: Vec::new(),
        drops: Vec::new(),
        due_at: START.after(HOUR),
    }
}

/// Founds a session with this row, and perhaps a token; `unspent` is made to fit.
pub(super) async fn found_with(
    engine: &dyn Engine,
    id: SessionId,
    row: SessionRow,
    mint: Option<TokenRow>,
) -> SessionRow {
    let unspent = mint.iter().filter(|token| token.claim.is_none()).map(slip).collect();
    let row = SessionRow { unspent, version: 1, ..row };
    let due_at = row.seen_at.after(Duration::from_millis(row.idle_ms)).min(row.absolute_at);
    let session = Some(row.clone());
    let commit = Commit { session, mint, due_at, ..commit(id, Expect::Absent) };
    assert_eq!(engine.commit(commit).await.unwrap(), Committed::Done);
    row
}

/// A session with one token of it.
pub(super) async fn minted(engine: &dyn Engine) -> (SessionId, SessionRow, TokenRow) {
    let id = id();
    let token = token(id);
    let row = found_with(engine, id, row(), Some(token.clone())).await;
    (id, row, token)
}

pub(super) fn order(token: &TokenRow) -> ClaimOrder {
    ClaimOrder {
        now: START.after(MINUTE),
        token: token.digest,
        id: claim_id(),
        handler: "Pay.done".to_owned(),
        row_mode: RestoreMode::Auto,
        auto_shares: true,
        asks: Asks { click: None, browser: None, signed_in: None },
        current: None,
        newcomer_digest: digest(),
        newcomer: b"{\"new\":\"\xFF\"}".to_vec(),
        run: None,
        devices_max: 32,
        next: NEXT,
    }
}

pub(super) async fn read(engine: &dyn Engine, id: SessionId) -> Option<SessionRow> {
    engine.read(id).await.unwrap()
}

pub(super) async fn find(engine: &dyn Engine, token: &TokenRow) -> Option<Found> {
    engine.find(TokenKey::Digest(token.digest)).await.unwrap()
}

pub(super) async fn find_by_name(engine: &dyn Engine, token: &TokenRow) -> Option<Found> {
    engine.find(TokenKey::Name(token.id)).await.unwrap()
}
