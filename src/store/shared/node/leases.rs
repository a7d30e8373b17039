//! Which runs of callbacks are cut off, as far as this node has seen.
//!
//! The node that runs a callback renews the lease of the run. Another node must not compare the
//! deadline of the lease with its own clock, because the clocks of nodes differ and are set. It
//! measures, with a clock that never steps, how long it has seen the lease unchanged. Only a
//! deadline that is past by more than clocks may differ counts by itself.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::ClaimId;
use crate::base::Digest;
use crate::base::Timestamp;
use crate::base::clock::Stopwatch;
use crate::base::limits::CLOCKS_APART_MAX;
use crate::token::RunStage;
use crate::token::Token;

/// Leases that are watched at once. For others only the deadline counts.
const WATCHED_MAX: usize = 4_096;

/// The leases that repeats have found on this node.
#[derive(Debug, Default)]
pub(crate) struct Leases(Mutex<HashMap<Digest, Watched>>);

/// A lease as it was seen.
#[derive(Debug, Clone, Copy)]
struct Watched {
    by: ClaimId,
    deadline: Timestamp,
    /// Started when the reply arrived in which it was seen first.
    since: Stopwatch,
}

impl Leases {
    /// The token, which a database was asked for at `now`, with the deadline of its run by the clock
    /// of this node. The lease may have been renewed after the database read it, so it counts as
    /// unchanged from the first reply to the last question.
    pub(crate) fn watched(&self, (now, asked): (Timestamp, Stopwatch), mut token: Token) -> Token {
        let Some(run) = token.run.as_mut().filter(|run| run.stage == RunStage::Running) else {
            self.lock().remove(&token.digest);
            return token;
        };
        let Some(lease) = run.lease else { return token };
        let over = run.deadline.after(CLOCKS_APART_MAX);
        let seen = self.seen_for(now, token.digest, (run.by, run.deadline));
        run.deadline = seen.map_or(over, |seen| {
            let unchanged = seen.saturating_sub(asked.elapsed());
            now.after(lease.saturating_sub(unchanged)).min(over)
        });
        token
    }

    /// Restarts every measurement, so that a time without any possible renewal does not count.
    pub(crate) fn start_again(&self) {
        self.lock().clear();
    }

