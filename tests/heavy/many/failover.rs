//! A replica takes over that has not heard of the last redemptions (docs/SECURITY.md C-07, T20): no
//! token is granted a second time, also where the old primary lives on with a node that still talks
//! to it.
//!
//! The same without the fence is the negative control: there tokens are granted twice.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use callgate::base::clock::Stopwatch;

use super::databases::Database;
use super::databases::Kind;
use super::databases::local;
use super::nodes;
use crate::support::Ask;
use crate::support::Connection;
use crate::support::Server;
use crate::support::figure;
use crate::support::median;
use crate::support::run;
use crate::support::services::postgres;
use crate::support::services::proxy::Proxy;
use crate::support::services::proxy::Weather;
use crate::support::services::redis;
use crate::support::size;

/// Tokens that are redeemed while the replica hears of it.
const HEARD: usize = 2;
/// Tokens that are redeemed when it does not any more.
const UNHEARD: usize = 4;
/// Tokens that nobody has redeemed when it takes over.
const UNSPENT: usize = 2;
/// Until a replica has caught up, or a node has found the new primary.
const PATIENCE: Duration = Duration::from_secs(10);
/// From a take-over to normal service.
const RECOVERY: Duration = Duration::from_secs(5);

/// How a standby follows its primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Following {
    Async,
    Sync,
}

/// What a series of fail-overs is about.
#[derive(Debug, Clone, Copy)]
struct Series {
    kind: Kind,
    following: Following,
    fence: bool,
    /// How many, and in how many of them the old primary lives on.
    rounds: usize,
    split: usize,
}

#[test]
fn no_token_is_granted_twice_when_a_redis_replica_takes_over() {
    let (rounds, split) = size((4, 2), (60, 30));
    let series =
        Series { kind: Kind::Redis, following: Following::Async, fence: true, rounds, split };
    run(series.play());
}

#[test]
fn without_the_fence_tokens_are_granted_twice_when_a_redis_replica_takes_over() {
    let (rounds, split) = size((2, 1), (10, 5));
    let series =
        Series { kind: Kind::Redis, following: Following::Async, fence: false, rounds, split };
    run(series.play());
}

#[test]
fn no_token_is_granted_twice_when_a_postgres_standby_takes_over() {
    let (rounds, split) = size((2, 1), (20, 10));
    let series =
        Series { kind: Kind::Postgres, following: Following::Async, fence: true, rounds, split };
    run(series.play());
}

#[test]
fn without_the_fence_tokens_are_granted_twice_when_a_postgres_standby_takes_over() {
    let (rounds, split) = size((1, 0), (6, 3));
    let series =
        Series { kind: Kind::Postgres, following: Following::Async, fence: false, rounds, split };
    run(series.play());
}

#[test]
fn a_synchronous_standby_takes_over_with_every_acknowledged_write() {
    let (rounds, split) = size((1, 0), (10, 5));
    let series =
        Series { kind: Kind::Postgres, following: Following::Sync, fence: true, rounds, split };
    run(series.play());
}

/// Rounds beyond those asked for in which a series without the fence may still show what it must.
const ROUNDS_MORE: usize = 8;

/// A primary, its replica, and the link between them.
struct Pair {
    primary: Database,
    replica: Database,
    link: Proxy,
}

/// What a fail-over came to.
#[derive(Debug, Default)]
struct Outcome {
    grants: usize,
    twice: usize,
    /// Acknowledged writes that the replica had not heard of.
    writes_lost: usize,
    /// Writes and redemptions that were not acknowledged any more once the link was cut.
    unacknowledged: usize,
    normal_after: f64,
}

