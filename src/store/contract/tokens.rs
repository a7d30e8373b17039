//! Promises about unclaimed tokens.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::base::Digest;
use crate::base::Secret;
use crate::base::SessionId;
use crate::base::TokenId;
use crate::base::limits::STORAGE_BYTES_MAX;
use crate::base::limits::TOKENS_PER_SESSION_MAX;
use crate::base::limits::TOMBSTONE;
use crate::base::secret::entropy::OsEntropy;
use crate::session::Patch;
use crate::session::Right;
use crate::store::contract::Broken;
use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::stage::HANDLER;
use crate::store::contract::stage::TOKEN_LIFE;
use crate::store::contract::stage::ensure;
use crate::store::contract::stage::ensure_is;
use crate::store::contract::stage::founder;
use crate::store::contract::stage::set;
use crate::store::contract::stage::value;
use crate::store::port::Checked;
use crate::store::port::Claim;
use crate::store::port::Minted;
use crate::store::port::Redeemed;
use crate::token::Token;

const INSTANT: Duration = Duration::from_millis(1);

pub(super) async fn a_mint_publishes_its_patch(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let token = stage.token(id)?;
    let minted =
        stage.mint(stage.now, Right::Operator, set("step", &json!("wait")), token.clone()).await?;
    let Minted::Done(opened) = minted else {
        return Err(Broken::new(format!("expected Done, got {minted:?}")));
    };
    ensure!(value(&opened.record, "step") == json!("wait"), "the answer lacks the write");
    let grant = stage.granted(stage.claim(&token)?).await?;
    ensure!(value(&grant.opened.record, "step") == json!("wait"), "the bearer lacks the write");
    ensure!(grant.token == token.id, "the grant names another token");
    Ok(())
}

pub(super) async fn a_mint_whose_patch_is_refused_mints_nothing(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    stage.patched(id, set("n", &json!(1))).await?;
    let outdated = Patch { expect: Some(("n".into(), 0)), ..set("n", &json!(2)) };
    let large = set("big", &json!("x".repeat(STORAGE_BYTES_MAX)));
    for patch in [outdated, large] {
        let token = stage.token(id)?;
        ensure_is!(
            stage.mint(stage.now, Right::Operator, patch, token.clone()).await?,
            Minted::Refused
        );
        ensure_is!(stage.redeem(stage.now, stage.claim(&token)?).await?, Redeemed::Unknown);
    }
    let record = stage.seen(id).await?;
    ensure!(value(&record, "n") == json!(1), "a refused mint wrote");
    ensure!(value(&record, "big") == Value::Null, "a refused mint wrote");
    Ok(())
}

pub(super) async fn a_session_holds_sixteen_unspent_tokens(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let mut tokens = Vec::new();
    for _ in 0..TOKENS_PER_SESSION_MAX {
        tokens.push(stage.minted(id).await?);
    }
    let more =
        stage.mint(stage.now, Right::Operator, set("k", &json!(1)), stage.token(id)?).await?;
    ensure_is!(more, Minted::TooMany);
    ensure!(value(&*stage.seen(id).await?, "k") == Value::Null, "a refused mint wrote");
    stage.minted(stage.session().await?.id).await?;
    let Some(first) = tokens.first() else { return Ok(()) };
    stage.granted(stage.claim(first)?).await?;
    // A spent token makes room for one, and so do expired ones.
    stage.minted(id).await?;
    ensure_is!(
        stage.mint(stage.now, Right::Operator, Patch::default(), stage.token(id)?).await?,
        Minted::TooMany
    );
    let late = stage.later(TOKEN_LIFE);
    late.minted(id).await?;
    Ok(())
}

pub(super) async fn a_revoked_token_is_unknown(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let (token, other) = (stage.minted(id).await?, stage.minted(id).await?);
    ensure!(stage.revoke(stage.now, token.id).await?, "it was unspent");
    let redeemed = stage.redeem(stage.now, stage.claim(&token)?).await?;
    ensure!(!matches!(redeemed, Redeemed::Granted(_)), "a revoked token was granted");
    ensure!(!stage.revoke(stage.now, token.id).await?, "it was revoked twice");
    stage.granted(stage.claim(&other)?).await?;
    Ok(())
}

