//! Promises about the expiry of sessions, tombstones and tokens.

use std::time::Duration;

use serde_json::json;

use crate::base::SessionId;
use crate::base::limits::TOKEN_GRACE;
use crate::base::limits::TOMBSTONE;
use crate::session::Lifetime;
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
use crate::store::port::Founding;
use crate::store::port::Redeemed;
use crate::store::port::Resumed;
use crate::token::Token;

const INSTANT: Duration = Duration::from_millis(1);

fn idle() -> Duration {
    Lifetime::default().idle()
}

pub(super) async fn a_token_is_refused_from_its_last_moment_on(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let (early, late) = (stage.minted(id).await?, stage.minted(id).await?);
    let before = stage.later(TOKEN_LIFE.saturating_sub(INSTANT));
    before.granted(before.claim(&early)?).await?;
    for span in [TOKEN_LIFE, TOKEN_LIFE + INSTANT] {
        let after = stage.later(span);
        let claim = after.claim(&late)?;
        let newcomer = claim.newcomer.clone();
        ensure_is!(after.redeem(after.now, claim).await?, Redeemed::Expired);
        ensure!(!after.opens(id, &newcomer).await?, "the bearer got in");
    }
    Ok(())
}

pub(super) async fn a_session_is_closed_from_its_last_moment_on(stage: Stage) -> Kept {
    let (early, late) = (stage.session().await?, stage.session().await?);
    let before = stage.later(idle().saturating_sub(INSTANT));
    ensure!(before.opens(early.id, founder(&early)?).await?, "it ended too early");
    let after = stage.later(idle());
    after.is_over(late.id, founder(&late)?).await?;
    ensure!(after.opens(early.id, founder(&early)?).await?, "another session ended with it");
    Ok(())
}

pub(super) async fn use_prolongs_a_session_and_looking_does_not(stage: Stage) -> Kept {
    let (used, watched) = (stage.session().await?, stage.session().await?);
    for minutes in [40, 80, 120, 160] {
        let then = stage.later(Duration::from_mins(minutes));
        ensure!(then.opens(used.id, founder(&used)?).await?, "it ended in use at {minutes} min");
        let looked = then.look(then.now, watched.id, Right::Operator).await?.done();
        ensure!(looked.is_some() == (minutes < 60), "looking at {minutes} min: {looked:?}");
    }
    Ok(())
}

pub(super) async fn a_redemption_counts_as_use(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let half = stage.later(idle() / 2);
    let grant = half.granted(half.claim(&half.minted(session.id).await?)?).await?;
    ensure!(grant.opened.seen_at >= half.now, "the answer shows an older use");
    let late = stage.later(idle() + idle() / 4);
    ensure!(late.opens(session.id, founder(&session)?).await?, "it ended in spite of the use");
    Ok(())
}

pub(super) async fn the_absolute_limit_ends_a_busy_session(stage: Stage) -> Kept {
    let mut founding = stage.founding()?;
    founding.record.lifetime.absolute_minutes = Some(100);
    let session = founding.record.clone();
    stage.found(founding).await?;
    for minutes in [30, 60, 99] {
        let then = stage.later(Duration::from_mins(minutes));
        ensure!(then.opens(session.id, founder(&session)?).await?, "it ended at {minutes} min");
    }
    let end = stage.later(Duration::from_mins(100));
    end.is_over(session.id, founder(&session)?).await
}

pub(super) async fn a_shorter_timeout_counts_at_once(stage: Stage) -> Kept {
    let mut founding = stage.founding()?;
    founding.record.lifetime.idle_minutes = 600;
    let session = founding.record.clone();
    stage.found(founding).await?;
    let shorter = Patch { idle_minutes: Some(60), ..Patch::default() };
    stage.patched(session.id, shorter).await?;
    let after = stage.later(idle());
    ensure!(after.sweep(after.now, 100).await? >= 1, "the sweep has not noticed");
    after.is_over(session.id, founder(&session)?).await
}

