//! A disk in memory that can fail, and that knows what a crash would leave.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use redb::StorageBackend;

use crate::support::dice::Dice;

/// What a disk writes as a whole, or tears.
const SECTOR_BYTES: usize = 512;

/// A disk of a test; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Platter>>);

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fails {
    /// This one call that changes the disk, and none after it.
    Once(usize),
    /// This call that changes the disk, and every one after it.
    From(usize),
    /// This read.
    Read(usize),
}

#[derive(Debug, Default)]
struct Platter {
    now: Vec<u8>,
    /// What the last fsync that succeeded has made sure of.
    synced: Vec<u8>,
    /// What came after it, in the order in which it was asked for.
    pending: Vec<Unsynced>,
    fails: Option<Fails>,
    /// Writes, fsyncs and changes of length so far.
    calls: usize,
    reads: usize,
    failures: usize,
    cut: Option<Cut>,
    /// Whether it says that it has synced and has not.
    lies: bool,
}

/// Something that no fsync has made sure of.
#[derive(Debug)]
enum Unsynced {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

/// A power cut in the middle of what goes on.
#[derive(Debug)]
struct Cut {
    /// The call before which the power goes.
    call: usize,
    seed: u64,
    left: Option<Vec<u8>>,
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The disk after the process died: everything that was written is there.
    pub(crate) fn after_kill(&self) -> Self {
        Self::holding(self.0.lock().unwrap().now.clone())
    }

    /// The disk after the power went: only what was synced is there.
    pub(crate) fn after_power_cut(&self) -> Self {
        Self::holding(self.0.lock().unwrap().synced.clone())
    }

    /// The disk after the power went and the disk had begun with what was not synced: some
    /// sectors of some writes are there, in no order, and some of these are torn.
    pub(crate) fn after_torn_cut(&self, seed: u64) -> Self {
        Self::holding(self.0.lock().unwrap().torn(seed))
    }

    /// Cuts the power before this call that changes the disk; [`Disk::left`] tells what is left.
    /// The disk itself goes on as if nothing had happened.
    pub(crate) fn cut_before(&self, call: usize, seed: u64) {
        self.0.lock().unwrap().cut = Some(Cut { call, seed, left: None });
    }

    /// What the power cut has left, once it has come.
    pub(crate) fn left(&self) -> Option<Self> {
        let platter = self.0.lock().unwrap();
        platter.cut.as_ref().and_then(|cut| cut.left.clone()).map(Self::holding)
    }

    /// Lets so many more writes and fsyncs succeed, and none after them.
    pub(crate) fn fail_after(&self, left: usize) {
        let mut platter = self.0.lock().unwrap();
        platter.fails = Some(Fails::From(platter.calls + left));
    }

    /// Lets the calls fail that `fails` names, counted from the first that the disk ever saw.
    pub(crate) fn fail(&self, fails: Fails) {
        self.0.lock().unwrap().fails = Some(fails);
    }

    /// From now on it says that it has synced, and has not.
    pub(crate) fn lie(&self) {
        self.0.lock().unwrap().lies = true;
    }

    /// Writes, fsyncs and changes of length so far.
    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    pub(crate) fn reads(&self) -> usize {
        self.0.lock().unwrap().reads
    }

    /// Calls that failed so far.
    pub(crate) fn failures(&self) -> usize {
        self.0.lock().unwrap().failures
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.lock().unwrap().now.len()
    }

    fn holding(bytes: Vec<u8>) -> Self {
        let platter = Platter { now: bytes.clone(), synced: bytes, ..Platter::default() };
        Self(Arc::new(Mutex::new(platter)))
    }
}

impl Platter {
    /// Counts a call that changes the disk.
    fn count(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        let torn = self.cut.as_ref().filter(|cut| cut.call == call).map(|cut| self.torn(cut.seed));
        if let (Some(cut), Some(torn)) = (&mut self.cut, torn) {
            cut.left = Some(torn);
        }
        match self.fails {
            Some(Fails::Once(failing)) if call == failing => self.failed(),
            Some(Fails::From(first)) if call >= first => self.failed(),
            _ => Ok(()),
        }
    }

    fn failed(&mut self) -> io::Result<()> {
        self.failures += 1;
        Err(io::Error::other("the disk of this test has failed"))
    }

    /// Some of what is pending on top of what was synced.
    fn torn(&self, seed: u64) -> Vec<u8> {
        let mut dice = Dice::new(seed);
        let mut bytes = self.synced.clone();
        let lengths = self.pending.iter().filter_map(|unsynced| match unsynced {
            Unsynced::Length(length) => Some(*length),
            Unsynced::Write { .. } => None,
        });
        // The length is kept apart from the content, and any of them may be the one that is there.
        for length in lengths {
            if dice.below(2) == 0 {
                bytes.resize(length, 0);
            }
        }
        let mut sectors: Vec<(usize, &[u8])> =
            self.pending.iter().flat_map(Unsynced::sectors).collect();
        while !sectors.is_empty() {
            let (at, sector) = sectors.swap_remove(dice.below(sectors.len()));
            let kept = match dice.below(8) {
                0..4 => sector.len(),
                // Torn: its beginning is new, and its end is what was there.
                4 => dice.below(sector.len() + 1),
                _ => 0,
            };
            // What lies beyond the end of the file went with the length that did.
            if let Some(place) = bytes.get_mut(at..at + kept) {
                place.copy_from_slice(&sector[..kept]);
            }
        }
        bytes
    }
}

impl Unsynced {
    /// The pieces of a write that land apart from each other, each with where it lands.
    fn sectors(&self) -> Vec<(usize, &[u8])> {
        let Self::Write { at, bytes } = self else { return Vec::new() };
        let first = (SECTOR_BYTES - at % SECTOR_BYTES).min(bytes.len());
        let (head, rest) = bytes.split_at(first);
        let rest = rest.chunks(SECTOR_BYTES).enumerate();
        let rest = rest.map(|(n, sector)| (at + first + n * SECTOR_BYTES, sector));
        std::iter::once((*at, head)).chain(rest).collect()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let mut platter = self.0.lock().unwrap();
        platter.reads += 1;
        if platter.fails == Some(Fails::Read(platter.reads - 1)) {
            return platter.failed();
        }
        let bytes = platter.now.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap();
        let mut platter = self.0.lock().unwrap();
        platter.count()?;
        platter.now.resize(len, 0);
        platter.pending.push(Unsynced::Length(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        platter.count()?;
        if platter.lies {
            return Ok(());
        }
        let Platter { synced, pending, .. } = &mut *platter;
        for unsynced in pending.drain(..) {
            match unsynced {
                Unsynced::Length(length) => synced.resize(length, 0),
                Unsynced::Write { at, bytes } => {
                    synced[at..at + bytes.len()].copy_from_slice(&bytes);
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let mut platter = self.0.lock().unwrap();
        platter.count()?;
        platter.now[at..at + data.len()].copy_from_slice(data);
        platter.pending.push(Unsynced::Write { at, bytes: data.to_vec() });
        Ok(())
    }
}
