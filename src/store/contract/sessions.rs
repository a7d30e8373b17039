//! Promises about sessions: creating, changing, ending.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::base::SessionId;
use crate::base::limits::STORAGE_BYTES_MAX;
use crate::base::limits::TOMBSTONE;
use crate::session::Access;
use crate::session::AccessChange;
use crate::session::Patch;
use crate::session::Right;
use crate::store::contract::Broken;
use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::stage::ensure;
use crate::store::contract::stage::ensure_is;
use crate::store::contract::stage::founder;
use crate::store::contract::stage::set;
use crate::store::contract::stage::value;
use crate::store::error::StoreError;
use crate::store::port::Created;
use crate::store::port::Founding;
use crate::store::port::Minted;
use crate::store::port::Patched;
use crate::store::port::Redeemed;
use crate::store::port::Resumed;

pub(super) async fn a_founded_session_opens_for_its_browser_only(stage: Stage) -> Kept {
    let session = stage.session().await?;
    ensure!(stage.opens(session.id, founder(&session)?).await?, "it does not open");
    let stranger = stage.device()?.digest;
    ensure_is!(stage.resume(stage.now, session.id, stranger).await?, Resumed::Replaced { .. });
    let other = stage.session().await?;
    ensure!(!stage.opens(other.id, founder(&session)?).await?, "it opens another session");
    Ok(())
}

pub(super) async fn a_session_nobody_founded_is_unheard_of(stage: Stage) -> Kept {
    let nobody = stage.founding()?.record;
    let resumed = stage.resume(stage.now, nobody.id, founder(&nobody)?.digest).await?;
    ensure_is!(resumed, Resumed::Unheard);
    ensure_is!(stage.look(stage.now, nobody.id, Right::Operator).await?.done(), None);
    ensure!(
        stage.end(stage.now, nobody.id, Right::Operator).await?.done().is_none(),
        "it was ended"
    );
    Ok(())
}

pub(super) async fn a_founding_brings_its_writes_and_its_token(stage: Stage) -> Kept {
    let founding = stage.founding()?;
    let token = stage.token(founding.record.id)?;
    let founding =
        Founding { patch: set("cart", &json!([1, 2])), token: Some(token.clone()), ..founding };
    let opened = stage.found(founding).await?;
    ensure!(value(&opened.record, "cart") == json!([1, 2]), "the answer lacks the write");
    ensure!(opened.seen_at >= stage.now, "the founding does not count as use");
    let grant = stage.granted(stage.claim(&token)?).await?;
    ensure!(value(&grant.opened.record, "cart") == json!([1, 2]), "the token lacks the write");
    Ok(())
}

pub(super) async fn a_browser_that_founds_twice_meets_its_session(stage: Stage) -> Kept {
    let founding = Founding { patch: set("first", &json!(1)), ..stage.founding()? };
    let second = Founding { patch: set("second", &json!(2)), ..founding.clone() };
    stage.found(founding).await?;
    let created = stage.create(stage.now, second).await?;
    let Created::Met(opened) = created else {
        return Err(Broken::new(format!("expected Met, got {created:?}")));
    };
    ensure!(value(&opened.record, "first") == json!(1), "it met something else");
    ensure!(value(&opened.record, "second") == Value::Null, "the second founding wrote");
    Ok(())
}

pub(super) async fn another_browser_cannot_found_a_session_that_exists(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let mut other = stage.founding()?;
    other.record.id = session.id;
    ensure_is!(stage.create(stage.now, other.clone()).await?, Created::Replaced);
    ensure!(!stage.opens(session.id, founder(&other.record)?).await?, "the other one got in");
    Ok(())
}

pub(super) async fn a_rotation_at_the_founding_replaces_the_first_browser(stage: Stage) -> Kept {
    let founding = stage.founding()?;
    let fresh = stage.device()?;
    let patch = Patch { rotate: Some(fresh.clone()), ..Patch::default() };
    let record = founding.record.clone();
    stage.found(Founding { patch, ..founding }).await?;
    ensure!(stage.opens(record.id, &fresh).await?, "the new credential does not open it");
    ensure!(!stage.opens(record.id, founder(&record)?).await?, "the old credential opens it");
    Ok(())
}

