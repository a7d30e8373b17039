//! Every case of a redemption that an engine decides by itself, with the decision of this node.
//!
//! [`Engine::claim`] repeats a part of [`Token::judge`](crate::token::Token::judge) in the language
//! of its database. [`table`] combines all inputs that such a copy looks at, and decides each
//! combination with the state machine of the node; [`hold`] runs the same table against an engine.
//! An engine must grant exactly the plain cases, with the effect that the node would have written,
//! and leave everything else untouched.

mod combinations;
mod inputs;

use std::fmt;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::session::codec;
use crate::store::error::StoreError;
use crate::store::port::Claim;
use crate::store::port::Operation;
use crate::store::port::Redeemed;
use crate::store::port::StoreReply;
use crate::store::shared::engine::ClaimOrder;
use crate::store::shared::engine::Commit;
use crate::store::shared::engine::Committed;
use crate::store::shared::engine::Engine;
use crate::store::shared::engine::Expect;
use crate::store::shared::engine::Found;
use crate::store::shared::engine::Mark;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::TokenChange;
use crate::store::shared::engine::TokenKey;
use crate::store::shared::engine::TokenRow;
use crate::store::shared::order;
use crate::store::shared::snapshot::Snapshot;
use crate::store::shared::tokens;

use inputs::Inputs;

/// The version of a session once its token is granted.
const NEXT: u64 = 1 << 40;
/// Cases that run concurrently.
const ABREAST: usize = 32;
/// How often a case is run that an engine does not reply to.
const ATTEMPTS_MAX: u64 = 5;
/// Between the numbers of a case that is run again; there are fewer cases.
const NUMBERS_APART: u64 = 1 << 32;

/// How much of the table is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The combinations of modes are reduced to one for each effective mode.
    Short,
    /// Everything.
    Full,
}

/// One case: rows as they are stored, a claim, and what the node decides.
#[derive(Debug)]
pub struct Case {
    number: u64,
    inputs: Inputs,
    row: SessionRow,
    token: TokenRow,
    order: ClaimOrder,
    /// What the node writes if the case is plain; `None` for every other case.
    granted: Option<Commit>,
}

/// The cases, each with a session and a token of its own.
pub fn table(extent: Extent) -> Result<Vec<Case>, StoreError> {
    let inputs = combinations::all(extent == Extent::Full);
    inputs.into_iter().zip(1..).map(|(inputs, number)| Case::new(inputs, number)).collect()
}

/// A token whose columns allow any handler, while the token itself is bound to another one. The
/// engine grants the first claim, and the node refuses it.
#[derive(Debug)]
pub struct Misled {
    /// The session.
    pub session: SessionId,
    /// The public name of the token.
    pub token: TokenId,
    /// The present.
    pub now: Timestamp,
    /// A claim of the wrong handler.
    pub wrong: Claim,
    /// A claim of the right handler.
    pub right: Claim,
}

/// Stores such a token.
pub async fn mislead(engine: &dyn Engine) -> Result<Misled, String> {
    let inputs = Inputs::of_another_handler();
    let mut case = Case::new(inputs, 1).map_err(failed)?;
    case.token.handlers.clear();
    case.store(engine).await.map_err(failed)?;
    let handler = inputs.handler().into();
    Ok(Misled {
        session: case.token.session,
        token: case.token.id,
        now: inputs.now(),
        wrong: inputs.claim(1),
        right: Claim { handler, token: case.token.digest, ..inputs.claim(2) },
    })
}

/// Runs cases against an engine that has none of their rows, and returns how many were granted.
/// Fails with a description of each case that the engine decided otherwise.
pub async fn hold(engine: &Arc<dyn Engine>, cases: Vec<Case>) -> Result<usize, String> {
    let mut cases = cases.into_iter();
    let mut running = JoinSet::new();
    let (mut granted, mut wrong) = (0, Vec::new());
    loop {
        while running.len() < ABREAST
            && let Some(case) = cases.next()
        {
            let engine = Arc::clone(engine);
            running.spawn(async move {
                let held = case.hold_answered(&*engine).await;
                held.map_err(|how| format!("{how}: {:?}", case.inputs))
            });
        }
        match running.join_next().await {
            Some(Ok(Ok(is_plain))) => granted += usize::from(is_plain),
            Some(Ok(Err(how))) => wrong.push(how),
            Some(Err(error)) => wrong.push(error.to_string()),
            None => break,
        }
    }
    if wrong.is_empty() {
        return Ok(granted);
    }
    let first: Vec<String> = wrong.iter().take(8).cloned().collect();
    Err(format!("{} cases differ, among them:\n{}", wrong.len(), first.join("\n")))
}

