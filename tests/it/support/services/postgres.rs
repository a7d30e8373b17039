//! Servers of PostgreSQL for tests: private ones, each with a folder and a port of its own, that
//! end with the test at the latest.
//!
//! PostgreSQL does not run as root, so that root starts it as the user `postgres`.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;

use rustix::process::Pid;
use rustix::process::Signal;
use tempfile::TempDir;

/// The role and the database that a fresh server has, beside the superuser `postgres`.
pub(crate) const NAME: &str = "callgate";

/// Whether there is a server to test with. If not, that is said where everybody sees it, and is a
/// failure where `CALLGATE_TEST_ENGINES` is `required`.
pub(crate) fn is_installed() -> bool {
    let found = binaries().is_some();
    if !found {
        super::missing("PostgreSQL");
    }
    found
}

/// The folder of the newest server that is installed.
fn binaries() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(find_binaries).as_deref()
}

fn find_binaries() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "where the machine has its programs")]
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev().map(|(_, folder)| folder));
    folders.into_iter().find(|folder| {
        ["initdb", "pg_ctl", "pg_basebackup"].iter().all(|name| folder.join(name).exists())
    })
}

/// A server that runs; it ends when this is dropped, or when the process of the test does.
pub(crate) struct Server {
    root: TempDir,
    port: u16,
    options: Vec<String>,
    /// Waits for its input to end, and then for the server to.
    keeper: Option<Child>,
}

impl Server {
    /// A fresh server, as quick as it can be: it would not survive a power cut.
    pub(crate) fn start() -> Self {
        Self::start_with(&["fsync=off"])
    }

    /// A fresh server with these settings.
    pub(crate) fn start_with(options: &[&str]) -> Self {
        let root = room();
        copy(template(), &root.path().join("data"));
        let mut server = Self::stopped(root, options);
        server.run();
        server
    }

    fn stopped(root: TempDir, options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self { root, port: 0, options, keeper: None }
    }

    /// A server that follows this one, asynchronously unless this one is told to wait for it.
    pub(crate) fn standby(&self) -> Self {
        let root = room();
        let data = root.path().join("data");
        let port = self.port.to_string();
        let mut copy = program("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-U", "postgres", "-X", "stream", "-R", "--no-sync"])
            .args(["-c", "fast", "-p", &port, "-D"])
            .arg(&data);
        finish(copy);
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let mut server = Self::stopped(root, &options);
        server.run();
        server
    }

    /// Makes a standby a primary.
    pub(crate) fn promote(&self) {
        let mut promote = program("pg_ctl");
        promote.args(["promote", "-w", "-D"]).arg(self.data());
        finish(promote);
    }

    /// Where the role of this name finds the database `callgate`.
    pub(crate) fn url(&self) -> String {
        format!("postgres://{NAME}:secret@127.0.0.1:{}/{NAME}", self.port)
    }

    /// The port it listens on, which it keeps.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder that is the server's.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// Runs statements as the superuser; what they print.
    pub(crate) fn sql(&self, statements: &str) -> String {
        let mut psql = program("psql");
        psql.args(["-h", "127.0.0.1", "-U", "postgres", "-d", NAME, "-X", "-q", "-A", "-t"])
            .args(["-v", "ON_ERROR_STOP=1", "-p", &self.port.to_string()]);
        for statement in statements.split('\n') {
            psql.args(["-c", statement]);
        }
        finish(psql).trim().to_owned()
    }

    /// Everything in the database, as statements.
    pub(crate) fn dump(&self) -> String {
        let mut dump = program("pg_dump");
        dump.args(["-h", "127.0.0.1", "-U", "postgres", "-d", NAME, "-p", &self.port.to_string()]);
        finish(dump)
    }

    /// Runs what [`Server::dump`] wrote.
    pub(crate) fn restore(&self, dump: &str) {
        let name = self.root.path().join("dump.sql");
        fs::write(&name, dump).unwrap();
        give(&name);
        let mut psql = program("psql");
        psql.args(["-h", "127.0.0.1", "-U", "postgres", "-d", NAME, "-X", "-q", "-p"]);
        psql.args([&self.port.to_string(), "-v", "ON_ERROR_STOP=1", "-f"]).arg(name);
        finish(psql);
    }

    /// Writes a file into the server's folder, readable for the server only.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.data().join(name);
        fs::write(&path, content).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, mode).unwrap();
        give(&path);
    }

    /// Gives it one more setting from its next start on.
    pub(crate) fn set(&mut self, option: &str) {
        self.options.push(option.to_owned());
    }

    /// Starts a server that was stopped or killed, on the port it had.
    pub(crate) fn run(&mut self) {
        assert!(self.keeper.is_none(), "the server runs already");
        for _ in 0..8 {
            if self.port == 0 {
                self.port = free_port();
            }
            self.keeper = self.try_run();
            if self.keeper.is_some() {
                return;
            }
            let log = fs::read_to_string(self.root.path().join("log")).unwrap_or_default();
            assert!(log.contains("in use"), "the server does not start: {log}");
            self.port = 0;
        }
        panic!("no port is free");
    }

    fn try_run(&self) -> Option<Child> {
        let root = self.root.path();
        let (port, socket) = (self.port, root.display());
        let own = self.options.iter().map(String::as_str);
        let settings = ["listen_addresses=127.0.0.1", "shared_buffers=16MB", "max_connections=600"];
        let settings: Vec<&str> =
            settings.into_iter().chain(["lc_messages=C"]).chain(own).collect();
        let options = format!("-p {port} -k {socket} -c {}", settings.join(" -c "));
        // The input ends with the process of the test, however that ends.
        let script = "trap '' INT TERM HUP; \"$1\" start -s -w -t 60 -D \"$2/data\" -l \"$2/log\" \
            -o \"$3\" >/dev/null 2>&1 && echo up || { echo down; exit; }; \
            read -r how || { how=immediate; gone=$2; }; \
            [ \"$how\" = killed ] || \"$1\" stop -s -D \"$2/data\" -m $how >/dev/null 2>&1; \
            rm -rf $gone";
        let mut keeper = as_owner(Path::new("sh"));
        keeper.args(["-c", script, "sh"]).arg(tool("pg_ctl")).arg(root).arg(options);
        keeper.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn().unwrap();
        let mut said = String::new();
        let out = keeper.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut said).unwrap();
        if said == "up\n" {
            return Some(keeper);
        }
        keeper.wait().unwrap();
        None
    }

    /// Stops it in order: who is connected is cut off, and nothing is lost.
    pub(crate) fn stop(&mut self) {
        self.end("fast");
    }

    fn end(&mut self, how: &str) {
        let Some(mut keeper) = self.keeper.take() else { return };
        if let Some(mut input) = keeper.stdin.take() {
            let _ = writeln!(input, "{how}");
        }
        let _ = keeper.wait();
    }

    /// Kills all of its processes at once, as `kill -9` and an empty memory do.
    pub(crate) fn kill(&mut self) {
        let postmaster = self.postmaster();
        // The postmaster first: it would begin anew when it misses a child.
        signal(postmaster, Signal::STOP);
        let children = children(postmaster);
        for process in [postmaster].into_iter().chain(children.clone()) {
            signal(process, Signal::KILL);
        }
        for process in [postmaster].into_iter().chain(children) {
            while runs(process) {
                std::thread::yield_now();
            }
        }
        // Nobody holds its folder any more, though until somebody buries the postmaster its number
        // looks as if it ran, and the next server would wait for it.
        let socket = self.root.path().join(format!(".s.PGSQL.{}.lock", self.port));
        for file in [self.data().join("postmaster.pid"), socket] {
            let _ = fs::remove_file(file);
        }
        self.end("killed");
    }

    /// Holds all of its processes up, as a machine that hangs does.
    pub(crate) fn freeze(&self) {
        self.all(Signal::STOP);
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) {
        self.all(Signal::CONT);
    }

    fn all(&self, what: Signal) {
        let postmaster = self.postmaster();
        for process in [postmaster].into_iter().chain(children(postmaster)) {
            signal(process, what);
        }
    }

    fn postmaster(&self) -> i32 {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().trim().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.keeper.is_some() && self.data().join("postmaster.pid").exists() {
            self.thaw();
        }
        self.end("immediate");
    }
}