impl Series {
    async fn play(self) {
        if !self.kind.is_installed() {
            return;
        }
        let mut outcomes = Vec::new();
        for round in 0..self.rounds {
            outcomes.push(self.fail_over(round < self.split).await);
        }
        // Whether a token is tried twice in a round is chance.
        let none_twice = |outcomes: &[Outcome]| outcomes.iter().all(|it| it.twice == 0);
        while !self.fence && none_twice(&outcomes) && outcomes.len() < self.rounds + ROUNDS_MORE {
            outcomes.push(self.fail_over(false).await);
        }
        let sum = |what: fn(&Outcome) -> usize| outcomes.iter().map(what).sum::<usize>();
        let (twice, lost) = (sum(|it| it.twice), sum(|it| it.writes_lost));
        let times: Vec<f64> = outcomes.iter().map(|it| it.normal_after).collect();
        let slowest = times.iter().copied().fold(0.0, f64::max);
        let Self { kind, following, fence, split, .. } = self;
        let rounds = outcomes.len();
        let fence_is = if fence { "" } else { ", fence off" };
        let following = match following {
            Following::Async => "a replica that follows",
            Following::Sync => "a standby that is waited for",
        };
        figure(
            &format!("fail-over of {} to {following}{fence_is}", kind.name()),
            format!(
                "{rounds} ({split} with the old primary alive): {} tokens granted, {twice} granted \
                 twice; {lost} acknowledged writes lost, {} requests refused once the link was cut; \
                 normal service after {:.2} s (median), {slowest:.2} s (slowest)",
                sum(|it| it.grants),
                sum(|it| it.unacknowledged),
                median(times),
            ),
        );
        assert_eq!(twice == 0, fence, "{outcomes:?}");
        assert!(
            lost == 0 || self.following == Following::Async,
            "{lost} acknowledged writes are lost"
        );
    }

    /// One fail-over, with two nodes. Where the old primary lives on, the first stays with it.
    async fn fail_over(self, splits: bool) -> Outcome {
        let mut pair = Pair::start(self.kind, self.following).await;
        let ways =
            [Proxy::to(pair.primary.address()).await, Proxy::to(pair.primary.address()).await];
        let fence = if self.fence { "on" } else { "off" };
        let start = |way: &Proxy| {
            let url = format!("{}?fence={fence}", pair.primary.url_at(way.address));
            nodes::plan(&url).start()
        };
        let (first, second) = (start(&ways[0]), start(&ways[1]));
        let mut visit = Visit::begin(&first).await;
        pair.catch_up().await;

        pair.link.set(Weather::Down);
        let mut outcome = Outcome::default();
        visit.work(&first, &second, &mut outcome).await;

        if !splits {
            pair.primary.kill();
        }
        pair.promote().await;
        let since = Stopwatch::start();
        let new = pair.replica.address();
        turn(&ways[1], new);
        if !splits {
            turn(&ways[0], new);
        }
        wait_for_service(&second).await;
        outcome.normal_after = since.elapsed().as_secs_f64();
        visit.try_all_again(&first, &second).await;

        // Whoever was left behind comes after.
        if splits {
            pair.primary.kill();
            turn(&ways[0], new);
        }
        wait_for_service(&first).await;
        outcome.writes_lost = usize::from(!visit.remembers(&second).await);
        visit.try_all_again(&first, &second).await;
        nodes::recovery(&[first, second], RECOVERY).await;
        outcome.grants = visit.slips.iter().map(|slip| slip.grants).sum();
        outcome.twice = visit.slips.iter().filter(|slip| slip.grants > 1).count();
        outcome
    }
}

/// Leads the node behind this proxy elsewhere at once.
fn turn(way: &Proxy, to: SocketAddr) {
    way.aim(to);
    way.cut();
}

