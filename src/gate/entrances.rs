//! The entrances of a gate, as the settings want them and as the machine allows.

use std::sync::Arc;

use rustix::process::Resource;
use rustix::process::getrlimit;

use crate::base::Timestamp;
use crate::gate::failure::GateError;
use crate::http::Acceptor;
use crate::http::BadCertificate;
use crate::http::Certificates;
use crate::http::Spared;
use crate::http::conn::server::Config;
use crate::settings::Settings;

/// Connections to the internal listener at once: probes, scrapers, a person or two, and upstreams
/// with a pool of connections each.
const INTERNAL_CONNECTIONS_MAX: usize = 1_024;
/// HTTP/2 requests on one connection for each that HTTP/1.1 may have (docs/SECURITY.md D.2).
const H2_REQUESTS_FACTOR: u64 = 10;

/// Where clients and operators come in.
pub(super) struct Entrances {
    pub(super) public: Acceptor,
    pub(super) internal: Acceptor,
    /// For plain HTTP beside HTTPS.
    pub(super) redirect: Acceptor,
    /// The public entrance's, if that is encrypted.
    pub(super) certificates: Option<Arc<Certificates>>,
}

impl Entrances {
    /// Reads the certificate, if there is one.
    pub(super) fn open(settings: &Settings, now: Timestamp) -> Result<Self, GateError> {
        let limits = &settings.limits;
        let files = files_max();
        let connections_max = share_of(files, limits.connections, 4, 5);
        if connections_max < limits.connections {
            tracing::warn!(
                event = "server.connections_lowered",
                wanted = limits.connections,
                connections = connections_max,
                files,
                "this process may open too few files; raise its limit (ulimit -n), or lower \
                 limits.connections"
            );
        }
        let public = config(settings);
        let internal = Config {
            connections_max: share_of(files, INTERNAL_CONNECTIONS_MAX, 1, 20),
            // Whoever gets there at all is on this machine or in the operator's network.
            connections_per_address_max: 0,
            ..public.clone()
        };
        let redirect = Config {
            connections_max: share_of(files, limits.connections, 1, 20),
            // There is nothing else to be had here.
            requests_max: 1,
            h2_requests_max: 1,
            ..public.clone()
        };
        let public = Config { connections_max, ..public };
        let proxies = settings.trusted_proxies.clone();
        let spared = Spared::when(move |address| proxies.trusts(address));
        let mut public = Acceptor::new(public, spared);
        let certificates = certificates(settings, now).map_err(GateError::Certificate)?;
        if let Some(certificates) = &certificates {
            public = public.encrypted(certificates).map_err(GateError::Certificate)?;
        }
        let internal = Acceptor::new(internal, Spared::nobody());
        let redirect = Acceptor::new(redirect, Spared::nobody());
        Ok(Self { public, internal, redirect, certificates })
    }
}

fn certificates(
    settings: &Settings,
    now: Timestamp,
) -> Result<Option<Arc<Certificates>>, BadCertificate> {
    let Some((cert, key)) = settings.tls.files() else { return Ok(None) };
    Certificates::open(cert, key, now).map(|opened| Some(Arc::new(opened)))
}

fn config(settings: &Settings) -> Config {
    let limits = &settings.limits;
    // Whoever needs no limits of rates is behind a limiter, which all connections come from.
    let per_address = if settings.rate_limits { limits.connections_per_address } else { 0 };
    Config {
        connections_max: limits.connections,
        connections_per_address_max: per_address,
        handshake_timeout: limits.handshake,
        first_byte_timeout: limits.first_byte,
        header_timeout: limits.header,
        header_bytes_max: limits.header_bytes,
        headers_max: limits.headers,
        requests_max: limits.requests_per_connection as u64,
        h2_requests_max: limits.requests_per_connection as u64 * H2_REQUESTS_FACTOR,
        age_max: limits.connection_age,
        streams_max: limits.streams,
        write_stall_timeout: limits.write_stall,
        drain_timeout: limits.drain,
    }
}

/// What was wanted, but no more than a part of the files that may be open, and one at least. The
/// rest is for the store, the log, the table, and for operators.
fn share_of(files: Option<u64>, wanted: usize, part: u64, whole: u64) -> usize {
    let share = files.map_or(u64::MAX, |files| files / whole * part + files % whole * part / whole);
    wanted.min(usize::try_from(share).unwrap_or(usize::MAX)).max(1)
}

/// The files that this process may open; `None` is any number.
fn files_max() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_everything_else() {
        assert_eq!(share_of(Some(256), 10_000, 4, 5), 204);
        assert_eq!(share_of(Some(256), INTERNAL_CONNECTIONS_MAX, 1, 20), 12);
        assert_eq!(share_of(Some(1_000_000), 10_000, 4, 5), 10_000);
        assert_eq!(share_of(None, 10_000, 4, 5), 10_000);
        assert_eq!(share_of(Some(u64::MAX), 10_000, 4, 5), 10_000);
        assert_eq!(share_of(Some(3), 64, 1, 20), 1);
    }
}