/// A folder that was initialised once, to be copied: that is many times as fast.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<(PathBuf, Child)> = OnceLock::new();
    let (path, _) = TEMPLATE.get_or_init(|| {
        let root = room().keep();
        // Statics are not dropped, but the process ends and with it what this reads.
        let mut sweeper = Command::new("sh");
        sweeper.args(["-c", "trap '' INT TERM HUP; read -r _; rm -rf \"$1\"", "sh"]).arg(&root);
        let sweeper = sweeper.stdin(Stdio::piped()).spawn().unwrap();
        let data = root.join("data");
        let mut init = program("initdb");
        init.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
        init.arg(&data);
        finish(init);
        furnish(&data);
        (data, sweeper)
    });
    path
}

/// Makes the role and its database.
fn furnish(data: &Path) {
    let mut single = program("postgres");
    single.args(["--single", "-F", "-D"]).arg(data).arg("postgres");
    let mut single = single.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let statements = format!(
        "CREATE ROLE {NAME} LOGIN PASSWORD 'secret'\nCREATE DATABASE {NAME} OWNER {NAME}\n"
    );
    single.stdin.take().unwrap().write_all(statements.as_bytes()).unwrap();
    assert!(single.wait().unwrap().success(), "a fresh database cannot be furnished");
}

/// A folder for one server, which is the server's.
pub(super) fn room() -> TempDir {
    let root = tempfile::Builder::new().prefix("callgate-postgres").tempdir().unwrap();
    give(root.path());
    root
}

fn copy(from: &Path, to: &Path) {
    let mut copy = Command::new("cp");
    copy.arg("-a").arg(from).arg(to);
    finish(copy);
}

/// A file or folder goes to the user that servers run as.
pub(super) fn give(path: &Path) {
    if is_root() {
        let mut give = Command::new("chown");
        give.arg("postgres:postgres").arg(path);
        finish(give);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn tool(name: &str) -> PathBuf {
    binaries().expect("whoever starts a server has asked whether it is installed").join(name)
}

/// A program of PostgreSQL, run by the user that servers run as.
fn program(name: &str) -> Command {
    as_owner(&tool(name))
}

pub(super) fn as_owner(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // It may not look into the folder that tests are run from.
    command.current_dir("/");
    command
}

/// Runs a command to its end; what it printed.
fn finish(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn signal(process: i32, what: Signal) {
    let Some(process) = Pid::from_raw(process) else { return };
    // It may have ended by itself.
    let _ = rustix::process::kill_process(process, what);
}

/// The state of a process and its parent; `None` if there is no such process.
fn standing(process: i32) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}

fn runs(process: i32) -> bool {
    standing(process).is_some_and(|(state, _)| state != 'Z')
}

fn children(parent: i32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|process| standing(*process).is_some_and(|(_, of)| of == parent)).collect()
}
