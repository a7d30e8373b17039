//! The embedded store as a thing on disk: opening, closing, failing, cleaning.

use std::fs;
use std::path::Path;
use std::time::Duration;

use callgate::base::Digest;
use callgate::base::SessionId;
use callgate::session::Patch;
use callgate::session::Right;
use callgate::store::Store;
use callgate::store::StoreError;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::embedded::OpenErrorKind;
use callgate::store::live::Config;
use callgate::store::port::Claim;
use callgate::store::port::Concluded;
use callgate::store::port::Conclusion;
use callgate::store::port::Created;
use callgate::store::port::Ending;
use callgate::store::port::Minted;
use callgate::store::port::Patched;
use callgate::store::port::Redeemed;
use callgate::store::port::Resumed;
use callgate::token::ReplayKey;
use callgate::token::ReplayOptions;
use serde_json::json;

use crate::stores::disk::Disk;
use crate::stores::kit::START;
use crate::stores::kit::claim;
use crate::stores::kit::minted;
use crate::stores::kit::session;
use crate::stores::kit::set;
use crate::stores::kit::token;
use crate::stores::kit::value;
use crate::stores::signed_in;
use crate::stores::signing_in;

fn open(disk: &Disk) -> EmbeddedStore {
    EmbeddedStore::open_on(disk.clone(), Config::default()).unwrap()
}

fn refusal(dir: &Path) -> (OpenErrorKind, String) {
    let error = EmbeddedStore::open(dir).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&dir.display().to_string()), "{text:?} does not name the directory");
    (error.kind, text)
}

#[tokio::test]
async fn a_store_that_is_closed_and_opened_again_has_everything() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let (kept, ended) = (session(&store).await, session(&store).await);
    store.patch(START, kept.id, Right::Operator, set("cart", &json!({"n": 1}))).await.unwrap();
    let (unspent, spent) = (minted(&store, kept.id).await, minted(&store, kept.id).await);
    let won = claim(&spent);
    store.redeem(START, won.clone()).await.unwrap();
    store.end(START, ended.id, Right::Operator).await.unwrap();
    store.close().await.unwrap();

    let store = EmbeddedStore::open(dir.path()).unwrap();
    assert_eq!(value(&store, kept.id, "cart").await, json!({"n": 1}));
    let founder = kept.devices[0].digest;
    assert!(matches!(store.resume(START, kept.id, founder).await.unwrap(), Resumed::Open(_)));
    let newcomer = won.newcomer.digest;
    assert!(matches!(store.resume(START, kept.id, newcomer).await.unwrap(), Resumed::Open(_)));
    let dead = store.resume(START, ended.id, ended.devices[0].digest).await.unwrap();
    assert!(matches!(dead, Resumed::Closed), "{dead:?}");
    let repeat = store.redeem(START, won).await.unwrap();
    assert!(matches!(repeat, Redeemed::Granted(grant) if grant.joined));
    let replay = store.redeem(START, claim(&spent)).await.unwrap();
    assert!(matches!(replay, Redeemed::Used(at, _) if at == START), "{replay:?}");
    let fresh = store.redeem(START, claim(&unspent)).await.unwrap();
    assert!(matches!(fresh, Redeemed::Granted(_)), "{fresh:?}");
}

#[tokio::test]
async fn a_store_that_is_dropped_and_opened_again_has_everything() {
    let dir = tempfile::tempdir().unwrap();
    let id = {
        let store = EmbeddedStore::open(dir.path()).unwrap();
        session(&store).await.id
    };
    let store = EmbeddedStore::open(dir.path()).unwrap();
    assert!(store.look(START, id, Right::Operator).await.unwrap().done().is_some());
}

#[tokio::test]
async fn a_restart_gives_back_the_use_that_was_not_written_down() {
    let disk = Disk::new();
    let store = open(&disk);
    let record = session(&store).await;
    // Used again so soon that it is not written down.
    let soon = START.after_secs(60);
    let written = disk.calls();
    store.resume(soon, record.id, record.devices[0].digest).await.unwrap();
    assert_eq!(disk.calls(), written, "the use was written down");
    let store = open(&disk.after_kill());
    let end = soon.after(record.lifetime.idle());
    let just_before = callgate::base::Timestamp::from_millis(end.millis() - 1);
    let resumed = store.resume(just_before, record.id, record.devices[0].digest).await.unwrap();
    assert!(matches!(resumed, Resumed::Open(_)), "{resumed:?}");
}

