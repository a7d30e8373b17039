//! Forward rows with servers of other people's making behind them, with many slow ones, and at
//! speed.

#[path = "../it/framing/http1.rs"]
mod http1;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use callgate::base::clock::Stopwatch;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use crate::speed::Contender;
use crate::speed::Kind;
use crate::speed::alternate;
use crate::speed::report;
use crate::support::Ask;
use crate::support::Connection;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::run;
use crate::support::services::skipped;
use crate::support::size;

/// What becomes of a request of the corpus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Its connection goes on.
    GoesOn(u16),
    /// Its connection ends.
    Ends(u16),
}

use Verdict::Ends;
use Verdict::GoesOn;

/// Counts whole requests by their paths, and says so under `/counts`.
const PYTHON: &str = r#"
import http.server, json
counts = {}
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        path = self.path.split("?")[0]
        chunked = self.headers.get("Transfer-Encoding")
        if chunked:
            while True:
                line = self.rfile.readline()
                if not line:
                    return
                size = int(line.split(b";")[0], 16)
                if len(self.rfile.read(size + 2)) < size + 2:
                    return
                if size == 0:
                    break
        elif len(self.rfile.read(int(self.headers.get("Content-Length", 0)))) < int(self.headers.get("Content-Length", 0)):
            return
        if path != "/counts":
            counts[path] = counts.get(path, 0) + 1
        body = json.dumps(counts).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_GET = do_POST = do_PURGE = answer
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("listening on http://127.0.0.1:%d" % server.server_port, flush=True)
server.serve_forever()
"#;

/// The same.
const NODE: &str = r#"
const counts = {};
const server = require("http").createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    const path = request.url.split("?")[0];
    if (path !== "/counts") counts[path] = (counts[path] || 0) + 1;
    response.setHeader("Content-Type", "application/json");
    const body = JSON.stringify(counts);
    response.setHeader("Content-Length", body.length);
    response.end(body);
  });
});
server.listen(0, "127.0.0.1", () =>
  console.log(`listening on http://127.0.0.1:${server.address().port}`));
"#;

/// A gate with rows that forward these paths to an upstream.
fn gate(home: &Path, upstream: SocketAddr, paths: &[&str]) -> ServerPlan {
    let row = |path: &&str| {
        format!(
            r#"{{ "forward": "http://{upstream}", "pattern": "{path}", "limits": {{ "timeoutMs": 600000 }} }}"#
        )
    };
    let mut rows: Vec<String> = paths.iter().map(row).collect();
    rows.push(r#"{ "class": "Probe", "method": "write", "pattern": "write" }"#.to_owned());
    let table = home.join("handlers.json");
    fs::write(&table, format!("[{}]", rows.join(","))).unwrap();
    let plan = ServerPlan::probe("memory:").word("marks").set("RELOAD", "off");
    plan.set("HANDLERS", &table.display().to_string())
}

/// A program of this machine, if it has it.
fn installed(program: &str, words: &[&str]) -> Option<Server> {
    let path = Path::new("/usr/bin").join(program);
    if !path.exists() {
        skipped("requests to upstreams of other people", &format!("{} is missing", path.display()));
        return None;
    }
    let plan = ServerPlan::installed(&path);
    Some(words.iter().fold(plan, |plan, word| plan.word(word)).start())
}

#[test]
fn servers_of_other_people_see_each_request_once_and_never_a_part_of_one() {
    for (name, upstream) in [
        ("Python", installed("python3", &["-c", PYTHON])),
        ("Node", installed("node", &["-e", NODE])),
    ] {
        let Some(upstream) = upstream else { continue };
        let home = folder();
        let gate = gate(home.path(), upstream.address, &["say", "echo", "whoami"]).start();
        run(differ(name, &upstream, &gate));
    }
}

/// Sends the corpus through the gate, and compares what came out of it with what went in.
async fn differ(name: &str, upstream: &Server, gate: &Server) {
    const CANARY: &[u8] = b"GET /whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let counts = async || {
        let mut direct = Connection::open(upstream.address).await.unwrap();
        let counts = direct.ask(&Ask::get("/counts")).await.unwrap().json();
        let count = |path: &str| counts[path].as_u64().unwrap_or(0);
        let all = counts.as_object().unwrap().values().filter_map(serde_json::Value::as_u64);
        (all.sum::<u64>(), count("/whoami"))
    };
    let mut wrong = Vec::new();
    let mut passed = 0;
    for (case, request, verdict) in http1::cases() {
        // Node takes no more than 16 KiB of a header, and says so.
        if request.len() > 16_000 || case.contains("fields") {
            continue;
        }
        let (all, canaries) = counts().await;
        let mut stream = TcpStream::connect(gate.address).await.unwrap();
        stream.write_all(&[&request, CANARY].concat()).await.unwrap();
        let mut said = Vec::new();
        // A reset ends a connection too.
        let _ = stream.read_to_end(&mut said).await;
        let after = counts().await;
        let expected = match verdict {
            GoesOn(200) if case == "upgrade" => (1, 0),
            GoesOn(200) => (2, 1),
            GoesOn(_) => (1, 1),
            Ends(200) => (1, 0),
            Ends(_) => (0, 0),
        };
        let found = (after.0 - all, after.1 - canaries);
        passed += found.0;
        if found != expected {
            let said = String::from_utf8_lossy(&said);
            wrong.push(format!("{case}: {found:?} upstream, {verdict:?}: {said}"));
        }
    }
    assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
    figure(&format!("requests upstream, {name}"), format!("{passed}, each counted once"));
}

