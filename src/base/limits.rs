//! The bounds of what outsiders send and applications keep, named with their units last. A bound
//! that only one file needs stands in that file.

use std::time::Duration;

/// Longest table file. A table of a thousand rows with comments is a quarter of this.
pub const TABLE_BYTES_MAX: usize = 1024 * 1024;
/// Most rows of a table: more is a program, not a table.
pub const TABLE_ROWS_MAX: usize = 1_000;
/// Deepest nesting of arrays and objects in a table file.
pub const TABLE_DEPTH_MAX: usize = 32;
/// Longest regular expression of a row.
pub const PATTERN_BYTES_MAX: usize = 1_024;
/// Largest compiled regular expression. The engine is linear in program times input, so a small
/// program bounds the time a hostile path can cost.
pub const PATTERN_PROGRAM_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of groups in a regular expression.
pub const PATTERN_NEST_MAX: u32 = 50;

/// Slowest transfer that is not cut off, in either direction: bytes per second of the patience
/// that the settings have for it (docs/SECURITY.md D.1).
pub const BYTES_PER_SEC_MIN: u64 = 500;
/// How long the page that asks may stand before its button is pressed (docs/SECURITY.md D.4).
pub const CONFIRM_PAGE_SECS: u64 = 600;

/// Unspent tokens one session may hold (docs/CONTRACT.md §6.1).
pub const TOKENS_PER_SESSION_MAX: usize = 16;
/// Shortest life of a token; shorter wishes become this (4D `createOTP`).
pub const TOKEN_LIFE_SECS_MIN: u64 = 10;
/// Longest life of a token. Beyond a year somebody mistook the unit.
pub const TOKEN_LIFE_SECS_MAX: u64 = 366 * 24 * 3600;
/// How long a token that ended is remembered, so that a repeat can be told from a forgery.
pub const TOKEN_GRACE: Duration = Duration::from_mins(10);
/// Handlers one token may be bound to.
pub const TOKEN_HANDLERS_MAX: usize = 16;

/// Browsers that can be in one session at once; the one that was unused longest makes room.
pub const DEVICES_PER_SESSION_MAX: usize = 32;
/// All storage of one session as JSON text, keys included.
pub const STORAGE_BYTES_MAX: usize = 256 * 1024;
/// Storage keys of one session.
pub const STORAGE_KEYS_MAX: usize = 256;
/// Longest storage key.
pub const STORAGE_KEY_BYTES_MAX: usize = 256;
/// Longest user name of a session.
pub const USER_NAME_BYTES_MAX: usize = 256;
/// Privileges one session may hold.
pub const PRIVILEGES_PER_SESSION_MAX: usize = 128;
/// Longest name of a privilege. With their number it bounds what a session can hold beside its
/// storage.
pub const PRIVILEGE_BYTES_MAX: usize = 128;
/// Attempts of one `update(key, fn)` before it gives up. Each round of a contest has a winner, so
/// this many writers of one key in the same instant all succeed.
pub const UPDATE_ATTEMPTS_MAX: usize = 512;
/// Shortest idle timeout, and the default, in minutes (4D `Session.idleTimeout`).
pub const IDLE_MINUTES_MIN: u32 = 60;
/// Longest idle timeout, in minutes: a year.
pub const IDLE_MINUTES_MAX: u32 = 366 * 24 * 60;
/// How long a guest that stored nothing keeps his id without being seen again. A session that
/// ended is remembered for longer than this, so its id cannot come back.
pub const GUEST_WINDOW: Duration = Duration::from_hours(1);
/// How long a session that ended is remembered: the guest window and the longest request.
pub const TOMBSTONE: Duration = Duration::from_mins(60 + 10);

/// Operations the embedded store commits together at most, so one commit stays short.
pub const GROUP_COMMIT_OPS_MAX: usize = 512;
/// Operations that may wait for the embedded store's writer; more are refused with 503.
pub const WRITER_QUEUE_OPS_MAX: usize = 4_096;
/// Expired records dropped in one sweep, so that a sweep never holds a store for long.
pub const SWEEP_RECORDS_MAX: usize = 512;
/// Pause between two sweeps that found little to do.
pub const SWEEP_PAUSE: Duration = Duration::from_secs(10);

/// Parameters of one query.
pub const QUERY_PARAMS_MAX: usize = 100;
/// Longest parameter name of a query.
pub const QUERY_NAME_BYTES_MAX: usize = 128;
/// Longest name of a request's header field.
pub const HEADER_NAME_BYTES_MAX: usize = 256;
/// Longest header value, of a request and of what a handler may set. Cookies of a request are
/// limited by the size of all its headers only: browsers join all of a site's into one field.
pub const HEADER_VALUE_BYTES_MAX: usize = 8 * 1024;
/// Headers that a handler may set.
pub const REPLY_HEADERS_MAX: usize = 64;
/// Largest body a row may ask for; more belongs behind a forward row, which streams.
pub const ROW_BODY_BYTES_MAX: u64 = 25 * 1024 * 1024;
/// Longest time-out a row may ask for.
pub const ROW_TIMEOUT_MS_MAX: u64 = 10 * 60 * 1000;
/// Longest base URL of an upstream, in bytes.
pub const UPSTREAM_URL_BYTES_MAX: usize = 2_048;
/// How long a capability opens its session when the request has ended (docs/CONTRACT.md §7).
pub const CAPABILITY_GRACE: Duration = Duration::from_mins(1);
/// How often the store is asked whether the right still holds under which a tunnel works.
pub const RIGHT_CHECK: Duration = Duration::from_secs(5);
/// Capabilities of ended requests that are kept for that long; beyond it the oldest goes first.
/// A thousand forwarded requests each second are just below it.
pub const CAPABILITIES_LEFT_MAX: usize = 65_536;
/// Longest time that the answer to a callback is kept for its repeats: a week, in seconds.
pub const REPEAT_SECS_MAX: u64 = 7 * 24 * 3600;
/// All answers that are kept for the repeats of one session's callbacks; the oldest make room.
pub const ANSWER_BYTES_PER_SESSION_MAX: usize = 1024 * 1024;
/// How long the run of a callback counts as under way without being renewed; then its node is taken
/// for dead. Two renewals may be lost.
pub const RUN_LEASE: Duration = Duration::from_secs(6);
/// How often a run is renewed while its handler runs.
pub const RUN_RENEWAL: Duration = Duration::from_secs(2);
/// How much longer than its handler a run is renewed at most: the time for a store that is slow to
/// redeem, to write and to keep the answer.
pub const RUN_SLACK: Duration = Duration::from_secs(30);
/// How far apart the clocks of nodes may be before one takes a run of another one for cut off though
/// it goes on.
pub const CLOCKS_APART_MAX: Duration = Duration::from_mins(2);
/// Fields of one submitted form: as many as PHP reads, which payment platforms reckon with.
pub const FORM_FIELDS_MAX: usize = 1_000;
/// Deepest nesting of a JSON body (`getJSON`), and of a value in session storage. A stored value
/// must be read back, and `serde_json` gives up at 128.
pub const JSON_DEPTH_MAX: usize = 64;
/// How long a client is told to wait when the store cannot answer.
pub const RETRY_AFTER_SECS: u64 = 2;
/// How long one redemption may try to learn its outcome from a store that lost the reply.
pub const CLAIM_RETRY_WINDOW: Duration = Duration::from_millis(1_500);
