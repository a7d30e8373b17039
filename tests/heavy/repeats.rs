//! Callbacks that come again, many at once and across crashes: the handler writes each of its runs
//! into a file, which outlives every process.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use callgate::base::failpoint::Place;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::support::Ask;
use crate::support::Connection;
use crate::support::Reply;
use crate::support::Server;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::run;
use crate::support::size;

/// Where a process is killed in the life of a callback, and what a retry then finds.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Nothing was claimed: the retry is the first run.
    Before(Place),
    /// Claimed, and the handler had not been called.
    Claimed(Place),
    /// The handler was running, or had returned.
    Ran(Option<Place>),
    /// The answer was kept, and perhaps not sent.
    Kept(Place),
    /// In the midst of a commit, after so many others.
    Commit(Place, u32),
}

/// Every run that any process began, by callback.
#[derive(Clone)]
struct Runs(PathBuf);

impl Runs {
    fn of(folder: &Path) -> Self {
        Self(folder.join("runs"))
    }

    /// The target of callback `n` to the row `path`.
    fn target(&self, (path, n): (&str, usize), token: &str, more: &str) -> String {
        format!("{path}?log={}&n={n}{more}&$4DSID={token}", self.0.display())
    }

    fn counts(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        for line in std::fs::read_to_string(&self.0).unwrap_or_default().lines() {
            *counts.entry(line.parse().unwrap()).or_default() += 1;
        }
        counts
    }

    fn of_callback(&self, n: usize) -> usize {
        self.counts().get(&n).copied().unwrap_or(0)
    }
}

#[test]
fn of_many_duplicates_one_runs_and_all_get_its_answer_in_memory() {
    run(duplicates("memory", |_| ServerPlan::probe("memory:")));
}

#[test]
fn of_many_duplicates_one_runs_and_all_get_its_answer_on_disk() {
    run(duplicates("embedded", ServerPlan::embedded));
}

async fn duplicates(name: &str, plan: impl Fn(&Path) -> ServerPlan) {
    let (callbacks, senders) = size((40, 32), (1_000, 32));
    let folder = folder();
    let runs = Runs::of(folder.path());
    let server = plan(folder.path()).start();
    let mut tokens = Vec::new();
    for _ in 0..callbacks {
        // A session of its own for each: what one session may have kept is bounded.
        tokens.push(mint(&server).await);
    }
    let (tokens, barrier) = (Arc::new(tokens), Arc::new(Barrier::new(senders)));
    let mut sending = JoinSet::new();
    for connection in server.connections(senders).await {
        sending.spawn(send(connection, Arc::clone(&tokens), Arc::clone(&barrier), runs.clone()));
    }
    let answers = sending.join_all().await;
    for n in 0..callbacks {
        let first = &answers[0][n];
        assert_eq!(first.status, 201, "{}{}", first.head, first.text());
        let replies = || answers.iter().map(|replies| &replies[n]);
        let same = replies().all(|reply| (reply.status, &reply.body) == (201, &first.body));
        assert!(same, "the answers to callback {n} differ");
        // Only the sender whose request ran the handler gets its cookies.
        let cookies = replies().filter(|reply| reply.headers("set-cookie").next().is_some());
        assert!(cookies.count() <= 1, "a stored answer to callback {n} carries a cookie");
    }
    let counts = runs.counts();
    assert!(counts.len() == callbacks && counts.values().all(|runs| *runs == 1), "{counts:?}");
    let requests = callbacks * senders;
    figure(
        &format!("duplicate callbacks on {name}"),
        format!(
            "{callbacks} callbacks x {senders} = {requests} requests: {callbacks} runs, 0 differing answers"
        ),
    );
}

/// One sender of all callbacks; each is sent by all senders in the same instant.
async fn send(
    mut connection: Connection,
    tokens: Arc<Vec<String>>,
    barrier: Arc<Barrier>,
    runs: Runs,
) -> Vec<Reply> {
    let mut replies = Vec::with_capacity(tokens.len());
    for (n, token) in tokens.iter().enumerate() {
        let ask = Ask::new("POST", &runs.target(("/pay", n), token, ""));
        let bytes = ask.body("text/plain", "amount=1").bytes();
        connection.renew().await.unwrap();
        barrier.wait().await;
        replies.push(connection.ask_bytes(&bytes, false).await.unwrap());
    }
    replies
}

async fn mint(server: &Server) -> String {
    server.connect().await.ask(&Ask::get("/mint")).await.unwrap().good().text()
}

