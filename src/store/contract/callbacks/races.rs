//! Promises about concurrent callers.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::limits::TOKENS_PER_SESSION_MAX;
use crate::base::limits::UPDATE_ATTEMPTS_MAX;
use crate::session::Patch;
use crate::session::Right;
use crate::store::contract::Broken;
use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::stage::TOKEN_LIFE;
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
use crate::store::port::Store;

/// Lets `claimers` tasks race for each of `tokens` tokens. Each token must have one winner, and
/// all others must get the result that it is used (docs/SECURITY.md C-01).
pub async fn race(start: Timestamp, store: Arc<dyn Store>, tokens: usize, claimers: usize) -> Kept {
    let stage = Stage::new(start, store);
    // As many as a session may hold at a time, and several races concurrently.
    for round in 0..tokens.div_ceil(TOKENS_PER_SESSION_MAX) {
        let id = stage.session().await?.id;
        let mut races = JoinSet::new();
        for _ in 0..TOKENS_PER_SESSION_MAX.min(tokens - round * TOKENS_PER_SESSION_MAX) {
            let token = stage.minted(id).await?;
            for _ in 0..claimers {
                let (claim, stage) = (stage.claim(&token)?, stage.clone());
                races.spawn(async move { (claim.token, stage.redeem(stage.now, claim).await) });
            }
        }
        count_winners(races, claimers).await?;
    }
    Ok(())
}

type Outcome = (Digest, Result<Redeemed, StoreError>);

async fn count_winners(mut races: JoinSet<Outcome>, claimers: usize) -> Kept {
    let mut counts = HashMap::<Digest, (usize, usize)>::new();
    while let Some(outcome) = races.join_next().await {
        let (token, redeemed) = outcome?;
        let (won, lost) = counts.entry(token).or_default();
        match redeemed? {
            Redeemed::Granted(_) => *won += 1,
            Redeemed::Used(..) => *lost += 1,
            other => return Err(Broken::new(format!("a racer got {other:?}"))),
        }
    }
    for (won, lost) in counts.values() {
        ensure!((*won, *lost) == (1, claimers - 1), "{won} won and {lost} lost one token");
    }
    Ok(())
}

pub(crate) async fn of_many_claimers_exactly_one_wins(stage: Stage) -> Kept {
    race(stage.now, stage.store(), 32, 64).await
}

pub(crate) async fn many_repeats_of_one_claim_are_one_redemption(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let claim = stage.claim(&stage.minted(session.id).await?)?;
    let mut repeats = JoinSet::new();
    for _ in 0..32 {
        let (stage, claim) = (stage.clone(), claim.clone());
        repeats.spawn(async move { stage.granted(claim).await });
    }
    while let Some(grant) = repeats.join_next().await {
        ensure!(grant??.joined, "a repetition was told something else");
    }
    let devices = stage.seen(session.id).await?.devices.len();
    ensure!(devices == 2, "one redemption let {} browsers in", devices - 1);
    Ok(())
}

