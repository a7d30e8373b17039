//! The certificate of HTTPS, and how it is replaced while connections are open.

use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::CertificateError;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;
use rustls::server::ClientHello;
use rustls::server::ParsedCertificate;
use rustls::server::ResolvesServerCert;
use rustls::sign::CertifiedKey;
use rustls::version::TLS12;
use rustls::version::TLS13;

use crate::base::Timestamp;
use crate::base::secret::SecretText;

/// The offered protocols, the preferred one first (RFC 7301, RFC 9113 §3.2).
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate and its key from two PEM files. They are used until [`Certificates::reload`] has
/// read a valid replacement.
///
/// TLS 1.3 and 1.2 only, with ephemeral key exchange and authenticated encryption. There is no
/// early data, which could be replayed (docs/SECURITY.md D.3). A connection may be resumed by a
/// ticket, whose key changes every six hours and expires after twelve.
pub struct Certificates {
    cert: PathBuf,
    key: PathBuf,
    current: ArcSwap<CertifiedKey>,
}

impl Certificates {
    /// Reads both files. A certificate that has expired by `now`, or is not valid yet, is used
    /// nevertheless and logged as `tls.not_valid`, because refusing every connection would be
    /// worse.
    pub fn open(cert: &Path, key: &Path, now: Timestamp) -> Result<Self, BadCertificate> {
        let current = ArcSwap::new(read(cert, key, now)?);
        Ok(Self { cert: cert.to_owned(), key: key.to_owned(), current })
    }

    /// Reads both files again, for new handshakes. If they cannot be used, the certificate in use
    /// stays. Either result is logged (`tls.reloaded`, `tls.refused`).
    ///
    /// Two files cannot be replaced atomically. Between the two writes they do not match, which is
    /// refused like any other error and resolved by the next reload.
    pub fn reload(&self, now: Timestamp) -> Result<(), BadCertificate> {
        match read(&self.cert, &self.key, now) {
            Ok(read) => {
                self.current.store(read);
                tracing::info!(event = "tls.reloaded", cert = %self.cert.display());
                Ok(())
            }
            Err(error) => {
                tracing::error!(event = "tls.refused", %error, "the certificate in use stays");
                Err(error)
            }
        }
    }

    /// The files that are read: the certificate and its key.
    pub fn files(&self) -> [&Path; 2] {
        [&self.cert, &self.key]
    }

    /// The server configuration for handshakes.
    pub(crate) fn server(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        server.ticketer = crypto::ring::Ticketer::new()?;
        Ok(server)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("cert", &self.cert).finish_non_exhaustive()
    }
}

/// Why a certificate and its key cannot be used. The error never quotes a key.
#[derive(Debug)]
#[non_exhaustive]
pub enum BadCertificate {
    /// The file cannot be read.
    Io(PathBuf, io::Error),
    /// The file holds no certificate.
    NoCertificate(PathBuf),
    /// The first certificate of the file cannot be parsed.
    Garbled(PathBuf),
    /// The file holds no private key, or only an encrypted one.
    NoKey(PathBuf),
    /// The type or length of the key is no longer accepted for TLS.
    Unusable(PathBuf),
    /// The key, in the second file, does not belong to the certificate.
    Strangers(PathBuf, PathBuf),
    /// The cryptography provider could not be initialized.
    Unavailable(rustls::Error),
}

impl fmt::Display for BadCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => {
                write!(f, "{}: {error}; see that callgate may read it", path.display())
            }
            Self::NoCertificate(path) => {
                write!(f, "{}: it holds no certificate; use a PEM file", path.display())
            }
            Self::Garbled(path) => {
                write!(f, "{}: the first certificate is garbled; export it anew", path.display())
            }
            Self::NoKey(path) => write!(
                f,
                "{}: it holds no private key; use a PEM file without a passphrase",
                path.display()
            ),
            Self::Unusable(path) => write!(
                f,
                "{}: the key cannot be used; use ECDSA P-256, Ed25519, or RSA of 2048 to 4096 bits",
                path.display()
            ),
            Self::Strangers(cert, key) => write!(
                f,
                "{}: the key is not that of {}; use a pair, the own certificate first",
                key.display(),
                cert.display()
            ),
            Self::Unavailable(error) => write!(f, "TLS cannot start: {error}"),
        }
    }
}

