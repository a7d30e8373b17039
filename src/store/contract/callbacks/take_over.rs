//! Promises about the take-over of a callback that was cut off or never began.

use tokio::task::JoinSet;

use crate::base::Confirm;
use crate::base::RestoreMode;
use crate::session::Patch;
use crate::session::Right;
use crate::store::contract::Broken;
use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::callbacks::repeats::OVER;
use crate::store::contract::callbacks::repeats::again;
use crate::store::contract::callbacks::repeats::answer;
use crate::store::contract::callbacks::repeats::once;
use crate::store::contract::stage::HANDLER;
use crate::store::contract::stage::ensure;
use crate::store::contract::stage::ensure_is;
use crate::store::contract::stage::founder;
use crate::store::port::Claim;
use crate::store::port::Concluded;
use crate::store::port::Ending;
use crate::store::port::Redeemed;
use crate::token::Consent;
use crate::token::Question;
use crate::token::Repeat;
use crate::token::Token;

pub(crate) async fn an_interrupted_run_is_taken_over_by_one(stage: Stage) -> Kept {
    let (token, slow) = stage.running().await?;
    let late = stage.later(OVER);
    let heir = late.callback(&token, again())?;
    let grant = match late.redeem(late.now, heir.clone()).await? {
        Redeemed::TakenOver(grant) => grant,
        other => return Err(Broken::new(format!("nobody took over: {other:?}"))),
    };
    ensure!(grant.opened.record.id == token.session, "it opened another session");
    ensure!(!grant.joined && grant.mode == RestoreMode::Context, "it let somebody in: {grant:?}");
    ensure!(!late.opens(token.session, &heir.newcomer).await?, "the heir got in");
    let told = late.try_again(&token, again()).await?;
    ensure_is!(told, Redeemed::Repeats(_, Repeat::Running));
    ensure_is!(late.ended(&slow, answer(b"slow")).await?, Concluded::Late);
    ensure_is!(late.redeem(late.now, slow).await?, Redeemed::Repeats(_, Repeat::Running));
    ensure_is!(late.ended(&heir, answer(b"heir")).await?, Concluded::Kept);
    late.answers(&token, b"heir").await
}

pub(crate) async fn a_refused_run_is_taken_over_on_any_row(stage: Stage) -> Kept {
    let (token, claim) = stage.running().await?;
    ensure_is!(stage.ended(&claim, Ending::NotStarted).await?, Concluded::NotKept);
    let heir = stage.callback(&token, once())?;
    ensure_is!(stage.redeem(stage.now, heir.clone()).await?, Redeemed::TakenOver(_));
    ensure_is!(stage.ended(&heir, answer(b"heir")).await?, Concluded::Kept);
    stage.answers(&token, b"heir").await
}

pub(crate) async fn who_takes_over_in_his_own_session_stays_in_it(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let own = founder(&session)?.clone();
    let token = stage.minted(session.id).await?;
    let claim = stage.callback(&token, once())?;
    stage.granted(claim.clone()).await?;
    stage.ended(&claim, Ending::NotStarted).await?;
    let heir = Claim { current: Some((session.id, own.digest)), ..stage.callback(&token, once())? };
    let heir = Claim { row_mode: RestoreMode::Share, ..heir };
    match stage.redeem(stage.now, heir).await? {
        Redeemed::TakenOver(grant) => {
            ensure!(!grant.joined && grant.mode == RestoreMode::Share, "got {grant:?}");
        }
        other => return Err(Broken::new(format!("nobody took over: {other:?}"))),
    }
    ensure!(stage.opens(session.id, &own).await?, "the browser lost its session");
    Ok(())
}

