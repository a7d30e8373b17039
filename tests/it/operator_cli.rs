//! `callgate sessions` and `callgate tokens` as an operator runs them, against gates that serve.

use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Arc;

use callgate::Settings;
use callgate::base::Clock;
use callgate::base::clock::SystemClock;
use callgate::base::secret::SecretText;
use callgate::settings::StoreUrl;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::leaks::Ledger;
use crate::support::outcome;
use crate::support::program;
use crate::support::settings;
use crate::support::wire::Served;

const KEY: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7beef";
const OTHER_KEY: &str = "0ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7beef";

/// A place to run the program in, with the address of a server.
struct Desk {
    folder: TempDir,
    internal: String,
    ledger: Arc<Ledger>,
}

/// What the program printed, and its exit code.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// A gate whose clock shows what the clock of the program shows.
async fn started(settings: Settings) -> Served {
    let served = Served::start(settings).await;
    let clock = &served.house.clock;
    clock.advance(SystemClock.now().since(clock.now()));
    served
}

impl Desk {
    fn at(served: &Served) -> Self {
        let ledger = Arc::clone(&served.house.ledger);
        Self { folder: tempfile::tempdir().unwrap(), internal: served.internal.to_string(), ledger }
    }

    /// Runs the program with this key, if there is one. No output holds a secret.
    async fn run(&self, words: &[&str], key: Option<&str>) -> Ended {
        let words = [words, &["--internal", &self.internal]].concat();
        let ended = run(self.folder.path(), &words, key).await;
        let told = format!("{}{}", ended.out, ended.err);
        assert!(!self.ledger.is_told_in(&told), "{told}");
        ended
    }
}

/// Runs the program off the threads that serve.
async fn run(folder: &Path, words: &[&str], key: Option<&str>) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
    command.args(words).current_dir(folder).env_clear();
    command.envs(key.map(|key| ("CALLGATE_KEYS", key)));
    let ran = tokio::task::spawn_blocking(move || program::output(&mut command));
    let Output { status, stdout, stderr } = ran.await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: status.code(), out: text(stdout), err: text(stderr) }
}

impl Ended {
    fn json(&self) -> Value {
        assert_eq!((self.code, &*self.err), (Some(0), ""), "{self:?}");
        assert_eq!(self.out.lines().count(), 1, "{self:?}");
        serde_json::from_str(&self.out).unwrap()
    }

    fn told(&self) -> &str {
        assert_eq!((self.code, &*self.err), (Some(0), ""), "{self:?}");
        &self.out
    }
}

/// A gate whose key is [`KEY`].
async fn keyed() -> Served {
    let keys = vec![SecretText::new(KEY.to_owned())];
    let served = started(Settings { keys, ..settings() }).await;
    served.house.ledger.add(KEY);
    served
}

#[tokio::test]
async fn sessions_are_listed_shown_and_ended() {
    let served = keyed().await;
    let desk = Desk::at(&served);
    assert_eq!(desk.run(&["sessions", "list"], Some(KEY)).await.told(), "no session is stored\n");
    let visitor = served.house.visitor();
    visitor.get("/login?privileges=admin&user=ada").header("user-agent", "Lynx").send().await;
    let id = visitor.write("cart", "a_value_that_is_nobodys_business").await;
    let token = visitor.mint("for=Probe.whoami").await;
    served.house.ledger.add("a_value_that_is_nobodys_business");

    let list = desk.run(&["sessions", "list"], Some(KEY)).await;
    let lines: Vec<Vec<&str>> = list.told().lines().map(|it| it.split("  ").collect()).collect();
    assert_eq!(lines[0][0].trim(), "SESSION");
    assert_eq!((lines.len(), lines[1][0], lines[1][1].trim()), (2, &*id, "ada"));
    let json = desk.run(&["sessions", "list", "--format", "json"], Some(KEY)).await.json();
    assert_eq!(json["sessions"][0]["id"], id);

    let shown = desk.run(&["sessions", "show", &id], Some(KEY)).await;
    for part in
        ["user        ada\n", "privileges  admin\n", "cart         34\n", "Probe.whoami", "Lynx"]
    {
        assert!(shown.told().contains(part), "{part:?} is not in\n{}", shown.out);
    }
    let json = desk.run(&["sessions", "show", &id, "--format", "json"], Some(KEY)).await.json();
    assert_eq!(json["storage"][0]["key"], "cart");

    let ended = desk.run(&["sessions", "end", &id], Some(KEY)).await;
    assert_eq!(ended.told(), format!("session {id} has ended, with its tokens\n"));
    assert_eq!(outcome(&visitor.follow("/whoami", &token).await), "sessionGone");
    for verb in ["end", "show"] {
        let again = desk.run(&["sessions", verb, &id], Some(KEY)).await;
        assert_eq!((again.code, &*again.out), (Some(67), ""));
        let why = format!("callgate: there is no session {id}; callgate sessions list shows ");
        assert!(again.err.starts_with(&why), "{again:?}");
    }
}

