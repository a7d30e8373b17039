//! Promises about requests and replies that are lost between a caller and the store.

use std::pin::pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Waker;

use serde_json::json;

use crate::session::Patch;
use crate::session::Right;
use crate::store::contract::Broken;
use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::stage::ensure;
use crate::store::contract::stage::ensure_is;
use crate::store::contract::stage::set;
use crate::store::contract::stage::value;
use crate::store::error::StoreError;
use crate::store::faulty::Faulty;
use crate::store::faulty::Lose;
use crate::store::faulty::When;
use crate::store::port::OperationKind;
use crate::store::port::Patched;
use crate::store::port::Redeemed;
use crate::store::port::Store;

pub(super) async fn a_claim_whose_reply_was_lost_can_be_asked_again(stage: Stage) -> Kept {
    let token = stage.minted(stage.session().await?.id).await?;
    let faulty = Faulty::new(stage.store());
    faulty.lose(OperationKind::Redeem, Lose::Reply, When::Next(2));
    let claim = stage.claim(&token)?;
    for _ in 0..2 {
        let lost = faulty.redeem(stage.now, claim.clone()).await;
        ensure_is!(lost, Err(StoreError::Unreachable(_)));
    }
    ensure_is!(stage.redeem(stage.now, stage.claim(&token)?).await?, Redeemed::Used(..));
    let again = faulty.redeem(stage.now, claim).await?;
    ensure_is!(again, Redeemed::Granted(grant) if grant.joined);
    Ok(())
}

pub(super) async fn a_claim_whose_request_was_lost_has_not_happened(stage: Stage) -> Kept {
    let token = stage.minted(stage.session().await?.id).await?;
    let faulty = Faulty::new(stage.store());
    faulty.lose(OperationKind::Redeem, Lose::Request, When::Next(1));
    let lost = faulty.redeem(stage.now, stage.claim(&token)?).await;
    ensure_is!(lost, Err(StoreError::Unreachable(_)));
    stage.granted(stage.claim(&token)?).await?;
    Ok(())
}

pub(super) async fn a_claim_that_was_given_up_is_done_or_not_done(stage: Stage) -> Kept {
    for _ in 0..32 {
        let id = stage.session().await?.id;
        let token = stage.minted(id).await?;
        let claim = stage.claim(&token)?;
        {
            // Polled once and dropped, as when the client of a request disconnects.
            let mut attempt = pin!(stage.redeem(stage.now, claim.clone()));
            let _ = attempt.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        let other = stage.redeem(stage.now, stage.claim(&token)?).await?;
        let session = stage.seen(id).await?;
        let devices = &session.devices;
        match other {
            Redeemed::Granted(_) => {
                let late = stage.redeem(stage.now, claim.clone()).await?;
                ensure_is!(late, Redeemed::Used(..));
            }
            Redeemed::Used(..) => {
                let done = devices.contains(&claim.newcomer);
                ensure!(done, "the token is spent and its bearer was not let in");
            }
            other => return Err(Broken::new(format!("another claim got {other:?}"))),
        }
        ensure!(devices.len() == 2, "{} browsers after one redemption", devices.len());
    }
    Ok(())
}

pub(super) async fn a_patch_whose_reply_was_lost_shows_in_its_revision(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let faulty: Arc<Faulty> = Arc::new(Faulty::new(stage.store()));
    faulty.lose(OperationKind::Patch, Lose::Reply, When::Every(2));
    let first = faulty.patch(stage.now, id, Right::Operator, set("n", &json!(1))).await?;
    ensure_is!(first, Patched::Done(_));
    let read = stage.seen(id).await?.storage.revision("n");
    let second = Patch { expect: Some(("n".into(), read)), ..set("n", &json!(2)) };
    let lost = faulty.patch(stage.now, id, Right::Operator, second.clone()).await;
    ensure_is!(lost, Err(StoreError::Unreachable(_)));
    // A retry gets the result that the session has changed, by this caller or by another one.
    let again = faulty.patch(stage.now, id, Right::Operator, second).await?;
    ensure_is!(again, Patched::Conflict(now) if value(&now.record, "n") == json!(2));
    Ok(())
}