pub(super) async fn a_founding_that_is_too_large_founds_nothing(stage: Stage) -> Kept {
    let founding = stage.founding()?;
    let record = founding.record.clone();
    let patch = set("big", &json!("x".repeat(STORAGE_BYTES_MAX)));
    let created = stage.create(stage.now, Founding { patch, ..founding }).await?;
    ensure_is!(created, Created::TooLarge);
    let resumed = stage.resume(stage.now, record.id, founder(&record)?.digest).await?;
    ensure_is!(resumed, Resumed::Unheard);
    Ok(())
}

pub(super) async fn a_patch_creates_nothing(stage: Stage) -> Kept {
    let nobody = stage.founding()?.record;
    let patched = stage.patch(stage.now, nobody.id, Right::Operator, set("a", &json!(1))).await?;
    ensure_is!(patched, Patched::Gone);
    ensure_is!(stage.look(stage.now, nobody.id, Right::Operator).await?.done(), None);
    let resumed = stage.resume(stage.now, nobody.id, founder(&nobody)?.digest).await?;
    ensure_is!(resumed, Resumed::Unheard);
    Ok(())
}

pub(super) async fn patches_of_different_keys_both_stay(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    stage.patched(id, set("a", &json!(1))).await?;
    let opened = stage.patched(id, set("b", &json!(2))).await?;
    let both = (value(&opened.record, "a"), value(&opened.record, "b"));
    ensure!(both == (json!(1), json!(2)), "got {both:?}");
    ensure!(value(&*stage.seen(id).await?, "a") == json!(1), "the answer was not what is kept");
    Ok(())
}

pub(super) async fn a_patch_of_a_key_that_changed_is_a_conflict(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let first = Patch { expect: Some(("n".into(), 0)), ..set("n", &json!(1)) };
    let opened = stage.patched(id, first.clone()).await?;
    let revision = opened.record.storage.revision("n");
    ensure!(revision > 0, "a key with a value has revision 0");
    let Patched::Conflict(now) = stage.patch(stage.now, id, Right::Operator, first).await? else {
        return Err(Broken::new("a patch of an old revision was accepted"));
    };
    ensure!(now.record.storage.revision("n") == revision, "the conflict shows another state");
    let next = Patch { expect: Some(("n".into(), revision)), ..set("n", &json!(2)) };
    let opened = stage.patched(id, next).await?;
    ensure!(opened.record.storage.revision("n") > revision, "a revision came again");
    Ok(())
}

pub(super) async fn a_patch_that_expects_other_privileges_is_a_conflict(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let grant = |name: &str| AccessChange {
        grant: vec![name.into()],
        known: true,
        ..AccessChange::default()
    };
    let nothing = Some(Access::default());
    let first = Patch { access: Some(grant("a")), expect_access: nothing, ..Patch::default() };
    let held = stage.patched(id, first.clone()).await?.record.access.clone();
    let Patched::Conflict(now) = stage.patch(stage.now, id, Right::Operator, first.clone()).await?
    else {
        return Err(Broken::new("a patch that expected no privileges was accepted"));
    };
    ensure!(now.record.access == held, "the conflict shows other privileges");
    // The expectation applies to a mint, too, and a caller that expects the present value
    // succeeds.
    let token = stage.token(id)?;
    let minted = stage.mint(stage.now, Right::Operator, first, token).await?;
    ensure_is!(minted, Minted::Refused);
    ensure!(stage.seen(id).await?.access == held, "what was refused was written");
    let expect_access = Some(held.clone());
    let next = Patch { access: Some(grant("b")), expect_access, ..Patch::default() };
    let after = stage.patched(id, next).await?.record.access.clone();
    ensure!(after.privileges == [Arc::from("a"), Arc::from("b")], "got {after:?}");
    Ok(())
}