#[test]
fn slow_upstreams_starve_nobody() {
    run(async {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (home, quick) = (folder(), ServerPlan::bare().start());
        let slow = silent.local_addr().unwrap();
        let table = format!(
            r#"[{{ "forward": "http://{slow}", "pattern": "slow", "limits": {{ "timeoutMs": 600000 }} }},
                {{ "forward": "http://{}", "pattern": "quick" }},
                {{ "class": "Probe", "method": "whoami", "pattern": "whoami" }}]"#,
            quick.address
        );
        fs::write(home.path().join("handlers.json"), table).unwrap();
        let plan = ServerPlan::probe("memory:").word("marks").set("RELOAD", "off");
        let plan = plan.set("HANDLERS", &home.path().join("handlers.json").display().to_string());
        let gate = plan.start();
        let count = size(200, 1_000);
        let mut waiting = gate.connections(count).await;
        let mut held = Vec::new();
        for client in &mut waiting {
            client.send(&Ask::get("/slow").bytes()).await.unwrap();
            held.push(silent.accept().await.unwrap());
        }
        let memory = gate.memory();
        let mut client = gate.connect().await;
        let watch = Stopwatch::start();
        for _ in 0..100 {
            for target in ["/quick", "/whoami"] {
                assert_eq!(client.ask(&Ask::get(target)).await.unwrap().status, 200);
            }
        }
        let each = watch.elapsed().as_secs_f64() * 1000.0 / 200.0;
        figure("a request beside slow upstreams", format!("{each:.2} ms, {count} wait"));
        figure("memory with slow upstreams", format!("{} KiB", memory.resident));
        assert!(each < 50.0, "{each} ms");
    });
}

#[test]
fn what_forwarding_costs() {
    let (rounds, requests) = (size(1, 5), size(500, 30_000));
    let (upstream, home) = (ServerPlan::bare().start(), folder());
    let gate = gate(home.path(), upstream.address, &["up"]);
    let proxy = ServerPlan::proxy().variable("UPSTREAM", &upstream.address.to_string());
    let mut contenders = vec![
        Contender::new("bare proxy", Kind::Hello, proxy.start(), requests),
        Contender::new("forward row, memory", Kind::Pass("/up"), gate.start(), requests),
        Contender::new(
            "forward row, memory, log level warn",
            Kind::Pass("/up"),
            gate.set("LOG_LEVEL", "warn").start(),
            requests,
        ),
    ];
    run(alternate(&mut contenders, rounds));
    report(&contenders);
}