#[tokio::test]
async fn a_use_that_no_restart_would_give_back_is_durable_before_it_is_answered() {
    let disk = Disk::new();
    let store = open(&disk);
    let record = session(&store).await;
    let credential = record.devices[0].digest;
    // So late that the use would be lost with everything that is given back for it.
    let late = START.after_secs(50 * 60);
    assert!(matches!(store.resume(late, record.id, credential).await.unwrap(), Resumed::Open(_)));
    let store = open(&disk.after_power_cut());
    let later = late.after_secs(59 * 60);
    let resumed = store.resume(later, record.id, credential).await.unwrap();
    assert!(matches!(resumed, Resumed::Open(_)), "{resumed:?}");

    // However slow the disk is: on one that fails from now on, it is not answered at all.
    let disk = Disk::new();
    let store = open(&disk);
    let record = session(&store).await;
    disk.fail_after(0);
    let answer = store.resume(late, record.id, record.devices[0].digest).await;
    assert!(matches!(answer, Err(StoreError::Unreachable(_))), "{answer:?}");
}

#[tokio::test]
async fn a_restart_with_a_clock_that_is_behind_revives_nothing() {
    let disk = Disk::new();
    let store = open(&disk);
    let record = session(&store).await;
    let token = minted(&store, record.id).await;
    let expired = store.redeem(token.expires_at, claim(&token)).await.unwrap();
    assert!(matches!(expired, Redeemed::Expired), "{expired:?}");
    let store = open(&disk.after_power_cut());
    let again = store.redeem(START, claim(&token)).await.unwrap();
    assert!(matches!(again, Redeemed::Expired), "{again:?}");

    let disk = Disk::new();
    let store = open(&disk);
    let record = session(&store).await;
    let end = START.after(record.lifetime.idle() * 2);
    let closed = store.resume(end, record.id, record.devices[0].digest).await.unwrap();
    assert!(matches!(closed, Resumed::Closed), "{closed:?}");
    let store = open(&disk.after_power_cut());
    let again = store.resume(START, record.id, record.devices[0].digest).await.unwrap();
    assert!(matches!(again, Resumed::Closed), "{again:?}");
}

#[tokio::test]
async fn a_second_opening_is_refused_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let first = EmbeddedStore::open(dir.path()).unwrap();
    let (kind, text) = refusal(dir.path());
    assert_eq!(kind, OpenErrorKind::Locked);
    assert!(text.contains("another process has it open; stop that one"), "{text}");
    // The refused one has done no harm.
    session(&first).await;
    first.close().await.unwrap();
    EmbeddedStore::open(dir.path()).unwrap();
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_left_as_it_is() {
    for spoiled in [&b""[..], b"not a database at all", &[0; 8192]] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("callgate.redb");
        fs::write(&file, spoiled).unwrap();
        let (kind, text) = refusal(dir.path());
        assert_eq!(kind, OpenErrorKind::Corrupt, "{} bytes: {text}", spoiled.len());
        assert_eq!(fs::read(&file).unwrap(), spoiled, "it was written to");
    }
}

#[tokio::test]
async fn a_store_that_was_cut_short_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    for _ in 0..50 {
        session(&store).await;
    }
    store.close().await.unwrap();
    let file = dir.path().join("callgate.redb");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(refusal(dir.path()).0, OpenErrorKind::Corrupt);
}

const ROWS: redb::TableDefinition<'static, u64, &[u8]> = redb::TableDefinition::new("rows");

