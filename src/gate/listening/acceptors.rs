//! The acceptors of a gate, with the limits of the settings and of the operating system.

use std::sync::Arc;

use rustix::process::Resource;
use rustix::process::getrlimit;

use crate::base::Timestamp;
use crate::gate::error::GateError;
use crate::http::Acceptor;
use crate::http::BadCertificate;
use crate::http::Certificates;
use crate::http::Spared;
use crate::http::limits::Limits;
use crate::settings::Settings;

/// Connections to the internal listener at once: probes, scrapers, a few operators, and upstreams
/// with a pool of connections each.
const INTERNAL_CONNECTIONS_MAX: usize = 1_024;

/// The acceptors for clients and operators.
pub(crate) struct Acceptors {
    pub(crate) public: Acceptor,
    pub(crate) internal: Acceptor,
    /// For plain HTTP beside HTTPS.
    pub(crate) redirect: Acceptor,
    /// The certificates of the public acceptor, if it uses TLS.
    pub(crate) certificates: Option<Arc<Certificates>>,
}

impl Acceptors {
    /// Reads the certificate, if there is one.
    pub(crate) fn open(settings: &Settings, now: Timestamp) -> Result<Self, GateError> {
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
        let internal = Limits {
            connections: share_of(files, INTERNAL_CONNECTIONS_MAX, 1, 20),
            // Clients of this listener are on this machine or in the operator's network.
            connections_per_address: 0,
            ..limits.clone()
        };
        let public = Limits {
            connections: connections_max,
            connections_per_address: per_address(settings),
            ..limits.clone()
        };
        let redirect = Limits {
            connections: share_of(files, limits.connections, 1, 20),
            // This acceptor only redirects.
            requests_per_connection: 1,
            ..public.clone()
        };
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

/// Connections from one address. Without rate limits callgate runs behind a limiting proxy, from
/// whose address all connections come.
fn per_address(settings: &Settings) -> usize {
    if settings.rate_limits { settings.limits.connections_per_address } else { 0 }
}

/// The wanted number, but no more than a share of the file descriptors, and at least one. The rest
/// is for the store, the log, the table, and for operators.
fn share_of(files: Option<u64>, wanted: usize, part: u64, whole: u64) -> usize {
    let share = files.map_or(u64::MAX, |files| files / whole * part + files % whole * part / whole);
    wanted.min(usize::try_from(share).unwrap_or(usize::MAX)).max(1)
}

/// The limit of open files of this process; `None` if there is none.
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
