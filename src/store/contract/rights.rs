//! Promises about rights: under one that has ended no operation reads or changes anything.
//!
//! The table is every operation of the port times every way in which a right can end. Its
//! operations are those of [`OperationKind`], and an exhaustive `match` defines how the right of each is
//! checked. A variant that is added to [`OperationKind`] does not compile until it is handled here.

use serde_json::json;

use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::limits::STORAGE_BYTES_MAX;
use crate::base::limits::TOKENS_PER_SESSION_MAX;
use crate::base::mode::Caller;
use crate::session::AccessChange;
use crate::session::Patch;
use crate::session::Record;
use crate::session::Right;
use crate::store::contract::Broken;
use crate::store::contract::Kept;
use crate::store::contract::Stage;
use crate::store::contract::ends::Held;
use crate::store::contract::ends::Holder;
use crate::store::contract::ends::Way;
use crate::store::contract::stage::ensure;
use crate::store::contract::stage::ensure_is;
use crate::store::contract::stage::set;
use crate::store::contract::stage::value;
use crate::store::port::Checked;
use crate::store::port::Claim;
use crate::store::port::Created;
use crate::store::port::Founding;
use crate::store::port::Minted;
use crate::store::port::OperationKind;
use crate::store::port::Patched;
use crate::store::port::Redeemed;
use crate::store::port::Resumed;

/// The result of an operation under a right.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    Done,
    Gone,
    Replaced,
    /// Any other result, as text.
    Otherwise(String),
}

impl<T> From<Checked<T>> for Came {
    fn from(checked: Checked<T>) -> Self {
        match checked {
            Checked::Done(_) => Self::Done,
            Checked::Gone => Self::Gone,
            Checked::Replaced => Self::Replaced,
        }
    }
}

impl From<Patched> for Came {
    fn from(patched: Patched) -> Self {
        match patched {
            Patched::Done(_) => Self::Done,
            Patched::Gone => Self::Gone,
            Patched::Replaced => Self::Replaced,
            other @ (Patched::Conflict(_) | Patched::TooLarge) => {
                Self::Otherwise(format!("{other:?}"))
            }
        }
    }
}

impl From<Minted> for Came {
    fn from(minted: Minted) -> Self {
        match minted {
            Minted::Done(_) => Self::Done,
            Minted::Gone => Self::Gone,
            Minted::Replaced => Self::Replaced,
            other @ (Minted::TooMany | Minted::Refused) => Self::Otherwise(format!("{other:?}")),
        }
    }
}

impl Stage {
    /// The complete content of a session.
    async fn whole(&self, id: SessionId) -> Result<String, Broken> {
        let session = self.look(self.now, id, Right::Operator).await?;
        let mut tokens = self.tokens(self.now, None, 1_000).await?;
        tokens.retain(|token| token.session == id);
        Ok(format!("{session:?} {tokens:?}"))
    }

    /// The result of this operation under this right, in every form it can have. `None`: it needs
    /// no right to a session.
    async fn under(&self, verb: OperationKind, held: &Held) -> Result<Option<Vec<Came>>, Broken> {
        let (now, id, right) = (self.now, held.id, held.right);
        let mut came = Vec::new();
        match verb {
            OperationKind::Look => came.push(self.look(now, id, right).await?.into()),
            OperationKind::Patch => {
                for patch in self.patches(held)? {
                    came.push(self.patch(now, id, right, patch).await?.into());
                }
            }
            OperationKind::Mint => {
                for patch in self.patches(held)? {
                    let token = self.token(id)?;
                    came.push(self.mint(now, right, patch, token).await?.into());
                }
            }
            OperationKind::Detach => {
                for device in [Some(&held.founder), held.other.as_ref()].into_iter().flatten() {
                    came.push(self.detach(now, id, right, device.id).await?.into());
                }
            }
            OperationKind::End => came.push(self.end(now, id, right).await?.into()),
            OperationKind::Resume => match right {
                Right::Credential(digest) => came.push(self.resumed(id, digest).await?),
                Right::Grant { .. } | Right::Operator => return Ok(None),
            },
            OperationKind::Create => match right {
                Right::Credential(_) => {
                    let record = Record { id, ..self.founding()?.record };
                    let record = Record { devices: vec![held.founder.clone()], ..record };
                    for patch in self.patches(held)? {
                        let token = Some(self.token(id)?);
                        let founding = Founding { record: record.clone(), patch, token };
                        came.push(match self.create(now, founding).await? {
                            Created::Met(_) => Came::Done,
                            Created::Closed => Came::Gone,
                            Created::Replaced => Came::Replaced,
                            other => Came::Otherwise(format!("{other:?}")),
                        });
                    }
                }
                Right::Grant { .. } | Right::Operator => return Ok(None),
            },
            // For the first two the right is the token, or the claim that has won it. A claim
            // whose bearer was signed out, and one that names a credential of the session, are
            // covered below. The others belong to the operator, or concern no session.
            OperationKind::Redeem
            | OperationKind::Conclude
            | OperationKind::Revoke
            | OperationKind::Sessions
            | OperationKind::Tokens
            | OperationKind::Sweep
            | OperationKind::ReadRecords
            | OperationKind::ListRecords
            | OperationKind::WriteRecords
            | OperationKind::SelfCheck
            | OperationKind::Close => return Ok(None),
        }
        Ok(Some(came))
    }

