//! The certificate and its key as files that may change while the gate serves.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::Clock;
use crate::gate::watched::Content;
use crate::gate::watched::Reload;
use crate::gate::watched::Remake;
use crate::gate::watched::read;
use crate::http::Certificates;

/// Longest PEM file. A chain of ten certificates is a tenth of this.
const PEM_BYTES_MAX: usize = 256 * 1024;

/// Reads both files again whenever one of them has changed.
pub(super) struct CertificatePair {
    certificates: Arc<Certificates>,
    clock: Arc<dyn Clock>,
}

impl CertificatePair {
    pub(super) fn new(certificates: Arc<Certificates>, clock: Arc<dyn Clock>) -> Self {
        Self { certificates, clock }
    }

    /// What both files hold now.
    pub(super) fn contents(&self) -> Vec<Content> {
        self.certificates.files().map(|file: &Path| read(file, PEM_BYTES_MAX)).into()
    }
}

impl Remake for CertificatePair {
    fn files(&self) -> Vec<(PathBuf, usize)> {
        self.certificates.files().map(|file| (file.to_owned(), PEM_BYTES_MAX)).into()
    }

    /// The files are read once more, by the one who knows what they must hold: a key that came in
    /// here would lie about in memory.
    fn remake(&self, _: Vec<Content>) -> Reload {
        match self.certificates.reload(self.clock.now()) {
            Ok(()) => Reload::Taken,
            Err(error) => Reload::Refused(vec![error.to_string()]),
        }
    }
}
