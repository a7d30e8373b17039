//! Promises about redeeming a token.

use std::time::Duration;

use crate::base::RestoreMode;
use crate::base::limits::DEVICES_PER_SESSION_MAX;
use crate::base::mode::Caller;
use crate::session::Right;
use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::stage::HANDLER;
use crate::store::contract::stage::ensure;
use crate::store::contract::stage::ensure_is;
use crate::store::contract::stage::founder;
use crate::store::port::Claim;
use crate::store::port::Redeemed;
use crate::token::Token;

pub(crate) async fn a_token_is_redeemed_once(stage: Stage) -> Kept {
    let token = stage.minted(stage.session().await?.id).await?;
    let won_at = stage.later(Duration::from_secs(1));
    won_at.granted(won_at.claim(&token)?).await?;
    let late = stage.later(Duration::from_secs(2));
    for _ in 0..3 {
        let claim = late.claim(&token)?;
        let newcomer = claim.newcomer.clone();
        let redeemed = late.redeem(late.now, claim).await?;
        ensure_is!(redeemed, Redeemed::Used(at, _) if at == won_at.now);
        ensure!(!late.opens(token.session, &newcomer).await?, "a loser got in");
    }
    let forged = stage.token(token.session)?;
    ensure_is!(late.redeem(late.now, late.claim(&forged)?).await?, Redeemed::Unknown);
    Ok(())
}

pub(crate) async fn the_winner_is_told_the_same_again(stage: Stage) -> Kept {
    let token = stage.minted(stage.session().await?.id).await?;
    let claim = stage.claim(&token)?;
    let first = stage.granted(claim.clone()).await?;
    let late = stage.later(Duration::from_secs(2));
    let again = late.granted(claim).await?;
    let same = (first.token, first.mode, first.joined) == (again.token, again.mode, again.joined);
    ensure!(same, "first {first:?}, then {again:?}");
    let devices = again.opened.record.devices.len();
    ensure!(devices == 2, "{devices} browsers after one redemption");
    ensure_is!(late.redeem(late.now, late.claim(&token)?).await?, Redeemed::Used(..));
    Ok(())
}

pub(crate) async fn a_winner_that_asks_after_the_end_of_the_session_is_told_so(
    stage: Stage,
) -> Kept {
    let session = stage.session().await?;
    let claim = stage.claim(&stage.minted(session.id).await?)?;
    stage.granted(claim.clone()).await?;
    stage.end(stage.now, session.id, Right::Operator).await?;
    ensure_is!(stage.redeem(stage.now, claim).await?, Redeemed::SessionGone);
    stage.is_over(session.id, founder(&session)?).await
}

pub(crate) async fn a_wrong_handler_changes_nothing(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let handlers = vec!["Mail.confirmed".into(), HANDLER.into()];
    let token = stage.keep(Token { handlers, ..stage.token(id)? }).await?;
    for handler in ["Other.one", "pay.done", "Pay", "Pay.done2", ""] {
        let claim = Claim { handler: handler.into(), ..stage.claim(&token)? };
        let newcomer = claim.newcomer.clone();
        ensure_is!(stage.redeem(stage.now, claim).await?, Redeemed::WrongHandler);
        ensure!(!stage.opens(id, &newcomer).await?, "{handler:?} let somebody in");
    }
    stage.granted(stage.claim(&token)?).await?;
    Ok(())
}

pub(crate) async fn a_share_lets_the_newcomer_in(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let claim = stage.claim(&stage.minted(session.id).await?)?;
    let claim = Claim { row_mode: RestoreMode::Share, ..claim };
    let newcomer = claim.newcomer.clone();
    let grant = stage.granted(claim).await?;
    ensure!(grant.joined && grant.mode == RestoreMode::Share, "got {grant:?}");
    let listed = grant.opened.record.devices.contains(&newcomer);
    ensure!(listed, "the answer shows the session without the newcomer");
    ensure!(stage.opens(session.id, &newcomer).await?, "the newcomer is locked out");
    ensure!(stage.opens(session.id, founder(&session)?).await?, "the founder is locked out");
    Ok(())
}

pub(crate) async fn a_context_lets_nobody_in(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let claim = stage.claim(&stage.minted(session.id).await?)?;
    let claim = Claim { row_mode: RestoreMode::Context, ..claim };
    let newcomer = claim.newcomer.clone();
    let grant = stage.granted(claim.clone()).await?;
    ensure!(!grant.joined && grant.mode == RestoreMode::Context, "got {grant:?}");
    ensure!(grant.opened.record.id == session.id, "it opened another session");
    ensure!(!stage.opens(session.id, &newcomer).await?, "the caller got in");
    let again = stage.granted(claim).await?;
    ensure!(!again.joined, "the repetition let the caller in");
    Ok(())
}

pub(crate) async fn a_transfer_leaves_the_newcomer_alone(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let share = stage.claim(&stage.minted(session.id).await?)?;
    let second = share.newcomer.clone();
    stage.granted(share).await?;
    let unspent = stage.minted(session.id).await?;
    let claim = stage.claim(&stage.minted(session.id).await?)?;
    let claim = Claim { row_mode: RestoreMode::Transfer, ..claim };
    let newcomer = claim.newcomer.clone();
    let grant = stage.granted(claim.clone()).await?;
    ensure!(grant.joined && grant.mode == RestoreMode::Transfer, "got {grant:?}");
    ensure!(stage.opens(session.id, &newcomer).await?, "the newcomer is locked out");
    ensure!(!stage.opens(session.id, founder(&session)?).await?, "the founder still gets in");
    ensure!(!stage.opens(session.id, &second).await?, "the second browser still gets in");
    let other = stage.redeem(stage.now, stage.claim(&unspent)?).await?;
    ensure!(!matches!(other, Redeemed::Granted(_)), "another token outlived the transfer");
    ensure!(stage.granted(claim).await?.joined, "the repetition forgot the newcomer");
    Ok(())
}