    async fn resumed(&self, id: SessionId, digest: Digest) -> Result<Came, Broken> {
        Ok(match self.resume(self.now, id, digest).await? {
            Resumed::Open(_) => Came::Done,
            Resumed::Closed => Came::Gone,
            Resumed::Replaced { .. } => Came::Replaced,
            Resumed::Unheard => Came::Otherwise("unheard of".to_owned()),
        })
    }

    /// Patches of every kind, including those that would be refused for another reason.
    fn patches(&self, held: &Held) -> Result<Vec<Patch>, Broken> {
        let grant = AccessChange {
            grant: vec!["admin".into()],
            user_name: Some("Mallory".to_owned()),
            known: true,
            ..AccessChange::default()
        };
        Ok(vec![
            Patch::default(),
            set("n", &json!(2)),
            Patch { entries: vec![("n".into(), None)], ..Patch::default() },
            Patch { access: Some(grant.clone()), ..Patch::default() },
            Patch { access: Some(AccessChange { clear: true, ..grant }), ..Patch::default() },
            Patch { idle_minutes: Some(600), ..Patch::default() },
            Patch { rotate: Some(self.device()?), ..Patch::default() },
            Patch { rotate: Some(held.founder.clone()), ..Patch::default() },
            Patch { expect: Some(("n".into(), 0)), ..set("n", &json!(3)) },
            Patch { expect: Some(("n".into(), 77)), ..Patch::default() },
            set("big", &json!("x".repeat(STORAGE_BYTES_MAX))),
        ])
    }
}

pub(super) async fn a_right_that_holds_does_what_its_verb_does(stage: Stage) -> Kept {
    for holder in [Holder::Browser, Holder::Context] {
        for verb in OperationKind::ALL {
            let held = stage.held(holder).await?;
            let came = stage.under(*verb, &held).await?;
            let first = came.as_ref().and_then(|came| came.first());
            let done = first.is_none_or(|came| *came == Came::Done);
            ensure!(done, "{verb:?} of {holder:?} came to {came:?}");
        }
    }
    let held = Held { right: Right::Operator, ..stage.held(Holder::Browser).await? };
    for verb in [OperationKind::Look, OperationKind::Detach, OperationKind::End] {
        let came = stage.under(verb, &held).await?;
        ensure!(came == Some(vec![Came::Done]), "{verb:?} of the operator came to {came:?}");
    }
    Ok(())
}

pub(super) async fn under_a_right_that_has_ended_no_verb_does_anything(stage: Stage) -> Kept {
    let mut stage = stage;
    for way in Way::ALL {
        for holder in [Holder::Browser, Holder::Context] {
            let mut held = stage.held(holder).await?;
            let Some(after) = stage.ends(&mut held, way).await? else { continue };
            // A store's time does not go back.
            stage = after.clone();
            if way == Way::Never {
                // Even where a token could not be minted for lack of room.
                for _ in 0..TOKENS_PER_SESSION_MAX {
                    after.minted(held.id).await?;
                }
            }
            let expected = if way.leaves_the_session() { Came::Replaced } else { Came::Gone };
            let before = after.whole(held.id).await?;
            for verb in OperationKind::ALL {
                for came in after.under(*verb, &held).await?.unwrap_or_default() {
                    let what = format!("{verb:?} of {holder:?} after {way:?}");
                    ensure!(came == expected, "{what} came to {came:?}");
                    ensure!(after.whole(held.id).await? == before, "{what} changed something");
                }
            }
        }
    }
    Ok(())
}

pub(super) async fn a_browser_that_was_put_out_joins_by_a_token_as_a_newcomer(
    stage: Stage,
) -> Kept {
    for way in [Way::Rotation, Way::Transfer, Way::Detachment] {
        let mut held = stage.held(Holder::Browser).await?;
        stage.ends(&mut held, way).await?;
        let current = Some((held.id, held.founder.digest));
        let claim = Claim { current, ..stage.claim(&stage.minted(held.id).await?)? };
        let newcomer = claim.newcomer.clone();
        ensure!(stage.granted(claim).await?.joined, "after {way:?} it was taken for a member");
        ensure!(stage.opens(held.id, &newcomer).await?, "after {way:?} it was not let in");
        ensure!(!stage.opens(held.id, &held.founder).await?, "after {way:?} it has its own back");
    }
    Ok(())
}