pub(super) async fn a_clock_that_steps_back_revives_nothing(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let other = stage.session().await?;
    let token = stage.minted(other.id).await?;
    let after = stage.later(TOKEN_LIFE);
    ensure_is!(after.redeem(after.now, after.claim(&token)?).await?, Redeemed::Expired);
    ensure_is!(stage.redeem(stage.now, stage.claim(&token)?).await?, Redeemed::Expired);
    let after = stage.later(idle());
    after.is_over(session.id, founder(&session)?).await?;
    stage.is_over(session.id, founder(&session)?).await?;
    // Nor does a session that was not read since profit from it.
    let resumed = stage.resume(stage.now, other.id, founder(&other)?.digest).await?;
    ensure_is!(resumed, Resumed::Closed);
    Ok(())
}

pub(super) async fn a_used_token_is_remembered_until_its_grace_is_over(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let (used, unused) = (stage.minted(session.id).await?, stage.minted(session.id).await?);
    stage.granted(stage.claim(&used)?).await?;
    let late = stage.later((TOKEN_LIFE + TOKEN_GRACE).saturating_sub(INSTANT));
    late.sweep(late.now, 100).await?;
    let redeemed = late.redeem(late.now, late.claim(&used)?).await?;
    ensure_is!(redeemed, Redeemed::Used(at, _) if at == stage.now);
    ensure_is!(late.redeem(late.now, late.claim(&unused)?).await?, Redeemed::Expired);
    let later = stage.later(TOKEN_LIFE + TOKEN_GRACE);
    ensure_is!(later.redeem(later.now, later.claim(&used)?).await?, Redeemed::Unknown);
    later.sweep(later.now, 100).await?;
    ensure_is!(later.redeem(later.now, later.claim(&unused)?).await?, Redeemed::Unknown);
    Ok(())
}

pub(super) async fn an_expired_session_is_closed_to_every_verb(stage: Stage) -> Kept {
    let mut founding = stage.founding()?;
    founding.record.lifetime.absolute_minutes = Some(founding.record.lifetime.idle_minutes);
    let session = founding.record.clone();
    stage.found(founding).await?;
    let token = stage.token(session.id)?;
    let expires_at = stage.now.after(idle() * 2);
    let token = stage.keep(Token { expires_at, ..token }).await?;
    let after = stage.later(idle());
    let claim = after.claim(&token)?;
    ensure_is!(after.redeem(after.now, claim.clone()).await?, Redeemed::SessionGone);
    ensure!(!after.opens(session.id, &claim.newcomer).await?, "the newcomer got in");
    after.is_over(session.id, founder(&session)?).await?;
    ensure!(after.sessions(after.now, None, 100).await?.is_empty(), "it is still listed");
    after.sweep(after.now, 100).await?;
    after.is_over(session.id, founder(&session)?).await
}

pub(super) async fn a_sweep_is_bounded_and_comes_to_an_end(stage: Stage) -> Kept {
    for _ in 0..20 {
        stage.minted(stage.session().await?.id).await?;
    }
    let after = stage.later(idle());
    let mut dropped = 0;
    for _ in 0..1_000 {
        let now = after.sweep(after.now, 7).await?;
        ensure!(now <= 7, "a sweep of 7 dropped {now}");
        dropped += now;
        if now == 0 {
            break;
        }
    }
    ensure!(dropped >= 20, "{dropped} records of 20 sessions and 20 tokens were dropped");
    let last = after.later(TOMBSTONE);
    for _ in 0..1_000 {
        if last.sweep(last.now, 7).await? == 0 {
            return Ok(());
        }
    }
    Err(Broken::new("a thousand sweeps found no end"))
}