    /// How long ago a reply showed this lease first; `None` if there is no room to watch it.
    fn seen_for(
        &self,
        now: Timestamp,
        token: Digest,
        (by, deadline): (ClaimId, Timestamp),
    ) -> Option<Duration> {
        let mut all = self.lock();
        let same = |watched: &&Watched| watched.by == by && watched.deadline == deadline;
        if let Some(watched) = all.get(&token).filter(same) {
            return Some(watched.since.elapsed());
        }
        if all.len() >= WATCHED_MAX && !all.contains_key(&token) {
            // Those are over in any case.
            all.retain(|_, watched| now < watched.deadline.after(CLOCKS_APART_MAX));
            if all.len() >= WATCHED_MAX {
                return None;
            }
        }
        all.insert(token, Watched { by, deadline, since: Stopwatch::start() });
        Some(Duration::ZERO)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Watched>> {
        // Each entry is valid by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::base::SessionId;
    use crate::token::ReplayKey;
    use crate::token::ReplayOptions;
    use crate::token::Run;

    const LEASE: Duration = Duration::from_secs(6);
    const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);

    fn running(number: u64, deadline: Timestamp) -> Token {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        let digest = Digest::from_bytes(bytes);
        let key = ReplayKey { call: digest, body: digest };
        let options = ReplayOptions { key, window: LEASE, lease: LEASE, may_take_over: false };
        let run = Run { deadline, ..Run::begin(ClaimId::from_bytes([2; 16]), &options, NOW) };
        Token {
            digest,
            id: crate::base::TokenId::from_bytes([1; 8]),
            session: SessionId::from_bytes([3; 16]),
            minted_at: NOW,
            expires_at: NOW,
            handlers: Vec::new(),
            mode: None,
            confirm: None,
            binding: None,
            generation: 0,
            claim: None,
            run: Some(run),
        }
    }

    /// When a lease counts as over, for a node whose clock shows `now`.
    fn over_at(leases: &Leases, now: Timestamp, token: Token) -> Timestamp {
        leases.watched((now, Stopwatch::start()), token).run.unwrap().deadline
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_over_once_it_was_seen_unchanged_for_as_long_as_it_lasts() {
        for offset in [0, 60_000] {
            let (leases, written) = (Leases::default(), NOW.after(LEASE));
            // The clock of the other node is behind this one, or ahead.
            let now = Timestamp::from_millis(NOW.millis() + 30_000 - offset);
            assert_eq!(over_at(&leases, now, running(1, written)), now.after(LEASE));
            advance(LEASE / 2).await;
            let later = now.after(LEASE / 2);
            assert_eq!(over_at(&leases, later, running(1, written)), now.after(LEASE));
            let renewed = written.after(Duration::from_millis(1));
            assert_eq!(over_at(&leases, later, running(1, renewed)), later.after(LEASE));
            advance(LEASE).await;
            let again = later.after(LEASE);
            assert_eq!(over_at(&leases, again, running(1, renewed)), again);
            leases.start_again();
            assert_eq!(over_at(&leases, again, running(1, renewed)), again.after(LEASE));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_ends_no_lease() {
        let (leases, written) = (Leases::default(), NOW.after(LEASE));
        over_at(&leases, NOW, running(1, written));
        advance(LEASE / 2).await;
        for step in [LEASE, CLOCKS_APART_MAX] {
            let now = NOW.after(step);
            assert_eq!(over_at(&leases, now, running(1, written)), now.after(LEASE / 2));
        }
        let back = Timestamp::from_millis(NOW.millis() - 60_000);
        assert_eq!(over_at(&leases, back, running(1, written)), back.after(LEASE / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_measured_from_the_first_reply_to_the_last_question() {
        let (leases, written) = (Leases::default(), NOW.after(LEASE));
        let asked = Stopwatch::start();
        // The database took half a lease to reply, and nothing is known of the time before.
        advance(LEASE / 2).await;
        leases.watched((NOW, asked), running(1, written));
        advance(LEASE / 2).await;
        let now = NOW.after(LEASE);
        let asked = Stopwatch::start();
        // As long again: the lease may have been renewed since it was read.
        advance(LEASE).await;
        let watched = leases.watched((now, asked), running(1, written));
        assert_eq!(watched.run.unwrap().deadline, now.after(LEASE / 2));
        advance(LEASE / 2).await;
        let now = now.after(LEASE * 2);
        assert_eq!(over_at(&leases, now, running(1, written)), now);
    }

    #[test]
    fn a_deadline_that_is_long_over_counts_by_itself() {
        let leases = Leases::default();
        let over = NOW.after(CLOCKS_APART_MAX);
        assert_eq!(over_at(&leases, over, running(1, NOW)), over);
        let mut earlier = running(1, NOW);
        earlier.run.as_mut().unwrap().lease = None;
        assert_eq!(over_at(&leases, over, earlier), NOW);
    }

    #[test]
    fn the_leases_that_are_watched_are_bounded() {
        let leases = Leases::default();
        let deadline = NOW.after(LEASE);
        for number in 0..WATCHED_MAX as u64 {
            over_at(&leases, NOW, running(number, deadline));
        }
        let beyond = running(u64::MAX, deadline);
        let over = deadline.after(CLOCKS_APART_MAX);
        assert_eq!(over_at(&leases, NOW, beyond.clone()), over);
        let ended = Token { run: None, ..running(7, deadline) };
        leases.watched((NOW, Stopwatch::start()), ended);
        assert_eq!(over_at(&leases, NOW, beyond.clone()), NOW.after(LEASE));
        assert_eq!(over_at(&leases, over, running(7, over)), over.after(LEASE));
        assert_eq!(leases.lock().len(), 1, "what is long over makes room");
    }
}
