//! Guests, in the order of eviction, so that a flood of them fills neither memory nor disk and
//! takes no room from signed-in users.

use std::collections::BTreeSet;
use std::collections::HashSet;

use crate::base::SessionId;
use crate::base::Timestamp;
use crate::session::Record;
use crate::store::live::BYTES_PER_SESSION;
use crate::store::live::Change;
use crate::store::live::Config;
use crate::store::live::StateMachine;
use crate::store::live::apply::session_bytes;

/// Guests evicted in one step at most. Only a guest that stores as much as hundreds of others
/// displaces more, and the next step continues.
const DISPLACED_MAX: usize = 512;

/// The position of a guest in the eviction order, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Whether it holds an unspent token. A callback may still redeem it, so other guests are
    /// evicted first.
    holds: bool,
    seen_at: Timestamp,
    bytes: usize,
}

/// All living guests.
#[derive(Debug, Default)]
pub(super) struct Guests {
    /// The first one is evicted first.
    order: BTreeSet<(bool, Timestamp, SessionId)>,
    bytes: usize,
}

/// What a session requests to store.
pub(super) struct Wanted<'a> {
    pub(super) record: &'a Record,
    /// Whether the session does not exist yet.
    pub(super) is_new: bool,
}

impl Config {
    /// Guests kept at most; one at least.
    pub fn guests_max(self) -> usize {
        self.share_of(self.sessions_max).max(1)
    }

    /// Approximate bytes that guests take at most.
    pub fn guest_bytes_max(self) -> usize {
        self.guests_max().saturating_mul(BYTES_PER_SESSION)
    }

    fn share_of(self, whole: usize) -> usize {
        let percent = usize::from(self.guest_percent.min(100));
        (whole / 100).saturating_mul(percent) + whole % 100 * percent / 100
    }

    /// Tokens kept at most once a guest requests another one.
    pub(super) fn guest_tokens_max(self) -> usize {
        self.share_of(self.others_max())
    }
}

impl Guests {
    pub(super) fn remove(&mut self, id: SessionId, place: Option<Place>) {
        if let Some(Place { holds, seen_at, bytes }) = place
            && self.order.remove(&(holds, seen_at, id))
        {
            self.bytes -= bytes;
        }
    }

    fn insert(&mut self, id: SessionId, place: Option<Place>) {
        if let Some(Place { holds, seen_at, bytes }) = place
            && self.order.insert((holds, seen_at, id))
        {
            self.bytes += bytes;
        }
    }
}

impl StateMachine {
    /// Updates the position of a session among the guests, after any change of it.
    pub(super) fn place(&mut self, id: SessionId) {
        if self.index.is_asleep() {
            return;
        }
        let Some(entry) = self.sessions.get_mut(&id) else { return };
        let is_guest = entry.record().is_some_and(|record| !record.access.known);
        let (holds, bytes) = (!entry.state.unspent.is_empty(), entry.bytes);
        let place = is_guest.then_some(Place { holds, seen_at: entry.state.seen_at, bytes });
        if place != entry.place {
            self.guests.remove(id, entry.place);
            self.guests.insert(id, place);
            entry.place = place;
        }
    }

    /// Updates all positions, once a replay is complete.
    pub(super) fn place_all(&mut self) {
        let ids: Vec<SessionId> = self.index.ids.iter().copied().collect();
        for id in ids {
            self.place(id);
        }
    }

    /// The guests to evict for what a session requests to store, if any, once sessions have ended
    /// as in `swept`.
    pub(super) fn displacing(&self, wanted: &Wanted<'_>, swept: &[Change]) -> Vec<Change> {
        let id = wanted.record.id;
        let mut gone: HashSet<SessionId> = swept.iter().filter_map(ending).collect();
        let mut left = Left {
            guests: self.guests.order.len(),
            bytes: self.guests.bytes,
            sessions: self.index.ids.len() + usize::from(wanted.is_new),
        };
        for id in &gone {
            left.without(self.place_of(*id));
        }
        let is_guest = !wanted.record.access.known;
        if let Some(place) = self.place_of(id) {
            left.guests -= 1;
            left.bytes -= place.bytes;
        }
        if is_guest {
            left.guests += 1;
            left.bytes += session_bytes(wanted.record);
        }
        gone.insert(id);
        let mut changes = Vec::new();
        for (_, _, id) in self.guests.order.iter().filter(|(_, _, id)| !gone.contains(id)) {
            if left.fits(self.config, is_guest) || changes.len() == DISPLACED_MAX {
                break;
            }
            left.without(self.place_of(*id));
            changes.push(Change::Displaced { id: *id });
        }
        changes
    }

    fn place_of(&self, id: SessionId) -> Option<Place> {
        self.sessions.get(&id)?.place
    }
}

/// What remains while guests are evicted.
struct Left {
    guests: usize,
    bytes: usize,
    sessions: usize,
}

impl Left {
    fn without(&mut self, place: Option<Place>) {
        self.sessions -= 1;
        if let Some(place) = place {
            self.guests -= 1;
            self.bytes -= place.bytes;
        }
    }

    /// Whether one more session fits in, a guest or not.
    fn fits(&self, config: Config, is_guest: bool) -> bool {
        let share = self.guests <= config.guests_max() && self.bytes <= config.guest_bytes_max();
        (share || !is_guest) && self.sessions <= config.sessions_max
    }
}

fn ending(change: &Change) -> Option<SessionId> {
    match change {
        Change::Ended { id, .. } => Some(*id),
        _ => None,
    }
}
