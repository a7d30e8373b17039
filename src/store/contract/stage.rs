//! The setup of a promise: a fresh store, a fixed clock, and shorthands for its operations.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::base::ClaimId;
use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::RestoreMode;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::mode::Caller;
use crate::base::secret::entropy::NoEntropy;
use crate::base::secret::entropy::OsEntropy;
use crate::base::secret::entropy::random;
use crate::session::Device;
use crate::session::JsonText;
use crate::session::Lifetime;
use crate::session::Patch;
use crate::session::Record;
use crate::session::Right;
use crate::store::contract::Kept;
use crate::store::error::StoreError;
use crate::store::port::Checked;
use crate::store::port::Claim;
use crate::store::port::Created;
use crate::store::port::Founding;
use crate::store::port::Grant;
use crate::store::port::Minted;
use crate::store::port::Opened;
use crate::store::port::Patched;
use crate::store::port::Redeemed;
use crate::store::port::Resumed;
use crate::store::port::Store;
use crate::token::Consent;
use crate::token::Token;

/// The handler that redeems where it does not matter which.
pub(super) const HANDLER: &str = "Pay.done";
/// How long tokens of a stage live.
pub(super) const TOKEN_LIFE: Duration = Duration::from_mins(10);

/// How a promise was broken, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    how: String,
    is_unanswered: bool,
}

impl Broken {
    pub(super) fn new(how: impl Into<String>) -> Self {
        Self { how: how.into(), is_unanswered: false }
    }

    /// Whether an operation failed, so that nothing is known of the promise. A database may have
    /// been too slow.
    pub fn is_unanswered(&self) -> bool {
        self.is_unanswered
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.how)
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self { how: format!("the store gave no answer: {error:?}"), is_unanswered: true }
    }
}

impl From<NoEntropy> for Broken {
    fn from(error: NoEntropy) -> Self {
        Self::new(error.to_string())
    }
}

impl From<tokio::task::JoinError> for Broken {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::new(format!("a caller of the store panicked: {error}"))
    }
}

/// Ends a promise as broken, in words, unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($how:tt)+) => {
        if !$condition {
            return Err($crate::store::contract::Broken::new(format!($($how)+)));
        }
    };
}

/// Ends a promise as broken unless the result matches this pattern.
macro_rules! ensure_is {
    ($answer:expr, $shape:pat $(if $guard:expr)?) => {
        match $answer {
            $shape $(if $guard)? => {}
            other => {
                let how = format!("expected {}, got {other:?}", stringify!($shape));
                return Err($crate::store::contract::Broken::new(how));
            }
        }
    };
}

pub(super) use ensure;
pub(super) use ensure_is;

/// A fresh store and the moment at which the promise begins.
#[derive(Debug, Clone)]
pub struct Stage {
    store: Arc<dyn Store>,
    /// The moment at which the promise begins.
    pub(super) now: Timestamp,
}

/// The operations of the store can be called on the stage.
impl Deref for Stage {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.store
    }
}