#[tokio::test]
async fn tokens_are_listed_and_revoked() {
    let served = keyed().await;
    let desk = Desk::at(&served);
    let list: &[&str] = &["tokens", "list"];
    assert_eq!(desk.run(list, Some(KEY)).await.told(), "no token can be redeemed\n");
    let visitor = served.house.visitor();
    let token = visitor.mint("for=Probe.whoami&mode=share").await;
    let json = desk.run(&["tokens", "list", "--format", "json"], Some(KEY)).await.json();
    let id = json["tokens"][0]["id"].as_str().unwrap().to_owned();
    let lines = desk.run(list, Some(KEY)).await;
    assert!(lines.told().lines().nth(1).unwrap().starts_with(&id), "{lines:?}");
    let revoked = desk.run(&["tokens", "revoke", &id], Some(KEY)).await;
    assert_eq!(revoked.told(), format!("token {id} is revoked\n"));
    assert_eq!(desk.run(&["tokens", "revoke", &id], Some(KEY)).await.code, Some(67));
    assert_ne!(outcome(&visitor.follow("/whoami", &token).await), "restored");
}

#[tokio::test]
async fn a_list_of_more_than_one_page_is_whole() {
    let served = keyed().await;
    for _ in 0..1_001 {
        served.house.visitor().write("k", "v").await;
    }
    let all = Desk::at(&served).run(&["sessions", "list", "--format", "json"], Some(KEY)).await;
    assert_eq!(all.json()["sessions"].as_array().unwrap().len(), 1_001);
}

#[tokio::test]
async fn a_wrong_key_ends_with_77_and_the_way_out() {
    let served = keyed().await;
    let desk = Desk::at(&served);
    for (key, why) in [
        (None, " wants the key of its settings; give its settings with --settings FILE, "),
        (Some(OTHER_KEY), " wants another key than that of these settings; give its settings "),
    ] {
        let ended = desk.run(&["sessions", "list"], key).await;
        assert_eq!((ended.code, &*ended.out), (Some(77), ""), "{ended:?}");
        assert!(ended.err.contains(why), "{ended:?}");
    }
}

#[tokio::test]
async fn the_key_is_that_of_the_settings_and_never_one_that_a_server_names() {
    let data = tempfile::tempdir().unwrap();
    // Only the key comes from there: the house brings its store. A path as people have them.
    let folder = data.path().join("my \"own\", 100% data");
    let app = callgate::settings::AppName::parse("shop").unwrap();
    let store = StoreUrl::Embedded(folder.clone());
    let served = started(Settings { store, app, ..settings() }).await;
    let key = std::fs::read_to_string(folder.join("callgate.key")).unwrap();
    served.house.ledger.add(key.lines().last().unwrap());
    let desk = Desk::at(&served);
    let folder = folder.to_str().unwrap();
    let own = format!("embedded:{folder}");
    let named: &[&str] = &["sessions", "list", "--store", &own, "--app", "shop"];
    assert_eq!(desk.run(named, None).await.told(), "no session is stored\n");
    for key in [None, Some(OTHER_KEY)] {
        let ended = desk.run(&["sessions", "list"], key).await;
        assert_eq!(ended.code, Some(77), "{ended:?}");
        assert!(ended.err.contains("it says that its key is in \""), "{ended:?}");
        assert!(ended.err.contains("the folder of its store with --store embedded:"), "{ended:?}");
    }
    std::fs::rename(data.path().join(folder).join("callgate.key"), data.path().join("away"))
        .unwrap();
    std::os::unix::fs::symlink(
        data.path().join("away"),
        data.path().join(folder).join("callgate.key"),
    )
    .unwrap();
    let ended = desk.run(named, None).await;
    assert_eq!(ended.code, Some(77), "{ended:?}");
    assert!(ended.err.contains("callgate.key: it is a link"), "{ended:?}");
}

/// A server that is none of ours: it answers every request with `response`, and keeps what it was
/// asked.
fn impostor(response: Vec<u8>) -> (String, std::thread::JoinHandle<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = vec![0; 8 * 1024];
        let read = std::io::Read::read(&mut stream, &mut asked).unwrap();
        // Whoever has enough hangs up.
        let _ = std::io::Write::write_all(&mut stream, &response);
        String::from_utf8_lossy(&asked[..read]).into_owned()
    });
    (address, serving)
}

#[tokio::test]
async fn no_file_that_an_impostor_names_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let another = folder.path().join("another.key");
    std::fs::write(&another, format!("{KEY}\n")).unwrap();
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&another, &link).unwrap();
    for file in [&another, &pipe, &link, Path::new("/dev/zero")] {
        let challenge = format!("Callgate app=\"callgate\", key-file=\"{}\"", file.display());
        let head = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n";
        let (address, serving) =
            impostor(format!("{head}WWW-Authenticate: {challenge}\r\n\r\n{{}}").into_bytes());
        let words = ["sessions", "list", "--internal", &address];
        let ended = run(folder.path(), &words, None).await;
        assert_eq!((ended.code, &*ended.out), (Some(77), ""), "{ended:?}");
        let asked = serving.join().unwrap().to_ascii_lowercase();
        assert!(asked.starts_with("get /sessions") && !asked.contains("authorization"), "{asked}");
        assert!(ended.err.contains(&format!("its key is in \"{}\"", file.display())), "{ended:?}");
    }
}

