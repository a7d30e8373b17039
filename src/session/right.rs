//! The right under which a caller works in a session.

use crate::base::Digest;
use crate::session::record::Record;

/// The right under which a request, an upstream or an operator works in one session.
///
/// Every verb of a store that reads or changes a session takes one and checks it before anything
/// else, in the same atomic step as the effect. A right that has ended never holds again: digests
/// of credentials are random, and generations only increase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// The credential with this digest. It holds while the session has a browser with it.
    Credential(Digest),
    /// A redemption that let a caller in without a credential (mode `context`). It holds while the
    /// session is of this generation; removing other browsers from the session ends it.
    Grant {
        /// [`Record::generation`] when the token was redeemed.
        generation: u64,
    },
    /// The operator, through the command line or the internal listener. It always holds.
    Operator,
}

impl Right {
    /// Whether it holds in a live session.
    pub fn holds(self, record: &Record) -> bool {
        match self {
            Self::Credential(digest) => record.device(&digest).is_some(),
            Self::Grant { generation } => record.generation == generation,
            Self::Operator => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::DeviceId;
    use crate::base::SessionId;
    use crate::base::Timestamp;
    use crate::session::Device;
    use crate::session::Lifetime;
    use crate::session::Patch;

    fn device(n: u8) -> Device {
        Device {
            id: DeviceId::from_bytes([n; 8]),
            digest: Digest::from_bytes([n; 32]),
            since: Timestamp::from_millis(0),
            label: String::new(),
        }
    }

    #[test]
    fn a_rotation_ends_every_right_but_its_own_and_the_operators() {
        let id = SessionId::from_bytes([1; 16]);
        let record = Record::new(id, Timestamp::from_millis(0), Lifetime::default(), device(1));
        let first = Right::Credential(device(1).digest);
        let grant = Right::Grant { generation: record.generation };
        assert!(first.holds(&record) && grant.holds(&record) && Right::Operator.holds(&record));
        let rotated = Patch { rotate: Some(device(2)), ..Patch::default() }.apply(&record).unwrap();
        assert!(!first.holds(&rotated) && !grant.holds(&rotated));
        assert!(Right::Credential(device(2).digest).holds(&rotated));
        assert!(Right::Operator.holds(&rotated));
    }

    #[test]
    fn a_browser_that_joins_or_leaves_ends_no_other_right() {
        let id = SessionId::from_bytes([1; 16]);
        let mut record = Record::new(id, Timestamp::from_millis(0), Lifetime::default(), device(1));
        let grant = Right::Grant { generation: record.generation };
        record.admit(device(2));
        record.devices.remove(0);
        assert!(!Right::Credential(device(1).digest).holds(&record));
        assert!(Right::Credential(device(2).digest).holds(&record) && grant.holds(&record));
    }
}
