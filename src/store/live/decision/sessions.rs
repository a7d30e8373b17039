//! Decides the operations on a session.

use std::sync::Arc;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::Timestamp;
use crate::session::Patch;
use crate::session::PatchRefused;
use crate::session::Record;
use crate::session::Right;
use crate::store::live::Change;
use crate::store::live::Decision;
use crate::store::live::SessionState;
use crate::store::live::session::Standing;
use crate::store::port::Checked;
use crate::store::port::Created;
use crate::store::port::Founding;
use crate::store::port::Patched;
use crate::store::port::Resumed;
use crate::store::port::StoreReply;
use crate::token::ClaimMark;
use crate::token::Token;

impl SessionState {
    pub(crate) fn resume(&self, now: Timestamp, credential: &Digest) -> Decision {
        let id = self.id;
        match self.standing(now) {
            Standing::Living(record) => {
                let Some(device) = record.device(credential) else {
                    let joined = record.devices.iter().map(|device| device.since);
                    return Decision::only(Resumed::Replaced { joined_last: joined.max() });
                };
                let mut changes = vec![Change::Touched { id, at: now }];
                if record.is_behind(credential) {
                    changes.push(Change::Used { id, device: device.id });
                }
                Decision::opened(changes, id, |opened| {
                    opened.map_or(Resumed::Closed, Resumed::Open).into()
                })
            }
            Standing::Absent => Decision::only(Resumed::Unheard),
            Standing::Expired | Standing::Ended => {
                Decision::with(self.noticed(now), Resumed::Closed)
            }
        }
    }

    pub(crate) fn create(&self, now: Timestamp, founding: &Founding) -> Decision {
        match self.standing(now) {
            Standing::Living(record) => Decision::only(self.meet(record, &founding.record)),
            Standing::Expired | Standing::Ended => {
                Decision::with(self.noticed(now), Created::Closed)
            }
            Standing::Absent => self.create_new(now, founding),
        }
    }

    fn create_new(&self, now: Timestamp, founding: &Founding) -> Decision {
        let record = match founding.patch.apply(&founding.record) {
            Ok(record) => Arc::new(record),
            Err(PatchRefused::TooLarge) => return Decision::only(Created::TooLarge),
            // The patch read a value of a session that no longer exists.
            Err(PatchRefused::Conflict) => return Decision::only(Created::Closed),
        };
        let generation = record.generation;
        let mut changes = vec![Change::Created { record, seen_at: now }];
        if let Some(token) = &founding.token {
            let token = Arc::new(Token { generation, ..token.clone() });
            changes.push(Change::Minted { token });
        }
        Decision::opened(changes, self.id, |opened| {
            opened.map_or(Created::Closed, Created::New).into()
        })
    }

    /// The result of a create that finds the session present.
    fn meet(&self, record: &Record, founder: &Record) -> Created {
        let mut devices = founder.devices.iter().take(1);
        let known = devices.any(|device| record.device(&device.digest).is_some());
        match self.opened().filter(|_| known) {
            Some(opened) => Created::Met(opened),
            None => Created::Replaced,
        }
    }

    pub(crate) fn patch(&self, now: Timestamp, right: Right, patch: &Patch) -> Decision {
        let record = match self.under(now, right) {
            Checked::Done(record) => record,
            Checked::Gone => return Decision::with(self.noticed(now), Patched::Gone),
            Checked::Replaced => return Decision::only(Patched::Replaced),
        };
        match patch.apply(record) {
            Ok(next) => Decision::opened(self.patching(now, patch, next), self.id, |opened| {
                opened.map_or(Patched::Gone, Patched::Done).into()
            }),
            Err(PatchRefused::Conflict) => {
                Decision::only(self.opened().map_or(Patched::Gone, Patched::Conflict))
            }
            Err(PatchRefused::TooLarge) => Decision::only(Patched::TooLarge),
        }
    }

    /// The changes of an accepted patch, which leads to `next`; none if the patch is empty.
    pub(crate) fn patching(&self, now: Timestamp, patch: &Patch, next: Record) -> Vec<Change> {
        if patch.is_empty() {
            return Vec::new();
        }
        let accepted = Patch { expect: None, expect_access: None, ..patch.clone() };
        let next = Some(Arc::new(next));
        let mut changes = vec![Change::Patched { id: self.id, patch: accepted, next }];
        if patch.rotate.is_some() {
            let mark = ClaimMark::by_sign_in(now);
            let digests = self.unspent.iter().map(|token| token.digest);
            changes.extend(digests.map(|token| Change::Claimed { token, mark }));
        }
        changes
    }

    pub(crate) fn detach(&self, now: Timestamp, right: Right, device: DeviceId) -> Decision {
        self.checked(now, right, |record| {
            let held = record.devices.iter().any(|held| held.id == device);
            (held.then_some(Change::Left { id: self.id, device }), Some(held))
        })
    }

    pub(crate) fn end(&self, now: Timestamp, right: Right) -> Decision {
        self.checked(now, right, |_| (Some(Change::Ended { id: self.id, at: now }), Some(())))
    }

    pub(crate) fn look(&self, now: Timestamp, right: Right) -> Decision {
        self.checked(now, right, |_| (None, self.opened()))
    }

    /// The result of an operation with no further condition on the session.
    fn checked<T>(
        &self,
        now: Timestamp,
        right: Right,
        does: impl FnOnce(&Record) -> (Option<Change>, Option<T>),
    ) -> Decision
    where
        StoreReply: From<Checked<T>>,
    {
        let (changes, result) = match self.under(now, right) {
            Checked::Done(record) => {
                let (change, result) = does(record);
                (change.into_iter().collect(), result.map_or(Checked::Gone, Checked::Done))
            }
            Checked::Gone => (self.noticed(now), Checked::Gone),
            Checked::Replaced => (Vec::new(), Checked::Replaced),
        };
        Decision::with(changes, result)
    }
}