impl std::error::Error for BadCertificate {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            Self::Unavailable(error) => Some(error),
            _ => None,
        }
    }
}

/// The cryptography provider, passed wherever one is needed. None is installed for the whole
/// process, which may belong to a program that embeds a gate.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(crypto::ring::default_provider())
}

fn read(cert: &Path, key: &Path, now: Timestamp) -> Result<Arc<CertifiedKey>, BadCertificate> {
    let io = |path: &Path| {
        let path = path.to_owned();
        |error| BadCertificate::Io(path, error)
    };
    let text = std::fs::read(cert).map_err(io(cert))?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    // The parser's error would quote the line.
    let chain = chain.map_err(|_| BadCertificate::NoCertificate(cert.to_owned()))?;
    let Some(own) = chain.first() else {
        return Err(BadCertificate::NoCertificate(cert.to_owned()));
    };
    if !is_valid(own, now).map_err(|_| BadCertificate::Garbled(cert.to_owned()))? {
        let what = "the certificate has expired or is not valid yet; clients will refuse it";
        tracing::warn!(event = "tls.not_valid", cert = %cert.display(), "{what}");
    }
    let text = SecretText::new(std::fs::read_to_string(key).map_err(io(key))?);
    let secret = PrivateKeyDer::from_pem_slice(text.expose().as_bytes())
        .map_err(|_| BadCertificate::NoKey(key.to_owned()))?;
    let signing = crypto::ring::sign::any_supported_type(&secret)
        .map_err(|_| BadCertificate::Unusable(key.to_owned()))?;
    let pair = CertifiedKey::new(chain, signing);
    match pair.keys_match() {
        Ok(()) => Ok(Arc::new(pair)),
        Err(_) => Err(BadCertificate::Strangers(cert.to_owned(), key.to_owned())),
    }
}

