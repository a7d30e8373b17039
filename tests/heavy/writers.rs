//! Many who write into one session, and one who logs out in between (docs/SECURITY.md G21, G22).

use std::sync::Arc;

use callgate::base::clock::Stopwatch;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::Ask;
use crate::support::Connection;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::run;
use crate::support::size;

#[test]
fn parallel_writers_of_one_session_in_memory_lose_nothing() {
    run(write_together("memory", &ServerPlan::probe("memory:")));
}

#[test]
fn parallel_writers_of_one_session_on_disk_lose_nothing() {
    let folder = folder();
    run(write_together("embedded", &ServerPlan::embedded(folder.path())));
}

#[test]
fn a_slow_request_does_not_revive_a_session_in_memory() {
    run(outlive("memory", &ServerPlan::probe("memory:")));
}

#[test]
fn a_slow_request_does_not_revive_a_session_on_disk() {
    let folder = folder();
    run(outlive("embedded", &ServerPlan::embedded(folder.path())));
}

async fn write_together(name: &str, plan: &ServerPlan) {
    let writers = size(40, 200);
    let rounds = size(5, 20);
    let server = plan.start();
    let hello = server.connect().await.ask(&Ask::get("/whoami")).await.unwrap().good();
    // A guest of whom nothing is stored: the first writes race to found the session, too.
    let (cookie, session) = (hello.cookie().unwrap().to_owned(), hello.session());
    let barrier = Arc::new(Barrier::new(writers));
    let mut writing = JoinSet::new();
    let watch = Stopwatch::start();
    for (number, connection) in server.connections(writers).await.into_iter().enumerate() {
        let me = Writer { number, cookie: cookie.clone(), session: session.clone(), rounds };
        writing.spawn(write(connection, me, Arc::clone(&barrier)));
    }
    writing.join_all().await;
    let elapsed = watch.elapsed();
    let whoami = Ask::get("/whoami").cookie(&cookie);
    let storage = server.connect().await.ask(&whoami).await.unwrap().good().json();
    let storage = storage["storage"].as_object().unwrap();
    for number in 0..writers {
        assert_eq!(storage[&format!("own{number}")], format!("{}", rounds - 1));
    }
    let acknowledged = writers * rounds;
    assert_eq!(storage["sum"], acknowledged, "every acknowledged addition counts once");
    assert_eq!(storage.len(), writers + 1);
    assert_eq!(server.census().await, (1, 0), "all writers met in one session");
    figure(
        &format!("writers on {name}"),
        format!(
            "{writers} writers x {rounds} rounds, {acknowledged} writes of own keys and \
             {acknowledged} additions to one key, 0 lost, {:.1} s",
            elapsed.as_secs_f64()
        ),
    );
}

struct Writer {
    number: usize,
    cookie: String,
    session: String,
    rounds: usize,
}

/// Writes a key of its own, and adds to one that all writers share.
async fn write(mut connection: Connection, me: Writer, barrier: Arc<Barrier>) {
    for round in 0..me.rounds {
        let own = Ask::get(&format!("/write?key=own{}&value={round}", me.number));
        barrier.wait().await;
        let reply = connection.ask(&own.cookie(&me.cookie)).await.unwrap().good();
        assert_eq!(reply.result(), me.session);
        connection.ask(&Ask::get("/add?key=sum").cookie(&me.cookie)).await.unwrap().good();
    }
}

async fn outlive(name: &str, plan: &ServerPlan) {
    let rounds = size(30, 1_000);
    let server = plan.start();
    let mut slow = server.connect().await;
    let mut quick = server.connect().await;
    for _ in 0..rounds {
        outlive_once(&mut slow, &mut quick).await;
    }
    assert_eq!(server.census().await, (0, 0), "no session is left, and no token");
    figure(
        &format!("slow request against logout on {name}"),
        format!("{rounds} rounds, 0 sessions revived"),
    );
}

/// A slow request begins, its session is logged out, the slow request writes and ends.
async fn outlive_once(slow: &mut Connection, quick: &mut Connection) {
    let founded = quick.ask(&Ask::get("/write?key=a&value=1")).await.unwrap().good();
    let (cookie, session) = (founded.cookie().unwrap().to_owned(), founded.result());
    slow.renew().await.unwrap();
    slow.send(&Ask::get("/linger?value=late").cookie(&cookie).bytes()).await.unwrap();
    quick.ask(&Ask::get("/control/arrivals?count=1")).await.unwrap().good();
    quick.ask(&Ask::get("/logout").cookie(&cookie)).await.unwrap().good();
    quick.ask(&Ask::get("/control/open?count=1")).await.unwrap().good();
    let late = slow.receive(false).await.unwrap().good();
    assert_eq!(late.session(), session, "the slow handler still saw its session");
    let after = quick.ask(&Ask::get("/whoami").cookie(&cookie)).await.unwrap().good();
    assert_ne!(after.session(), session, "a closed id never comes back");
    assert_eq!(after.json()["storage"], serde_json::json!({}));
}

#[test]
fn what_a_guest_writes_after_his_logout_is_in_another_session() {
    run(async {
        let server: Server = ServerPlan::probe("memory:").start();
        let mut connection = server.connect().await;
        let founded = connection.ask(&Ask::get("/write?key=a&value=1")).await.unwrap().good();
        let cookie = founded.cookie().unwrap().to_owned();
        connection.ask(&Ask::get("/logout").cookie(&cookie)).await.unwrap().good();
        let again = Ask::get("/write?key=b&value=2").cookie(&cookie);
        let again = connection.ask(&again).await.unwrap().good();
        assert_ne!(again.result(), founded.result());
        assert_ne!(again.cookie(), Some(&*cookie));
    });
}
