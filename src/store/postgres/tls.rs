//! Encryption of connections to PostgreSQL, and the authorities to trust, by the modes of `libpq`.

use std::path::Path;
use std::sync::Arc;

use rustls::CertificateError;
use rustls::ClientConfig;
use rustls::DigitallySignedStruct;
use rustls::Error;
use rustls::RootCertStore;
use rustls::SignatureScheme;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::danger::ServerCertVerified;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::UnixTime;
use rustls::pki_types::pem::PemObject;

use super::address::Address;
use super::address::SslMode;

/// The TLS configuration of connections to this address; `None` if they are not encrypted.
pub(super) fn config(address: &Address) -> Result<Option<ClientConfig>, String> {
    let roots = address.root_certificates.as_deref();
    let known = |roots: Option<&Path>| -> Result<Arc<WebPkiServerVerifier>, String> {
        let roots = roots.map_or_else(system_roots, file_roots)?;
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        builder.build().map_err(|error| format!("the certificates to trust are of no use: {error}"))
    };
    let any_name = |roots| Arc::new(AnyName { roots, provider: provider() });
    let verifier: Arc<dyn ServerCertVerifier> = match (address.ssl, roots) {
        (SslMode::Disable, _) => return Ok(None),
        (SslMode::VerifyFull, roots) => known(roots)?,
        (SslMode::VerifyCa, roots) => any_name(Some(known(roots)?)),
        (SslMode::Require, Some(roots)) => any_name(Some(known(Some(roots))?)),
        (SslMode::Require | SslMode::Prefer, _) => any_name(None),
    };
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(Some(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn system_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // A system certificate that cannot be parsed is skipped, which only means one trusted
    // authority less.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("the system knows no certificate authority; name one with sslrootcert".into());
    }
    Ok(roots)
}

fn file_roots(path: &Path) -> Result<RootCertStore, String> {
    let shown = path.display();
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| format!("sslrootcert {shown} cannot be read: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| format!("sslrootcert {shown} holds a bad certificate: {error}"))?;
    }
    if roots.is_empty() {
        return Err(format!("sslrootcert {shown} holds no certificate; write it in PEM"));
    }
    Ok(roots)
}

/// Accepts any name, and any server if there are no roots. The latter protects the connection from
/// passive eavesdroppers only.
#[derive(Debug)]
struct AnyName {
    roots: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(roots) = &self.roots else { return Ok(ServerCertVerified::assertion()) };
        match roots.verify_server_cert(certificate, chain, name, ocsp, now) {
            // The name is verified last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