/// Whether `now` is within the certificate's validity.
///
/// A verifier without roots checks the time first, and reports it.
fn is_valid(cert: &CertificateDer<'_>, now: Timestamp) -> Result<bool, rustls::Error> {
    let parsed = ParsedCertificate::try_from(cert)?;
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.millis()));
    let algorithms = provider().signature_verification_algorithms.all;
    let nobody = RootCertStore::empty();
    let verdict = verify_server_cert_signed_by_trust_anchor(&parsed, &nobody, &[], now, algorithms);
    Ok(!matches!(
        verdict,
        Err(rustls::Error::InvalidCertificate(
            CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. }
        ))
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::CertificateParams;
    use rcgen::KeyPair;
    use rcgen::PKCS_ECDSA_P384_SHA384;
    use rcgen::PKCS_ED25519;
    use tempfile::TempDir;

    /// 2026-11-20.
    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    /// Two files, and their content.
    struct Place(TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn cert(&self) -> PathBuf {
            self.0.path().join("cert.pem")
        }

        fn key(&self) -> PathBuf {
            self.0.path().join("key.pem")
        }

        fn put(&self, (cert, key): &(String, String)) {
            std::fs::write(self.cert(), cert).unwrap();
            std::fs::write(self.key(), key).unwrap();
        }

        fn open(&self) -> Result<Certificates, BadCertificate> {
            Certificates::open(&self.cert(), &self.key(), NOW)
        }
    }

    fn pair() -> (String, String) {
        of(&KeyPair::generate().unwrap())
    }

    fn of(key: &KeyPair) -> (String, String) {
        let params = CertificateParams::new(vec!["gate.test".to_owned()]).unwrap();
        (params.self_signed(key).unwrap().pem(), key.serialize_pem())
    }

    fn shown(certificates: &Certificates) -> Vec<u8> {
        certificates.current.load().end_entity_cert().unwrap().to_vec()
    }

    #[test]
    fn a_pair_of_any_kind_that_is_in_use_is_taken() {
        let place = Place::new();
        for kind in [&rcgen::PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
            place.put(&of(&KeyPair::generate_for(kind).unwrap()));
            place.open().unwrap();
        }
    }

    #[test]
    fn what_is_no_pair_is_refused_with_its_file_and_without_its_content() {
        let place = Place::new();
        let (cert, key) = pair();
        let garbled = "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n";
        let torn = "-----BEGIN PRIVATE KEY-----\nc2Vj*cmV0\n";
        for (cert, key, said) in [
            ("", &*key, "cert.pem: it holds no certificate"),
            ("c2VjcmV0", &key, "cert.pem: it holds no certificate"),
            (garbled, &key, "cert.pem: the first certificate is garbled"),
            (&cert, "", "key.pem: it holds no private key"),
            (&cert, torn, "key.pem: it holds no private key"),
            (&cert, &cert, "key.pem: it holds no private key"),
            (&cert, &pair().1, "key.pem: the key is not that of"),
            (&cert, &short_key(), "key.pem: the key cannot be used"),
        ] {
            place.put(&(cert.to_owned(), key.to_owned()));
            let error = place.open().unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(said), "{shown}");
            assert!(!shown.contains("c2Vj"), "{shown}");
        }
        std::fs::remove_file(place.key()).unwrap();
        assert!(matches!(place.open(), Err(BadCertificate::Io(path, _)) if path == place.key()));
    }

    #[test]
    fn a_bad_pair_leaves_the_old_one_in_use() {
        let place = Place::new();
        let (first, second) = (pair(), pair());
        place.put(&first);
        let certificates = place.open().unwrap();
        let old = shown(&certificates);
        place.put(&(second.0.clone(), first.1));
        certificates.reload(NOW).unwrap_err();
        assert_eq!(shown(&certificates), old);
        place.put(&second);
        certificates.reload(NOW).unwrap();
        assert_ne!(shown(&certificates), old);
    }

    #[test]
    fn the_time_of_a_certificate_is_known() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["gate.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 12, 31);
        let cert = params.self_signed(&key).unwrap();
        let year = |year: u64| Timestamp::from_millis(year * 31_557_600_000);
        for (now, valid) in [(NOW, true), (year(55), false), (year(58), false)] {
            assert_eq!(is_valid(cert.der(), now).unwrap(), valid, "{now}");
        }
    }

    /// An RSA key of 1024 bits that protects nothing.
    fn short_key() -> String {
        let base64 = "MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAKUACrcGejpMmh2f8jFDDJd0/bxu3Ik5mdXEg+hvWi\
                      KJDTjuwH/LCMB5cjSEdMMT1eUIDRpgY9VhjxIUyBYCYwIEyc4GVGGmIQ0xAR5CTdgYCsUmeqv4bPn80rpDMRzHTjWC\
                      dicJmYVQAr2WHAUM7UF/kUDIK72tn2mEHwkTOo49AgMBAAECgYAoCnqPL+M5gp1j0wzTJ5JGrv1kXQLnyjKqzaW1Il\
                      CdUOUEi+vrFzpoexBb7kjnjki569pCLGINxj8SBDkKHkooL4B6gm4dbBAWZVzG8G1ShnTh4wEDI5RjiZgJHtdpXK4+\
                      /Pxwun0JxjCuSBG20osD5hxYMHPVUAd07aJBZhikAQJBAM7Hpxt7qCNLrJ7VbZHeCIwqyiHwe8V0bclzqYqWxEGgcK\
                      0dSMiRgwYKNjaCOgPEFsD+jxsI6fhfKIAmZ0z+FjUCQQDMRn93U9Vrb91kiLk7sz11F3ncUOoSqBQ3kDZ4NUGI54db\
                      WCHgfN2qYcr3jXLjA7geYD4XDRmyukApMxw7QfjpAkEAmzVxUUe4JQYgQ/ifjeXDNLLJlkAUJ1oFLjkLAWO5XCk5aj\
                      eY8jOGzXnMx41oTntZOPPaJsjCFhQXKlmpIDl4IQJADlm1grCFAbMuHm3sdWE2JA+uI+gbSYw9P1oGOZOkMvXw8F3U\
                      o2yiNeIA3Ds3ovMT8C5arkvhTkj/UOWiShdsYQJALCFU+m1ttMfJYumrbyOSPRC6HMmkULtMZqg8pT54EXGHw+EMbU\
                      2iCPTF4dr4ZJPAmL00u8RGitL8unKo9+Xutg==";
        format!("-----BEGIN PRIVATE KEY-----\n{base64}\n-----END PRIVATE KEY-----\n")
    }
}