/// Rotates the credential of a session.
async fn rotate(stage: &Stage, id: SessionId) -> Kept {
    let patch = Patch { rotate: Some(stage.device()?), ..Patch::default() };
    stage.patched(id, patch).await.map(drop)
}

pub(super) async fn a_token_that_a_rotation_ended_says_so_as_long_as_it_would_have_lived(
    stage: Stage,
) -> Kept {
    let id = stage.session().await?.id;
    let handlers = vec![HANDLER.into()];
    let token = stage.keep(Token { handlers, ..stage.token(id)? }).await?;
    let year = stage.now.after(TOMBSTONE * 100);
    let long = stage.keep(Token { expires_at: year, ..stage.token(id)? }).await?;
    let spent = stage.minted(id).await?;
    stage.granted(stage.claim(&spent)?).await?;
    let at = stage.later(TOKEN_LIFE / 2);
    rotate(&at, id).await?;
    let told = async |stage: &Stage, token: &Token| {
        stage.redeem(stage.now, stage.claim(token)?).await.map_err(Broken::from)
    };
    ensure_is!(told(&at, &spent).await?, Redeemed::Used(..));
    let late = stage.later(TOKEN_LIFE.saturating_sub(INSTANT));
    late.sweep(late.now, usize::MAX).await?;
    // For every caller, and however often.
    for _ in 0..2 {
        ensure_is!(told(&late, &token).await?, Redeemed::EndedBySignIn);
        let elsewhere = Claim { handler: "Other.one".into(), ..late.claim(&token)? };
        ensure_is!(late.redeem(late.now, elsewhere).await?, Redeemed::EndedBySignIn);
        ensure_is!(told(&late, &long).await?, Redeemed::EndedBySignIn);
    }
    ensure_is!(told(&late, &late.token(id)?).await?, Redeemed::Unknown);
    let over = stage.later(TOKEN_LIFE);
    ensure_is!(told(&over, &token).await?, Redeemed::Unknown);
    // A token with a longer lifetime is forgotten with the tombstones of sessions.
    let last = at.later(TOMBSTONE.saturating_sub(INSTANT));
    ensure_is!(told(&last, &long).await?, Redeemed::EndedBySignIn);
    let over = at.later(TOMBSTONE);
    ensure_is!(told(&over, &long).await?, Redeemed::Unknown);
    over.sweep(over.now, usize::MAX).await?;
    ensure_is!(told(&over, &long).await?, Redeemed::Unknown);
    Ok(())
}

pub(super) async fn a_token_that_a_rotation_ended_counts_for_nothing(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let id = session.id;
    let year = stage.now.after(TOMBSTONE * 100);
    let mut ended = Vec::new();
    for _ in 0..3 {
        // As many as a session may hold, each time.
        for _ in 0..TOKENS_PER_SESSION_MAX {
            ended.push(stage.keep(Token { expires_at: year, ..stage.token(id)? }).await?);
        }
        rotate(&stage, id).await?;
    }
    ensure!(stage.tokens(stage.now, None, 100).await?.is_empty(), "an ended token is listed");
    for token in &ended {
        ensure!(!stage.revoke(stage.now, token.id).await?, "an ended token was revoked");
        let told = stage.redeem(stage.now, stage.claim(token)?).await?;
        ensure_is!(told, Redeemed::EndedBySignIn);
    }
    // The session does not live longer because of them, and they are forgotten eventually.
    let late = stage.later(session.lifetime.idle());
    ensure_is!(late.look(late.now, id, Right::Operator).await?, Checked::Gone);
    let late = stage.later(TOMBSTONE);
    let swept = late.sweep(late.now, usize::MAX).await?;
    ensure!(swept >= ended.len(), "of {} ended tokens {swept} are forgotten", ended.len());
    for token in &ended {
        let told = late.redeem(late.now, late.claim(token)?).await?;
        ensure_is!(told, Redeemed::Unknown);
    }
    Ok(())
}

