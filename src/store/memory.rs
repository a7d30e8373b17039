//! A store in the memory of one process, for tests and demonstrations: a restart loses all of it.

use std::sync::Mutex;
use std::sync::PoisonError;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::session::Patch;
use crate::session::Right;
use crate::store::displaced::Displaced;
use crate::store::error::StoreError;
use crate::store::live::Config;
use crate::store::live::Decided;
use crate::store::live::Live;
use crate::store::port::Checked;
use crate::store::port::Claim;
use crate::store::port::Concluded;
use crate::store::port::Conclusion;
use crate::store::port::Created;
use crate::store::port::Founding;
use crate::store::port::Guarantees;
use crate::store::port::Lack;
use crate::store::port::Minted;
use crate::store::port::Opened;
use crate::store::port::Patched;
use crate::store::port::Pending;
use crate::store::port::Records;
use crate::store::port::Redeemed;
use crate::store::port::Resumed;
use crate::store::port::Store;
use crate::store::records::RecordMap;
use crate::token::Token;

/// Keeps everything in the memory of this process.
///
/// Every operation takes one lock for a few microseconds, and nothing is awaited under it. A
/// dropped future has therefore completed its operation or not started it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    displaced: Displaced,
    records: RecordMap,
}

#[derive(Debug)]
struct State {
    live: Live,
    closed: bool,
}

impl Default for State {
    fn default() -> Self {
        Self { live: Live::new(Config::default()), closed: false }
    }
}

impl MemoryStore {
    /// An empty store of the default size.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store.
    pub fn with(config: Config) -> Self {
        let state = Mutex::new(State { live: Live::new(config), closed: false });
        Self { state, displaced: Displaced::default(), records: RecordMap::default() }
    }

    fn run<'a, T: Send + 'static>(
        &'a self,
        now: Timestamp,
        decide: impl FnOnce(&Live, Timestamp) -> Decided<T> + Send + 'a,
    ) -> Pending<'a, T> {
        Box::pin(async move {
            // A panic under the lock may have left an operation half applied.
            let mut state = self.state.lock().map_err(|_| {
                StoreError::Corrupt("a verb of the memory store panicked; restart it".into())
            })?;
            if state.closed {
                return Err(StoreError::Refused("it is closed"));
            }
            let now = state.live.present(now);
            let decided = decide(&state.live, now);
            let performed = state.live.perform(0, decided);
            self.displaced.note(now, performed.displaced());
            performed.answer
        })
    }
}

impl Store for MemoryStore {
    fn resume(&self, now: Timestamp, id: SessionId, credential: Digest) -> Pending<'_, Resumed> {
        self.run(now, move |live, now| live.resume(now, id, credential))
    }

    fn create(&self, now: Timestamp, founding: Founding) -> Pending<'_, Created> {
        self.run(now, move |live, now| live.create(now, &founding))
    }

    fn patch(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        patch: Patch,
    ) -> Pending<'_, Patched> {
        self.run(now, move |live, now| live.patch(now, id, right, &patch))
    }

    fn mint(
        &self,
        now: Timestamp,
        right: Right,
        patch: Patch,
        token: Token,
    ) -> Pending<'_, Minted> {
        self.run(now, move |live, now| live.mint(now, right, &patch, &token))
    }

    fn redeem(&self, now: Timestamp, claim: Claim) -> Pending<'_, Redeemed> {
        self.run(now, move |live, now| live.redeem(now, &claim))
    }

    fn conclude(&self, now: Timestamp, conclusion: Conclusion) -> Pending<'_, Concluded> {
        self.run(now, move |live, now| live.conclude(now, &conclusion))
    }

    fn detach(
        &self,
        now: Timestamp,
        id: SessionId,
        right: Right,
        device: DeviceId,
    ) -> Pending<'_, Checked<bool>> {
        self.run(now, move |live, now| live.detach(now, id, right, device))
    }

    fn end(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<()>> {
        self.run(now, move |live, now| live.end(now, id, right))
    }

    fn revoke(&self, now: Timestamp, token: TokenId) -> Pending<'_, bool> {
        self.run(now, move |live, now| live.revoke(now, token))
    }

    fn look(&self, now: Timestamp, id: SessionId, right: Right) -> Pending<'_, Checked<Opened>> {
        self.run(now, move |live, now| live.look(now, id, right))
    }

    fn sessions(
        &self,
        now: Timestamp,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Opened>> {
        self.run(now, move |live, now| live.sessions(now, after, at_most))
    }

    fn tokens(
        &self,
        now: Timestamp,
        after: Option<TokenId>,
        at_most: usize,
    ) -> Pending<'_, Vec<Token>> {
        self.run(now, move |live, now| live.tokens(now, after, at_most))
    }

    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize> {
        self.run(now, move |live, now| live.sweep(now, at_most))
    }

    fn records(&self) -> &dyn Records {
        &self.records
    }

    fn self_check(&self) -> Pending<'_, Guarantees> {
        self.run(Timestamp::default(), |_, _| {
            Decided::only(Guarantees {
                store: "memory",
                survives_crash: false,
                survives_power_loss: false,
                shared: false,
                notes: Vec::new(),
                lacks: vec![Lack {
                    what: "a restart loses every session and every token".to_owned(),
                    remedy: "use \"embedded:DIR\" on one machine, redis:// or postgres:// on \
                             several"
                        .to_owned(),
                }],
            })
        })
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            self.records.close();
            self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
            Ok(())
        })
    }
}
