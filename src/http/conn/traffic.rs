//! The traffic of one HTTP/2 connection, and when it has been useless for too long.

use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use crate::base::clock::Stopwatch;
use crate::base::limits::BYTES_PER_SEC_MIN;

/// Maximum number of frames that carry neither a request nor a body, per so many seconds
/// (docs/SECURITY.md D.2), beyond those that requests and responses account for.
const IDLE_FRAMES_MAX: u32 = 1_000;
const IDLE_FRAMES_SPAN: Duration = Duration::from_secs(10);
/// Such frames that a request accounts for: priorities, a reset, the windows of its stream.
const PER_REQUEST: u32 = 4;
/// Such frames that a frame of a response accounts for: a window for the stream and one for the
/// connection.
const PER_DATA: u32 = 2;
/// Streams that are tracked. h2 refuses most streams beyond its own limit, and a peer that exceeds
/// this one sends faster than it can be refused.
const STREAMS_MAX: usize = 2_000;

// Types of frames (RFC 9113 §6) and the one flag that matters here.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// The fields of a frame header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

/// The statistics of one connection.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// How long the peer may take nothing, or too little, of a response.
    stall: Duration,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// Requests whose responses are not completely sent.
    streams: Vec<Stream>,
    /// The bytes sent of each response that waits for its upstream.
    quiet: Vec<u64>,
    /// The newest stream that the peer has opened.
    newest: u32,
    /// Runs since the last response was sent in full.
    idle: Stopwatch,
    frames: IdleFrames,
}

/// A request, and the progress of its response.
#[derive(Debug)]
struct Stream {
    id: u32,
    /// Bytes of the response's body that have been sent.
    sent: u64,
    /// Runs since the response began or enough of it was taken; `None` before that.
    waiting: Option<Stopwatch>,
    /// Bytes taken since then.
    taken: u64,
}

/// The empty frames of the current period.
#[derive(Debug)]
struct IdleFrames {
    since: Stopwatch,
    count: u32,
    explained: u32,
}

impl Traffic {
    /// Starts empty. A peer may take nothing of a response, or too little, for `stall`.
    pub(crate) fn new(stall: Duration) -> Self {
        let start = Stopwatch::start();
        let frames = IdleFrames { since: start, count: 0, explained: 0 };
        let (streams, quiet) = (Vec::new(), Vec::new());
        let account = Account { streams, quiet, newest: 0, idle: start, frames };
        Self { stall, account: Mutex::new(account) }
    }

    /// Records a frame from the peer.
    pub(crate) fn received(&self, head: FrameHead) {
        let mut account = self.account();
        match head.kind {
            // Headers on an existing stream are trailers.
            HEADERS if head.stream > account.newest => {
                account.newest = head.stream;
                account.streams.push(Stream { id: head.stream, sent: 0, waiting: None, taken: 0 });
                account.frames.explain(PER_REQUEST);
            }
            // h2 limits the empty ones of these itself.
            DATA | HEADERS | CONTINUATION => {}
            kind => {
                if kind == RST_STREAM {
                    account.end(head.stream);
                }
                account.frames.count();
            }
        }
    }

    /// Records a frame to the peer.
    pub(crate) fn sent(&self, head: FrameHead) {
        let mut account = self.account();
        let ends = match head.kind {
            HEADERS | DATA => head.flags & END_STREAM != 0,
            kind => kind == RST_STREAM,
        };
        if ends {
            account.end(head.stream);
        } else if head.kind == HEADERS || head.kind == DATA {
            account.progress(head, self.stall.as_secs() * BYTES_PER_SEC_MIN);
        }
        if head.kind == DATA {
            account.frames.explain(PER_DATA);
        }
    }

    /// Whether the peer keeps the connection busy with nothing.
    pub(crate) fn is_flood(&self) -> bool {
        let account = self.account();
        account.frames.count > IDLE_FRAMES_MAX + account.frames.explained
            || account.streams.len() > STREAMS_MAX
    }

