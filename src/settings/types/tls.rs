//! Whether callgate speaks HTTPS itself, and with which files.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::base::setting::settings;

settings! {
    /// The files of HTTPS. Both are set or neither is, which [`crate::Settings::check`] checks.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Tls {
        /// The certificate with its chain, a PEM file. With it and its key callgate speaks HTTPS
        /// itself.
        cert: Option<PathBuf>, unset "tls/cert.pem";
        /// The private key of the certificate, a PEM file; "strict" refuses one that other users
        /// can read.
        key: Option<PathBuf>, unset "tls/key.pem";
        /// An address for plain HTTP that sends people on to `public_origin`, and refuses
        /// callbacks.
        redirect_listen: Option<SocketAddr>, unset "127.0.0.1:8080";
    }
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
