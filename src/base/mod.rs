//! Values every floor uses, and the only two sources of uncertainty: the clock and randomness.
//!
//! Nothing here knows HTTP, a store, a table or async.
//!
//! | file | part |
//! |---|---|
//! | `clock`, `entropy` | time and randomness |
//! | `id`, `digest`, `secret`, `hex` | public ids, digests, secrets, and how they are written |
//! | `mode`, `confirm` | the vocabulary of redemption that several floors share |
//! | `limits` | limits on input and on stored data |
//! | `setting` | how a setting is declared |
//! | `query` | the query of a request |
//! | `document` | the parser of `handlers.json` and `roles.json` |
//! | `markup`, `masked`, `nearest` | text for HTML, for logs, and for suggestions |
//! | `failpoint` | fail points for tests |

pub mod clock;
pub mod confirm;
pub(crate) mod document;
pub mod failpoint;
pub mod id;
pub mod limits;
pub mod mode;
pub mod secret;
pub mod setting;
pub(crate) mod text;

pub use clock::{Clock, Timestamp};
pub use confirm::Confirm;
pub use id::{ClaimId, DeviceId, RequestId, RequestIds, SessionId, TokenId, UserId};
pub use mode::{Caller, RestoreMode};
pub use secret::Secret;
pub use secret::digest::Digest;
pub use secret::entropy::Entropy;
