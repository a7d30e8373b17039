//! The databases that many nodes share in these tests: real servers, started for the test.

use std::net::Ipv4Addr;
use std::net::SocketAddr;

use crate::support::services::postgres;

/// How a database is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Postgres,
}

/// A server of a database; it ends when this is dropped.
pub(super) enum Database {
    Postgres(postgres::Server),
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
        }
    }

    /// Whether there is a server to test with; says so if not.
    pub(super) fn is_installed(self) -> bool {
        match self {
            Self::Postgres => postgres::is_installed(),
        }
    }

    /// A fresh server that keeps its word as such servers do in production.
    pub(super) fn start(self) -> Database {
        match self {
            Self::Postgres => Database::Postgres(postgres::Server::start_with(&[])),
        }
    }

    /// Whether an acknowledged write survives the end of all its processes.
    pub(super) fn keeps_writes(self) -> bool {
        match self {
            Self::Postgres => true,
        }
    }

    /// Whether unspent tokens survive a restart.
    pub(super) fn keeps_tokens(self) -> bool {
        match self {
            Self::Postgres => true,
        }
    }
}

impl Database {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Postgres(server) => local(server.port()),
        }
    }

    /// The address of the store for nodes that reach the database at this address.
    pub(super) fn url_at(&self, address: SocketAddr) -> String {
        match self {
            Self::Postgres(_) => {
                let name = postgres::NAME;
                format!("postgres://{name}:secret@{address}/{name}")
            }
        }
    }

    pub(super) fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// Ends it as `kill -9` of all its processes does.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Postgres(server) => server.kill(),
        }
    }

    /// Starts it again where it was.
    pub(super) fn run(&mut self) {
        match self {
            Self::Postgres(server) => server.run(),
        }
    }
}

pub(super) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
