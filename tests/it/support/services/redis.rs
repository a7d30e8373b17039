//! Redis servers of a test's own, on free ports of the loopback: single ones, with replicas, with
//! Sentinels, and Clusters. They end with the test at the latest.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use callgate::base::clock::Stopwatch;
use redis::Value;
use tempfile::TempDir;

/// How long a server may take to be ready.
const READY: Duration = Duration::from_secs(20);
/// Ports that are tried before it is given up.
const PORTS: usize = 8;

/// Whether there is a Redis on this machine. Where there is none, the test says so on the terminal
/// and passes, or fails if `CALLGATE_TEST_ENGINES=required`.
pub(crate) fn is_installed() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    let found = *FOUND.get_or_init(|| {
        let version = Command::new(program()).arg("--version").stdout(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    });
    if !found {
        super::missing("redis-server");
    }
    found
}

/// `redis-server`, or what `CALLGATE_TEST_REDIS` names instead, such as a `valkey-server`.
fn program() -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the one switch of the tests with engines")]
    let named = std::env::var_os("CALLGATE_TEST_REDIS");
    named.map_or_else(|| "redis-server".into(), PathBuf::from)
}

/// A server that runs, or was killed and can be started again with what it has on its disk.
pub(crate) struct Redis {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    tls: Option<Tls>,
    password: Option<String>,
    /// Whether it ends with this process, though nobody drops it.
    kept: bool,
}

/// Where a Redis is that all tests of this process share, each with an app of its own.
pub(crate) async fn shared() -> String {
    static SERVER: tokio::sync::OnceCell<Redis> = tokio::sync::OnceCell::const_new();
    let server = SERVER.get_or_init(|| {
        let mut server = Redis::plan("");
        server.kept = true;
        server.up()
    });
    server.await.url()
}

struct Tls {
    authority: PathBuf,
}

impl Redis {
    /// A server with these options, such as `--appendonly yes`. Without any it keeps all in memory.
    pub(crate) async fn start(options: &str) -> Self {
        Self::plan(options).up().await
    }

    /// A server that keeps everything on disk before it answers.
    pub(crate) async fn durable() -> Self {
        Self::start("--appendonly yes --appendfsync always").await
    }

    /// A server that speaks TLS alone, with a certificate for the loopback.
    pub(crate) async fn with_tls() -> Self {
        let mut server = Self::plan("");
        let files = certificates(server.folder.path());
        server.options.extend(files.options);
        server.tls = Some(Tls { authority: files.authority });
        server.up().await
    }

    /// A server that wants this password.
    pub(crate) async fn with_password(password: &str) -> Self {
        let mut server = Self::plan(&format!("--requirepass {password}"));
        server.password = Some(password.to_owned());
        server.up().await
    }

    /// A replica that has caught up.
    pub(crate) async fn replica_of(primary: &Self, options: &str) -> Self {
        let port = primary.port;
        let replica = Self::start(&format!("{options} --replicaof 127.0.0.1 {port}")).await;
        replica.wait_for("INFO replication", "master_link_status:up").await;
        replica
    }

    fn plan(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = options.split_whitespace().map(ToOwned::to_owned).collect();
        Self { child: None, folder, port: 0, options, tls: None, password: None, kept: false }
    }

    async fn up(mut self) -> Self {
        for _ in 0..PORTS {
            self.port = free_port();
            if self.try_start().await {
                return self;
            }
        }
        panic!("no server comes up: {}", self.log());
    }