#[tokio::test]
async fn a_server_that_never_comes_to_an_end_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let page = "{\"sessions\":[],\"next\":\"../0\"}";
    let length = page.len();
    let page = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{page}");
    let (address, serving) = impostor(page.into_bytes());
    let ended = run(folder.path(), &["sessions", "list", "--internal", &address], None).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert!(ended.err.contains("does not come to an end"), "{ended:?}");
    serving.join().unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
    let (address, serving) = impostor([head.as_bytes(), &vec![b' '; 65 << 20]].concat());
    let ended = run(folder.path(), &["sessions", "list", "--internal", &address], None).await;
    assert_eq!((ended.code, &*ended.out), (Some(69), ""), "{ended:?}");
    serving.join().unwrap();
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused_before_anybody_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    // The default address: if anything were asked there, this would end otherwise.
    for words in [
        &["sessions"][..],
        &["sessions", "show"],
        &["sessions", "show", "x"],
        &["sessions", "end", "0123456789ABCDEF"],
        &["tokens", "revoke", "../sessions"],
        &["tokens", "show", "0123456789ABCDEF"],
    ] {
        let ended = run(folder.path(), words, None).await;
        assert_eq!((ended.code, &*ended.out), (Some(64), ""), "{words:?}: {ended:?}");
    }
    for (internal, why) in [("off", "internal is \"off\""), ("127.0.0.1:0", "internal has port 0")]
    {
        let ended = run(folder.path(), &["tokens", "list", "--internal", internal], None).await;
        assert_eq!(ended.code, Some(78), "{ended:?}");
        assert!(ended.err.contains(why) && ended.err.contains("--internal ADDR"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_ends_with_69() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let folder = tempfile::tempdir().unwrap();
    let ended = run(folder.path(), &["sessions", "list", "--internal", &address], None).await;
    assert_eq!((ended.code, &*ended.out), (Some(69), ""), "{ended:?}");
    let why = format!("callgate: no server answers on {address}: ");
    assert!(ended.err.starts_with(&why) && ended.err.contains("callgate serve"), "{ended:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "no key is made to ask");
}

/// The program as it serves; it is killed when this is dropped.
struct Running {
    child: Child,
    internal: String,
    log: BufReader<std::process::ChildStderr>,
}

impl Running {
    fn start(folder: &Path) -> Self {
        let words = "serve --listen 127.0.0.1:0 --internal 127.0.0.1:0 --reload off";
        let mut child = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(words.split(' '))
            .current_dir(folder)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let internal =
            lines.find_map(|it| Some(it.strip_prefix("internal on http://")?.to_owned()));
        assert!(lines.next().unwrap().starts_with("listening on "));
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, internal: internal.unwrap(), log }
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// The next line of the log about the table.
    fn told(&mut self) -> Value {
        loop {
            let mut line = String::new();
            assert!(self.log.read_line(&mut line).unwrap() > 0, "the log ended");
            let line: Value = serde_json::from_str(&line).unwrap_or_default();
            if line["event"].as_str().is_some_and(|event| event.starts_with("table.")) {
                return line;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_server_that_runs_is_operated_and_reloads_at_sighup() {
    let home = tempfile::tempdir().unwrap();
    let table = home.path().join("handlers.json");
    std::fs::write(&table, "[]").unwrap();
    let mut running = Running::start(home.path());
    let elsewhere = tempfile::tempdir().unwrap();
    let list = ["sessions", "list", "--internal", &running.internal];
    // Where it serves, its key is found; elsewhere, its store has to be named.
    assert_eq!(run(home.path(), &list, None).await.told(), "no session is stored\n");
    let store = format!("embedded:{}/data", home.path().display());
    let named = [&list[..], &["--store", &store]].concat();
    assert_eq!(run(elsewhere.path(), &named, None).await.told(), "no session is stored\n");
    assert_eq!(run(elsewhere.path(), &list, None).await.code, Some(77));
    running.signal("-HUP");
    assert_eq!(running.told()["event"], "table.unchanged");
    std::fs::write(&table, "[\n  {}\n]").unwrap();
    running.signal("-HUP");
    let refused = running.told();
    assert_eq!((&refused["event"], &refused["level"]), (&"table.refused".into(), &"ERROR".into()));
    assert_eq!((&refused["line"], &refused["column"]), (&2.into(), &3.into()), "{refused}");
    let good = r#"[{ "class": "Home", "method": "shew", "pattern": "home" }]"#;
    std::fs::write(&table, good).unwrap();
    running.signal("-HUP");
    // What else is wrong with the row that was refused.
    let mut told = running.told();
    while told["event"] == "table.refused" {
        told = running.told();
    }
    assert_eq!((&told["event"], &told["generation"]), (&"table.reloaded".into(), &2.into()));
    assert_eq!((&told["rows"], &told["warnings"]), (&1.into(), &1.into()));
    let warning = running.told();
    assert_eq!((&warning["event"], &warning["line"]), (&"table.warning".into(), &1.into()));
    running.signal("-TERM");
    assert!(running.child.wait().unwrap().success());
}