pub(super) async fn values_are_kept_up_to_the_limit_and_refused_beyond(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    // Two quotation marks and the key are counted as well.
    let text = "x".repeat(STORAGE_BYTES_MAX - 2 - "big".len());
    stage.patched(id, set("big", &json!(text))).await?;
    ensure!(value(&*stage.seen(id).await?, "big") == json!(text), "the value is not whole");
    ensure_is!(
        stage.patch(stage.now, id, Right::Operator, set("s", &json!(1))).await?,
        Patched::TooLarge
    );
    ensure!(value(&*stage.seen(id).await?, "s") == Value::Null, "what was refused was written");
    let shrink = Patch { entries: vec![("big".into(), None)], ..Patch::default() };
    stage.patched(id, shrink).await?;
    stage.patched(id, set("s", &json!("x".repeat(64 * 1024)))).await?;
    Ok(())
}

pub(super) async fn odd_keys_and_values_come_back_as_they_were(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let odd = [
        ("", json!("")),
        ("ключ 鍵 🔑", json!("значение\u{0}\u{7f}")),
        ("a\"b\\c/d\n", json!({"": [null, true, 1.5e300, -7, u64::MAX]})),
        ("null", Value::Null),
        ("{}[]*:$.'; DROP", json!([])),
        ("nul\u{0}byte", json!({"k": {"k": {"k": {}}}})),
    ];
    for (key, json) in &odd {
        stage.patched(id, set(key, json)).await?;
    }
    let record = stage.seen(id).await?;
    for (key, json) in &odd {
        ensure!(record.storage.find(key).is_some(), "the key {key:?} has no value");
        ensure!(value(&record, key) == *json, "{key:?} reads {:?}", value(&record, key));
    }
    let gone = Patch { entries: vec![("null".into(), None)], ..Patch::default() };
    let opened = stage.patched(id, gone).await?;
    ensure!(opened.record.storage.find("null").is_none(), "a key that was removed has a value");
    Ok(())
}

pub(super) async fn privileges_and_timeouts_come_back_as_they_were(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let change = AccessChange {
        grant: vec!["view".into(), "Größe".into()],
        user_name: Some("Ann \"A\" O'Hara".to_owned()),
        known: true,
        ..AccessChange::default()
    };
    let patch = Patch { access: Some(change), idle_minutes: Some(75), ..Patch::default() };
    stage.patched(id, patch).await?;
    let record = stage.seen(id).await?;
    let names: Vec<&str> = record.access.privileges.iter().map(|name| &**name).collect();
    ensure!(names == ["view", "Größe"], "the privileges are {names:?}");
    ensure!(record.access.user_name == "Ann \"A\" O'Hara", "the user name changed");
    ensure!(record.access.known && record.lifetime.idle_minutes == 75, "got {record:?}");
    let clear = AccessChange { clear: true, ..AccessChange::default() };
    let patch = Patch { access: Some(clear), ..Patch::default() };
    let opened = stage.patched(id, patch).await?;
    ensure!(opened.record.access.privileges.is_empty(), "privileges outlived their end");
    Ok(())
}

pub(super) async fn detaching_a_browser_ends_its_right_and_no_other(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let token = stage.minted(session.id).await?;
    let claim = stage.claim(&token)?;
    let second = claim.newcomer.clone();
    stage.granted(claim).await?;
    ensure!(
        stage
            .detach(stage.now, session.id, Right::Operator, second.id)
            .await?
            .done()
            .unwrap_or_default(),
        "it had a right"
    );
    ensure!(!stage.opens(session.id, &second).await?, "the browser still opens the session");
    ensure!(stage.opens(session.id, founder(&session)?).await?, "another browser lost its right");
    ensure!(
        !stage
            .detach(stage.now, session.id, Right::Operator, second.id)
            .await?
            .done()
            .unwrap_or_default(),
        "it left twice"
    );
    Ok(())
}

pub(super) async fn an_ended_session_is_closed_to_every_verb(stage: Stage) -> Kept {
    let session = stage.session().await?;
    ensure!(stage.end(stage.now, session.id, Right::Operator).await?.done().is_some(), "it lived");
    stage.is_over(session.id, founder(&session)?).await
}

pub(super) async fn an_ended_id_never_comes_back(stage: Stage) -> Kept {
    let session = stage.session().await?;
    stage.end(stage.now, session.id, Right::Operator).await?;
    let late = stage.later(TOMBSTONE.saturating_sub(Duration::from_millis(1)));
    late.sweep(late.now, 1_000).await?;
    late.is_over(session.id, founder(&session)?).await
}

