//! The same load for long: what a server needs does not grow with what it has answered.
//!
//! The clients keep their sessions and mint no tokens: what callgate has to remember stays the
//! same, so that whatever grows is a leak.

use tokio::task::JoinSet;

use crate::support::Ask;
use crate::support::Connection;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::run;
use crate::support::size;

/// Clients that work at the same time, each in a session of its own.
const CLIENTS: usize = 8;
/// Requests on one connection, before the next one is opened.
const ON_A_CONNECTION: usize = 25;
/// How much the second half may add to the resident memory: 2 % (docs/SECURITY.md C-22), and pages
/// of the allocator.
const GROWTH_PERCENT: u64 = 2;
const GROWTH_KIB: u64 = 2 * 1024;

#[test]
fn the_same_load_for_long_needs_no_more_memory_and_no_more_files_in_memory() {
    run(soak("memory", &ServerPlan::probe("memory:")));
}

#[test]
fn the_same_load_for_long_needs_no_more_memory_and_no_more_files_on_disk() {
    let folder = folder();
    run(soak("embedded", &ServerPlan::embedded(folder.path())));
}

async fn soak(name: &str, plan: &ServerPlan) {
    let server = plan.start();
    let mut cookies = vec![String::new(); CLIENTS];
    let requests = size(400, 100_000);
    work(&server, &mut cookies, requests).await;
    let files_before = fewest_files(&server, 0).await;
    let before = server.memory().resident;
    work(&server, &mut cookies, requests).await;
    let files_after = fewest_files(&server, files_before).await;
    let after = server.memory().resident;
    let total = requests * CLIENTS;
    figure(
        &format!("the same load for long, {name}"),
        format!(
            "{total} requests, then {total} more: RSS {before} and {after} KiB, {files_before} and \
             {files_after} files"
        ),
    );
    assert!(files_after <= files_before, "{files_before} files have become {files_after}");
    let bound = before + before * GROWTH_PERCENT / 100 + GROWTH_KIB;
    assert!(after <= bound, "the resident memory has grown from {before} to {after} KiB");
}

/// The fewest files that are open while nobody is connected but who counts, or `enough`. The server
/// closes a connection a little after its client.
async fn fewest_files(server: &Server, enough: usize) -> usize {
    let mut fewest = usize::MAX;
    for _ in 0..200 {
        server.census().await;
        fewest = fewest.min(server.threads_and_files().1);
        if fewest <= enough {
            break;
        }
    }
    fewest
}

async fn work(server: &Server, cookies: &mut Vec<String>, requests: usize) {
    let mut clients = JoinSet::new();
    for (number, cookie) in std::mem::take(cookies).into_iter().enumerate() {
        clients.spawn(client(server.address, number, cookie, requests));
    }
    *cookies = clients.join_all().await;
}

/// Writes, reads, signs in, comes with wrong cookies and wrong tokens, and goes to pages that are
/// not there; its cookie at the end.
async fn client(
    address: std::net::SocketAddr,
    number: usize,
    mut cookie: String,
    requests: usize,
) -> String {
    let mut connection = Connection::open(address).await.unwrap();
    for turn in 0..requests {
        if turn % ON_A_CONNECTION == 0 {
            connection = Connection::open(address).await.unwrap();
        }
        let ask = match turn % 6 {
            0 => Ask::get(&format!("/write?key=a&value={turn}")),
            1 => Ask::get("/whoami"),
            2 => Ask::get(&format!("/login?privileges=p{number}&user=u{number}")),
            3 => Ask::get("/nowhere/at/all"),
            4 => Ask::get(&format!("/whoami?$4DSID={turn:032X}")),
            _ => Ask::get("/whoami").header("Cookie", "4DSID_callgate=forged"),
        };
        let own = turn % 6 != 5 && !cookie.is_empty();
        let ask = if own { ask.cookie(&cookie) } else { ask };
        let reply = connection.ask(&ask).await.unwrap();
        assert!(matches!(reply.status, 200 | 404), "{}", reply.head);
        if let Some(fresh) = reply.cookie().filter(|_| turn % 6 != 5) {
            fresh.clone_into(&mut cookie);
        }
    }
    cookie
}
