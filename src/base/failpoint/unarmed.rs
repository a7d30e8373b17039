//! Fail points of a build that is shipped: nothing happens.

use super::Broken;
use super::Place;

/// Goes on.
#[expect(clippy::unnecessary_wraps, reason = "in a build for tests it may fail")]
#[inline]
pub const fn reached(_: Place) -> Result<(), Broken> {
    Ok(())
}
