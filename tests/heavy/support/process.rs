//! A server as a process of its own, which ends with the test at the latest.

use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Duration;
use std::time::SystemTime;

use callgate::base::clock::Stopwatch;
use serde_json::Value;
use tempfile::TempDir;

use super::wire::Ask;
use super::wire::Connection;

/// How a server is to be started.
#[derive(Clone)]
pub(crate) struct ServerPlan {
    program: Program,
    words: Vec<String>,
    variables: Vec<(String, String)>,
    log: Option<PathBuf>,
    files: Option<u32>,
    /// A folder that is a small disk of the server's own, and its size.
    disk: Option<(PathBuf, String)>,
}

/// What is started.
#[derive(Clone)]
enum Program {
    /// An example of this crate.
    Example(&'static str),
    /// A program of the machine.
    Installed(PathBuf),
}

/// A server that runs; it is killed when this is dropped.
pub(crate) struct Server {
    child: Child,
    /// Where it accepts requests.
    pub(crate) address: SocketAddr,
    /// Where it answers operators, if it does.
    pub(crate) internal: Option<SocketAddr>,
    /// Runs from the moment the process was started.
    pub(crate) since_spawn: Stopwatch,
}

/// The memory of a process, in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) resident: u64,
    pub(crate) peak: u64,
}

/// A folder on a real disk that goes with the test.
pub(crate) fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

impl ServerPlan {
    /// The probe server with its sessions in `store`, quiet, on a free port.
    pub(crate) fn probe(store: &str) -> Self {
        let plan = Self::of(Program::Example("probe_server"));
        let plan = plan.set("LISTEN", "127.0.0.1:0").set("INTERNAL", "off").set("STORE", store);
        plan.set("RATE_LIMITS", "off")
    }

    /// The probe server with its sessions on disk below `folder`.
    pub(crate) fn embedded(folder: &Path) -> Self {
        Self::probe(&format!("embedded:{}", folder.join("data").display()))
    }

    /// Whether a restart finds everything again.
    pub(crate) fn is_durable(&self) -> bool {
        self.variables.iter().any(|(_, value)| value.starts_with("embedded:"))
    }

    /// The server that callgate's speed is held against.
    pub(crate) fn bare() -> Self {
        Self::of(Program::Example("bare_server"))
    }

    /// The proxy that forwarding is held against; it is told its `UPSTREAM`.
    pub(crate) fn proxy() -> Self {
        Self::of(Program::Example("bare_proxy"))
    }

    /// A program of this machine, which says where it listens as callgate does.
    pub(crate) fn installed(program: &Path) -> Self {
        Self::of(Program::Installed(program.to_owned()))
    }

    fn of(program: Program) -> Self {
        let (words, variables) = (Vec::new(), Vec::new());
        Self { program, words, variables, log: None, files: None, disk: None }
    }

    /// Gives a setting, named as in the environment without `CALLGATE_`.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((format!("CALLGATE_{name}"), value.to_owned()));
        self
    }

    /// Gives a variable to a program that is not callgate.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has `folder` be a disk of this size (as `24m`) that only the server sees. Needs root.
    pub(crate) fn on_disk_of(mut self, folder: &Path, size: &str) -> Self {
        self.disk = Some((folder.to_owned(), size.to_owned()));
        self
    }

    pub(crate) fn word(mut self, word: &str) -> Self {
        self.words.push(word.to_owned());
        self
    }

    /// Appends the log to this file; otherwise nobody reads it.
    pub(crate) fn log(mut self, file: &Path) -> Self {
        self.log = Some(file.to_owned());
        self
    }

    /// Lets the server open so many files at once.
    pub(crate) fn files(mut self, count: u32) -> Self {
        self.files = Some(count);
        self
    }

    /// Starts the server and waits until it listens.
    pub(crate) fn start(&self) -> Server {
        let program = match &self.program {
            Program::Example(name) => example(name),
            Program::Installed(program) => program.clone(),
        };
        let log = self.log.as_ref().map_or_else(Stdio::null, |path| {
            File::options().create(true).append(true).open(path).unwrap().into()
        });
        let since_spawn = Stopwatch::start();
        let mut child = self
            .command(&program)
            .args(&self.words)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .current_dir(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut internal = None;
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                panic!("{} ended before it listened: {:?}", program.display(), child.wait());
            };
            let Some((what, url)) = line.split_once(" on ") else { continue };
            let address = url.split("://").last().unwrap_or_default();
            match what {
                "internal" => internal = address.parse().ok(),
                "listening" => break address.parse().unwrap(),
                _ => {}
            }
        };
        Server { child, address, internal, since_spawn }
    }
}