/// A browser that lost the reply to its redemption comes with the same newcomer and another claim.
pub(crate) async fn a_browser_that_lost_its_redemption_takes_over_in_its_own_mode(
    stage: Stage,
) -> Kept {
    for row_mode in [RestoreMode::Share, RestoreMode::Transfer] {
        for ending in [Ending::NotStarted, Ending::Interrupted] {
            let token = stage.minted(stage.session().await?.id).await?;
            let lost = Claim { row_mode, ..stage.callback(&token, once())? };
            stage.granted(lost.clone()).await?;
            stage.ended(&lost, ending).await?;
            let before = stage.seen(token.session).await?.devices.len();
            let newcomer = lost.newcomer.clone();
            let again = Claim { row_mode, newcomer, ..stage.callback(&token, again())? };
            match stage.redeem(stage.now, again).await? {
                Redeemed::TakenOver(grant) => {
                    ensure!(grant.joined && grant.mode == row_mode, "got {grant:?}");
                }
                other => return Err(Broken::new(format!("nobody took over: {other:?}"))),
            }
            ensure!(stage.opens(token.session, &lost.newcomer).await?, "the browser was put out");
            let devices = stage.seen(token.session).await?.devices.len();
            ensure!(devices == before, "{devices} browsers, and {before} before");
        }
    }
    Ok(())
}

pub(crate) async fn a_take_over_is_judged_like_a_redemption(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let handlers = vec![HANDLER.into()];
    let token = stage.keep(Token { handlers, ..stage.token(id)? }).await?;
    let claim = stage.callback(&token, once())?;
    stage.granted(claim.clone()).await?;
    stage.ended(&claim, Ending::Interrupted).await?;
    let elsewhere = Claim { handler: "Other.one".into(), ..stage.callback(&token, again())? };
    ensure_is!(stage.redeem(stage.now, elsewhere).await?, Redeemed::WrongHandler);
    let consent = Consent::Open { row: Confirm::Always, browser: None, signed_in: None };
    let opened = Claim { consent, ..stage.callback(&token, again())? };
    ensure_is!(stage.redeem(stage.now, opened).await?, Redeemed::AskFirst(Question::Click));
    let told = stage.try_again(&token, once()).await?;
    ensure_is!(told, Redeemed::Repeats(_, Repeat::Interrupted));
    stage.end(stage.now, id, Right::Operator).await?;
    ensure_is!(stage.try_again(&token, again()).await?, Redeemed::SessionGone);
    Ok(())
}

pub(crate) async fn of_many_repeats_one_takes_over(stage: Stage) -> Kept {
    for _ in 0..20 {
        let (token, claim) = stage.running().await?;
        stage.ended(&claim, Ending::Interrupted).await?;
        let heirs = (0..16).map(|_| {
            let (stage, token) = (stage.clone(), token.clone());
            async move { stage.try_again(&token, again()).await }
        });
        let mut taken_over = 0;
        for told in heirs.collect::<JoinSet<_>>().join_all().await {
            match told? {
                Redeemed::TakenOver(_) => taken_over += 1,
                Redeemed::Repeats(_, Repeat::Running) => {}
                other => return Err(Broken::new(format!("an heir got {other:?}"))),
            }
        }
        ensure!(taken_over == 1, "{taken_over} took over");
    }
    Ok(())
}

pub(crate) async fn nobody_takes_over_a_run_after_others_were_put_out(stage: Stage) -> Kept {
    for ending in [Ending::Interrupted, Ending::NotStarted] {
        for rotates in [true, false] {
            let (token, claim) = stage.running().await?;
            stage.ended(&claim, ending.clone()).await?;
            let last = if rotates {
                let last = stage.device()?;
                let patch = Patch { rotate: Some(last.clone()), ..Patch::default() };
                stage.patched(token.session, patch).await?;
                last
            } else {
                let transfer = stage.claim(&stage.minted(token.session).await?)?;
                let last = transfer.newcomer.clone();
                stage.granted(Claim { row_mode: RestoreMode::Transfer, ..transfer }).await?;
                last
            };
            for _ in 0..2 {
                let told = stage.try_again(&token, again()).await?;
                ensure_is!(told, Redeemed::Repeats(_, Repeat::Interrupted));
            }
            // A caller that is in the session by another right takes over as before.
            let current = Some((token.session, last.digest));
            let own = Claim { current, ..stage.callback(&token, again())? };
            ensure_is!(stage.redeem(stage.now, own).await?, Redeemed::TakenOver(_));
        }
    }
    Ok(())
}
