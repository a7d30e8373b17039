//! An engine in the memory of one process: the rules of [`Engine`] in plain code, for tests and
//! simulations, and as a reference beside the statements of a database.

mod control;
mod plain;
mod trim;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::TOMBSTONE;
use crate::store::error::StoreError;
use crate::store::port::Guarantees;
use crate::store::port::Pending;
use crate::store::port::Records;
use crate::store::records::RecordMap;
use crate::store::shared::engine::ClaimOrder;
use crate::store::shared::engine::Claimed;
use crate::store::shared::engine::Commit;
use crate::store::shared::engine::Committed;
use crate::store::shared::engine::Engine;
use crate::store::shared::engine::Expect;
use crate::store::shared::engine::Found;
use crate::store::shared::engine::Mark;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::Share;
use crate::store::shared::engine::TokenChange;
use crate::store::shared::engine::TokenKey;
use crate::store::shared::engine::TokenRow;
use crate::store::shared::engine::Trimmed;

use plain::Joining;
use plain::is_plain;

/// Keeps rows in maps.
#[derive(Default)]
pub struct MapEngine(Mutex<State>, RecordMap);

/// The complete state at one moment, as a replica or a backup holds it.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The incarnation of the database.
    incarnation: u64,
    /// Whether fences are ignored, as in a negative control.
    unfenced: bool,
    sessions: BTreeMap<SessionId, Held>,
    tokens: BTreeMap<Digest, Fenced>,
}

#[derive(Debug, Clone)]
struct Held {
    row: SessionRow,
    due_at: Timestamp,
    is_guest: bool,
}

#[derive(Debug, Clone)]
struct Fenced {
    row: TokenRow,
    /// The incarnation under which it was minted; `None` once it is void.
    fence: Option<u64>,
}

impl MapEngine {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each step checks before it changes, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step<'a, T: Send + 'a>(
        &'a self,
        step: impl FnOnce(&mut State) -> T + Send + 'a,
    ) -> Pending<'a, T> {
        Box::pin(async move { Ok::<T, StoreError>(step(&mut self.state())) })
    }
}

impl State {
    fn row(&self, id: SessionId) -> Option<SessionRow> {
        self.sessions.get(&id).map(|held| held.row.clone())
    }

    fn found(&self, held: &Fenced) -> Found {
        Found {
            token: held.row.clone(),
            fenced: self.holds(held.fence),
            session: self.row(held.row.session),
        }
    }

    /// Whether a token that was minted under this incarnation may be granted.
    fn holds(&self, fence: Option<u64>) -> bool {
        fence.is_some_and(|minted| self.unfenced || minted == self.incarnation)
    }

    fn claim(&mut self, order: &ClaimOrder) -> Claimed {
        let Some(held) = self.tokens.get(&order.token) else {
            return Claimed { granted: false, found: None };
        };
        let found = self.found(held);
        let joining = is_plain(&found, order);
        if let Some(Joining(joins)) = joining {
            self.grant(order, found.token.session, joins);
        }
        Claimed { granted: joining.is_some(), found: Some(found) }
    }

    fn grant(&mut self, order: &ClaimOrder, session: SessionId, joins: bool) {
        if let Some(held) = self.tokens.get_mut(&order.token) {
            held.row.claim = Some((order.id, order.now));
            if let Some((run, until)) = &order.run {
                held.row.run.clone_from(run);
                held.row.forget_at = held.row.forget_at.max(*until);
            }
        }
        let Some(Held { row, due_at, .. }) = self.sessions.get_mut(&session) else { return };
        row.unspent.retain(|slip| slip.digest != order.token);
        if joins {
            row.devices.push(order.newcomer_digest);
            row.joined.push(order.newcomer.clone());
        }
        row.seen_at = row.seen_at.max(order.now);
        row.version = order.next;
        // The session may have lived for this token alone.
        *due_at = expires_at(row).min(*due_at);
    }

