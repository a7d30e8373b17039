//! The certificate and its key as files that may change while the gate serves.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::base::Clock;
use crate::base::Digest;
use crate::gate::reload::file_watch::FileContents;
use crate::gate::reload::file_watch::ReadMode;
use crate::gate::reload::file_watch::Reload;
use crate::gate::reload::file_watch::Reloadable;
use crate::gate::reload::file_watch::fingerprint;
use crate::gate::reload::file_watch::read;
use crate::http::Certificates;

/// Longest PEM file. A chain of ten certificates is a tenth of this.
const PEM_BYTES_MAX: usize = 256 * 1024;

/// Reloads both files when one of them changes.
pub(crate) struct CertificatePair {
    certificates: Arc<Certificates>,
    clock: Arc<dyn Clock>,
}

impl CertificatePair {
    pub(crate) fn new(certificates: Arc<Certificates>, clock: Arc<dyn Clock>) -> Self {
        Self { certificates, clock }
    }

    /// The current contents of both files.
    pub(crate) fn contents(&self) -> Vec<FileContents> {
        self.certificates.files().map(|file: &Path| read(file, PEM_BYTES_MAX)).into()
    }
}

impl Reloadable for CertificatePair {
    type Snapshot = Vec<FileContents>;

    fn files(&self) -> Vec<PathBuf> {
        self.certificates.files().map(Path::to_owned).into()
    }

    fn read(&self, _: ReadMode) -> Vec<FileContents> {
        self.contents()
    }

    fn fingerprint(contents: &Vec<FileContents>) -> Digest {
        fingerprint(contents)
    }

    /// The files are read once more by the loader of certificates, which validates them.
    fn remake(&self, contents: Vec<FileContents>) -> Reload {
        let unread: Vec<String> = contents.into_iter().filter_map(Result::err).collect();
        if !unread.is_empty() {
            return self.refuse(unread);
        }
        match self.certificates.reload(self.clock.now()) {
            Ok(()) => Reload::Taken,
            Err(error) => Reload::Refused(vec![error.to_string()]),
        }
    }

    fn refuse(&self, why: Vec<String>) -> Reload {
        for error in &why {
            tracing::error!(event = "tls.refused", %error, "the certificate in use stays");
        }
        Reload::Refused(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;
    use rcgen::CertificateParams;
    use rcgen::KeyPair;

    #[test]
    fn files_that_cannot_be_read_are_refused_without_being_asked_again() {
        let place = tempfile::tempdir().unwrap();
        let (cert, key) = (place.path().join("cert.pem"), place.path().join("key.pem"));
        let own = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["gate.test".to_owned()]).unwrap();
        std::fs::write(&cert, params.self_signed(&own).unwrap().pem()).unwrap();
        std::fs::write(&key, own.serialize_pem()).unwrap();
        let clock = Arc::new(ManualClock::default());
        let certificates = Certificates::open(&cert, &key, clock.now()).unwrap();
        let pair = CertificatePair::new(Arc::new(certificates), clock);
        assert_eq!(pair.remake(pair.contents()), Reload::Taken);
        // A further look would find these files valid, and files on an unavailable disk never.
        let why = "key.pem: does not answer".to_owned();
        let contents = vec![pair.contents().remove(0), Err(why.clone())];
        assert_eq!(pair.remake(contents), Reload::Refused(vec![why]));
    }
}