/// Every step at which a process may die.
fn steps() -> Vec<Step> {
    let mut steps = vec![
        Step::Before(Place::Parsed),
        Step::Before(Place::BeforeClaim),
        Step::Claimed(Place::AfterClaim),
        Step::Ran(None),
        Step::Ran(Some(Place::BeforeConclude)),
        Step::Kept(Place::AfterConclude),
        Step::Kept(Place::BeforeCookie),
    ];
    for place in [Place::Batch, Place::BeforeFsync, Place::AfterFsync, Place::BeforeReply] {
        // The claim, what the handler wrote, the answer.
        steps.extend((0..3).map(|skip| Step::Commit(place, skip)));
    }
    steps
}

#[test]
fn a_callback_runs_at_most_once_wherever_its_process_dies() {
    let folder = folder();
    let scene =
        Crashes { plan: ServerPlan::embedded(folder.path()), runs: Runs::of(folder.path()) };
    let (mut kills, mut answered, mut interrupted) = (0, 0, 0);
    for _ in 0..size(1, 20) {
        for step in steps() {
            let n = kills;
            let reply = run(scene.die_and_retry(step, ("/pay", n)));
            let ran = scene.runs.of_callback(n);
            match (step, reply.status) {
                (Step::Before(_) | Step::Kept(_) | Step::Commit(..), 201) | (Step::Ran(_), 409) => {
                    assert_eq!(ran, 1, "{step:?}");
                }
                (Step::Claimed(_), 409) => assert_eq!(ran, 0, "{step:?}"),
                (Step::Commit(..), 409) => assert!(ran <= 1, "{step:?} ran {ran} times"),
                _ => panic!("{step:?}: {}{}", reply.head, reply.text()),
            }
            if reply.status == 409 {
                assert_eq!(reply.json()["code"], "interrupted", "{step:?}");
                interrupted += 1;
            } else {
                answered += 1;
            }
            kills += 1;
        }
    }
    figure(
        "callbacks whose process died",
        format!("{kills} kills: {answered} answered, {interrupted} interrupted, none ran twice"),
    );
}

#[test]
fn where_the_row_says_so_a_callback_is_answered_wherever_its_process_dies() {
    let folder = folder();
    let scene =
        Crashes { plan: ServerPlan::embedded(folder.path()), runs: Runs::of(folder.path()) };
    let (mut kills, mut twice) = (0, 0);
    for _ in 0..size(1, 20) {
        for step in steps() {
            let n = kills;
            let reply = run(scene.die_and_retry(step, ("/pay-again", n)));
            assert_eq!(reply.status, 201, "{step:?}: {}{}", reply.head, reply.text());
            let ran = scene.runs.of_callback(n);
            let expected = match step {
                Step::Before(_) | Step::Claimed(_) | Step::Kept(_) => 1..=1,
                Step::Ran(_) => 2..=2,
                Step::Commit(..) => 1..=2,
            };
            assert!(expected.contains(&ran), "{step:?} ran {ran} times");
            twice += usize::from(ran == 2);
            kills += 1;
        }
    }
    figure(
        "callbacks that may run again, whose process died",
        format!("{kills} kills: {kills} answered, {twice} after a second run"),
    );
}

/// A server that dies in the midst of callbacks.
struct Crashes {
    plan: ServerPlan,
    runs: Runs,
}

impl Crashes {
    /// Has the process die at this step of callback `n`, and retries as a platform does; what the
    /// retry is told, which every later one is told as well.
    async fn die_and_retry(&self, step: Step, (path, n): (&str, usize)) -> Reply {
        let mut server = self.plan.start();
        let token = mint(&server).await;
        let target = |more: &str| self.runs.target((path, n), &token, more);
        match step {
            Step::Ran(None) => {
                let ask = Ask::get(&target("")).header("x-wait", "1");
                let mut connection = server.connect().await;
                connection.send(&ask.bytes()).await.unwrap();
                let arrivals = Ask::get("/control/arrivals?count=1");
                server.connect().await.ask(&arrivals).await.unwrap().good();
                server.kill();
            }
            Step::Before(place)
            | Step::Claimed(place)
            | Step::Ran(Some(place))
            | Step::Kept(place)
            | Step::Commit(place, _) => {
                // The request that arms it passes this one itself.
                let own = u32::from(place == Place::BeforeCookie);
                let skip = if let Step::Commit(_, skip) = step { skip } else { own };
                let arm = format!("/control/arm?place={place}&kind=abort&skip={skip}&times=1");
                server.connect().await.ask(&Ask::get(&arm)).await.unwrap().good();
                let broken = server.connect().await.ask(&Ask::get(&target(""))).await;
                assert!(broken.is_err(), "{step:?}: the process lives");
                server.ended();
            }
        }
        drop(server);
        let server = self.plan.start();
        let mut connection = server.connect().await;
        let first = connection.ask(&Ask::get(&target(""))).await.unwrap();
        for _ in 0..2 {
            let again = server.connect().await.ask(&Ask::get(&target(""))).await.unwrap();
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{step:?}");
        }
        first
    }
}
