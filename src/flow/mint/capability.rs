//! Lets an upstream work in the session of the one request that was forwarded to it
//! (docs/CONTRACT.md §7).
//!
//! A capability opens the request's own handle, so that what is written through it is seen by the
//! rest of the request, and the response has its cookies. After the request has ended it opens the
//! session for another minute, read from the store: an upstream may respond first and write later.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use crate::base::Digest;
use crate::base::Secret;
use crate::base::Timestamp;
use crate::base::limits::CAPABILITIES_LEFT_MAX;
use crate::base::limits::CAPABILITY_GRACE;
use crate::base::secret::entropy::NoEntropy;
use crate::base::text::hex;
use crate::flow::session::ActiveHandle;
use crate::flow::session::EndedHandle;
use crate::flow::session::Session;
use crate::flow::sessions::Sessions;
use crate::store::StoreError;
use crate::store::port::Checked;

/// The name of the header that carries a capability, to the upstream and back.
pub const CAPABILITY_HEADER: &str = "x-callgate-capability";

/// A capability, for as long as the request takes for which it was made.
///
/// When this is dropped, the capability opens the session for another 60 s, and then nothing. Keep
/// it until the last byte of the upstream's response has arrived.
#[must_use = "the request is over for its upstream when this is dropped"]
pub struct Granted {
    sessions: Arc<Sessions>,
    secret: Secret<32>,
}

/// The valid capabilities. Only forwarded requests have one.
#[derive(Default)]
pub struct Capabilities(Mutex<CapabilityTable>);

#[derive(Default)]
struct CapabilityTable {
    held: HashMap<Digest, CapabilityState>,
    /// Those whose request has ended, in the order of their expiry.
    left: VecDeque<(Timestamp, Digest)>,
}

enum CapabilityState {
    /// The request is under way. Their number is bounded by that of the connections.
    Under(ActiveHandle),
    /// The request has ended.
    Over { until: Timestamp, left: Arc<EndedHandle> },
}

/// Why a capability is refused.
#[derive(Debug)]
pub enum NotOpened {
    /// It never existed or has expired. The error does not distinguish the two.
    Unknown,
    /// The session has ended.
    Ended,
    /// The session is open, but the right of the request's browser to it has ended.
    Replaced,
    /// The store failed.
    Store(StoreError),
}

impl Session {
    /// Makes a capability that opens this session, as this request sees it, on the internal
    /// listener.
    #[doc(hidden)]
    pub fn capability(&self) -> Result<Granted, NoEntropy> {
        let sessions = Arc::clone(self.sessions());
        let granted = Granted { secret: Secret::random(&*sessions.entropy)?, sessions };
        let now = granted.sessions.clock.now();
        granted.sessions.capabilities.grant(granted.digest(), self.handle(), now);
        Ok(granted)
    }
}

impl Granted {
    /// The capability itself, 64 hex digits, for the upstream alone.
    pub fn expose(&self) -> String {
        hex::lower(self.secret.expose())
    }

    fn digest(&self) -> Digest {
        digest(&self.sessions, &self.secret)
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let now = self.sessions.clock.now();
        let app = self.sessions.app();
        self.sessions.capabilities.leave(&self.digest(), app, now);
    }
}

/// Nothing of the secret.
impl fmt::Debug for Granted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Granted(..)")
    }
}

impl Sessions {
    /// The session that a capability opens.
    pub async fn open_capability(self: &Arc<Self>, text: &str) -> Result<Session, NotOpened> {
        let secret = hex::read(text).map(Secret::new).map_err(|_| NotOpened::Unknown)?;
        let now = self.clock.now();
        let left = match self.capabilities.find(&digest(self, &secret), now) {
            None => return Err(NotOpened::Unknown),
            Some(Opens::Request(kept)) => return Ok(kept.session(self)),
            Some(Opens::Ended(left)) => left,
        };
        let looked = self.store.look(now, left.id(), left.right()).await;
        let opened = match looked.map_err(NotOpened::Store)? {
            Checked::Done(opened) => Some(opened),
            Checked::Gone => None,
            Checked::Replaced => return Err(NotOpened::Replaced),
        };
        left.session(self, opened).ok_or(NotOpened::Ended)
    }
}

/// The state of a capability.
enum Opens {
    Request(ActiveHandle),
    Ended(Arc<EndedHandle>),
}

impl Capabilities {
    fn grant(&self, digest: Digest, kept: ActiveHandle, now: Timestamp) {
        let mut ledger = self.lock();
        ledger.sweep(now);
        ledger.held.insert(digest, CapabilityState::Under(kept));
    }

    /// Called when the request has ended: only the reference to its session is kept.
    fn leave(&self, digest: &Digest, app: &str, now: Timestamp) {
        let mut ledger = self.lock();
        ledger.sweep(now);
        let Some(held) = ledger.held.get_mut(digest) else { return };
        let CapabilityState::Under(kept) = held else { return };
        let until = now.after(CAPABILITY_GRACE);
        *held = CapabilityState::Over { until, left: Arc::new(kept.leave(app)) };
        ledger.left.push_back((until, *digest));
    }

    fn find(&self, digest: &Digest, now: Timestamp) -> Option<Opens> {
        match self.lock().held.get(digest)? {
            CapabilityState::Under(kept) => Some(Opens::Request(kept.clone())),
            CapabilityState::Over { until, left } => {
                (now < *until).then(|| Opens::Ended(Arc::clone(left)))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, CapabilityTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CapabilityTable {
    /// Removes expired capabilities, and beyond the bound those that would have expired first.
    ///
    /// Every grant and every end of a request sweeps, so that no timer is needed. A capability is
    /// swept once, so the cost of each is constant.
    fn sweep(&mut self, now: Timestamp) {
        while let Some((until, digest)) = self.left.front()
            && (*until <= now || self.left.len() > CAPABILITIES_LEFT_MAX)
        {
            self.held.remove(digest);
            self.left.pop_front();
        }
    }
}

/// Their number only, and no secret.
impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ledger = self.lock();
        let (all, left) = (ledger.held.len(), ledger.left.len());
        write!(f, "Capabilities({} under way, {left} left)", all.saturating_sub(left))
    }
}

fn digest(sessions: &Sessions, secret: &Secret<32>) -> Digest {
    Digest::of("capability", sessions.app(), secret)
}
