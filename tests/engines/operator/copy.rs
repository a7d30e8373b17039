//! `callgate store copy` between the embedded store and real databases, whole and broken off.

use std::process::Child;
use std::time::Duration;

use ::redis::Value;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use super::Ended;
use super::Place;
use super::filled::Seen;
use super::filled::fill;
use super::filled::seen;
use crate::services::postgres;
use crate::services::redis;

/// Sessions that take longer to copy than it takes to look.
const MANY: usize = 3_000;
/// Tokens on their way at once, which a kill may lose.
const LOST_MAX: usize = 8;

fn embedded(place: &Place, name: &str) -> String {
    format!("embedded:{}", place.path(name).display())
}

/// A database to copy to.
enum Server {
    Postgres(postgres::Server),
    Redis(redis::Redis),
}

/// What is counted in a database.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Sessions,
    /// All sessions, and tokens.
    Tokens,
}

impl Server {
    fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::Redis(server) => server.url(),
        }
    }

    fn has(&self, kind: Kind, least: usize) -> bool {
        match self {
            Self::Postgres(server) => {
                let table = match kind {
                    Kind::Sessions => "callgate.session",
                    Kind::Tokens => "callgate.token",
                };
                let made = format!("SELECT coalesce(to_regclass('{table}')::text, '')");
                let count = format!("SELECT count(*) FROM {table}");
                !server.sql(&made).is_empty()
                    && server.sql(&count).parse::<usize>().unwrap() >= least
            }
            Self::Redis(server) => {
                // Each shard has keys of its own, and each token two.
                let shards = 2 * 256 + 1;
                let keys = match kind {
                    Kind::Sessions => shards + least,
                    Kind::Tokens => 2 * shards + MANY + 2 * least,
                };
                let Value::Int(size) = server.say(&["DBSIZE"]) else { panic!("no number") };
                usize::try_from(size).is_ok_and(|size| size >= keys)
            }
        }
    }

    /// Waits until there are so many; false if the program ended first.
    async fn wait_for(&self, kind: Kind, least: usize, child: &mut Child) -> bool {
        for _ in 0..6_000 {
            if self.has(kind, least) {
                return true;
            }
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{kind:?} do not come to {least}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_back_from_a_journey_through_every_store() {
    if !postgres::is_installed() || !redis::is_installed() {
        return;
    }
    let (redis, postgres) = (redis::Redis::start("").await, postgres::Server::start());
    let place = Place::new();
    fill(&place.path("start"), 300).await;
    let (start, end) = (embedded(&place, "start"), embedded(&place, "end"));
    let before = seen(&start).await;
    assert_eq!((before.sessions.len(), before.tokens.len()), (300, 300));
    let way = [start, redis.url(), postgres.url(), redis.url() + "/1", end];
    for hop in way.windows(2) {
        let (code, said) = place.json(&["store", "copy", &hop[0], &hop[1], "--tokens"]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!((&said["complete"], &said["sessions"]["copied"]), (&true.into(), &300.into()));
        assert_eq!(said["tokens"]["moved"], 300, "{said}");
        assert_eq!(seen(&hop[1]).await, before);
        assert_eq!(seen(&hop[0]).await.tokens.len(), 0, "a token is in one store only");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_killed_goes_on_and_redeems_nothing_twice() {
    if postgres::is_installed() {
        is_killed(&Server::Postgres(postgres::Server::start())).await;
    }
    if redis::is_installed() {
        is_killed(&Server::Redis(redis::Redis::start("").await)).await;
    }
}

/// Kills a copy to this server among the sessions, and another one among the tokens.
async fn is_killed(server: &Server) {
    let place = Place::new();
    fill(&place.path("old"), MANY).await;
    let (old, new) = (embedded(&place, "old"), server.url());
    let before = seen(&old).await;
    let words = ["store", "copy", &old, &new, "--tokens"];
    for kind in [Kind::Sessions, Kind::Tokens] {
        let mut child = place.start(&words);
        let waiting = server.wait_for(kind, MANY / 4, &mut child).await;
        assert!(waiting, "it was over before it could be killed");
        child.kill().unwrap();
        let left = Ended::of(&child.wait_with_output().unwrap());
        assert_eq!((left.code, &*left.out), (None, ""), "{left:?}");
    }
    let (there, here) = (seen(&new).await, seen(&old).await);
    assert_eq!(there.sessions, before.sessions);
    assert!(!here.tokens.is_empty() && there.tokens.len() >= MANY / 4 - 1, "killed in between");
    let both = here.tokens.keys().filter(|id| there.tokens.contains_key(id)).count();
    assert_eq!(both, 0, "tokens that can be redeemed in both stores");
    assert!(here.tokens.len() + there.tokens.len() >= MANY - LOST_MAX);

    let (code, said) = place.json(&words);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said["sessions"]["present"], MANY, "{said}");
    assert_eq!(said["tokens"]["moved"], here.tokens.len(), "{said}");
    let Seen { sessions, tokens } = seen(&new).await;
    assert_eq!(sessions, before.sessions);
    assert!(tokens.iter().all(|(id, token)| before.tokens[id] == *token));
    assert!(tokens.len() >= MANY - LOST_MAX);
    assert_eq!(seen(&old).await.tokens.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_told_to_end_loses_nothing() {
    if !redis::is_installed() {
        return;
    }
    let (place, server) = (Place::new(), Server::Redis(redis::Redis::start("").await));
    fill(&place.path("old"), MANY).await;
    let (old, new) = (embedded(&place, "old"), server.url());
    let before = seen(&old).await;
    let mut child = place.start(&["store", "copy", &old, &new, "--tokens"]);
    assert!(server.wait_for(Kind::Tokens, 100, &mut child).await, "it was over too early");
    let id = Pid::from_child(&child);
    kill_process(id, Signal::INT).unwrap();
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.out.contains("it was told to end before all was done; run it again"),
        "{ended:?}"
    );
    let (there, here) = (seen(&new).await, seen(&old).await);
    assert!(!here.tokens.is_empty(), "it was over too early");
    let mut all = here.tokens;
    all.extend(there.tokens);
    assert_eq!(all, before.tokens);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_goes_away_ends_the_copy_with_69_and_the_way_on() {
    if !postgres::is_installed() {
        return;
    }
    let (place, server) = (Place::new(), Server::Postgres(postgres::Server::start()));
    fill(&place.path("old"), MANY).await;
    let (old, new) = (embedded(&place, "old"), server.url());
    let mut child = place.start(&["store", "copy", &old, &new]);
    assert!(server.wait_for(Kind::Sessions, 100, &mut child).await, "it was over too early");
    let Server::Postgres(mut server) = server else { panic!("it was one") };
    server.stop();
    let ended = Ended::of(&child.wait_with_output().unwrap());
    assert_eq!((ended.code, &*ended.out), (Some(69), ""), "{ended:?}");
    assert!(ended.err.contains("the new store: "), "{ended:?}");
    assert!(
        ended.err.contains("run it again, and it goes on from here:\n  sessions  "),
        "{ended:?}"
    );
    server.run();
    let (code, said) = place.json(&["store", "copy", &old, &new]);
    assert_eq!((code, &said["complete"]), (Some(0), &true.into()), "{said}");
    assert_eq!(seen(&new).await.sessions.len(), MANY);
}