async fn wait_for_service(node: &Server) {
    let since = Stopwatch::start();
    let (mut minter, mut redeemer) = (node.connect().await, node.connect().await);
    while !nodes::works(&mut minter, &mut redeemer).await {
        assert!(since.elapsed() < RECOVERY, "no normal service after {:?}", since.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What there is before a fail-over, and what becomes of it.
struct Visit {
    slips: Vec<Slip>,
    /// The cookie of a session, and the last value that was acknowledged to be in it.
    cookie: String,
    value: usize,
}

/// A token, and how often it was granted.
struct Slip {
    token: String,
    grants: usize,
}

impl Visit {
    /// Mints tokens, each of a session of its own, redeems some, and writes into one session more.
    async fn begin(node: &Server) -> Self {
        let mut connection = node.connect().await;
        let mut slips = Vec::new();
        for _ in 0..HEARD + UNHEARD + UNSPENT {
            let token = connection.ask(&Ask::get("/mint")).await.unwrap().good().text();
            slips.push(Slip { token, grants: 0 });
        }
        for slip in slips.iter_mut().take(HEARD) {
            assert!(slip.try_at(node).await, "the database has no word yet");
        }
        let written = connection.ask(&Ask::get("/write?key=a&value=1")).await.unwrap().good();
        Self { slips, cookie: written.cookie().unwrap().to_owned(), value: 1 }
    }

    /// Redeems more tokens and writes once more, of which no replica hears.
    async fn work(&mut self, first: &Server, second: &Server, outcome: &mut Outcome) {
        for (at, slip) in self.slips.iter_mut().skip(HEARD).take(UNHEARD).enumerate() {
            let node = if at % 2 == 0 { first } else { second };
            let answered = slip.try_at(node).await;
            outcome.unacknowledged += usize::from(!answered);
        }
        let write = Ask::get("/write?key=a&value=2").cookie(&self.cookie);
        let written = first.connect().await.ask(&write).await.unwrap();
        if written.status == 200 {
            self.value = 2;
        } else {
            outcome.unacknowledged += 1;
        }
    }

    /// Other browsers bring all the tokens, to both nodes, in either order.
    async fn try_all_again(&mut self, first: &Server, second: &Server) {
        for (at, slip) in self.slips.iter_mut().enumerate() {
            let nodes = if at % 2 == 0 { [first, second] } else { [second, first] };
            for node in nodes {
                slip.try_at(node).await;
            }
        }
    }

    /// Whether the value that was acknowledged last is there.
    async fn remembers(&self, node: &Server) -> bool {
        let read = Ask::get("/read?key=a").cookie(&self.cookie);
        let reply = node.connect().await.ask(&read).await.unwrap().good();
        reply.result().as_str() == Some(&*self.value.to_string())
    }
}

impl Slip {
    /// A browser brings the token; whether the node knew an answer.
    async fn try_at(&mut self, node: &Server) -> bool {
        let redeem = Ask::get(&format!("/share?$4DSID={}", self.token)).browser();
        let mut connection: Connection = node.connect().await;
        let reply = connection.ask(&redeem).await.unwrap();
        self.grants += usize::from(reply.outcome() == "restored");
        assert!(matches!(reply.status, 200 | 503), "{}", reply.head);
        reply.status == 200
    }
}

impl Pair {
    async fn start(kind: Kind, following: Following) -> Self {
        match kind {
            Kind::Postgres => Self::postgres(following).await,
            _ => Self::redis().await,
        }
    }

    async fn redis() -> Self {
        const OPTIONS: &str = "--appendonly yes --appendfsync always --repl-diskless-sync-delay 0";
        let primary = redis::Redis::start(OPTIONS).await;
        let link = Proxy::to(local(primary.port())).await;
        let port = link.address.port();
        let replica = redis::Redis::start(&format!("{OPTIONS} --replicaof 127.0.0.1 {port}")).await;
        replica.wait_for("INFO replication", "master_link_status:up").await;
        Self { primary: Database::Redis(primary), replica: Database::Redis(replica), link }
    }

    async fn postgres(following: Following) -> Self {
        let primary = postgres::Server::start_with(&[]);
        let link = Proxy::to(local(primary.port())).await;
        let standby = primary.standby();
        // It was told where its primary is; from now on it is behind the link.
        let file = "postgresql.auto.conf";
        let told = fs::read_to_string(standby.data().join(file)).unwrap();
        let (old, new) = (primary.port(), link.address.port());
        let turned = told.replace(&format!("port={old}"), &format!("port={new}"));
        assert_ne!(told, turned);
        standby.write(file, &turned);
        standby.sql("SELECT pg_reload_conf()");
        let streams = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'";
        let since = Stopwatch::start();
        while link.connections() == 0 || primary.sql(streams) != "1" {
            assert!(since.elapsed() < PATIENCE, "the standby does not follow");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if following == Following::Sync {
            primary.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
            primary.sql("SELECT pg_reload_conf()");
        }
        Self { primary: Database::Postgres(primary), replica: Database::Postgres(standby), link }
    }

    /// Waits until the replica has heard of everything.
    async fn catch_up(&self) {
        match (&self.primary, &self.replica) {
            (Database::Redis(primary), _) => {
                // One replica has it, or the time is over.
                assert_eq!(primary.told(&["WAIT", "1", "10000"]), "1");
            }
            (Database::Postgres(primary), Database::Postgres(standby)) => {
                let all = primary.sql("SELECT pg_current_wal_lsn()");
                let heard = format!("SELECT pg_last_wal_replay_lsn() >= '{all}'::pg_lsn");
                let since = Stopwatch::start();
                while standby.sql(&heard) != "t" {
                    assert!(since.elapsed() < PATIENCE, "the standby does not catch up");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
            (Database::Postgres(_), Database::Redis(_)) => unreachable!("both are of one kind"),
        }
    }

    async fn promote(&self) {
        match &self.replica {
            Database::Redis(replica) => {
                replica.say(&["REPLICAOF", "NO", "ONE"]);
                replica.wait_for("INFO replication", "role:master").await;
            }
            Database::Postgres(standby) => standby.promote(),
        }
    }
}
