//! What is kept of one session.

use std::sync::Arc;

use crate::base::DeviceId;
use crate::base::Digest;
use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::limits::DEVICES_PER_SESSION_MAX;
use crate::session::lifetime::Lifetime;
use crate::session::storage::Storage;

/// A stored session: a value without behaviour towards stores or clients.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its name, which may be logged.
    pub id: SessionId,
    /// When the first write founded it.
    pub created_at: Timestamp,
    /// How long it may live.
    pub lifetime: Lifetime,
    /// Who works in it and what he may do.
    pub access: Access,
    /// The application's own values.
    pub storage: Storage,
    /// The browsers that may open it, at most [`DEVICES_PER_SESSION_MAX`]. Those that were used
    /// lately are behind the others ([`Record::is_behind`]).
    pub devices: Vec<Device>,
    /// Raised in the step that puts others out (rotation, `transfer`), which ends the rights of
    /// callers that were let in without a credential.
    pub generation: u64,
}

/// Who works in a session and what he may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Whether privileges were ever set; until then the session is a guest's (4D 21 `isGuest`).
    pub known: bool,
    /// Names of privileges as they were granted, in the order they were granted; what they
    /// include is not expanded here.
    pub privileges: Vec<Arc<str>>,
    /// The user's name; empty for nobody.
    pub user_name: String,
}

/// One browser's right to open a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its public name within the session.
    pub id: DeviceId,
    /// The digest of the credential in its cookie.
    pub digest: Digest,
    /// When it joined.
    pub since: Timestamp,
    /// What it said it is (`User-Agent`), shortened; for the person who looks at his devices.
    pub label: String,
}

impl Record {
    /// A session that nobody has written to yet, opened by one browser.
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

    /// The browser whose credential has this digest, if it may open the session.
    pub fn device(&self, credential: &Digest) -> Option<&Device> {
        self.devices.iter().find(|device| device.digest == *credential)
    }

    /// The generation that follows.
    pub fn next_generation(&self) -> u64 {
        self.generation.saturating_add(1)
    }

    /// Lets one more browser in; beyond the limit the one that was unused longest makes room.
    pub fn admit(&mut self, device: Device) {
        if self.devices.len() >= DEVICES_PER_SESSION_MAX {
            self.devices.remove(0);
        }
        self.devices.push(device);
    }

    /// The browser that makes room if one more joins.
    pub fn makes_room(&self) -> Option<DeviceId> {
        let is_full = self.devices.len() >= DEVICES_PER_SESSION_MAX;
        self.devices.first().filter(|_| is_full).map(|device| device.id)
    }

    /// Whether a browser that is used must be moved behind the others, so that it does not make
    /// room for the next ones that join. Half of a full list is behind at any time, so a browser
    /// is moved once for every 16 that join or are moved, and never in a session of a few.
    pub fn is_behind(&self, credential: &Digest) -> bool {
        let newer = self.devices.iter().rev().take(DEVICES_PER_SESSION_MAX / 2);
        let is_new = newer.into_iter().any(|device| device.digest == *credential);
        !is_new && self.device(credential).is_some()
    }

    /// Moves a browser that is used behind the others.
    pub fn used_by(&mut self, device: DeviceId) {
        if let Some(at) = self.devices.iter().position(|held| held.id == device) {
            let device = self.devices.remove(at);
            self.devices.push(device);
        }
    }
}