pub(super) async fn a_sweep_takes_nothing_that_lives(stage: Stage) -> Kept {
    let founding = Founding { patch: set("k", &json!("kept")), ..stage.founding()? };
    let session = founding.record.clone();
    stage.found(founding).await?;
    let almost = stage.later(idle().saturating_sub(INSTANT));
    ensure!(almost.opens(session.id, founder(&session)?).await?, "it ended too early");
    let token = almost.minted(session.id).await?;
    // It would have expired by now if it had not been used.
    let late = almost.later(TOKEN_LIFE.saturating_sub(INSTANT));
    late.sweep(late.now, 1_000).await?;
    ensure!(late.opens(session.id, founder(&session)?).await?, "the sweep took a session");
    let grant = late.granted(late.claim(&token)?).await?;
    let kept = grant.opened.record.storage.find("k").is_some();
    ensure!(kept, "the sweep took a value");
    Ok(())
}

/// A token that lives for a day, of a session that is not used meanwhile.
async fn long_token(stage: &Stage, id: SessionId) -> Result<Token, Broken> {
    let expires_at = stage.now.after(DAY);
    stage.keep(Token { expires_at, ..stage.token(id)? }).await
}

const DAY: Duration = Duration::from_hours(24);

pub(super) async fn an_unspent_token_keeps_its_session(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let (token, late) = (long_token(&stage, session.id).await?, long_token(&stage, session.id));
    let late = late.await?;
    for minutes in [61, 125, 1_400] {
        let then = stage.later(Duration::from_mins(minutes));
        let swept = then.sweep(then.now, 1_000).await?;
        ensure!(swept == 0, "{swept} records were swept at {minutes} min");
        let opened = then.look(then.now, session.id, Right::Operator).await?.done();
        let ends_at = opened.map(|opened| opened.ends_at());
        ensure!(ends_at == Some(late.expires_at), "at {minutes} min it ends {ends_at:?}");
        let listed = then.sessions(then.now, None, 10).await?;
        ensure!(listed.len() == 1, "{} sessions are listed", listed.len());
        let tokens = then.tokens(then.now, None, 10).await?;
        ensure!(tokens.len() == 2, "{} tokens are listed", tokens.len());
    }
    let last = stage.later(DAY.saturating_sub(INSTANT));
    last.granted(last.claim(&token)?).await?;
    // Its idle timeout is counted from the last use as before.
    let over = last.later(idle());
    over.is_over(session.id, founder(&session)?).await
}

pub(super) async fn the_absolute_limit_ends_a_session_with_unspent_tokens(stage: Stage) -> Kept {
    let mut founding = stage.founding()?;
    founding.record.lifetime.absolute_minutes = Some(100);
    let session = founding.record.clone();
    stage.found(founding).await?;
    let token = long_token(&stage, session.id).await?;
    let before = stage.later(Duration::from_mins(99));
    ensure!(before.opens(session.id, founder(&session)?).await?, "it ended before the limit");
    let end = stage.later(Duration::from_mins(100));
    ensure_is!(end.redeem(end.now, end.claim(&token)?).await?, Redeemed::SessionGone);
    end.is_over(session.id, founder(&session)?).await
}

pub(super) async fn a_session_that_has_lost_its_token_ends_like_any_other(stage: Stage) -> Kept {
    let (revoked, spent) = (stage.session().await?, stage.session().await?);
    let token = long_token(&stage, revoked.id).await?;
    let back = long_token(&stage, spent.id).await?;
    let late = stage.later(Duration::from_mins(90));
    ensure!(late.revoke(late.now, token.id).await?, "it could not be revoked");
    late.is_over(revoked.id, founder(&revoked)?).await?;
    // Redeemed at 90 minutes, which counts as use, it lives until 150.
    late.granted(late.claim(&back)?).await?;
    let (alive, over) = (late.later(idle().saturating_sub(INSTANT)), late.later(idle()));
    let looked = alive.look(alive.now, spent.id, Right::Operator).await?.done();
    ensure!(looked.is_some(), "it ended before its idle timeout");
    over.sweep(over.now, 1_000).await?;
    over.is_over(spent.id, founder(&spent)?).await
}
