//! Promises about repeated callbacks: one run, and one response.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::base::ClaimId;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::limits::ANSWER_BYTES_PER_SESSION_MAX;
use crate::base::limits::CLOCKS_APART_MAX;
use crate::base::secret::entropy::OsEntropy;
use crate::session::Patch;
use crate::session::Record;
use crate::session::Right;
use crate::store::contract::Broken;
use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::stage::TOKEN_LIFE;
use crate::store::contract::stage::ensure;
use crate::store::contract::stage::ensure_is;
use crate::store::contract::stage::founder;
use crate::store::port::Claim;
use crate::store::port::Concluded;
use crate::store::port::Conclusion;
use crate::store::port::Ending;
use crate::store::port::Redeemed;
use crate::token::AnswerRight;
use crate::token::Repeat;
use crate::token::ReplayKey;
use crate::token::ReplayOptions;
use crate::token::SealedAnswer;
use crate::token::Token;

/// How long a callback of these promises counts as in progress without being renewed.
pub(crate) const RUN: Duration = Duration::from_secs(30);
/// When it counts as cut off on a node that has seen nothing of it before.
pub(crate) const OVER: Duration = RUN.saturating_add(CLOCKS_APART_MAX);
/// How long it may be repeated: longer than the token is remembered otherwise.
const WINDOW: Duration = Duration::from_hours(2);

fn key(call: u8, body: u8) -> ReplayKey {
    ReplayKey { call: Digest::from_bytes([call; 32]), body: Digest::from_bytes([body; 32]) }
}

/// The callback of these promises, on a row that does not allow a take-over.
pub(crate) fn once() -> ReplayOptions {
    ReplayOptions { key: key(1, 1), window: WINDOW, lease: RUN, may_take_over: false }
}

/// The same on a row that lets a repeat take over.
pub(crate) fn again() -> ReplayOptions {
    ReplayOptions { may_take_over: true, ..once() }
}

pub(crate) fn answer(bytes: &[u8]) -> Ending {
    Ending::Answered { answer: SealedAnswer::from_bytes(bytes), right: None }
}

impl Stage {
    /// A new attempt with these options for repeats.
    pub(crate) fn callback(&self, token: &Token, wish: ReplayOptions) -> Result<Claim, Broken> {
        Ok(Claim { repeat: Some(wish), ..self.claim(token)? })
    }

    /// A token of a new session whose callback is in progress, and the claim that runs it.
    pub(crate) async fn running(&self) -> Result<(Token, Claim), Broken> {
        let token = self.minted(self.session().await?.id).await?;
        let claim = self.callback(&token, once())?;
        self.granted(claim.clone()).await?;
        Ok((token, claim))
    }

    /// A session with two tokens whose responses are kept: one depends on the right of its browser,
    /// the other on a grant.
    async fn answered_under_rights(&self) -> Result<(Record, Token, Token), Broken> {
        let session = self.session().await?;
        let browser = AnswerRight::Credential(founder(&session)?.digest);
        let grant = AnswerRight::Grant { generation: session.generation };
        let mut tokens = Vec::new();
        for right in [browser, grant] {
            let token = self.minted(session.id).await?;
            let claim = Claim { row_mode: RestoreMode::Context, ..self.callback(&token, once())? };
            self.granted(claim.clone()).await?;
            let answer = SealedAnswer::from_bytes(*b"own");
            let ending = Ending::Answered { answer, right: Some(right) };
            ensure_is!(self.ended(&claim, ending).await?, Concluded::Kept);
            self.answers(&token, b"own").await?;
            tokens.push(token);
        }
        match <[Token; 2]>::try_from(tokens) {
            Ok([browser, grant]) => Ok((session, browser, grant)),
            Err(tokens) => Err(Broken::new(format!("{} tokens", tokens.len()))),
        }
    }

    /// The result of one more attempt.
    pub(crate) async fn try_again(
        &self,
        token: &Token,
        wish: ReplayOptions,
    ) -> Result<Redeemed, Broken> {
        Ok(self.redeem(self.now, self.callback(token, wish)?).await?)
    }

    pub(crate) async fn ended(&self, claim: &Claim, ending: Ending) -> Result<Concluded, Broken> {
        let conclusion = Conclusion { token: claim.token, run: claim.id, ending };
        Ok(self.conclude(self.now, conclusion).await?)
    }

    /// Checks that a repeat gets this response.
    pub(crate) async fn answers(&self, token: &Token, bytes: &[u8]) -> Kept {
        match self.try_again(token, once()).await? {
            Redeemed::Repeats(_, Repeat::Answered(sealed)) if sealed.bytes() == bytes => Ok(()),
            other => Err(Broken::new(format!("a repeat that should be answered got {other:?}"))),
        }
    }
}

