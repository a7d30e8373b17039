//! A disk in memory that can fail, and that knows what a crash would leave.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;

use redb::StorageBackend;

/// A disk of a test; clones are the same disk.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    now: Vec<u8>,
    /// What the last fsync that succeeded has made sure of.
    synced: Vec<u8>,
    /// Writes and fsyncs that still succeed; then none does.
    left: Option<usize>,
    calls: usize,
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

    /// Lets so many more writes and fsyncs succeed.
    pub(crate) fn fail_after(&self, left: usize) {
        self.0.lock().unwrap().left = Some(left);
    }

    /// Writes and fsyncs so far.
    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
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
    fn count(&mut self) -> io::Result<()> {
        self.calls += 1;
        match &mut self.left {
            Some(0) => Err(io::Error::other("the disk of this test has failed")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.bytes() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let platter = self.0.lock().unwrap();
        let bytes = platter.now.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        platter.count()?;
        platter.now.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        platter.count()?;
        let now = platter.now.clone();
        platter.synced = now;
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let mut platter = self.0.lock().unwrap();
        platter.count()?;
        platter.now[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }
}
