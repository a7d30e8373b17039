//! Whether callgate speaks HTTPS itself, and with which files.

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

/// The files of HTTPS. Both are set or neither is; [`super::Settings::check`] tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and its chain, PEM; default unset.
    pub cert: Option<PathBuf>,
    /// The private key of the certificate, PEM; default unset.
    pub key: Option<PathBuf>,
    /// Where plain HTTP is answered with the way to `public_origin`; default nowhere.
    pub redirect_listen: Option<SocketAddr>,
}

impl Tls {
    /// Whether callgate speaks HTTPS itself.
    pub fn is_on(&self) -> bool {
        self.files().is_some()
    }

    /// The certificate and the key; `None` without both.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        self.cert.as_deref().zip(self.key.as_deref())
    }
}