impl ServerPlan {
    /// The program itself, which keeps its process id whatever is done before it starts.
    fn command(&self, program: &Path) -> Command {
        const MOUNT: &str =
            "/usr/bin/mount -t tmpfs -o size=\"$0\" callgate \"$1\" && shift && exec \"$@\"";
        if let Some((folder, size)) = &self.disk {
            let mut command = Command::new("/usr/bin/unshare");
            command.args(["--mount", "/bin/sh", "-c", MOUNT, size]).arg(folder).arg(program);
            return command;
        }
        let Some(files) = self.files else { return Command::new(program) };
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]).arg(program);
        command
    }
}

/// The program that cargo built beside this test. With `--test heavy` cargo builds the test
/// alone, so the program may be missing or older than its sources; neither must go unnoticed.
fn example(name: &str) -> PathBuf {
    const FIX: &str = "build it, in the profile of this test, with: cargo build --examples";
    let this = std::env::current_exe().unwrap();
    // target/<profile>/deps/heavy-<hash> and target/<profile>/examples/<name>
    let profile = this.ancestors().nth(2).unwrap();
    let program = profile.join("examples").join(name);
    assert!(program.exists(), "{} is missing; {FIX}", program.display());
    // Cargo's own list: the program, a colon, every source it was made from.
    let sources = std::fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let built = modified(&program);
    for source in sources.split_whitespace().skip(1).map(Path::new) {
        let newer = source.exists() && modified(source) > built;
        assert!(!newer, "{} is older than {}; {FIX}", program.display(), source.display());
    }
    program
}

fn modified(path: &Path) -> SystemTime {
    path.metadata().and_then(|it| it.modified()).unwrap()
}

impl Server {
    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.address).await.unwrap()
    }

    /// So many connections.
    pub(crate) async fn connections(&self, count: usize) -> Vec<Connection> {
        let mut all = Vec::with_capacity(count);
        for _ in 0..count {
            all.push(self.connect().await);
        }
        all
    }

    /// What the store holds: sessions and unspent tokens.
    pub(crate) async fn census(&self) -> (u64, u64) {
        let reply = self.connect().await.ask(&Ask::get("/control/census")).await.unwrap().good();
        let count = |name: &str| reply.result()[name].as_u64().unwrap();
        (count("sessions"), count("tokens"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a crash would: `SIGKILL`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Asks it to read its table again.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// How many threads and open files the kernel counts.
    pub(crate) fn threads_and_files(&self) -> (usize, usize) {
        let count =
            |what: &str| std::fs::read_dir(format!("/proc/{}/{what}", self.pid())).unwrap().count();
        (count("task"), count("fd"))
    }

    /// Waits until it has ended.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// What the kernel says about its memory.
    pub(crate) fn memory(&self) -> Memory {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let field = |name: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Memory { resident: field("VmRSS:"), peak: field("VmHWM:") }
    }

    /// The processor time it has used, in user and kernel.
    pub(crate) fn cpu(&self) -> Duration {
        // Linux reports clock ticks, of which a second has 100 on every platform Rust runs on.
        const TICK: Duration = Duration::from_millis(10);
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // The second field is the name in parentheses and may hold spaces.
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let ticks: u32 =
            [fields[11], fields[12]].into_iter().map(|field| field.parse::<u32>().unwrap()).sum();
        TICK * ticks
    }

    /// What it says on its internal listener.
    pub(crate) async fn inside(&self, path: &str) -> Value {
        let mut connection = Connection::open(self.internal.unwrap()).await.unwrap();
        connection.ask(&Ask::get(path)).await.unwrap().good().json()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
