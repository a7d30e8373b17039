//! Promises about tokens before anybody redeems them.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::json;

use crate::base::Digest;
use crate::base::Secret;
use crate::base::TokenId;
use crate::base::entropy::OsEntropy;
use crate::base::limits::STORAGE_BYTES_MAX;
use crate::base::limits::TOKENS_PER_SESSION_MAX;
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
use crate::store::port::Minted;
use crate::store::port::Redeemed;
use crate::token::Token;

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
    // A spent token makes room for one, and so do those whose lifespan is over.
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
