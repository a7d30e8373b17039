//! Copies records from one store to another.

use crate::store::copy::Copy;
use crate::store::copy::CopyError;
use crate::store::copy::GoOn;
use crate::store::copy::Heard;
use crate::store::copy::Tally;
use crate::store::copy::asked_again;
use crate::store::copy::patiently;
use crate::store::port::RecordChange;

/// Records read in one page: of the largest possible, 8 MiB.
const RECORDS_PER_PAGE: usize = 128;

/// Outcomes of the records that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Records {
    /// Written to the target.
    pub copied: u64,
    /// Present in the target before, and unchanged there.
    pub present: u64,
}

impl Records {
    /// The number of records read.
    pub fn all(&self) -> u64 {
        self.copied + self.present
    }
}

impl Copy {
    /// Copies every record whose key the target does not have. Returns false if `go_on` stopped it.
    pub async fn records(&self, tally: &mut Tally, go_on: GoOn<'_>) -> Result<bool, CopyError> {
        let mut after: Option<String> = None;
        loop {
            let first = after.as_deref();
            let page = patiently(|| self.from.list_records("", first, RECORDS_PER_PAGE)).await;
            let page = page.map_err(CopyError::From)?;
            let Some((last, _)) = page.last() else { return Ok(true) };
            after = Some(last.clone());
            for (key, value) in page {
                let change = RecordChange { key, expected: None, value: Some(value) };
                match asked_again(|| self.to.write_records(vec![change.clone()])).await {
                    // A record that is there after an attempt without a response was written by
                    // that attempt.
                    (Ok(true), _) | (Ok(false), Heard::AfterSilence) => tally.records.copied += 1,
                    (Ok(false), Heard::AtOnce) => tally.records.present += 1,
                    (Err(error), _) => return Err(CopyError::To(error)),
                }
            }
            if !go_on(tally) {
                return Ok(false);
            }
        }
    }
}