    fn spawn(&mut self) {
        let mut command = Command::new(program());
        if self.kept {
            // A static is never dropped; the pipe is closed by the end of the process.
            command = Command::new("sh");
            let script = "\"$0\" \"$@\" & read -r _; kill $!; wait; rm -rf \"$FOLDER\"";
            command.args(["-c", script]).arg(program()).env("FOLDER", self.folder.path());
        }
        let folder = self.folder.path().to_str().unwrap();
        let port = self.port.to_string();
        let (plain, encrypted) =
            if self.tls.is_some() { ("0", port.as_str()) } else { (port.as_str(), "0") };
        command.args(["--port", plain, "--tls-port", encrypted]);
        command.args(["--bind", "127.0.0.1", "--dir", folder, "--save", "", "--daemonize", "no"]);
        command.args(["--logfile", &format!("{folder}/log"), "--enable-debug-command", "yes"]);
        command.args(&self.options);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(child.spawn().unwrap());
    }

    /// Starts the process; false if it ended at once, as when somebody else took the port.
    async fn try_start(&mut self) -> bool {
        self.spawn();
        let since = Stopwatch::start();
        loop {
            if self.try_say(&["PING"]).is_ok() {
                return true;
            }
            let ended =
                self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some());
            if ended || since.elapsed() > READY {
                self.kill();
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Ends it as a power cut would, but for what the operating system still writes.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again where it was, with what it has on its disk.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        assert!(self.try_start().await, "it does not come up again: {}", self.log());
    }

    /// Starts it again, and does not wait until it has loaded its data; false if it never answers.
    pub(crate) async fn come_up_loading(&mut self) -> bool {
        self.spawn();
        let since = Stopwatch::start();
        while since.elapsed() < READY {
            match self.try_say(&["PING"]) {
                Ok(_) => return true,
                Err(error) if error.code() == Some("LOADING") => return true,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
        false
    }

    /// Stops the process, which keeps its connections and answers nobody.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets a stopped process go on.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address for callgate.
    pub(crate) fn url(&self) -> String {
        let port = self.port;
        let sign_in = self.password.as_ref().map(|password| format!(":{password}@"));
        let sign_in = sign_in.unwrap_or_default();
        match &self.tls {
            Some(tls) => {
                format!("rediss://{sign_in}127.0.0.1:{port}?ca={}", tls.authority.display())
            }
            None => format!("redis://{sign_in}127.0.0.1:{port}"),
        }
    }

    /// Sends a command, as an operator would.
    pub(crate) fn say(&self, words: &[&str]) -> Value {
        self.try_say(words).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    fn try_say(&self, words: &[&str]) -> Result<Value, redis::RedisError> {
        if let Some(tls) = &self.tls {
            return self.try_say_with_tls(words, &tls.authority);
        }
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut command = redis::Cmd::new();
        for word in words {
            command.arg(word);
        }
        command.query(&mut connection)
    }

    /// The client of this file speaks no TLS; the one that comes with the server does.
    fn try_say_with_tls(&self, words: &[&str], authority: &Path) -> redis::RedisResult<Value> {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--tls", "--cacert"]);
        let output = command.arg(authority).args(words).output()?;
        if !output.status.success() {
            return Err(std::io::Error::other("redis-cli failed").into());
        }
        Ok(Value::BulkString(output.stdout))
    }

    /// What it says, as text.
    pub(crate) fn told(&self, words: &[&str]) -> String {
        text(self.say(words))
    }

    /// Waits until it says so.
    pub(crate) async fn wait_for(&self, question: &str, part: &str) {
        let words: Vec<&str> = question.split(' ').collect();
        let since = Stopwatch::start();
        loop {
            let told = self.try_say(&words).map(text).unwrap_or_default();
            if told.contains(part) {
                return;
            }
            assert!(since.elapsed() < READY, "{question} has no {part}: {told}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three Sentinels that watch a primary with one replica.
pub(crate) struct Sentinels {
    pub(crate) primary: Redis,
    pub(crate) replica: Redis,
    watchers: Vec<Redis>,
}

impl Sentinels {
    /// A primary with a replica, each with these options, and three who watch them.
    pub(crate) async fn start(options: &str) -> Self {
        let primary = Redis::start(options).await;
        let replica = Redis::replica_of(&primary, options).await;
        let mut watchers = Vec::new();
        for _ in 0..3 {
            watchers.push(Self::sentinel(&primary).await);
        }
        for sentinel in &watchers {
            let question = "SENTINEL MASTER mymaster";
            sentinel.wait_for(question, "num-other-sentinels 2").await;
            sentinel.wait_for(question, "num-slaves 1").await;
        }
        Self { primary, replica, watchers }
    }

    async fn sentinel(primary: &Redis) -> Redis {
        let mut sentinel = Redis::plan("");
        let file = sentinel.folder.path().join("sentinel.conf");
        let port = primary.port;
        let text = format!(
            "sentinel monitor mymaster 127.0.0.1 {port} 2\n\
             sentinel down-after-milliseconds mymaster 500\n\
             sentinel failover-timeout mymaster 2000\n"
        );
        fs::write(&file, text).unwrap();
        // A server that is a Sentinel wants its file first.
        sentinel.options = vec![file.to_str().unwrap().to_owned(), "--sentinel".to_owned()];
        for _ in 0..PORTS {
            sentinel.port = free_port();
            if sentinel.try_start_sentinel().await {
                return sentinel;
            }
        }
        panic!("no Sentinel comes up: {}", sentinel.log());
    }

    /// The address for callgate.
    pub(crate) fn url(&self) -> String {
        let hosts = self.watchers.iter().map(|each| format!("127.0.0.1:{}", each.port));
        format!("redis+sentinel://{}/mymaster", hosts.collect::<Vec<_>>().join(","))
    }

    /// Waits until the Sentinels have agreed on this server.
    pub(crate) async fn wait_for_master(&self, server: &Redis) {
        for sentinel in &self.watchers {
            let question = "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster";
            sentinel.wait_for(question, &server.port.to_string()).await;
        }
    }
}

impl Redis {
    async fn try_start_sentinel(&mut self) -> bool {
        let folder = self.folder.path().to_str().unwrap();
        let mut command = Command::new(program());
        command.args(&self.options).args(["--port", &self.port.to_string(), "--dir", folder]);
        command.args(["--bind", "127.0.0.1", "--logfile", &format!("{folder}/log")]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(child.spawn().unwrap());
        let since = Stopwatch::start();
        while since.elapsed() < READY {
            if self.try_say(&["PING"]).is_ok() {
                return true;
            }
            if self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_some()) {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        false
    }
}

/// A Cluster of three masters.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Redis>,
}

impl Cluster {
    /// Three masters that have all slots between them, each with these options.
    pub(crate) async fn start(options: &str) -> Self {
        let mut nodes = Vec::new();
        for epoch in 1..=3 {
            nodes.push(Self::node(options, epoch).await);
        }
        let ranges = [("0", "5460"), ("5461", "10922"), ("10923", "16383")];
        for (node, (first, last)) in nodes.iter().zip(ranges) {
            node.say(&["CLUSTER", "ADDSLOTSRANGE", first, last]);
        }
        for node in &nodes {
            node.wait_for("CLUSTER INFO", "cluster_known_nodes:1").await;
        }
        for node in nodes.iter().skip(1) {
            Self::meet(&nodes[0], node);
        }
        for node in &nodes {
            node.wait_for("CLUSTER INFO", "cluster_state:ok").await;
            node.wait_for("CLUSTER INFO", "cluster_slots_ok:16384").await;
        }
        Self { nodes }
    }

    /// A node with a port of its own to talk to the others by.
    async fn node(options: &str, epoch: u32) -> Redis {
        let cluster = "--cluster-enabled yes --cluster-node-timeout 1000";
        let bus = free_port();
        let node = Redis::start(&format!("{options} {cluster} --cluster-port {bus}")).await;
        node.say(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch.to_string()]);
        node
    }

    fn meet(known: &Redis, new: &Redis) {
        let bus = known.options.last().unwrap();
        new.say(&["CLUSTER", "MEET", "127.0.0.1", &known.port.to_string(), bus]);
    }

    /// A replica of one of the nodes that has caught up.
    pub(crate) async fn replica_of(&self, node: usize, options: &str) -> Redis {
        let replica = Self::node(options, 0).await;
        Self::meet(&self.nodes[0], &replica);
        let id = self.nodes[node].told(&["CLUSTER", "MYID"]);
        replica.wait_for("CLUSTER NODES", &id).await;
        replica.wait_for("CLUSTER INFO", "cluster_state:ok").await;
        replica.say(&["CLUSTER", "REPLICATE", &id]);
        replica.wait_for("INFO replication", "master_link_status:up").await;
        replica
    }

    /// The address for callgate.
    pub(crate) fn url(&self) -> String {
        let hosts = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        format!("redis+cluster://{}", hosts.collect::<Vec<_>>().join(","))
    }
}

impl Cluster {
    /// The slot of a key, the node that has it, and one that has not.
    pub(crate) fn place_of(&self, key: &str) -> (u16, usize, usize) {
        let slot: u16 = self.nodes[0].told(&["CLUSTER", "KEYSLOT", key]).parse().unwrap();
        let from = usize::from(slot > 5460) + usize::from(slot > 10922);
        (slot, from, (from + 1) % 3)
    }

    pub(crate) fn begin_to_move(&self, slot: u16, from: usize, to: usize) {
        let (giver, taker) = (&self.nodes[from], &self.nodes[to]);
        let (giver_id, taker_id) =
            (giver.told(&["CLUSTER", "MYID"]), taker.told(&["CLUSTER", "MYID"]));
        let slot = slot.to_string();
        taker.say(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &giver_id]);
        giver.say(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &taker_id]);
    }

    /// The keys of a slot on a node.
    pub(crate) fn keys(&self, slot: u16, node: usize) -> Vec<String> {
        match self.nodes[node].say(&["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), "100"]) {
            Value::Array(keys) => keys.into_iter().map(text).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn move_key(&self, key: &str, from: usize, to: usize) {
        let port = self.nodes[to].port.to_string();
        self.nodes[from].say(&["MIGRATE", "127.0.0.1", &port, key, "0", "1000"]);
    }

    pub(crate) fn end_the_move(&self, slot: u16, to: usize) {
        let id = self.nodes[to].told(&["CLUSTER", "MYID"]);
        // First the one that takes it, or it would be nobody's for a moment.
        for node in [to, (to + 1) % 3, (to + 2) % 3] {
            self.nodes[node].say(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &id]);
        }
    }
}

/// What a server says, as text of one line for each of its parts.
fn text(value: Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Value::SimpleString(text) => text,
        Value::Okay => "OK".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Array(parts) => parts.into_iter().map(text).collect::<Vec<_>>().join(" "),
        other => format!("{other:?}"),
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

struct Certificates {
    options: Vec<String>,
    authority: PathBuf,
}

/// Writes an authority and a certificate of it for the loopback.
fn certificates(folder: &Path) -> Certificates {
    let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
    // Under the name of its certificate, OpenSSL would take that for one that signed itself.
    authority.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer_key = rcgen::KeyPair::generate().unwrap();
    let issuer_certificate = authority.self_signed(&issuer_key).unwrap();
    let issuer = rcgen::Issuer::new(authority, issuer_key);
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(names).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        file
    };
    let authority = write("authority.pem", &issuer_certificate.pem());
    let certificate = write("certificate.pem", &certificate.pem());
    let key = write("key.pem", &key.serialize_pem());
    let option = |name: &str, file: &Path| [name.to_owned(), file.to_str().unwrap().to_owned()];
    let options = [
        option("--tls-cert-file", &certificate),
        option("--tls-key-file", &key),
        option("--tls-ca-cert-file", &authority),
        ["--tls-auth-clients".to_owned(), "no".to_owned()],
    ];
    Certificates { options: options.concat(), authority }
}
