//! The databases that many nodes share in these tests: real servers, started for the test.

use std::fs;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use callgate::store::postgres as postgres_store;
use callgate::store::redis as redis_store;
use callgate::store::shared::SharedStore;

use crate::support::services::postgres;
use crate::support::services::redis;

/// A database, and how durable it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Postgres,
    /// Redis that writes and syncs before it answers.
    Redis,
    /// Redis that syncs every second.
    RedisEverySecond,
    /// Redis that saves everything from time to time.
    RedisSnapshots,
}

/// A server of a database; it ends when this is dropped.
pub(super) enum Database {
    Postgres(postgres::Server),
    Redis(redis::Redis),
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis, AOF always",
            Self::RedisEverySecond => "Redis, AOF everysec",
            Self::RedisSnapshots => "Redis, RDB only",
        }
    }

    /// Whether there is a server to test with; says so if not.
    pub(super) fn is_installed(self) -> bool {
        match self {
            Self::Postgres => postgres::is_installed(),
            _ => redis::is_installed(),
        }
    }

    /// A fresh server that keeps its word as such servers do in production.
    pub(super) async fn start(self) -> Database {
        let options = match self {
            Self::Postgres => return Database::Postgres(postgres::Server::start_with(&[])),
            Self::Redis => "--appendonly yes --appendfsync always",
            Self::RedisEverySecond => "--appendonly yes --appendfsync everysec",
            Self::RedisSnapshots => "--save 1 1",
        };
        Database::Redis(redis::Redis::start(options).await)
    }

    /// Whether an acknowledged write survives the end of all its processes.
    pub(super) fn keeps_writes(self) -> bool {
        matches!(self, Self::Postgres | Self::Redis)
    }

    /// Whether unspent tokens survive a restart.
    pub(super) fn keeps_tokens(self) -> bool {
        self == Self::Postgres
    }
}

impl Database {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        local(match self {
            Self::Postgres(server) => server.port(),
            Self::Redis(server) => server.port(),
        })
    }

    /// The address of the store for nodes that reach the database at this address.
    pub(super) fn url_at(&self, address: SocketAddr) -> String {
        match self {
            Self::Postgres(_) => {
                let name = postgres::NAME;
                format!("postgres://{name}:secret@{address}/{name}")
            }
            Self::Redis(_) => format!("redis://{address}"),
        }
    }

    pub(super) fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// A node's store in this database, without the node.
    pub(super) async fn store(&self) -> Arc<SharedStore> {
        let engine = match self {
            Self::Postgres(_) => {
                let address = postgres_store::Address::parse(&self.url()).unwrap();
                postgres_store::open(&address, "app").await
            }
            Self::Redis(_) => {
                let address = redis_store::Address::parse(&self.url()).unwrap();
                redis_store::open(&address, "app").await
            }
        };
        SharedStore::new(engine.unwrap())
    }

    /// Ends it as `kill -9` of all its processes does.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Postgres(server) => server.kill(),
            Self::Redis(server) => server.kill(),
        }
    }

    /// Kills one of its processes, if it has many; false if it has one.
    pub(super) fn kill_one(&self) -> bool {
        match self {
            Self::Postgres(server) => {
                kill_child(&fs::read_to_string(server.data().join("postmaster.pid")).unwrap());
                true
            }
            Self::Redis(_) => false,
        }
    }

    /// Starts it again where it was.
    pub(super) async fn run(&mut self) {
        match self {
            Self::Postgres(server) => server.run(),
            Self::Redis(server) => server.restart().await,
        }
    }
}

/// Kills one of the processes of a postmaster that serve callgate, by the file that begins with
/// the postmaster's own number.
fn kill_child(file: &str) {
    let parent = file.lines().next().unwrap().trim();
    let serves = |process: &String| {
        let read = |name: &str| fs::read(format!("/proc/{process}/{name}")).unwrap_or_default();
        let (title, stat) = (read("cmdline"), read("stat"));
        let (title, stat) = (String::from_utf8_lossy(&title), String::from_utf8_lossy(&stat));
        // Behind the name in parentheses: the state, and the number of the parent.
        let of = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        of == Some(parent) && title.contains("callgate callgate")
    };
    let names = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().file_name());
    let mut processes = names.filter_map(|name| name.into_string().ok());
    let victim = processes.find(serves).expect("somebody is connected");
    assert!(Command::new("kill").args(["-KILL", &victim]).status().unwrap().success());
}

pub(super) fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
