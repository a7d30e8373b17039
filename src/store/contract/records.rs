//! Promises about the records of a store.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::stage::ensure;
use crate::store::contract::stage::ensure_is;
use crate::store::error::StoreError;
use crate::store::faulty::Faulty;
use crate::store::faulty::Lose;
use crate::store::faulty::When;
use crate::store::port::OperationKind;
use crate::store::port::RecordChange;
use crate::store::port::Store;

/// Writers of one record at once.
const WRITERS: usize = 16;

fn change(key: &str, expected: Option<&[u8]>, value: Option<&[u8]>) -> RecordChange {
    RecordChange {
        key: key.to_owned(),
        expected: expected.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
    }
}

async fn write(store: &dyn Store, changes: &[RecordChange]) -> Result<bool, StoreError> {
    store.write_records(changes.to_vec()).await
}

async fn value(store: &dyn Store, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    Ok(store.read_records(vec![key.to_owned()]).await?.pop().flatten())
}

pub(super) async fn records_come_back_as_they_were_written(stage: Stage) -> Kept {
    let long = vec![0xA5; 60_000];
    let kept: [(&str, &[u8]); 4] =
        [("a:empty", b""), ("a:bytes", b"\x00\xFF\r\n'\\"), ("b:élan $1 {x}", b"{}"), ("c", &long)];
    for (key, value) in kept {
        ensure!(write(&*stage, &[change(key, None, Some(value))]).await?, "{key} was not written");
    }
    let keys = ["c", "nobody", "a:empty", "b:élan $1 {x}", "a:bytes"];
    let read = stage.read_records(keys.map(str::to_owned).to_vec()).await?;
    let expected: Vec<_> = keys
        .iter()
        .map(|key| kept.iter().find(|(kept, _)| kept == key).map(|(_, value)| value.to_vec()))
        .collect();
    ensure!(read == expected, "other values were read, or in another order");
    ensure!(stage.read_records(Vec::new()).await?.is_empty(), "nothing was asked for");
    Ok(())
}

pub(super) async fn a_write_of_records_happens_completely_or_not_at_all(stage: Stage) -> Kept {
    let both = [change("x", None, Some(b"1")), change("y", None, Some(b"1"))];
    ensure!(write(&*stage, &both).await?, "two new records were not written");
    for second in [
        change("y", None, Some(b"2")),
        change("y", Some(b"other"), Some(b"2")),
        change("z", Some(b"1"), Some(b"2")),
        change("z", Some(b""), None),
    ] {
        let changes = [change("x", Some(b"1"), Some(b"2")), second.clone()];
        ensure!(!write(&*stage, &changes).await?, "{second:?} did not refuse the write");
    }
    let read = stage.read_records(["x", "y", "z"].map(str::to_owned).to_vec()).await?;
    let one = Some(b"1".to_vec());
    ensure!(read == [one.clone(), one, None], "a refused write has changed something");
    let moved = [change("x", Some(b"1"), None), change("z", None, Some(b"1"))];
    ensure!(write(&*stage, &moved).await?, "a record was not moved");
    ensure_is!(value(&*stage, "x").await?, None);
    ensure!(write(&*stage, &[change("x", None, Some(b"3"))]).await?, "a removed key is taken");
    Ok(())
}

pub(super) async fn of_many_writers_of_a_new_record_one_wins(stage: Stage) -> Kept {
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let store = stage.store();
        let own = number.to_string();
        writers.spawn(async move {
            let changes = [
                change("login:ada", None, Some(own.as_bytes())),
                change(&format!("user:{own}"), None, Some(b"ada")),
            ];
            write(&*store, &changes).await
        });
    }
    let mut winners = 0;
    while let Some(done) = writers.join_next().await {
        winners += usize::from(done??);
    }
    ensure!(winners == 1, "{winners} writers have created the same record");
    let users = stage.list_records("user:", None, WRITERS).await?;
    ensure!(users.len() == 1, "{} of them have written their other record", users.len());
    Ok(())
}

pub(super) async fn counters_in_records_lose_no_count(stage: Stage) -> Kept {
    ensure!(write(&*stage, &[change("n", None, Some(b"0"))]).await?, "it was not written");
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let store = stage.store();
        writers.spawn(async move { count(store).await });
    }
    while let Some(done) = writers.join_next().await {
        done??;
    }
    let counted = value(&*stage, "n").await?;
    ensure!(counted == Some(WRITERS.to_string().into_bytes()), "{counted:?} of {WRITERS}");
    Ok(())
}

/// Adds one, as often as it takes.
async fn count(store: Arc<dyn Store>) -> Result<(), StoreError> {
    loop {
        let held = value(&*store, "n").await?.unwrap_or_default();
        let number: usize = String::from_utf8_lossy(&held).parse().unwrap_or_default();
        let next = (number + 1).to_string();
        if write(&*store, &[change("n", Some(&held), Some(next.as_bytes()))]).await? {
            return Ok(());
        }
    }
}

pub(super) async fn pages_show_every_record_of_a_prefix_once_and_in_order(stage: Stage) -> Kept {
    let keys = ["p:", "p:A", "p:Z", "p:a", "p:b", "p:é", "p:\u{10FFFF}"];
    let others = ["", "o", "p", "p9", "p;", "q:a"];
    for key in keys.iter().chain(&others).rev() {
        let changes = [change(key, None, Some(key.as_bytes()))];
        ensure!(write(&*stage, &changes).await?, "{key} was not written");
    }
    for at_most in [1, 2, 3, 100] {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        for _ in 0..=keys.len() {
            let page = stage.list_records("p:", after.as_deref(), at_most).await?;
            ensure!(page.len() <= at_most, "a page of {at_most} has {}", page.len());
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            ensure!(
                page.iter().all(|(key, value)| key.as_bytes() == value),
                "a record has the value of another"
            );
            found.extend(page.into_iter().map(|(key, _)| key));
        }
        ensure!(found == keys, "pages of {at_most} show {found:?}");
    }
    let before = stage.list_records("p:", Some("a"), 1).await?;
    ensure!(before.iter().all(|(key, _)| key == "p:"), "it begins at {before:?}");
    Ok(())
}

pub(super) async fn a_write_whose_reply_was_lost_has_happened(stage: Stage) -> Kept {
    let faulty = Faulty::new(stage.store());
    faulty.lose(OperationKind::WriteRecords, Lose::Reply, When::Next(1));
    let lost = write(&faulty, &[change("k", None, Some(b"v"))]).await;
    ensure_is!(lost, Err(StoreError::Unreachable(_)));
    ensure!(value(&*stage, "k").await? == Some(b"v".to_vec()), "it has not happened");
    faulty.lose(OperationKind::WriteRecords, Lose::Request, When::Next(1));
    let lost = write(&faulty, &[change("k", Some(b"v"), None)]).await;
    ensure_is!(lost, Err(StoreError::Unreachable(_)));
    ensure!(value(&*stage, "k").await? == Some(b"v".to_vec()), "a lost request was executed");
    Ok(())
}