pub(super) async fn a_rotation_ends_the_other_browsers_and_tokens(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let id = session.id;
    let unspent = stage.minted(id).await?;
    let claim = stage.claim(&stage.minted(id).await?)?;
    let second = claim.newcomer.clone();
    stage.granted(claim).await?;
    let third = stage.device()?;
    let patch = Patch { rotate: Some(third.clone()), ..set("role", &json!("boss")) };
    // The token that is minted with the rotation is the first of the new ones.
    let new = stage.token(id)?;
    ensure_is!(stage.mint(stage.now, Right::Operator, patch, new.clone()).await?, Minted::Done(_));
    ensure!(!stage.opens(id, founder(&session)?).await?, "the first browser still opens it");
    ensure!(!stage.opens(id, &second).await?, "the second browser still opens it");
    ensure!(stage.opens(id, &third).await?, "the new credential does not open it");
    let old = stage.redeem(stage.now, stage.claim(&unspent)?).await?;
    ensure_is!(old, Redeemed::EndedBySignIn);
    stage.granted(stage.claim(&new)?).await?;
    Ok(())
}

pub(super) async fn a_rotation_and_a_patch_in_any_order_keep_both(stage: Stage) -> Kept {
    for rotate_first in [true, false] {
        let id = stage.session().await?.id;
        let fresh = stage.device()?;
        let rotation = Patch { rotate: Some(fresh.clone()), ..Patch::default() };
        let mut patches = [rotation, set("k", &json!(1))];
        if !rotate_first {
            patches.reverse();
        }
        for patch in patches {
            stage.patched(id, patch).await?;
        }
        ensure!(stage.opens(id, &fresh).await?, "the rotation was undone");
        ensure!(value(&*stage.seen(id).await?, "k") == json!(1), "the patch was undone");
    }
    Ok(())
}

pub(super) async fn a_logout_and_a_patch_in_any_order_end_the_session(stage: Stage) -> Kept {
    for logout_first in [true, false] {
        let session = stage.session().await?;
        if !logout_first {
            stage.patched(session.id, set("k", &json!(1))).await?;
        }
        stage.end(stage.now, session.id, Right::Operator).await?;
        stage.is_over(session.id, founder(&session)?).await?;
    }
    Ok(())
}

pub(super) async fn pages_show_every_living_session_once_and_in_order(stage: Stage) -> Kept {
    let mut expected = BTreeSet::new();
    for n in 0..7 {
        let id = stage.session().await?.id;
        if n == 3 {
            stage.end(stage.now, id, Right::Operator).await?;
        } else {
            expected.insert(id);
        }
    }
    let mut shown: Vec<SessionId> = Vec::new();
    loop {
        let page = stage.sessions(stage.now, shown.last().copied(), 4).await?;
        ensure!(page.len() <= 4, "a page of {} where 4 were asked for", page.len());
        if page.is_empty() {
            break;
        }
        shown.extend(page.iter().map(|opened| opened.record.id));
        ensure!(shown.len() <= 6, "more sessions than there are: {shown:?}");
    }
    ensure!(shown.is_sorted(), "not in order: {shown:?}");
    ensure!(shown.into_iter().collect::<BTreeSet<_>>() == expected, "not all, or others");
    Ok(())
}

pub(super) async fn a_closed_store_refuses_every_verb(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let before = stage.self_check().await?;
    ensure!(!before.store.is_empty(), "it does not say what it is");
    stage.close().await?;
    let digest = founder(&session)?.digest;
    ensure_is!(stage.resume(stage.now, session.id, digest).await, Err(StoreError::Refused(_)));
    let patched = stage.patch(stage.now, session.id, Right::Operator, set("k", &json!(1))).await;
    ensure_is!(patched, Err(StoreError::Refused(_)));
    let founding = stage.founding()?;
    ensure_is!(stage.create(stage.now, founding).await, Err(StoreError::Refused(_)));
    stage.close().await?;
    Ok(())
}
