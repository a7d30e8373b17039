//! A pooler before a server of PostgreSQL: `PgBouncer` in transaction mode, which hands each
//! statement to whichever connection is free.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Stdio;

use tempfile::TempDir;

use super::postgres::NAME;
use super::postgres::Server;
use super::postgres::as_owner;
use super::postgres::free_port;
use super::postgres::give;
use super::postgres::room;

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A pooler that runs; it ends when this is dropped, or when the process of the test does.
pub(crate) struct Pooler {
    keeper: Child,
    port: u16,
    _root: TempDir,
}

impl Pooler {
    /// One before this server; `None` if it is not installed, which [`super::missing`] says.
    pub(crate) fn before(server: &Server) -> Option<Self> {
        if !Path::new(PROGRAM).exists() {
            #[expect(clippy::disallowed_methods, reason = "a setting of the test run")]
            let wanted = std::env::var("CALLGATE_TEST_ENGINES");
            let needed = wanted.is_ok_and(|word| word == "required");
            assert!(
                !needed,
                "PgBouncer is not installed, and CALLGATE_TEST_ENGINES is \"required\""
            );
            super::missing("PgBouncer");
            return None;
        }
        let root = room();
        let path = |name: &str| root.path().join(name);
        let (port, folder) = (free_port(), root.path().display());
        let settings = format!(
            "[databases]\n{NAME} = host=127.0.0.1 port={} dbname={NAME}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir = {folder}\n\
             pool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 1000\nauth_type = trust\n\
             auth_file = {folder}/users\nlogfile = {folder}/log\n",
            server.port()
        );
        fs::write(path("settings"), settings).unwrap();
        fs::write(path("users"), format!("\"{NAME}\" \"secret\"\n")).unwrap();
        give(&path("settings"));
        give(&path("users"));
        let script = "trap '' INT TERM HUP; \"$1\" \"$2\" 2>/dev/null & read -r _; kill -INT $!";
        let mut keeper = as_owner(Path::new("sh"));
        keeper.args(["-c", script, "sh", PROGRAM]).arg(path("settings"));
        let keeper = keeper.stdin(Stdio::piped()).spawn().unwrap();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        Some(Self { keeper, port, _root: root })
    }

    /// Where the database is behind it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{NAME}:secret@127.0.0.1:{}/{NAME}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}