    fn commit(&mut self, commit: Commit) -> Committed {
        let held = self.sessions.get(&commit.id).map(|held| &held.row);
        let as_expected = match (commit.expect, held) {
            (Expect::Absent, None) => true,
            (Expect::Version(version), Some(row)) => {
                row.version == version && commit.expect_seen.is_none_or(|seen| row.seen_at == seen)
            }
            _ => false,
        };
        if !as_expected {
            return Committed::Stale(held.cloned());
        }
        let fence = |digest| self.tokens.get(&digest).and_then(|held| held.fence);
        if commit.expect_fence.is_some_and(|digest| !self.holds(fence(digest))) {
            return Committed::Unfenced;
        }
        if commit.mint.as_ref().is_some_and(|token| self.tokens.contains_key(&token.digest)) {
            return Committed::TokenExists;
        }
        let seen_at = held.map_or(Timestamp::default(), |row| row.seen_at);
        self.write(commit, seen_at);
        Committed::Done
    }

    fn write(&mut self, commit: Commit, seen_at: Timestamp) {
        let Commit { id, next: version, session, guest, mint, marks, drops, due_at, .. } = commit;
        if let Some(row) = session {
            let row = SessionRow { version, seen_at: row.seen_at.max(seen_at), ..row };
            self.sessions.insert(id, Held { row, due_at, is_guest: guest });
        } else if let Some(held) = self.sessions.get_mut(&id) {
            held.row.version = version;
        }
        for digest in drops {
            self.tokens.remove(&digest);
        }
        for Mark { digest, change } in marks {
            if let Some(held) = self.tokens.get_mut(&digest) {
                held.mark(change);
            }
        }
        if let Some(row) = mint {
            self.tokens.insert(row.digest, Fenced { row, fence: Some(self.incarnation) });
        }
    }

    fn touch(&mut self, uses: Vec<(SessionId, Timestamp)>) {
        for (id, at) in uses {
            let living = self.sessions.get_mut(&id).filter(|held| held.row.ended_at.is_none());
            if let Some(held) = living {
                held.row.seen_at = held.row.seen_at.max(at);
            }
        }
    }

    fn sweep(&mut self, now: Timestamp, at_most: usize) -> usize {
        let due = self.sessions.iter().filter(|(_, held)| held.due_at <= now);
        let due: Vec<SessionId> = due.map(|(id, _)| *id).collect();
        let mut swept = 0;
        for id in due {
            if swept == at_most {
                return swept;
            }
            let Some(held) = self.sessions.get_mut(&id) else { continue };
            let over_at = expires_at(&held.row);
            if held.row.ended_at.is_some() {
                self.sessions.remove(&id);
                swept += 1;
            } else if now < over_at {
                held.due_at = over_at;
            } else {
                held.end(now);
                swept += 1;
            }
        }
        let over = self.tokens.iter().filter(|(_, held)| held.row.forget_at <= now);
        let over: Vec<Digest> = over.map(|(digest, _)| *digest).take(at_most - swept).collect();
        for digest in &over {
            self.tokens.remove(digest);
        }
        swept + over.len()
    }

    fn sessions(&self, after: Option<SessionId>, at_most: usize) -> Vec<(SessionId, SessionRow)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.sessions.range((from, Bound::Unbounded));
        let living = rows.filter(|(_, held)| held.row.ended_at.is_none());
        living.map(|(id, held)| (*id, held.row.clone())).take(at_most).collect()
    }

    fn tokens(&self, after: Option<TokenId>, at_most: usize) -> Vec<Found> {
        let open = self.tokens.values().filter(|held| {
            held.row.claim.is_none() && after.is_none_or(|after| held.row.id > after)
        });
        let mut found: Vec<Found> = open.map(|held| self.found(held)).collect();
        found.retain(|found| found.session.as_ref().is_some_and(|row| row.ended_at.is_none()));
        found.sort_by_key(|found| found.token.id);
        found.truncate(at_most);
        found
    }
}