pub(crate) async fn writers_of_different_keys_lose_nothing(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let mut writers = JoinSet::new();
    for n in 0..200 {
        let stage = stage.clone();
        writers.spawn(async move { stage.patched(id, set(&format!("k{n}"), &json!(n))).await });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let record = stage.seen(id).await?;
    let lost = (0..200).filter(|n| value(&record, &format!("k{n}")) != json!(n)).count();
    ensure!(lost == 0, "{lost} of 200 writes are lost");
    Ok(())
}

pub(crate) async fn writers_of_one_key_lose_no_update(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let mut writers = JoinSet::new();
    for _ in 0..32 {
        let stage = stage.clone();
        writers.spawn(async move {
            for _ in 0..8 {
                increment(&stage, id).await?;
            }
            Ok::<_, Broken>(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let sum = value(&*stage.seen(id).await?, "n");
    ensure!(sum == json!(32 * 8), "{} updates made {sum}", 32 * 8);
    Ok(())
}

async fn increment(stage: &Stage, id: SessionId) -> Kept {
    let mut record = stage.seen(id).await?;
    for _ in 0..UPDATE_ATTEMPTS_MAX {
        // Lets another writer interleave, even where the store itself never waits.
        tokio::task::yield_now().await;
        let next = value(&record, "n").as_u64().unwrap_or(0) + 1;
        let expect = Some(("n".into(), record.storage.revision("n")));
        match stage
            .patch(stage.now, id, Right::Operator, Patch { expect, ..set("n", &json!(next)) })
            .await?
        {
            Patched::Done(_) => return Ok(()),
            Patched::Conflict(opened) => record = opened.record,
            other => return Err(Broken::new(format!("an update got {other:?}"))),
        }
    }
    Err(Broken::new(format!("{UPDATE_ATTEMPTS_MAX} attempts were not enough")))
}

pub(crate) async fn a_logout_racing_patches_stands(stage: Stage) -> Kept {
    for _ in 0..32 {
        let session = stage.session().await?;
        let mut writers = JoinSet::new();
        for n in 0..8 {
            let (stage, id) = (stage.clone(), session.id);
            writers.spawn(async move {
                stage.patch(stage.now, id, Right::Operator, set(&format!("k{n}"), &json!(n))).await
            });
        }
        ensure!(
            stage.end(stage.now, session.id, Right::Operator).await?.done().is_some(),
            "the logout found nothing to end"
        );
        stage.is_over(session.id, founder(&session)?).await?;
        while let Some(written) = writers.join_next().await {
            ensure_is!(written??, Patched::Done(_) | Patched::Gone);
        }
        stage.is_over(session.id, founder(&session)?).await?;
    }
    Ok(())
}

pub(crate) async fn a_logout_racing_a_redemption_stands(stage: Stage) -> Kept {
    for _ in 0..64 {
        let session = stage.session().await?;
        let claim = stage.claim(&stage.minted(session.id).await?)?;
        let newcomer = claim.newcomer.clone();
        let racer = stage.clone();
        let redeeming = tokio::spawn(async move { racer.redeem(racer.now, claim).await });
        ensure!(
            stage.end(stage.now, session.id, Right::Operator).await?.done().is_some(),
            "the logout found nothing to end"
        );
        ensure_is!(redeeming.await??, Redeemed::Granted(_) | Redeemed::SessionGone);
        let resumed = stage.resume(stage.now, session.id, newcomer.digest).await?;
        ensure_is!(resumed, Resumed::Closed);
        stage.is_over(session.id, founder(&session)?).await?;
    }
    Ok(())
}

pub(crate) async fn a_revocation_racing_a_redemption_has_one_winner(stage: Stage) -> Kept {
    for _ in 0..64 {
        let token = stage.minted(stage.session().await?.id).await?;
        let claim = stage.claim(&token)?;
        let racer = stage.clone();
        let redeeming = tokio::spawn(async move { racer.redeem(racer.now, claim).await });
        let revoked = stage.revoke(stage.now, token.id).await?;
        let redeemed = redeeming.await??;
        let granted = matches!(redeemed, Redeemed::Granted(_));
        ensure!(granted != revoked, "revoked: {revoked}, and redeemed: {redeemed:?}");
    }
    Ok(())
}

pub(crate) async fn a_rotation_racing_a_patch_loses_neither(stage: Stage) -> Kept {
    for _ in 0..64 {
        let session = stage.session().await?;
        let id = session.id;
        let fresh = stage.device()?;
        let rotation = Patch { rotate: Some(fresh.clone()), ..Patch::default() };
        let racer = stage.clone();
        let rotating = tokio::spawn(async move { racer.patched(id, rotation).await });
        stage.patched(id, set("k", &json!(1))).await?;
        rotating.await??;
        let record = stage.seen(id).await?;
        ensure!(value(&record, "k") == json!(1), "the patch is lost");
        ensure!(record.devices == [fresh.clone()], "the rotation is lost: {:?}", record.devices);
    }
    Ok(())
}

pub(crate) async fn founders_in_parallel_found_one_session(stage: Stage) -> Kept {
    let founding = stage.founding()?;
    let mut founders = JoinSet::new();
    for n in 0..32 {
        let stage = stage.clone();
        let founding = Founding { patch: set("by", &json!(n)), ..founding.clone() };
        founders.spawn(async move { stage.create(stage.now, founding).await });
    }
    let (mut new, mut seen) = (0, BTreeSet::new());
    while let Some(created) = founders.join_next().await {
        match created?? {
            Created::New(opened) => {
                new += 1;
                seen.insert(value(&opened.record, "by").to_string());
            }
            Created::Met(opened) => drop(seen.insert(value(&opened.record, "by").to_string())),
            other => return Err(Broken::new(format!("a founder got {other:?}"))),
        }
    }
    ensure!(new == 1 && seen.len() == 1, "{new} founded it, and it held {seen:?}");
    Ok(())
}

pub(crate) async fn minters_in_parallel_keep_to_the_limit(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let mut minters = JoinSet::new();
    for _ in 0..4 * TOKENS_PER_SESSION_MAX {
        let (stage, token) = (stage.clone(), stage.token(id)?);
        minters.spawn(async move {
            stage.mint(stage.now, Right::Operator, Patch::default(), token).await
        });
    }
    let mut minted = 0;
    while let Some(answer) = minters.join_next().await {
        match answer?? {
            Minted::Done(_) => minted += 1,
            Minted::TooMany => {}
            other => return Err(Broken::new(format!("a minter got {other:?}"))),
        }
    }
    ensure!(minted == TOKENS_PER_SESSION_MAX, "{minted} tokens were minted");
    Ok(())
}

pub(crate) async fn a_sweep_racing_claims_takes_none_of_them(stage: Stage) -> Kept {
    for round in 0..16 {
        // The sessions and tokens of earlier rounds are over, so the sweep has something to do.
        let then = stage.later(Duration::from_mins(round * 30));
        let token = then.minted(then.session().await?.id).await?;
        let late = then.later(TOKEN_LIFE.saturating_sub(Duration::from_millis(1)));
        let (racer, claim) = (late.clone(), late.claim(&token)?);
        let redeeming = tokio::spawn(async move { racer.redeem(racer.now, claim).await });
        late.sweep(late.now, 100).await?;
        ensure_is!(redeeming.await??, Redeemed::Granted(_));
    }
    Ok(())
}
