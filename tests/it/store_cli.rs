//! `callgate store` and the settings of stores as an operator runs them: what is said, what is
//! copied, and that no password is ever shown.

use std::path::Path;
use std::process::Command;
use std::process::Output;

use callgate::base::Clock;
use callgate::base::Timestamp;
use callgate::base::clock::SystemClock;
use callgate::session::Lifetime;
use callgate::session::Patch;
use callgate::session::Record;
use callgate::store::Store;
use callgate::store::embedded::EmbeddedStore;
use callgate::store::port::Created;
use callgate::store::port::Founding;
use callgate::token::Token;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::stores::kit::founding;
use crate::stores::kit::token;
use crate::support::program;

/// A password that must never be seen in any output.
const PASSWORD: &str = "hunter2canary";

/// A folder to run the program in.
struct Place(TempDir);

/// What the program printed, and its exit code.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, file: &str, text: &str) -> Self {
        std::fs::write(self.path(file), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// Runs the program. No output holds the password, whatever is wrong.
    fn run(&self, words: &[&str], variables: &[(&str, &str)]) -> Ended {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callgate"));
        command.args(words).current_dir(self.0.path()).env_clear();
        let output = program::output(command.envs(variables.iter().copied()));
        let Output { status, stdout, stderr } = output;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let ended = Ended { code: status.code(), out: text(stdout), err: text(stderr) };
        assert!(!format!("{}{}", ended.out, ended.err).contains(PASSWORD), "{ended:?}");
        ended
    }

    fn json(&self, words: &[&str]) -> Value {
        let ended = self.run(&[words, &["--format", "json"]].concat(), &[]);
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// A store with so many sessions that live now, each with a token that can be redeemed.
async fn filled(folder: &Path, sessions: usize) -> Vec<(Record, Token)> {
    let store = EmbeddedStore::open(folder).unwrap();
    let now = SystemClock.now();
    let mut made = Vec::new();
    for _ in 0..sessions {
        let Founding { record, .. } = founding();
        let device = record.devices[0].clone();
        let record = Record::new(record.id, now, Lifetime::default(), device);
        let token = Token { expires_at: now.after_secs(600), ..token(record.id) };
        let founding = Founding {
            record: record.clone(),
            patch: Patch::default(),
            token: Some(token.clone()),
        };
        assert!(matches!(store.create(now, founding).await.unwrap(), Created::New(_)));
        made.push((record, token));
    }
    store.close().await.unwrap();
    made
}

async fn looked_into(folder: &Path) -> (usize, usize) {
    let store = EmbeddedStore::open(folder).unwrap();
    let now: Timestamp = SystemClock.now();
    let sessions = store.sessions(now, None, 1_000).await.unwrap().len();
    let tokens = store.tokens(now, None, 1_000).await.unwrap().len();
    store.close().await.unwrap();
    (sessions, tokens)
}

#[test]
fn the_doctor_says_what_a_store_guarantees_and_what_to_change() {
    let place = Place::new();
    let embedded = place.run(&["store", "doctor"], &[]);
    assert_eq!((embedded.code, &*embedded.err), (Some(0), ""), "{embedded:?}");
    let lines: Vec<&str> = embedded.out.lines().collect();
    assert_eq!(lines[0], "embedded:data");
    assert!(
        lines[1].starts_with("  single use   a token is redeemed once at most, through crashes"),
        "{embedded:?}"
    );
    assert_eq!(lines[2], "  a crash      loses nothing that was answered");
    assert_eq!(lines.last(), Some(&"  to change    nothing"));
    let memory = place.run(&["store", "doctor", "memory:"], &[]);
    assert_eq!((memory.code, &*memory.err), (Some(78), ""), "{memory:?}");
    assert!(memory.out.contains("  a crash      can lose what was answered\n"), "{memory:?}");
    assert!(memory.out.contains("  lacking      a restart loses every session"), "{memory:?}");
    let json = place.json(&["store", "doctor", "memory:"]);
    assert_eq!((&json["name"], &json["url"]), (&json!("memory"), &json!("memory:")));
    assert_eq!(json["survivesCrash"], false);
    assert!(json["lacks"][0]["remedy"].as_str().unwrap().contains("embedded:DIR"), "{json}");
    assert_eq!(place.names(), [""; 0], "a doctor writes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_in_use_is_still_described() {
    let place = Place::new();
    let held = EmbeddedStore::open(&place.path("data")).unwrap();
    let (settings, doctor) = tokio::task::spawn_blocking(move || {
        (place.run(&["settings"], &[]), place.run(&["store", "doctor"], &[]))
    })
    .await
    .unwrap();
    drop(held);
    assert_eq!((settings.code, doctor.code), (Some(0), Some(0)), "{settings:?} {doctor:?}");
    let comments: Vec<&str> = settings.out.lines().skip_while(|it| !it.starts_with("# ")).collect();
    let said: Vec<String> = doctor.out.lines().map(|line| format!("# {line}")).collect();
    assert_eq!(comments, said, "the settings end with what the doctor says");
}

#[test]
fn a_password_in_a_url_is_never_shown() {
    let store = format!("postgres://me:{PASSWORD}@127.0.0.1:1/gate");
    let bad = format!("postgres://me:{PASSWORD}@127.0.0.1:port/gate");
    let worse = format!("redis://{PASSWORD}@a,b:{PASSWORD}");
    let file = format!("store = \"{store}\"\nkeys = [\"{}\"]\n", "ab".repeat(32));
    let place = Place::new()
        .with("handlers.json", "[]")
        .with("callgate.toml", &file)
        .with("bad.toml", &format!("app = \"a\"\nstore = \"{bad}\"\n"));
    let settings = place.run(&["settings"], &[]);
    assert_eq!(
        settings.code,
        Some(0),
        "a store that cannot be reached is no failure: {settings:?}"
    );
    let line = settings.out.lines().find(|line| line.starts_with("store = ")).unwrap();
    assert!(line.starts_with("store = \"postgres://me@127.0.0.1:1/gate\""), "{line}");
    assert!(line.ends_with("# file callgate.toml:1"), "{line}");
    let last = settings.out.lines().find(|line| line.starts_with("# postgres://me@")).unwrap();
    assert!(last.ends_with(" cannot say what it guarantees:"), "{last}");
    for (words, code) in [
        (&["check"][..], 0),
        (&["check", "--settings", "bad.toml"], 78),
        (&["serve", "--settings", "bad.toml"], 78),
        (&["serve", "--listen", "127.0.0.1:0", "--internal", "off"], 69),
        (&["store", "doctor"], 69),
        (&["store", "doctor", &store], 69),
        (&["store", "doctor", &bad], 64),
        (&["store", "doctor", &worse], 64),
        (&["store", "doctor", PASSWORD], 64),
        (&["store", "copy", "settings", "embedded:other"], 69),
        (&["store", "copy", &store, &store], 64),
        (&["store", "copy", &store, &store, &store], 64),
        (&["store", "doctor", &store, "--password-file", "callgate.toml"], 64),
        (&["check", "--store", &worse], 78),
        (&[&*store], 64),
        (&["--store", &store, &store], 64),
        (&["check", &format!("redis+sentinel://h/m?sentinel_password={PASSWORD}")], 64),
    ] {
        let ended = place.run(words, &[]);
        assert_eq!(ended.code, Some(code), "{words:?}: {ended:?}");
    }
    let named = place.run(&["check", "--settings", "bad.toml"], &[]);
    assert!(
        named.out.contains("bad.toml:2:9: error: store is of the kind \"postgres\"; "),
        "{named:?}"
    );
}

#[test]
fn nodes_that_share_a_store_are_refused_without_keys() {
    let place = Place::new().with("handlers.json", "[]");
    let store = [("CALLGATE_STORE", "redis://127.0.0.1:1")];
    for words in [&["serve"][..], &["settings"], &["store", "doctor"]] {
        let ended = place.run(words, &store);
        assert_eq!((ended.code, &*ended.out), (Some(78), ""), "{words:?}: {ended:?}");
        assert!(ended.err.contains("error: keys is not set, and every node"), "{ended:?}");
        assert!(ended.err.contains("openssl rand -hex 32"), "{ended:?}");
    }
}

#[test]
fn the_password_file_is_looked_at_before_the_start() {
    let keys = ("CALLGATE_KEYS", &*"ab".repeat(32));
    let place = Place::new()
        .with("handlers.json", "[]")
        .with("password", &format!("{PASSWORD}\n"))
        .with("two", &format!("{PASSWORD}\n{PASSWORD}\n"));
    let url = "redis://ann@127.0.0.1:1";
    let check = |words: &[&str]| {
        let words = [&["check", "--store", url], words].concat();
        place.run(&words, &[keys, ("CALLGATE_STORE_PASSWORD_FILE", "password")])
    };
    let open = check(&[]);
    assert_eq!(open.code, Some(0), "{open:?}");
    assert!(open.out.contains("CALLGATE_STORE_PASSWORD_FILE is in password, which other users"));
    let gone = check(&["--store-password-file", "nowhere"]);
    assert_eq!(gone.code, Some(78), "{gone:?}");
    assert!(gone.out.contains("--store-password-file is nowhere, which is not a file"), "{gone:?}");
    let words = ["serve", "--store", url, "--store-password-file"];
    let two = place.run(&[&words[..], &["two"]].concat(), &[keys]);
    assert_eq!(two.code, Some(78), "{two:?}");
    assert!(two.err.contains("password file two: it does not hold one line"), "{two:?}");
    let closed = place.run(&[&words[..], &["password"]].concat(), &[keys]);
    assert_eq!(closed.code, Some(69), "nobody answers there: {closed:?}");
    let none = place.run(&["check", "--store", url], &[keys]);
    assert!(none.out.contains("--store names a user without a password; "), "{none:?}");
}

#[test]
fn strict_refuses_a_store_that_lacks_something() {
    let place = Place::new().with("handlers.json", "[]");
    let words = ["serve", "--safety", "strict", "--public-origin", "https://shop.example"];
    let memory = place.run(&[&words[..], &["--store", "memory:"]].concat(), &[]);
    assert_eq!(memory.code, Some(78), "{memory:?}");
    assert!(memory.err.contains("--store is \"memory:\", which loses everything"), "{memory:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_copied_and_tokens_moved_by_choice() {
    let place = Place::new();
    let made = filled(&place.path("old"), 40).await;
    let words = ["store", "copy", "embedded:old", "embedded:new"];
    let json = place.json(&words);
    assert_eq!(json["complete"], true, "{json}");
    assert_eq!((&json["sessions"]["copied"], &json["tokens"]), (&40.into(), &Value::Null));
    assert_eq!((looked_into(&place.path("old")).await, made.len()), ((40, 40), 40));
    assert_eq!(looked_into(&place.path("new")).await, (40, 0));
    let again = place.run(&[&words[..], &["--tokens"]].concat(), &[]);
    assert_eq!((again.code, &*again.err), (Some(0), ""), "{again:?}");
    let lines: Vec<&str> = again.out.lines().collect();
    assert_eq!(lines[0], "embedded:old to embedded:new, application callgate");
    assert_eq!(lines[1], "sessions  0 copied, 40 there already, 0 ended meanwhile, 0 too large");
    assert!(lines[2].starts_with("tokens    40 moved, 0 there already, "), "{again:?}");
    assert!(lines[3].contains("old/callgate.key (keys_file)"), "{again:?}");
    assert_eq!(looked_into(&place.path("old")).await, (40, 0));
    assert_eq!(looked_into(&place.path("new")).await, (40, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_not_copied() {
    let place = Place::new();
    filled(&place.path("old"), 1).await;
    let held = EmbeddedStore::open(&place.path("held")).unwrap();
    for (from, to, code, why) in [
        ("embedded:old", "embedded:old", 64, "FROM and TO are the same store"),
        ("embedded:old", "embedded:./held/../old", 64, "FROM and TO are the same store"),
        ("memory:", "embedded:old", 64, "memory: begins and ends with a process"),
        ("embedded:old", "settings:", 64, "TO is of the kind \"settings\""),
        ("embedded:gone", "embedded:old", 69, "store gone: there is none"),
        ("settings", "embedded:old", 69, "store data: there is none"),
        ("embedded:held", "embedded:new", 69, "another process has it open"),
        ("embedded:old", "embedded:held", 69, "another process has it open"),
    ] {
        let ended = place.run(&["store", "copy", from, to], &[]);
        assert_eq!((ended.code, &*ended.out), (Some(code), ""), "{from} {to}: {ended:?}");
        assert!(ended.err.contains(why), "{from} {to}: {ended:?}");
    }
    drop(held);
    assert!(!place.names().contains(&"gone".to_owned()), "{:?}", place.names());
}