pub(super) async fn a_spent_token_cannot_be_revoked(stage: Stage) -> Kept {
    let token = stage.minted(stage.session().await?.id).await?;
    let claim = stage.claim(&token)?;
    stage.granted(claim.clone()).await?;
    ensure!(!stage.revoke(stage.now, token.id).await?, "a spent token was revoked");
    // Nor is it forgotten by the attempt.
    stage.granted(claim).await?;
    let nobody = stage.token(token.session)?.id;
    ensure!(!stage.revoke(stage.now, nobody).await?, "a token nobody minted was revoked");
    Ok(())
}

pub(super) async fn a_token_of_an_ended_session_is_spent_on_nothing(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let token = stage.minted(session.id).await?;
    stage.end(stage.now, session.id, Right::Operator).await?;
    let claim = stage.claim(&token)?;
    ensure_is!(stage.redeem(stage.now, claim.clone()).await?, Redeemed::SessionGone);
    ensure_is!(stage.redeem(stage.now, claim.clone()).await?, Redeemed::SessionGone);
    let other = stage.redeem(stage.now, stage.claim(&token)?).await?;
    ensure!(!matches!(other, Redeemed::Granted(_)), "it was granted");
    ensure!(!stage.opens(session.id, &claim.newcomer).await?, "the newcomer got in");
    stage.is_over(session.id, founder(&session)?).await
}

pub(super) async fn an_ended_session_mints_nothing(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    stage.end(stage.now, id, Right::Operator).await?;
    let token = stage.token(id)?;
    ensure_is!(
        stage.mint(stage.now, Right::Operator, Patch::default(), token.clone()).await?,
        Minted::Gone
    );
    ensure_is!(stage.redeem(stage.now, stage.claim(&token)?).await?, Redeemed::Unknown);
    Ok(())
}

pub(super) async fn a_secret_of_one_application_is_unknown_in_another(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let secret = Secret::random(&OsEntropy::new())?;
    let under = |purpose: &str, app: &str| Digest::of::<16>(purpose, app, &secret);
    let token = Token { digest: under("token", "shop"), ..stage.token(id)? };
    let token = stage.keep(token).await?;
    for digest in [under("token", "bank"), under("credential", "shop")] {
        let elsewhere = Token { digest, ..token.clone() };
        ensure_is!(stage.redeem(stage.now, stage.claim(&elsewhere)?).await?, Redeemed::Unknown);
    }
    stage.granted(stage.claim(&token)?).await?;
    Ok(())
}

pub(super) async fn pages_show_every_unspent_token_once_and_in_order(stage: Stage) -> Kept {
    let (one, other) = (stage.session().await?.id, stage.session().await?.id);
    let mut expected = BTreeSet::new();
    for n in 0..8 {
        let token = stage.minted(if n < 5 { one } else { other }).await?;
        match n {
            2 => drop(stage.granted(stage.claim(&token)?).await?),
            3 => drop(stage.revoke(stage.now, token.id).await?),
            _ => drop(expected.insert(token.id)),
        }
    }
    let mut shown: Vec<TokenId> = Vec::new();
    loop {
        let page = stage.tokens(stage.now, shown.last().copied(), 4).await?;
        ensure!(page.len() <= 4, "a page of {} where 4 were asked for", page.len());
        if page.is_empty() {
            break;
        }
        shown.extend(page.iter().map(|token| token.id));
        ensure!(shown.len() <= 6, "more tokens than there are: {shown:?}");
    }
    ensure!(shown.is_sorted(), "not in order: {shown:?}");
    ensure!(shown.into_iter().collect::<BTreeSet<_>>() == expected, "not all, or others");
    stage.end(stage.now, one, Right::Operator).await?;
    let left = stage.tokens(stage.now, None, 100).await?;
    ensure!(left.iter().all(|token| token.session == other), "a dead session's token is shown");
    Ok(())
}