/// What somebody does to the rows of a store that is closed.
type Spoil = fn(&mut redb::Table<'_, u64, &[u8]>);

fn spoil(dir: &Path, change: Spoil) {
    let database = redb::Database::open(dir.join("callgate.redb")).unwrap();
    let writing = database.begin_write().unwrap();
    change(&mut writing.open_table(ROWS).unwrap());
    writing.commit().unwrap();
}

#[tokio::test]
async fn rows_of_a_later_version_and_missing_rows_are_refused() {
    let later: Spoil = |table| drop(table.insert(4, &br#"{"v":4,"what":"ever"}"#[..]).unwrap());
    let missing: Spoil = |table| drop(table.remove(2).unwrap());
    let torn: Spoil =
        |table| drop(table.insert(3, &br#"{"v":1,"at":5,"did":[{"mint"#[..]).unwrap());
    let empty: Spoil = |table| table.retain(|_, _| false).unwrap();
    let cases = [
        (later, OpenErrorKind::Newer),
        (missing, OpenErrorKind::Corrupt),
        (torn, OpenErrorKind::Corrupt),
        (empty, OpenErrorKind::Corrupt),
    ];
    for (change, kind) in cases {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(dir.path()).unwrap();
        session(&store).await;
        session(&store).await;
        store.close().await.unwrap();
        spoil(dir.path(), change);
        assert_eq!(refusal(dir.path()).0, kind);
    }
}

/// What a callgate wrote that knew no runs: a session with something in its storage, a token that
/// was spent, another that was not, and a session that was ended.
const VERSION_1: &str = include_str!("version_1.jsonl");

/// The number that a version 1 journal gave out as an id of so many bytes.
fn number<const N: usize>(last: u8) -> [u8; N] {
    let mut bytes = [0; N];
    bytes[..7].fill(0x71);
    bytes[7] = last;
    bytes
}

#[tokio::test]
async fn what_an_earlier_version_wrote_is_read_and_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    EmbeddedStore::open(dir.path()).unwrap().close().await.unwrap();
    spoil(dir.path(), |table| {
        table.retain(|_, _| false).unwrap();
        for (row, place) in VERSION_1.lines().zip(1..) {
            table.insert(place, row.as_bytes()).unwrap();
        }
    });
    let (id, ended) = (SessionId::from_bytes(number(1)), SessionId::from_bytes(number(0x0b)));
    let (spent, unspent) = (Digest::from_bytes(number(4)), Digest::from_bytes(number(9)));
    let wish = ReplayOptions {
        key: ReplayKey { call: spent, body: spent },
        window: Duration::from_hours(1),
        lease: Duration::from_mins(1),
        may_take_over: true,
    };
    let attempt = |digest| Claim { token: digest, repeat: Some(wish), ..claim(&token(id)) };
    let store = EmbeddedStore::open(dir.path()).unwrap();
    assert_eq!(value(&store, id, "cart").await, json!({ "a": [1, "x"] }));
    assert_eq!(
        store.look(START, id, Right::Operator).await.unwrap().done().unwrap().record.devices.len(),
        2
    );
    assert!(store.look(START, ended, Right::Operator).await.unwrap().done().is_none());
    // Nobody knows any more what its callback was, so nothing is its repeat.
    let again = store.redeem(START, attempt(spent)).await.unwrap();
    assert!(matches!(again, Redeemed::Used(START, _)), "{again:?}");
    let first = attempt(unspent);
    let granted = store.redeem(START, first.clone()).await.unwrap();
    assert!(matches!(&granted, Redeemed::Granted(grant) if grant.joined), "{granted:?}");
    store.close().await.unwrap();
    // Both versions stand in one journal now.
    let store = EmbeddedStore::open(dir.path()).unwrap();
    assert_eq!(
        store.look(START, id, Right::Operator).await.unwrap().done().unwrap().record.devices.len(),
        3
    );
    let taken = store.redeem(START, attempt(unspent)).await.unwrap();
    assert!(matches!(taken, Redeemed::TakenOver(_)), "{taken:?}");
    let late = Conclusion { token: unspent, run: first.id, ending: Ending::TooLarge };
    assert_eq!(store.conclude(START, late).await.unwrap(), Concluded::Late);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_process_that_died_while_it_made_the_store_is_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("callgate.redb.new"), b"half a file").unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    session(&store).await;
    assert!(!dir.path().join("callgate.redb.new").exists());
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_may_read_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("deep").join("store");
    let store = EmbeddedStore::open(&dir).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("callgate.redb")), 0o600);
    store.close().await.unwrap();
}

#[tokio::test]
async fn the_first_failure_of_the_disk_ends_everything_until_a_restart() {
    // Wherever in a commit the disk fails: at its first write or at its last fsync.
    for left in 0..12 {
        let disk = Disk::new();
        let store = open(&disk);
        let before = session(&store).await;
        store.self_check().await.unwrap();
        disk.fail_after(left);
        let mut lost = None;
        for n in 0..20 {
            match store.patch(START, before.id, Right::Operator, set("n", &json!(n))).await {
                Ok(_) => {}
                Err(StoreError::Unreachable(_)) => {
                    lost = Some(n);
                    break;
                }
                Err(other) => panic!("{left} calls left: {other:?}"),
            }
        }
        let lost = lost.expect("the failure was swallowed");
        for _ in 0..3 {
            let digest = before.devices[0].digest;
            let later = store.resume(START, before.id, digest).await;
            assert!(matches!(later, Err(StoreError::Corrupt(_))), "{later:?}");
            let later =
                store.patch(START, before.id, Right::Operator, set("n", &json!("late"))).await;
            assert!(matches!(later, Err(StoreError::Corrupt(_))), "{later:?}");
            assert!(store.self_check().await.is_err(), "a failed store says it is well");
        }
        assert!(store.close().await.is_err());
        for after in [disk.after_power_cut(), disk.after_kill()] {
            let found = value(&open(&after), before.id, "n").await;
            // What was acknowledged is there; the one nobody knows about may be.
            let acknowledged = if lost == 0 { json!(null) } else { json!(lost - 1) };
            assert!(found == acknowledged || found == json!(lost), "{left}: {found} of {lost}");
        }
    }
}

#[tokio::test]
async fn a_store_with_no_room_refuses_new_sessions_and_serves_the_others() {
    let store =
        EmbeddedStore::open_on(Disk::new(), Config { sessions_max: 3, ..Config::default() })
            .unwrap();
    let first = signed_in(&store).await;
    signed_in(&store).await;
    signed_in(&store).await;
    let full = store.create(START, signing_in()).await;
    assert!(matches!(full, Err(StoreError::Full)), "{full:?}");
    let patched = store.patch(START, first.id, Right::Operator, set("k", &json!(1))).await.unwrap();
    assert!(matches!(patched, Patched::Done(_)));
    minted(&store, first.id).await;
    // Once one has ended, or expired unnoticed, there is room.
    store.end(START, first.id, Right::Operator).await.unwrap();
    signed_in(&store).await;
    assert!(matches!(store.create(START, signing_in()).await, Err(StoreError::Full)));
    let late = START.after(first.lifetime.idle());
    assert!(matches!(store.create(late, signing_in()).await.unwrap(), Created::New(_)));
}

#[tokio::test]
async fn after_a_clean_restart_sessions_were_used_when_they_were_and_after_a_crash_not_earlier() {
    let disk = Disk::new();
    let store = open(&disk);
    let record = session(&store).await;
    // So soon after the founding that it is not written down by itself.
    let used = START.after_secs(60);
    store.resume(used, record.id, record.devices[0].digest).await.unwrap();
    store.close().await.unwrap();
    let seen = async |store: &EmbeddedStore| {
        let looked = store.look(used, record.id, Right::Operator).await.unwrap();
        looked.done().unwrap().seen_at
    };
    let left = disk.after_kill();
    let store = open(&left);
    assert_eq!(seen(&store).await, used);
    // A use that no restart may lose, and a process that dies: the time of it is given back.
    let later = used.after_secs(60);
    store.resume(later, record.id, record.devices[0].digest).await.unwrap();
    let crashed = open(&left.after_kill());
    assert!(seen(&crashed).await >= later);
}

#[tokio::test]
async fn the_journal_stays_small_and_keeps_what_lives() {
    let disk = Disk::new();
    let store = open(&disk);
    let quiet = session(&store).await;
    store
        .patch(START, quiet.id, Right::Operator, set("k", &json!("from the beginning")))
        .await
        .unwrap();
    let unspent = minted(&store, quiet.id).await;
    let spent = minted(&store, quiet.id).await;
    let won = claim(&spent);
    store.redeem(START, won.clone()).await.unwrap();
    let ended = session(&store).await;
    store.end(START, ended.id, Right::Operator).await.unwrap();
    let busy = session(&store).await;
    let text = "x".repeat(100 * 1024);
    // 120 MB of updates of one session.
    for n in 0..1_200 {
        let patch = set("big", &json!([n, text]));
        let patched = store.patch(START, busy.id, Right::Operator, patch).await.unwrap();
        assert!(matches!(patched, Patched::Done(_)));
    }
    assert!(disk.bytes() < 48 << 20, "the file has {} bytes", disk.bytes());
    for disk in [disk.after_power_cut(), disk.after_kill()] {
        let store = open(&disk);
        assert_eq!(value(&store, quiet.id, "k").await, json!("from the beginning"));
        assert_eq!(value(&store, busy.id, "big").await, json!([1_199, text]));
        let dead = store.resume(START, ended.id, ended.devices[0].digest).await.unwrap();
        assert!(matches!(dead, Resumed::Closed), "{dead:?}");
        let replay = store.redeem(START, claim(&spent)).await.unwrap();
        assert!(matches!(replay, Redeemed::Used(..)), "{replay:?}");
        let repeat = store.redeem(START, won.clone()).await.unwrap();
        assert!(matches!(repeat, Redeemed::Granted(_)), "{repeat:?}");
        let fresh = store.redeem(START, claim(&unspent)).await.unwrap();
        assert!(matches!(fresh, Redeemed::Granted(_)), "{fresh:?}");
        let more =
            store.mint(START, Right::Operator, Patch::default(), token(quiet.id)).await.unwrap();
        assert!(matches!(more, Minted::Done(_)));
    }
}