pub(crate) async fn a_run_that_is_under_way_has_repeats_that_wait(stage: Stage) -> Kept {
    let (token, claim) = stage.running().await?;
    let late = stage.later(RUN.saturating_sub(Duration::from_millis(1)));
    for wish in [once(), again()] {
        let told = late.try_again(&token, wish).await?;
        ensure_is!(told, Redeemed::Repeats(at, Repeat::Running) if at == stage.now);
    }
    // The winner whose reply was lost gets the same result again, and no repeat is admitted.
    stage.granted(claim).await?;
    let devices = stage.seen(token.session).await?.devices.len();
    ensure!(devices == 2, "{devices} browsers after one redemption");
    Ok(())
}

pub(crate) async fn a_concluded_run_answers_its_repeats(stage: Stage) -> Kept {
    let (token, claim) = stage.running().await?;
    ensure_is!(stage.ended(&claim, answer(b"first")).await?, Concluded::Kept);
    stage.answers(&token, b"first").await?;
    // The attempt that ran it gets it, too, in case it has lost the reply.
    let told = stage.redeem(stage.now, claim).await?;
    ensure_is!(told, Redeemed::Repeats(_, Repeat::Answered(_)));
    // A handler may have ended the session.
    stage.end(stage.now, token.session, Right::Operator).await?;
    stage.later(Duration::from_mins(1)).answers(&token, b"first").await
}

pub(crate) async fn an_answer_is_given_as_long_as_its_right_holds(stage: Stage) -> Kept {
    let (session, of_browser, of_grant) = stage.answered_under_rights().await?;
    stage.detach(stage.now, session.id, Right::Operator, founder(&session)?.id).await?;
    let told = stage.try_again(&of_browser, once()).await?;
    ensure_is!(told, Redeemed::Used(at, id) if at == stage.now && id == session.id);
    stage.answers(&of_grant, b"own").await?;

    let (session, of_browser, of_grant) = stage.answered_under_rights().await?;
    let patch = Patch { rotate: Some(stage.device()?), ..Patch::default() };
    stage.patch(stage.now, session.id, Right::Operator, patch).await?;
    for token in [&of_browser, &of_grant] {
        ensure_is!(stage.try_again(token, again()).await?, Redeemed::Used(..));
    }

    let (session, of_browser, of_grant) = stage.answered_under_rights().await?;
    stage.end(stage.now, session.id, Right::Operator).await?;
    for token in [&of_browser, &of_grant] {
        ensure_is!(stage.try_again(token, again()).await?, Redeemed::Used(..));
    }
    Ok(())
}

pub(crate) async fn a_run_is_concluded_once_and_by_its_holder(stage: Stage) -> Kept {
    let (token, claim) = stage.running().await?;
    let other = Claim { id: ClaimId::random(&OsEntropy::new())?, ..claim.clone() };
    ensure_is!(stage.ended(&other, answer(b"forged")).await?, Concluded::Late);
    let unclaimed = stage.callback(&stage.minted(token.session).await?, once())?;
    ensure_is!(stage.ended(&unclaimed, answer(b"early")).await?, Concluded::Forgotten);
    let unknown = stage.callback(&stage.token(token.session)?, once())?;
    ensure_is!(stage.ended(&unknown, answer(b"unknown")).await?, Concluded::Forgotten);
    for _ in 0..2 {
        ensure_is!(stage.ended(&claim, answer(b"first")).await?, Concluded::Kept);
    }
    ensure_is!(stage.ended(&claim, answer(b"second")).await?, Concluded::Kept);
    ensure_is!(stage.ended(&claim, Ending::Interrupted).await?, Concluded::Kept);
    stage.answers(&token, b"first").await
}

pub(crate) async fn another_call_is_no_repeat(stage: Stage) -> Kept {
    let (token, claim) = stage.running().await?;
    for concluded in [false, true] {
        if concluded {
            stage.ended(&claim, answer(b"first")).await?;
        }
        let elsewhere = ReplayOptions { key: key(2, 1), ..again() };
        ensure_is!(stage.try_again(&token, elsewhere).await?, Redeemed::Used(at, _) if at == stage.now);
        let plain = stage.redeem(stage.now, stage.claim(&token)?).await?;
        ensure_is!(plain, Redeemed::Used(..));
    }
    // A redemption without options for repeats has none.
    let plain = stage.minted(token.session).await?;
    stage.granted(stage.claim(&plain)?).await?;
    ensure_is!(stage.try_again(&plain, again()).await?, Redeemed::Used(..));
    Ok(())
}

pub(crate) async fn another_body_is_told_so(stage: Stage) -> Kept {
    let (token, claim) = stage.running().await?;
    let forged = ReplayOptions { key: key(1, 2), ..again() };
    let differs = stage.try_again(&token, forged).await?;
    ensure_is!(differs, Redeemed::Repeats(_, Repeat::Differs));
    stage.ended(&claim, answer(b"first")).await?;
    let differs = stage.try_again(&token, forged).await?;
    ensure_is!(differs, Redeemed::Repeats(_, Repeat::Differs));
    let late = stage.later(WINDOW);
    ensure!(WINDOW > TOKEN_LIFE, "the window of the suite is too short to show anything");
    let told = late.try_again(&token, forged).await?;
    ensure_is!(told, Redeemed::Used(..) | Redeemed::Unknown);
    Ok(())
}