impl Stage {
    pub(super) fn new(now: Timestamp, store: Arc<dyn Store>) -> Self {
        Self { store, now }
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// The same store, later.
    pub(super) fn later(&self, by: Duration) -> Self {
        Self { store: Arc::clone(&self.store), now: self.now.after(by) }
    }

    pub(super) fn device(&self) -> Result<Device, Broken> {
        Ok(Device {
            id: DeviceId::random(&OsEntropy::new())?,
            digest: digest()?,
            since: self.now,
            label: "Firefox on Linux".to_owned(),
        })
    }

    /// A session to be created by a browser of its own.
    pub(super) fn founding(&self) -> Result<Founding, Broken> {
        let id = SessionId::random(&OsEntropy::new())?;
        let record = Record::new(id, self.now, Lifetime::default(), self.device()?);
        Ok(Founding { record, patch: Patch::default(), token: None })
    }

    /// Creates a session, whose record contains the browser.
    pub(super) async fn session(&self) -> Result<Record, Broken> {
        let founding = self.founding()?;
        let record = founding.record.clone();
        self.found(founding).await?;
        Ok(record)
    }

    pub(super) async fn found(&self, founding: Founding) -> Result<Opened, Broken> {
        match self.create(self.now, founding).await? {
            Created::New(opened) => Ok(opened),
            other => Err(Broken::new(format!("a session could not be founded: {other:?}"))),
        }
    }

    /// A token that any handler may redeem.
    pub(super) fn token(&self, session: SessionId) -> Result<Token, Broken> {
        Ok(Token {
            digest: digest()?,
            id: TokenId::random(&OsEntropy::new())?,
            session,
            minted_at: self.now,
            expires_at: self.now.after(TOKEN_LIFE),
            handlers: Vec::new(),
            mode: None,
            confirm: None,
            binding: None,
            generation: 0,
            claim: None,
            run: None,
        })
    }

    pub(super) async fn minted(&self, session: SessionId) -> Result<Token, Broken> {
        self.keep(self.token(session)?).await
    }

    /// Mints this token.
    pub(super) async fn keep(&self, token: Token) -> Result<Token, Broken> {
        match self.mint(self.now, Right::Operator, Patch::default(), token.clone()).await? {
            Minted::Done(_) => Ok(token),
            other => Err(Broken::new(format!("a token could not be minted: {other:?}"))),
        }
    }

    /// A new attempt by a browser that has no session yet.
    pub(super) fn claim(&self, token: &Token) -> Result<Claim, Broken> {
        Ok(Claim {
            token: token.digest,
            id: ClaimId::random(&OsEntropy::new())?,
            handler: HANDLER.into(),
            row_mode: RestoreMode::Auto,
            caller: Caller::Browser,
            consent: Consent::Given,
            current: None,
            newcomer: self.device()?,
            repeat: None,
        })
    }

    /// Redeems a token with this claim, which must win.
    pub(super) async fn granted(&self, claim: Claim) -> Result<Grant, Broken> {
        match self.redeem(self.now, claim).await? {
            Redeemed::Granted(grant) => Ok(grant),
            other => Err(Broken::new(format!("a claim that should win got {other:?}"))),
        }
    }

    /// Whether the session opens for the browser.
    pub(super) async fn opens(&self, id: SessionId, device: &Device) -> Result<bool, Broken> {
        let resumed = self.resume(self.now, id, device.digest).await?;
        Ok(matches!(resumed, Resumed::Open(_)))
    }

    /// Applies a patch, which must succeed.
    pub(super) async fn patched(&self, id: SessionId, patch: Patch) -> Result<Opened, Broken> {
        match self.patch(self.now, id, Right::Operator, patch).await? {
            Patched::Done(opened) => Ok(opened),
            other => Err(Broken::new(format!("a patch was refused: {other:?}"))),
        }
    }

    /// The session as it is; it must live.
    pub(super) async fn seen(&self, id: SessionId) -> Result<Arc<Record>, Broken> {
        let opened = self.look(self.now, id, Right::Operator).await?.done();
        opened.map(|opened| opened.record).ok_or(Broken::new("a session that should live is gone"))
    }

    /// Checks that the session is over for every caller.
    pub(super) async fn is_over(&self, id: SessionId, device: &Device) -> Kept {
        ensure_is!(self.resume(self.now, id, device.digest).await?, Resumed::Closed);
        let (now, all) = (self.now, Right::Operator);
        ensure_is!(self.look(now, id, all).await?, Checked::Gone);
        ensure_is!(self.patch(now, id, all, set("late", &1.into())).await?, Patched::Gone);
        let token = self.token(id)?;
        ensure_is!(self.mint(now, all, Patch::default(), token).await?, Minted::Gone);
        ensure_is!(self.end(now, id, all).await?, Checked::Gone);
        ensure_is!(self.detach(now, id, all, device.id).await?, Checked::Gone);
        let again = Founding {
            record: Record::new(id, self.now, Lifetime::default(), device.clone()),
            patch: Patch::default(),
            token: None,
        };
        ensure_is!(self.create(self.now, again).await?, Created::Closed);
        Ok(())
    }
}

/// A patch that sets one key.
pub(super) fn set(key: &str, value: &Value) -> Patch {
    let json = JsonText::of(value).expect("no promise of the suite stores a deep value");
    Patch { entries: vec![(key.into(), Some(json))], ..Patch::default() }
}

/// The value of a key; null if it has none.
pub(super) fn value(record: &Record, key: &str) -> Value {
    record.storage.find(key).map_or(Value::Null, |entry| entry.json.value())
}

/// The browser that created a session.
pub(super) fn founder(record: &Record) -> Result<&Device, Broken> {
    record.devices.first().ok_or(Broken::new("a session without a founder"))
}

fn digest() -> Result<Digest, Broken> {
    Ok(Digest::from_bytes(random(&OsEntropy::new())?))
}