pub(crate) async fn a_transfer_to_a_browser_of_the_session_leaves_that_one(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let share = stage.claim(&stage.minted(session.id).await?)?;
    let second = share.newcomer.clone();
    stage.granted(share).await?;
    let claim = stage.claim(&stage.minted(session.id).await?)?;
    let newcomer = claim.newcomer.clone();
    let current = Some((session.id, second.digest));
    let grant = stage.granted(Claim { row_mode: RestoreMode::Transfer, current, ..claim }).await?;
    ensure!(!grant.joined, "a browser of the session got a second credential");
    ensure!(stage.opens(session.id, &second).await?, "it lost its own credential");
    ensure!(!stage.opens(session.id, founder(&session)?).await?, "the founder still gets in");
    ensure!(!stage.opens(session.id, &newcomer).await?, "the unused credential opens the session");
    Ok(())
}

pub(crate) async fn a_browser_of_the_session_keeps_its_credential(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let own = founder(&session)?;
    let claim = stage.claim(&stage.minted(session.id).await?)?;
    let newcomer = claim.newcomer.clone();
    let grant = stage.granted(Claim { current: Some((session.id, own.digest)), ..claim }).await?;
    ensure!(!grant.joined, "it got a second credential");
    ensure!(grant.opened.record.devices.len() == 1, "somebody joined: {grant:?}");
    ensure!(stage.opens(session.id, own).await?, "it lost its credential");
    ensure!(!stage.opens(session.id, &newcomer).await?, "the unused credential opens the session");
    Ok(())
}

pub(crate) async fn a_credential_that_was_ended_is_no_membership(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let own = founder(&session)?;
    let token = stage.minted(session.id).await?;
    stage.detach(stage.now, session.id, Right::Operator, own.id).await?;
    let current = Some((session.id, own.digest));
    let claim = Claim { current, ..stage.claim(&token)? };
    let newcomer = claim.newcomer.clone();
    ensure!(stage.granted(claim).await?.joined, "the bearer of a token was left without a session");
    ensure!(stage.opens(session.id, &newcomer).await?, "the newcomer is locked out");
    ensure!(!stage.opens(session.id, own).await?, "the credential that was ended works again");
    Ok(())
}

pub(crate) async fn a_credential_for_another_session_is_no_membership(stage: Stage) -> Kept {
    let (here, there) = (stage.session().await?, stage.session().await?);
    let token = stage.minted(there.id).await?;
    let current = Some((here.id, founder(&here)?.digest));
    let claim = Claim { current, ..stage.claim(&token)? };
    let newcomer = claim.newcomer.clone();
    let grant = stage.granted(claim).await?;
    ensure!(grant.joined && grant.opened.record.id == there.id, "got {grant:?}");
    ensure!(stage.opens(there.id, &newcomer).await?, "the newcomer is locked out");
    ensure!(stage.opens(here.id, founder(&here)?).await?, "the session it had is gone");
    ensure!(!stage.opens(there.id, founder(&here)?).await?, "its old credential opens both");
    Ok(())
}

pub(crate) async fn the_mint_decides_the_mode_before_the_row(stage: Stage) -> Kept {
    use RestoreMode::{Auto, Context, Share, Transfer};
    let table = [
        (None, Auto, Caller::Browser, Share),
        (None, Auto, Caller::Server, Context),
        (None, Transfer, Caller::Server, Transfer),
        (Some(Context), Share, Caller::Browser, Context),
        (Some(Share), Context, Caller::Server, Share),
        (Some(Auto), Share, Caller::Server, Context),
    ];
    for (mode, row_mode, caller, expected) in table {
        let id = stage.session().await?.id;
        let token = stage.keep(Token { mode, ..stage.token(id)? }).await?;
        let grant = stage.granted(Claim { row_mode, caller, ..stage.claim(&token)? }).await?;
        ensure!(
            grant.mode == expected && grant.joined == (expected != Context),
            "mint {mode:?}, row {row_mode:?}, {caller:?}: got {:?}, joined {}",
            grant.mode,
            grant.joined
        );
    }
    Ok(())
}

pub(crate) async fn the_browser_that_was_unused_longest_makes_room(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let first = founder(&session)?;
    let mut joined = Vec::new();
    // Twice as many as there is room for; the first one is used all the time.
    for n in 1..2 * DEVICES_PER_SESSION_MAX {
        let then = stage.later(Duration::from_secs(u64::try_from(n).unwrap_or_default()));
        ensure!(then.opens(session.id, first).await?, "it makes room for number {n}");
        let claim = then.claim(&then.minted(session.id).await?)?;
        joined.push(claim.newcomer.clone());
        let grant = then.granted(claim).await?;
        let count = grant.opened.record.devices.len();
        ensure!(count == (n + 1).min(DEVICES_PER_SESSION_MAX), "{count} browsers after {n}");
        let out = (n + 1).checked_sub(DEVICES_PER_SESSION_MAX + 1);
        let expected = out.and_then(|out| joined.get(out)).map(|device| device.id);
        ensure!(grant.put_out == expected, "{:?} made room instead of {expected:?}", grant.put_out);
    }
    Ok(())
}