pub(crate) async fn an_answer_is_kept_until_the_window_is_over(stage: Stage) -> Kept {
    let (token, claim) = stage.running().await?;
    let concluded = stage.later(Duration::from_secs(5));
    concluded.ended(&claim, answer(b"first")).await?;
    let last = stage.later(WINDOW.saturating_sub(Duration::from_millis(1)));
    last.sweep(last.now, usize::MAX).await?;
    last.answers(&token, b"first").await?;
    let over = stage.later(WINDOW);
    ensure_is!(over.try_again(&token, again()).await?, Redeemed::Used(..) | Redeemed::Unknown);
    over.sweep(over.now, usize::MAX).await?;
    ensure_is!(over.try_again(&token, again()).await?, Redeemed::Used(..) | Redeemed::Unknown);
    Ok(())
}

pub(crate) async fn a_run_whose_time_is_over_was_interrupted(stage: Stage) -> Kept {
    let (token, claim) = stage.running().await?;
    let late = stage.later(OVER);
    for _ in 0..2 {
        let told = late.try_again(&token, once()).await?;
        ensure_is!(told, Redeemed::Repeats(_, Repeat::Interrupted));
    }
    // It was slow, and not dead.
    ensure_is!(late.ended(&claim, answer(b"first")).await?, Concluded::Kept);
    late.answers(&token, b"first").await?;

    let (token, claim) = late.running().await?;
    ensure_is!(late.ended(&claim, Ending::Interrupted).await?, Concluded::NotKept);
    let told = late.try_again(&token, once()).await?;
    ensure_is!(told, Redeemed::Repeats(_, Repeat::Interrupted));
    Ok(())
}

pub(crate) async fn a_dead_session_begins_no_run(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let token = stage.minted(id).await?;
    stage.end(stage.now, id, Right::Operator).await?;
    ensure_is!(stage.try_again(&token, again()).await?, Redeemed::SessionGone);
    ensure_is!(stage.try_again(&token, again()).await?, Redeemed::Used(..));
    Ok(())
}

pub(crate) async fn an_answer_that_is_not_kept_is_named_so(stage: Stage) -> Kept {
    let (token, claim) = stage.running().await?;
    ensure_is!(stage.ended(&claim, Ending::TooLarge).await?, Concluded::NotKept);
    let told = stage.try_again(&token, again()).await?;
    ensure_is!(told, Redeemed::Repeats(_, Repeat::NotKept));
    ensure_is!(stage.ended(&claim, answer(b"late")).await?, Concluded::NotKept);
    let told = stage.try_again(&token, again()).await?;
    ensure_is!(told, Redeemed::Repeats(_, Repeat::NotKept));
    Ok(())
}

pub(crate) async fn the_oldest_answers_of_a_session_make_room(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let large = vec![7; 64 * 1024];
    let answers = ANSWER_BYTES_PER_SESSION_MAX / large.len() + 1;
    let mut tokens = Vec::new();
    for millis in (0..).take(answers) {
        let at = stage.later(Duration::from_millis(millis));
        let token = at.minted(id).await?;
        let claim = Claim { row_mode: RestoreMode::Context, ..at.callback(&token, once())? };
        at.granted(claim.clone()).await?;
        ensure_is!(at.ended(&claim, answer(&large)).await?, Concluded::Kept);
        tokens.push(token);
    }
    let late = stage.later(Duration::from_mins(1));
    let mut told = Vec::new();
    for token in &tokens {
        told.push(late.try_again(token, again()).await?);
    }
    let kept = |told: &&Redeemed| matches!(told, Redeemed::Repeats(_, Repeat::Answered(_)));
    let (gone, newest) = (told.iter().take_while(|told| !kept(told)).count(), told.last());
    let stay = told.iter().skip(gone).filter(kept).count();
    ensure!(newest.is_some_and(|told| kept(&told)), "the newest answer is gone");
    ensure!((1..=3).contains(&gone) && gone + stay == answers, "{gone} of {answers} made room");
    ensure_is!(told.first(), Some(Redeemed::Repeats(_, Repeat::NotKept)));
    Ok(())
}

pub(crate) async fn of_many_callbacks_one_runs(stage: Stage) -> Kept {
    for _ in 0..20 {
        let token = stage.minted(stage.session().await?.id).await?;
        let callers = (0..16).map(|_| {
            let (stage, token) = (stage.clone(), token.clone());
            async move { stage.try_again(&token, again()).await }
        });
        let mut granted = 0;
        for told in callers.collect::<JoinSet<_>>().join_all().await {
            match told? {
                Redeemed::Granted(_) => granted += 1,
                Redeemed::Repeats(_, Repeat::Running) => {}
                other => return Err(Broken::new(format!("a caller got {other:?}"))),
            }
        }
        ensure!(granted == 1, "{granted} ran");
    }
    Ok(())
}
