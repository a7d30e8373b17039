//! A server that is asked for more connections than it may open files (docs/SECURITY.md T49).

use std::time::Duration;

use callgate::base::clock::Stopwatch;
use tokio::net::TcpStream;

use crate::support::Ask;
use crate::support::Connection;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::run;
use crate::support::slow::from;

/// Files that the server may open, its own included.
const FILES: u32 = 256;
/// Connections that come at once, and stay.
const CALLERS: usize = 1_000;
/// Each address has fewer than it may have.
const PER_ADDRESS: usize = 200;
/// How soon everything must be as before once the callers have gone.
const RECOVERY_MAX: Duration = Duration::from_secs(5);

#[test]
fn a_server_without_files_left_answers_operators_and_recovers() {
    let plan = ServerPlan::probe("memory:")
        .files(FILES)
        .set("INTERNAL", "127.0.0.1:0")
        // Nobody is sent away for his silence before the test is over.
        .set("LIMITS_FIRST_BYTE_SECS", "30");
    let mut server = plan.start();
    let internal = server.internal.unwrap();
    run(async {
        let mut callers: Vec<TcpStream> = Vec::new();
        for at in 0..CALLERS {
            callers.push(from(at / PER_ADDRESS, server.address).await.unwrap());
        }
        let watch = Stopwatch::start();
        for path in ["/livez", "/readyz", "/livez"] {
            let mut operator = Connection::open(internal).await.unwrap();
            operator.ask(&Ask::get(path)).await.unwrap().good();
        }
        let asked = watch.elapsed();
        let waiting = server.connect();
        drop(callers);
        let watch = Stopwatch::start();
        waiting.await.ask(&Ask::get("/whoami")).await.unwrap().good();
        let recovered = watch.elapsed();
        figure(
            "file descriptors",
            format!(
                "{CALLERS} silent connections to a server that may open {FILES} files: three \
                 questions of operators answered in {} ms, a client answered {} ms after they left",
                asked.as_millis(),
                recovered.as_millis()
            ),
        );
        assert!(recovered < RECOVERY_MAX, "{recovered:?}");
    });
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));
}