    /// Done once the peer has asked for nothing for as long as `idle`, or does not take a response.
    pub(crate) async fn dead(&self, idle: Duration) {
        loop {
            let left = self.account().left(idle, self.stall);
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    /// The upstream behind a response says nothing for now, after so many bytes of it.
    pub(crate) fn falls_quiet(&self, handed: u64) {
        self.account().quiet.push(handed);
    }

    /// It goes on, or is over: from now on it is for the peer to take what comes.
    pub(crate) fn goes_on(&self, handed: u64) {
        let mut account = self.account();
        if let Some(at) = account.quiet.iter().position(|quiet| *quiet == handed) {
            account.quiet.swap_remove(at);
        }
        let behind = account.streams.iter_mut().filter(|stream| stream.is_up_to_date(handed));
        if let Some(stream) = behind.max_by_key(|stream| stream.waited()) {
            (stream.waiting, stream.taken) = (Some(Stopwatch::start()), 0);
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        // A panic under this lock leaves no number half written.
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    fn end(&mut self, stream: u32) {
        self.streams.retain(|each| each.id != stream);
        self.idle = Stopwatch::start();
    }

    /// A response has begun, or some of it was taken. After `enough` bytes a new wait begins.
    fn progress(&mut self, head: FrameHead, enough: u64) {
        let Some(stream) = self.streams.iter_mut().find(|each| each.id == head.stream) else {
            return;
        };
        let bytes = if head.kind == DATA { head.length as u64 } else { 0 };
        stream.taken += bytes;
        stream.sent += bytes;
        if stream.waiting.is_none() || (head.kind == DATA && stream.taken >= enough) {
            (stream.waiting, stream.taken) = (Some(Stopwatch::start()), 0);
        }
    }

    /// The indexes of the streams that wait for their upstreams.
    ///
    /// hyper does not report the stream of a response, so streams are identified by the bytes
    /// sent, which must be all that were handed over, or the peer would be the slow side. Among
    /// streams with equal counts, the one that has waited longest is chosen until one of them
    /// makes progress.
    fn excused(&self) -> Vec<usize> {
        let mut excused = Vec::with_capacity(self.quiet.len());
        for handed in &self.quiet {
            let all = self.streams.iter().enumerate();
            let behind =
                all.filter(|(at, stream)| stream.is_up_to_date(*handed) && !excused.contains(at));
            excused.extend(behind.max_by_key(|(_, stream)| stream.waited()).map(|(at, _)| at));
        }
        excused
    }

    /// The remaining time without progress; zero once it is over.
    fn left(&self, idle: Duration, stall: Duration) -> Duration {
        let excused = self.excused();
        let all = self.streams.iter().enumerate();
        let owing = all.filter(|(at, _)| !excused.contains(at));
        let waiting = owing.filter_map(|(_, stream)| stream.waiting);
        let stalled = waiting.map(|since| stall.saturating_sub(since.elapsed())).min();
        // The handler of a request has a deadline of its own. Once it is done, the peer has this
        // long from then on, so the check must not be postponed any further.
        let idle =
            if self.streams.is_empty() { idle.saturating_sub(self.idle.elapsed()) } else { idle };
        stalled.unwrap_or(stall).min(idle)
    }
}

impl Stream {
    /// Whether its response has begun, and exactly this many bytes of it were sent.
    fn is_up_to_date(&self, handed: u64) -> bool {
        self.waiting.is_some() && self.sent == handed
    }

    fn waited(&self) -> Duration {
        self.waiting.map_or(Duration::ZERO, Stopwatch::elapsed)
    }
}

impl IdleFrames {
    fn count(&mut self) {
        if self.since.elapsed() >= IDLE_FRAMES_SPAN {
            *self = Self { since: Stopwatch::start(), count: 0, explained: 0 };
        }
        self.count += 1;
    }

    fn explain(&mut self, count: u32) {
        self.explained = self.explained.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW_UPDATE: u8 = 8;
    const PING: u8 = 6;
    /// Longer than a test runs, and shorter than anything takes.
    const LONG: Duration = Duration::from_hours(1);
    const SHORT: Duration = Duration::from_nanos(1);

    fn head(kind: u8, flags: u8, stream: u32) -> FrameHead {
        FrameHead { length: 10, kind, flags, stream }
    }

    fn is_dead(traffic: &Traffic, idle: Duration, stall: Duration) -> bool {
        traffic.account().left(idle, stall).is_zero()
    }

    #[test]
    fn frames_that_carry_nothing_are_a_flood_unless_requests_and_answers_explain_them() {
        let traffic = Traffic::new(LONG);
        for _ in 0..IDLE_FRAMES_MAX {
            traffic.received(head(PING, 0, 0));
        }
        assert!(!traffic.is_flood());
        traffic.received(head(HEADERS, END_STREAM, 1));
        traffic.sent(head(DATA, END_STREAM, 1));
        for _ in 0..PER_REQUEST + PER_DATA {
            traffic.received(head(WINDOW_UPDATE, 0, 1));
        }
        assert!(!traffic.is_flood());
        traffic.received(head(WINDOW_UPDATE, 0, 1));
        assert!(traffic.is_flood());
    }

    #[test]
    fn streams_that_are_opened_faster_than_they_are_refused_are_a_flood() {
        let traffic = Traffic::new(LONG);
        for stream in 0..4_000 {
            traffic.received(head(HEADERS, END_STREAM, 2 * stream + 1));
            traffic.sent(head(RST_STREAM, 0, 2 * stream + 1));
        }
        assert!(!traffic.is_flood());
        for stream in 4_000..4_000 + 2_001 {
            traffic.received(head(HEADERS, END_STREAM, 2 * stream + 1));
        }
        assert!(traffic.is_flood());
    }

    #[test]
    fn a_peer_without_a_request_is_dead_after_a_while_and_one_with_a_request_is_not() {
        let traffic = Traffic::new(LONG);
        assert!(!is_dead(&traffic, LONG, LONG) && is_dead(&traffic, SHORT, LONG));
        traffic.received(head(HEADERS, 0, 1));
        assert!(!is_dead(&traffic, SHORT, LONG));
        // Trailers open no stream.
        traffic.received(head(HEADERS, END_STREAM, 1));
        traffic.sent(head(HEADERS, END_STREAM, 1));
        assert!(is_dead(&traffic, SHORT, LONG));
        traffic.received(head(HEADERS, END_STREAM, 3));
        traffic.received(head(RST_STREAM, 0, 3));
        assert!(is_dead(&traffic, SHORT, LONG), "who takes a request back has none");
    }

    #[test]
    fn an_answer_that_nobody_takes_is_the_death_of_its_connection() {
        let traffic = Traffic::new(LONG);
        traffic.received(head(HEADERS, END_STREAM, 1));
        assert!(!is_dead(&traffic, LONG, SHORT), "the handler has its own deadline");
        traffic.sent(head(HEADERS, 0, 1));
        assert!(!is_dead(&traffic, LONG, LONG) && is_dead(&traffic, LONG, SHORT));
        // Progress of another response does not hide the stalled one.
        traffic.received(head(HEADERS, END_STREAM, 3));
        traffic.sent(head(HEADERS, 0, 3));
        traffic.sent(head(DATA, END_STREAM, 3));
        assert!(is_dead(&traffic, LONG, SHORT));
        traffic.sent(head(DATA, END_STREAM, 1));
        assert!(!is_dead(&traffic, LONG, SHORT));
    }

    #[test]
    fn a_quiet_upstream_is_not_the_peers_fault_and_excuses_no_other_stream() {
        let traffic = Traffic::new(LONG);
        for stream in [1, 3] {
            traffic.received(head(HEADERS, END_STREAM, stream));
            traffic.sent(head(HEADERS, 0, stream));
        }
        traffic.sent(head(DATA, 0, 1));
        traffic.falls_quiet(10);
        assert!(is_dead(&traffic, LONG, SHORT), "the other stream stands");
        traffic.sent(head(DATA, END_STREAM, 3));
        assert!(!is_dead(&traffic, LONG, SHORT), "nobody owes anything");
        traffic.goes_on(10);
        assert!(is_dead(&traffic, LONG, SHORT) && !is_dead(&traffic, LONG, LONG));
        traffic.falls_quiet(20);
        assert!(is_dead(&traffic, LONG, SHORT), "what was handed over last was not taken");
        traffic.sent(head(DATA, 0, 1));
        assert!(!is_dead(&traffic, LONG, SHORT));
        traffic.sent(head(RST_STREAM, 0, 1));
        traffic.goes_on(20);
        assert!(traffic.account().quiet.is_empty());
    }

    #[test]
    fn a_trickle_is_no_progress() {
        let waiting = |traffic: &Traffic| traffic.account().streams[0].waiting.unwrap().elapsed();
        for (secs, fresh) in [(0, true), (1, false)] {
            let traffic = Traffic::new(Duration::from_secs(secs));
            traffic.received(head(HEADERS, END_STREAM, 1));
            traffic.sent(head(HEADERS, 0, 1));
            let begun = Stopwatch::start();
            while begun.elapsed() < Duration::from_millis(2) {
                std::hint::spin_loop();
            }
            let spun = begun.elapsed();
            traffic.sent(head(DATA, 0, 1));
            assert_eq!(waiting(&traffic) < spun, fresh, "{secs}");
            traffic.sent(FrameHead { length: 500, ..head(DATA, 0, 1) });
            assert!(waiting(&traffic) < spun);
        }
    }
}
