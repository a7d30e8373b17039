//! How the program ends when it is told to: with a lead, without one, and at once.

use std::io::BufRead;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use callgate::base::clock::Stopwatch;
use tempfile::TempDir;

/// A lead or a drain that no test waits for.
const LONG_SECS: &str = "60";
/// Less than that, and more than anything here takes.
const SOON: Duration = Duration::from_secs(30);

/// The program, serving; killed when this is dropped.
struct Serving {
    child: Child,
    public: SocketAddr,
    internal: Option<SocketAddr>,
    _place: TempDir,
}

impl Serving {
    fn start(words: &[&str]) -> Self {
        let place = tempfile::tempdir().unwrap();
        let table = r#"[{ "class": "Mail", "method": "send", "pattern": "mail" }]"#;
        std::fs::write(place.path().join("handlers.json"), table).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(["--store", "memory:", "--listen", "127.0.0.1:0"])
            .args(words)
            .current_dir(place.path())
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut internal = None;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let public = loop {
            let line = lines.next().expect("it ended before it listened").unwrap();
            match line.split_once(" on http://").unwrap() {
                ("internal", address) => internal = address.parse().ok(),
                (_, address) => break address.parse().unwrap(),
            }
        };
        Self { child, public, internal, _place: place }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for the end, which must come soon; the exit code.
    fn ended(&mut self) -> Option<i32> {
        let watch = Stopwatch::start();
        let code = self.child.wait().unwrap().code();
        assert!(watch.elapsed() < SOON, "it waited for something");
        code
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status of a GET on a connection of its own; `None` when there is nobody.
fn status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(SOON)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    match stream.read_to_string(&mut answer) {
        Ok(_) => answer.get(9..12)?.parse().ok(),
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "no answer to {path}");
            None
        }
    }
}

#[test]
fn sigterm_says_so_first_and_goes_on_for_a_while() {
    let mut serving = Serving::start(&["--internal", "127.0.0.1:0"]);
    let internal = serving.internal.unwrap();
    assert_eq!(status(internal, "/readyz"), Some(200));
    serving.signal("TERM");
    while status(internal, "/readyz") != Some(503) {}
    assert_eq!(status(serving.public, "/nowhere"), Some(404), "who still comes is served");
    assert_eq!(serving.ended(), Some(0));
}

#[test]
fn sigint_and_who_has_nobody_to_say_it_to_do_not_wait() {
    for (internal, signal) in [("127.0.0.1:0", "INT"), ("off", "TERM"), ("off", "INT")] {
        let lead = ["--internal", internal, "--limits-drain-lead-secs", LONG_SECS];
        let mut serving = Serving::start(&lead);
        assert_eq!(status(serving.public, "/nowhere"), Some(404));
        serving.signal(signal);
        assert_eq!(serving.ended(), Some(0), "{internal} {signal}");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    for (first, second) in [("TERM", "TERM"), ("TERM", "INT"), ("INT", "INT")] {
        let lead = ["--internal", "127.0.0.1:0", "--limits-drain-lead-secs", LONG_SECS];
        let drain = ["--limits-drain-secs", LONG_SECS, "--limits-body-gap-secs", LONG_SECS];
        let mut serving = Serving::start(&[lead, drain].concat());
        // An upload that does not end keeps the drain waiting.
        let mut upload = TcpStream::connect(serving.public).unwrap();
        upload.set_read_timeout(Some(SOON)).unwrap();
        let begin = "POST /mail HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\
                     Expect: 100-continue\r\n\r\n";
        upload.write_all(begin.as_bytes()).unwrap();
        let mut goes_on = [0; "HTTP/1.1 100 Continue".len()];
        upload.read_exact(&mut goes_on).unwrap();
        serving.signal(first);
        let internal = serving.internal.unwrap();
        while status(internal, "/readyz") != Some(503) {}
        serving.signal(second);
        assert_eq!(serving.ended(), Some(1), "{first} {second}");
    }
}