impl Case {
    fn new(inputs: Inputs, number: u64) -> Result<Self, StoreError> {
        let (now, claim, minted) = (inputs.now(), inputs.claim(number), inputs.token(number));
        let row = inputs.session(number, &minted).map_err(invalid)?;
        let token = tokens::row(&minted).map_err(invalid)?;
        let snapshot = Snapshot::read(minted.session, Some(row.clone())).map_err(invalid)?;
        let order = order::of(now, &claim, NEXT)?;
        let operation = Operation::Redeem { claim: Box::new(claim) };
        let decided = snapshot.decide(now, Some(&minted), &operation)?;
        // A plain case is a first win without any other effect on the session's browsers.
        let is_plain = matches!(&decided.answer, StoreReply::Redeemed(Redeemed::Granted(grant))
            if grant.mode != RestoreMode::Transfer && grant.put_out.is_none())
            && minted.claim.is_none()
            && !inputs.is_void();
        let granted = decided.commit.filter(|_| is_plain);
        Ok(Self { number, inputs, row, token, order, granted })
    }

    /// Runs the case, and once more with other rows where a busy engine did not reply.
    async fn hold_answered(&self, engine: &dyn Engine) -> Result<bool, Unheld> {
        let mut held = self.hold(engine).await;
        for attempt in 1..ATTEMPTS_MAX {
            if !matches!(held, Err(Unheld::Store(StoreError::Unreachable(_)))) {
                break;
            }
            let number = self.number + attempt * NUMBERS_APART;
            held = Self::new(self.inputs, number)?.hold(engine).await;
        }
        held
    }

    /// Stores the rows, sends the claim and compares; returns whether the case is plain.
    async fn hold(&self, engine: &dyn Engine) -> Result<bool, Unheld> {
        self.store(engine).await?;
        let before = self.find(engine).await?;
        let claimed = engine.claim(self.order.clone()).await?;
        let after = self.find(engine).await?;
        let is_plain = self.granted.is_some();
        if claimed.granted != is_plain {
            let how = format!("the engine grants: {}, the node: {is_plain}", claimed.granted);
            return Err(how.into());
        }
        if claimed.found.as_ref() != Some(&before) {
            return Err(format!("the claim returns {:?} not {before:?}", claimed.found).into());
        }
        let (expected, after) = match &self.granted {
            Some(commit) => (comparable(written(before, commit)?)?, comparable(after)?),
            None => (before, after),
        };
        if after == expected {
            Ok(is_plain)
        } else {
            Err(format!("{after:?} is not {expected:?}").into())
        }
    }

    async fn store(&self, engine: &dyn Engine) -> Result<(), Unheld> {
        let (row, mint) = (Some(self.row.clone()), Some(self.token.clone()));
        self.write(engine, Commit { session: row, mint, ..self.commit(Expect::Absent) }).await?;
        if self.inputs.is_void() {
            let marks = vec![Mark { digest: self.token.digest, change: TokenChange::Void }];
            self.write(engine, Commit { marks, ..self.commit(Expect::Version(1)) }).await?;
        }
        Ok(())
    }

    fn commit(&self, expect: Expect) -> Commit {
        Commit {
            id: self.token.session,
            next: if expect == Expect::Absent { 1 } else { 2 },
            expect,
            expect_seen: None,
            expect_fence: None,
            session: None,
            guest: false,
            mint: None,
            marks: Vec::new(),
            drops: Vec::new(),
            due_at: Timestamp::from_millis(4_000_000_000_000),
        }
    }

    async fn write(&self, engine: &dyn Engine, commit: Commit) -> Result<(), Unheld> {
        match engine.commit(commit).await? {
            Committed::Done => Ok(()),
            other => Err(format!("the rows could not be stored: {other:?}").into()),
        }
    }

    async fn find(&self, engine: &dyn Engine) -> Result<Found, Unheld> {
        let found = engine.find(TokenKey::Digest(self.token.digest)).await?;
        found.ok_or_else(|| "the token is gone".to_owned().into())
    }
}

/// Why a case is not held.
#[derive(Debug)]
enum Unheld {
    Store(StoreError),
    Differs(String),
}

impl From<StoreError> for Unheld {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<String> for Unheld {
    fn from(how: String) -> Self {
        Self::Differs(how)
    }
}

impl fmt::Display for Unheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Differs(how) => f.write_str(how),
        }
    }
}

/// The rows after a commit of the node.
fn written(before: Found, commit: &Commit) -> Result<Found, String> {
    let mut token = before.token;
    for mark in &commit.marks {
        match &mark.change {
            TokenChange::Claim { id, at, .. } => token.claim = Some((*id, *at)),
            TokenChange::Run { run, forget_at, .. } => {
                token.run.clone_from(run);
                token.forget_at = token.forget_at.max(*forget_at);
            }
            other => return Err(format!("a plain case changes a token otherwise: {other:?}")),
        }
    }
    let session = commit.session.clone().map(|row| SessionRow { version: NEXT, ..row });
    Ok(Found { token, session, ..before })
}

/// The rows with the devices that joined moved into the record, as a commit writes them.
fn comparable(found: Found) -> Result<Found, String> {
    let Some(row) = found.session else { return Ok(found) };
    let mut record = codec::decode(&row.doc).map_err(failed)?;
    for device in &row.joined {
        record.admit(codec::decode_device(device).map_err(failed)?);
    }
    let doc = codec::encode(&record).map_err(failed)?;
    Ok(Found { session: Some(SessionRow { doc, joined: Vec::new(), ..row }), ..found })
}

fn failed(error: impl fmt::Display) -> String {
    error.to_string()
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Corrupt(Box::new(error))
}
