//! Limits on input and on stored data, each named with its unit last. A limit that only one file
//! needs stands in that file.

use std::time::Duration;

/// Largest table file. A table of a thousand rows with comments is a quarter of this.
pub const TABLE_BYTES_MAX: usize = 1024 * 1024;
/// Most rows of a table.
pub const TABLE_ROWS_MAX: usize = 1_000;
/// Deepest nesting of arrays and objects in a table file.
pub const TABLE_DEPTH_MAX: usize = 32;
/// Longest regular expression of a row.
pub const PATTERN_BYTES_MAX: usize = 1_024;
/// Largest compiled regular expression. Matching time is linear in program size times input length,
/// so a small program bounds the cost of a hostile path.
pub const PATTERN_PROGRAM_BYTES_MAX: usize = 256 * 1024;
/// Deepest nesting of groups in a regular expression.
pub const PATTERN_NEST_MAX: u32 = 50;

/// Slowest transfer that is not cut off, in either direction: bytes per second of the patience
/// that the settings have for it (docs/SECURITY.md D.1).
pub const BYTES_PER_SEC_MIN: u64 = 500;
/// How long the button of a confirmation page stays valid (docs/SECURITY.md D.4).
pub const CONFIRM_PAGE_SECS: u64 = 600;

/// Unspent tokens of one session (docs/CONTRACT.md §6.1).
pub const TOKENS_PER_SESSION_MAX: usize = 16;
/// Shortest lifespan of a token; a shorter one is raised to this (4D `createOTP`).
pub const TOKEN_LIFE_SECS_MIN: u64 = 10;
/// Longest lifespan of a token. More than a year is probably a mistaken unit.
pub const TOKEN_LIFE_SECS_MAX: u64 = 366 * 24 * 3600;
/// How long an expired token is remembered, so that a repeat can be told from a forgery.
pub const TOKEN_GRACE: Duration = Duration::from_mins(10);
/// Handlers one token may be bound to.
pub const TOKEN_HANDLERS_MAX: usize = 16;

/// Browsers that can be in one session at once; the least recently used one is removed.
pub const DEVICES_PER_SESSION_MAX: usize = 32;
/// Total storage of one session as JSON text, keys included.
pub const STORAGE_BYTES_MAX: usize = 256 * 1024;
/// Number of storage keys of one session.
pub const STORAGE_KEYS_MAX: usize = 256;
/// Longest storage key.
pub const STORAGE_KEY_BYTES_MAX: usize = 256;
/// Longest user name of a session.
pub const USER_NAME_BYTES_MAX: usize = 256;
/// Privileges of one session.
pub const PRIVILEGES_PER_SESSION_MAX: usize = 128;
/// Longest name of a privilege. Together with their number it bounds the size of a session apart
/// from its storage.
pub const PRIVILEGE_BYTES_MAX: usize = 128;
/// Attempts of one `update(key, fn)` before it fails. Each round of concurrent writers has a
/// winner, so this many simultaneous writers of one key all succeed.
pub const UPDATE_ATTEMPTS_MAX: usize = 512;
/// Shortest idle timeout, and the default, in minutes (4D `Session.idleTimeout`).
pub const IDLE_MINUTES_MIN: u32 = 60;
/// Longest idle timeout, in minutes: a year.
pub const IDLE_MINUTES_MAX: u32 = 366 * 24 * 60;
/// How long a guest that stored nothing keeps the session id without a further request. An ended
/// session is remembered for longer than this, so its id cannot come back.
pub const GUEST_WINDOW: Duration = Duration::from_hours(1);
/// How long an ended session is remembered: the guest window and the longest request.
pub const TOMBSTONE: Duration = Duration::from_mins(60 + 10);

/// Most operations that the embedded store commits together, so that one commit stays short.
pub const GROUP_COMMIT_OPS_MAX: usize = 512;
/// Operations that may wait for the embedded store's writer; further ones fail with 503.
pub const WRITER_QUEUE_OPS_MAX: usize = 4_096;
/// Expired records deleted in one sweep, so that a sweep never blocks a store for long.
pub const SWEEP_RECORDS_MAX: usize = 512;
/// Pause after a sweep that found little to delete.
pub const SWEEP_PAUSE: Duration = Duration::from_secs(10);

/// Parameters of one query.
pub const QUERY_PARAMS_MAX: usize = 100;
/// Longest parameter name of a query.
pub const QUERY_NAME_BYTES_MAX: usize = 128;
/// Longest name of a request's header field.
pub const HEADER_NAME_BYTES_MAX: usize = 256;
/// Longest header value, of a request and of what a handler may set. The cookies of a request are
/// limited by the total size of its headers only: browsers send all cookies of a site in one field.
pub const HEADER_VALUE_BYTES_MAX: usize = 8 * 1024;
/// Headers that a handler may set.
pub const REPLY_HEADERS_MAX: usize = 64;
/// Largest body limit of a row. Larger bodies belong behind a forward row, which streams them.
pub const ROW_BODY_BYTES_MAX: u64 = 25 * 1024 * 1024;
/// Longest timeout of a row.
pub const ROW_TIMEOUT_MS_MAX: u64 = 10 * 60 * 1000;
/// Longest base URL of an upstream, in bytes.
pub const UPSTREAM_URL_BYTES_MAX: usize = 2_048;
/// How long a capability stays valid after its request has ended (docs/CONTRACT.md §7).
pub const CAPABILITY_GRACE: Duration = Duration::from_mins(1);
/// How often a tunnel checks with the store that its right still holds.
pub const RIGHT_CHECK: Duration = Duration::from_secs(5);
/// Capabilities of ended requests that are kept for that long; beyond it the oldest is dropped. A
/// thousand forwarded requests per second stay just below it.
pub const CAPABILITIES_LEFT_MAX: usize = 65_536;
/// Longest time that the response to a callback is kept for repeats: a week, in seconds.
pub const REPEAT_SECS_MAX: u64 = 7 * 24 * 3600;
/// Total size of the responses kept for repeats of one session's callbacks; beyond it the oldest
/// are dropped.
pub const ANSWER_BYTES_PER_SESSION_MAX: usize = 1024 * 1024;
/// How long the run of a callback counts as under way without a renewal. Then its node is
/// considered dead. Two renewals may be lost.
pub const RUN_LEASE: Duration = Duration::from_secs(10);
/// How often a run is renewed while its handler runs. A renewal that takes as long counts as lost.
pub const RUN_RENEWAL: Duration = Duration::from_secs(2);
/// How much longer than the timeout of its handler a run is renewed at most: time for a slow store
/// to redeem, to write and to store the response.
pub const RUN_SLACK: Duration = Duration::from_secs(30);
/// How far the clocks of two nodes may differ before one of them considers a run of the other
/// interrupted that is still under way.
pub const CLOCKS_APART_MAX: Duration = Duration::from_mins(2);
/// Fields of one submitted form: as many as PHP reads, which payment platforms expect.
pub const FORM_FIELDS_MAX: usize = 1_000;
/// Deepest nesting of a JSON body (`getJSON`), and of a value in session storage. A stored value
/// must be readable again, and `serde_json` fails at 128.
pub const JSON_DEPTH_MAX: usize = 64;
/// Most parameters of a function call (`/rest`).
pub const ARGUMENTS_MAX: usize = 64;
/// The `Retry-After` of responses that are sent while the store is unavailable.
pub const RETRY_AFTER_SECS: u64 = 2;
/// How long one redemption may try to learn its outcome from a store that lost the reply.
pub const CLAIM_RETRY_WINDOW: Duration = Duration::from_millis(1_500);
