//! What a store keeps of one session.

use std::sync::Arc;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::UserId;
use crate::base::limits::DEVICES_PER_SESSION_MAX;
use crate::session::lifetime::Lifetime;
use crate::session::storage::Storage;

/// A stored session: plain data without access to stores or clients.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its id, which may be logged.
    pub id: SessionId,
    /// When the first write created it.
    pub created_at: Timestamp,
    /// How long it may live.
    pub lifetime: Lifetime,
    /// The user and the privileges.
    pub access: Access,
    /// The application's own values.
    pub storage: Storage,
    /// The browsers that may open it, at most [`DEVICES_PER_SESSION_MAX`]. Recently used ones are
    /// in the second half of the list ([`Record::is_behind`]).
    pub devices: Vec<Device>,
    /// Incremented when other browsers are removed (rotation, `transfer`), which ends the rights of
    /// callers that were let in without a credential.
    pub generation: u64,
}

/// The user of a session and the privileges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Whether privileges were ever set; until then the session is a guest's (4D 21 `isGuest`).
    pub known: bool,
    /// Names of privileges as they were granted, in that order; included privileges are not
    /// expanded here.
    pub privileges: Vec<Arc<str>>,
    /// The user's name; empty without one.
    pub user_name: String,
    /// The account that is signed in; `None` for a user whose name the application has set by
    /// itself.
    pub account: Option<UserId>,
}

/// One browser's right to open a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its public id within the session.
    pub id: DeviceId,
    /// The digest of the credential in its cookie.
    pub digest: Digest,
    /// When it joined.
    pub since: Timestamp,
    /// Its `User-Agent`, shortened; for a user who reviews the devices of the account.
    pub label: String,
}

impl Record {
    /// A session without any writes, opened by one browser.
    pub fn new(id: SessionId, now: Timestamp, lifetime: Lifetime, device: Device) -> Self {
        Self {
            id,
            created_at: now,
            lifetime,
            access: Access::default(),
            storage: Storage::default(),
            devices: vec![device],
            generation: 0,
        }
    }

    /// When it ends unless it is used again after `seen_at`; `needed_until` is when the last of
    /// its unspent tokens expires.
    pub fn expires_at(&self, seen_at: Timestamp, needed_until: Timestamp) -> Timestamp {
        self.lifetime.expires_at(self.created_at, seen_at, needed_until)
    }

    /// The browser whose credential has this digest; `None` if it may not open the session.
    pub fn device(&self, credential: &Digest) -> Option<&Device> {
        self.devices.iter().find(|device| device.digest == *credential)
    }

    /// The next generation.
    pub fn next_generation(&self) -> u64 {
        self.generation.saturating_add(1)
    }

    /// Adds a browser; beyond the limit the least recently used one is removed.
    pub fn admit(&mut self, device: Device) {
        if self.devices.len() >= DEVICES_PER_SESSION_MAX {
            self.devices.remove(0);
        }
        self.devices.push(device);
    }

    /// The browser that is removed if another one joins.
    pub fn makes_room(&self) -> Option<DeviceId> {
        let is_full = self.devices.len() >= DEVICES_PER_SESSION_MAX;
        self.devices.first().filter(|_| is_full).map(|device| device.id)
    }

    /// Whether a browser that is in use must be moved to the end of the list, so that it is not
    /// removed when others join. Half of a full list counts as recent, so a browser is moved once
    /// for every 16 that join or are moved, and never in a session of a few.
    pub fn is_behind(&self, credential: &Digest) -> bool {
        let newer = self.devices.iter().rev().take(DEVICES_PER_SESSION_MAX / 2);
        let is_new = newer.into_iter().any(|device| device.digest == *credential);
        !is_new && self.device(credential).is_some()
    }

    /// Moves a browser that is in use to the end of the list.
    pub fn used_by(&mut self, device: DeviceId) {
        if let Some(at) = self.devices.iter().position(|held| held.id == device) {
            let device = self.devices.remove(at);
            self.devices.push(device);
        }
    }
}
