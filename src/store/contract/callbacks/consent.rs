//! Promises about the consent that is required before a token is redeemed.

use std::time::Duration;

use crate::base::Confirm;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::session::Patch;
use crate::session::Right;
use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::stage::TOKEN_LIFE;
use crate::store::contract::stage::ensure;
use crate::store::contract::stage::ensure_is;
use crate::store::contract::stage::founder;
use crate::store::port::Claim;
use crate::store::port::Redeemed;
use crate::token::Consent;
use crate::token::Question;
use crate::token::Token;

const BROWSER: Digest = Digest::from_bytes([7; 32]);
const OTHER: Digest = Digest::from_bytes([8; 32]);

fn open(row: Confirm, browser: Option<Digest>) -> Consent {
    Consent::Open { row, browser, signed_in: None }
}

fn signed_in(session: SessionId) -> Consent {
    Consent::Open { row: Confirm::Never, browser: None, signed_in: Some(session) }
}

pub(crate) async fn asking_changes_nothing(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let token = stage.minted(session.id).await?;
    for _ in 0..3 {
        let consent = open(Confirm::Always, None);
        let claim = Claim { consent, row_mode: RestoreMode::Share, ..stage.claim(&token)? };
        let newcomer = claim.newcomer.clone();
        let redeemed = stage.redeem(stage.now, claim).await?;
        ensure_is!(redeemed, Redeemed::AskFirst(Question::Click));
        ensure!(!stage.opens(session.id, &newcomer).await?, "who was only asked got in");
    }
    let listed = stage.tokens(stage.now, None, 10).await?;
    ensure!(listed == [token.clone()], "the token is not what it was: {listed:?}");
    let devices = stage.seen(session.id).await?.devices.len();
    ensure!(devices == 1, "{devices} browsers in the session");
    stage.granted(stage.claim(&token)?).await?;
    Ok(())
}

pub(crate) async fn asking_is_no_use_of_the_session(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let token = stage.token(session.id)?;
    // An unspent token keeps its session that long anyway.
    let expires_at = stage.now.after(session.lifetime.idle());
    let token = stage.keep(Token { expires_at, ..token }).await?;
    let late = stage.later(session.lifetime.idle().saturating_sub(Duration::from_secs(1)));
    let claim = Claim { consent: open(Confirm::Always, None), ..late.claim(&token)? };
    ensure_is!(late.redeem(late.now, claim).await?, Redeemed::AskFirst(_));
    let later = stage.later(session.lifetime.idle());
    later.is_over(session.id, founder(&session)?).await
}

pub(crate) async fn the_stricter_of_row_and_mint_is_asked_for(stage: Stage) -> Kept {
    use Confirm::{Always, Foreign, Never};
    let (bound, foreign) = (Some(BROWSER), Some(OTHER));
    let table = [
        (None, Never, None, false),
        (None, Foreign, bound, false),
        (None, Foreign, foreign, true),
        (None, Foreign, None, true),
        (None, Always, bound, true),
        (Some(Foreign), Never, bound, false),
        (Some(Foreign), Never, foreign, true),
        (Some(Always), Never, bound, true),
        (Some(Never), Foreign, None, true),
    ];
    for (confirm, row, browser, asks) in table {
        let id = stage.session().await?.id;
        let token = Token { confirm, binding: bound, ..stage.token(id)? };
        let token = stage.keep(token).await?;
        let claim = Claim { consent: open(row, browser), ..stage.claim(&token)? };
        let asked = matches!(stage.redeem(stage.now, claim).await?, Redeemed::AskFirst(_));
        ensure!(asked == asks, "mint {confirm:?}, row {row:?}, {browser:?}: asked is {asked}");
    }
    Ok(())
}

pub(crate) async fn a_token_that_is_bound_to_no_browser_is_foreign_to_all(stage: Stage) -> Kept {
    let token = stage.minted(stage.session().await?.id).await?;
    for browser in [None, Some(BROWSER)] {
        let claim = Claim { consent: open(Confirm::Foreign, browser), ..stage.claim(&token)? };
        let redeemed = stage.redeem(stage.now, claim).await?;
        ensure_is!(redeemed, Redeemed::AskFirst(Question::Click));
    }
    Ok(())
}

pub(crate) async fn who_is_signed_in_elsewhere_is_asked_before_he_is_moved(stage: Stage) -> Kept {
    use RestoreMode::{Context, Share, Transfer};
    let (here, there) = (stage.session().await?.id, stage.session().await?.id);
    for (row_mode, consent, asks) in [
        (Share, signed_in(there), true),
        (Transfer, signed_in(there), true),
        (Context, signed_in(there), false),
        (Share, signed_in(here), false),
        (Share, Consent::Clicked { signed_in: Some(there) }, true),
        (Share, Consent::Clicked { signed_in: None }, false),
        (Transfer, Consent::Given, false),
    ] {
        let token = stage.minted(here).await?;
        let claim = Claim { row_mode, consent, ..stage.claim(&token)? };
        let redeemed = stage.redeem(stage.now, claim).await?;
        let asked = matches!(redeemed, Redeemed::AskFirst(Question::Switch));
        ensure!(asked == asks, "{row_mode}, {consent:?}: got {redeemed:?}");
    }
    Ok(())
}

pub(crate) async fn nobody_is_asked_about_a_token_that_leads_nowhere(stage: Stage) -> Kept {
    let session = stage.session().await?;
    let asked = |stage: &Stage, token: &Token| {
        let consent = open(Confirm::Always, None);
        stage.claim(token).map(|claim| Claim { consent, ..claim })
    };
    let used = stage.minted(session.id).await?;
    stage.granted(stage.claim(&used)?).await?;
    ensure_is!(stage.redeem(stage.now, asked(&stage, &used)?).await?, Redeemed::Used(..));
    let forged = stage.token(session.id)?;
    ensure_is!(stage.redeem(stage.now, asked(&stage, &forged)?).await?, Redeemed::Unknown);
    let handlers = vec!["Other.one".into()];
    let bound = stage.keep(Token { handlers, ..stage.token(session.id)? }).await?;
    ensure_is!(stage.redeem(stage.now, asked(&stage, &bound)?).await?, Redeemed::WrongHandler);
    let expired = stage.minted(session.id).await?;
    let late = stage.later(TOKEN_LIFE);
    ensure_is!(late.redeem(late.now, asked(&late, &expired)?).await?, Redeemed::Expired);
    let orphan = late.minted(session.id).await?;
    late.end(late.now, session.id, Right::Operator).await?;
    let gone = late.redeem(late.now, asked(&late, &orphan)?).await?;
    ensure_is!(gone, Redeemed::SessionGone | Redeemed::Unknown);
    Ok(())
}

pub(crate) async fn a_token_comes_back_as_it_was_minted(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let token = Token {
        handlers: vec!["Mail.confirmed".into()],
        mode: Some(RestoreMode::Transfer),
        confirm: Some(Confirm::Foreign),
        binding: Some(BROWSER),
        ..stage.token(id)?
    };
    let token = stage.keep(token).await?;
    stage.patched(id, Patch::default()).await?;
    let listed = stage.tokens(stage.now, None, 10).await?;
    ensure!(listed == [token], "got {listed:?}");
    Ok(())
}
