//! Text of other sources made safe to show, and the written forms of values.

pub(crate) mod hex;
pub(crate) mod markup;
pub(crate) mod masked;
pub(crate) mod nearest;
pub(crate) mod query;