impl Fenced {
    fn mark(&mut self, change: TokenChange) {
        match change {
            TokenChange::Claim { id, at, forget_at } => {
                let last = self.row.forget_at;
                self.row.forget_at = forget_at.map_or(last, |first| first.min(last));
                self.row.claim = Some((id, at));
            }
            TokenChange::Run { run, answer, forget_at } => {
                self.row.run = run;
                self.row.answer = answer;
                self.row.forget_at = self.row.forget_at.max(forget_at);
            }
            TokenChange::Unanswered => self.row.answer.clear(),
            TokenChange::Unclaim { forget_at } => {
                self.row.claim = None;
                self.row.run.clear();
                self.row.answer.clear();
                self.row.forget_at = forget_at;
            }
            TokenChange::Void => self.fence = None,
        }
    }
}

impl Held {
    fn end(&mut self, now: Timestamp) {
        let (version, seen_at) = (self.row.version + 1, self.row.seen_at);
        let answers = std::mem::take(&mut self.row.answers);
        let ended_at = Some(now);
        self.row = SessionRow { version, seen_at, ended_at, answers, ..SessionRow::default() };
        self.due_at = now.after(TOMBSTONE);
        self.is_guest = false;
    }
}

/// The end of its idle timeout, or that of its last unspent token, or its absolute limit.
fn expires_at(row: &SessionRow) -> Timestamp {
    let needed_until = row.unspent.iter().map(|slip| slip.expires_at).max().unwrap_or_default();
    let unused_at = row.seen_at.after(Duration::from_millis(row.idle_ms));
    unused_at.max(needed_until).min(row.absolute_at)
}

impl Engine for MapEngine {
    fn read(&self, id: SessionId) -> Pending<'_, Option<SessionRow>> {
        self.step(move |state| state.row(id))
    }

    fn find(&self, key: TokenKey) -> Pending<'_, Option<Found>> {
        self.step(move |state| {
            let held = match key {
                TokenKey::Digest(digest) => state.tokens.get(&digest),
                TokenKey::Name(name) => state
                    .tokens
                    .values()
                    .find(|held| held.row.id == name && held.row.claim.is_none()),
            };
            held.map(|held| state.found(held))
        })
    }

    fn claim(&self, order: ClaimOrder) -> Pending<'_, Claimed> {
        self.step(move |state| state.claim(&order))
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Committed> {
        self.step(move |state| state.commit(commit))
    }

    fn touch(&self, uses: Vec<(SessionId, Timestamp)>) -> Pending<'_, ()> {
        self.step(move |state| state.touch(uses))
    }

    fn sessions(
        &self,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<(SessionId, SessionRow)>> {
        self.step(move |state| state.sessions(after, at_most))
    }

    fn tokens(&self, after: Option<TokenId>, at_most: usize) -> Pending<'_, Vec<Found>> {
        self.step(move |state| state.tokens(after, at_most))
    }

    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize> {
        self.step(move |state| state.sweep(now, at_most))
    }

    fn trim(&self, share: Share) -> Pending<'_, Trimmed> {
        self.step(move |state| state.trim(&share))
    }

    fn records(&self) -> &dyn Records {
        &self.1
    }

    fn ahead(&self) -> Duration {
        Duration::ZERO
    }

    fn check(&self) -> Pending<'_, Guarantees> {
        self.step(|_| Guarantees {
            store: "map",
            survives_crash: false,
            survives_power_loss: false,
            shared: true,
            notes: vec!["everything is in the memory of this process".to_owned()],
            lacks: Vec::new(),
        })
    }

    fn close(&self) -> Pending<'_, ()> {
        self.step(|_| ())
    }
}

/// Numbers only.
impl fmt::Debug for MapEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "MapEngine({} sessions, {} tokens)", state.sessions.len(), state.tokens.len())
    }
}