pub(super) async fn a_winner_that_was_put_out_is_shown_nothing_again(stage: Stage) -> Kept {
    for mode in [RestoreMode::Share, RestoreMode::Context, RestoreMode::Transfer] {
        for way in [Way::Rotation, Way::RotatingMint, Way::Transfer] {
            let mut held = stage.held(Holder::Browser).await?;
            let claim = stage.claim(&stage.minted(held.id).await?)?;
            let claim = Claim { row_mode: mode, ..claim };
            stage.granted(claim.clone()).await?;
            stage.granted(claim.clone()).await?;
            stage.ends(&mut held, way).await?;
            let before = stage.whole(held.id).await?;
            let told = stage.redeem(stage.now, claim).await?;
            let used = matches!(told, Redeemed::Used(at, _) if at == stage.now);
            ensure!(used, "after {way:?} the winner by {mode:?} got {told:?}");
            ensure!(stage.whole(held.id).await? == before, "after {way:?} something changed");
        }
    }
    Ok(())
}

pub(super) async fn a_grant_says_whether_anybody_asked_for_its_context(stage: Stage) -> Kept {
    let id = stage.session().await?.id;
    let cases = [
        (RestoreMode::Auto, None, Caller::Server, true),
        (RestoreMode::Share, Some(RestoreMode::Auto), Caller::Server, true),
        (RestoreMode::Context, Some(RestoreMode::Auto), Caller::Server, true),
        (RestoreMode::Context, None, Caller::Server, false),
        (RestoreMode::Auto, Some(RestoreMode::Context), Caller::Server, false),
        (RestoreMode::Context, None, Caller::Browser, false),
        (RestoreMode::Auto, None, Caller::Browser, false),
        (RestoreMode::Share, None, Caller::Server, false),
        (RestoreMode::Transfer, None, Caller::Server, false),
    ];
    for (row_mode, mode, caller, automatic) in cases {
        let mut token = stage.token(id)?;
        token.mode = mode;
        let token = stage.keep(token).await?;
        let claim = Claim { row_mode, caller, ..stage.claim(&token)? };
        for grant in [stage.granted(claim.clone()).await?, stage.granted(claim.clone()).await?] {
            let told = grant.automatic;
            ensure!(told == automatic, "{row_mode:?}, {mode:?}, {caller:?}: {told}");
        }
    }
    Ok(())
}

pub(super) async fn what_keeps_others_ends_no_right(stage: Stage) -> Kept {
    for holder in [Holder::Browser, Holder::Context] {
        let held = stage.held(holder).await?;
        let grant = AccessChange { grant: vec!["a".into()], known: true, ..Default::default() };
        stage.patched(held.id, Patch { access: Some(grant), ..Patch::default() }).await?;
        let claim = stage.claim(&stage.minted(held.id).await?)?;
        let newcomer = claim.newcomer.clone();
        stage.granted(claim).await?;
        let left = stage.detach(stage.now, held.id, Right::Operator, newcomer.id).await?;
        ensure_is!(left, Checked::Done(true));
        let patched = stage.patch(stage.now, held.id, held.right, set("k", &json!(1))).await?;
        ensure_is!(patched, Patched::Done(_));
    }
    Ok(())
}

/// In either order of arrival: what the old right is shown is from before.
pub(super) async fn an_old_right_sees_nothing_of_a_rotation_that_it_races(stage: Stage) -> Kept {
    for round in 0..96 {
        let holder = if round % 2 == 0 { Holder::Browser } else { Holder::Context };
        let held = stage.held(holder).await?;
        let (id, right) = (held.id, held.right);
        let rotation = Patch { rotate: Some(stage.device()?), ..set("new", &json!("secret")) };
        let racer = stage.clone();
        let rotating = tokio::spawn(async move { racer.patched(id, rotation).await });
        for n in 0..4 {
            let expect = Some(("n".into(), if n % 2 == 0 { 1 } else { 77 }));
            let patch = Patch { expect, ..set("n", &json!(n)) };
            let shown = match stage.patch(stage.now, id, right, patch).await? {
                Patched::Done(opened) | Patched::Conflict(opened) => Some(opened),
                Patched::Replaced => None,
                other => return Err(Broken::new(format!("a racer got {other:?}"))),
            };
            let looked = stage.look(stage.now, id, right).await?.done();
            for opened in shown.into_iter().chain(looked) {
                let new = value(&opened.record, "new");
                ensure!(new.is_null(), "the old right was shown {new}");
            }
        }
        let rotated = rotating.await??;
        let last = stage.patch(stage.now, id, right, set("n", &json!("late"))).await?;
        ensure_is!(last, Patched::Replaced);
        let kept = value(&*stage.seen(id).await?, "n");
        ensure!(kept == value(&rotated.record, "n"), "the old right wrote after the rotation");
    }
    Ok(())
}
