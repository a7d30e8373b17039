//! Nodes and databases that are killed again and again while clients work (docs/SECURITY.md C-05,
//! C-06): whatever was acknowledged must hold, as far as the database keeps what it has
//! acknowledged.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::crowd::Crowd;
use super::databases::Kind;
use super::nodes;
use crate::checker;
use crate::checker::Violation;
use crate::support::Dice;
use crate::support::figure;
use crate::support::median;
use crate::support::run;
use crate::support::size;
use crate::world::World;

/// Clients that work at the same time.
const CLIENTS: usize = 64;
/// Answered operations before something is killed, at least and at most.
const OPERATIONS: (usize, usize) = (20, 1_500);
/// From the moment a database accepts connections again to normal service at every node.
const RECOVERY: Duration = Duration::from_secs(10);

#[test]
fn what_nodes_on_postgres_acknowledged_survives_their_kills() {
    run(kill_nodes(Kind::Postgres, size(3, 100)));
}

#[test]
fn what_nodes_on_redis_acknowledged_survives_their_kills() {
    run(kill_nodes(Kind::Redis, size(3, 200)));
}

#[test]
fn what_postgres_acknowledged_survives_its_kills() {
    run(kill_database(Kind::Postgres, size(3, 60)));
}

#[test]
fn what_redis_with_a_synced_log_acknowledged_survives_its_kills() {
    run(kill_database(Kind::Redis, size(3, 200)));
}

#[test]
fn redis_that_syncs_every_second_grants_nothing_twice_when_it_is_killed() {
    run(kill_database(Kind::RedisEverySecond, size(2, 50)));
}

#[test]
fn redis_that_forgets_grants_nothing_twice_when_it_is_killed() {
    run(kill_database(Kind::RedisSnapshots, size(2, 20)));
}

/// Kills one to three of three nodes in each cycle, one soon after the other.
async fn kill_nodes(kind: Kind, cycles: usize) {
    if !kind.is_installed() {
        return;
    }
    let database = kind.start().await;
    let plan = nodes::plan(&database.url());
    let world = Arc::new(World::shared());
    let mut nodes: Vec<_> = (0..3).map(|_| plan.start()).collect();
    let (mut dice, mut kills) = (Dice::new(1), 0);
    for cycle in 0..cycles {
        let crowd = Crowd::gather(&world, &nodes, CLIENTS, cycle as u64);
        crowd.answered(between(&mut dice, OPERATIONS)).await;
        world.killed.store(true, Ordering::SeqCst);
        let (first, count) = (dice.below(3), 1 + dice.below(3));
        let victims: Vec<usize> = (first..first + count).map(|victim| victim % 3).collect();
        for victim in &victims {
            nodes[*victim].kill();
            let pause = between(&mut dice, (5, 200)) as u64;
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        crowd.stop().await;
        world.killed.store(false, Ordering::SeqCst);
        for victim in &victims {
            nodes[*victim] = plan.start();
            world.first_answer(&nodes[*victim]).await;
        }
        kills += count;
        let mut connection = nodes[dice.below(3)].connect().await;
        world.verify(&mut connection, &mut dice, 2).await;
    }
    finish(&world, &nodes[0]).await;
    let violations = checker::check(&world.history());
    world.report(&format!("kill -9 of {kills} nodes on {}", kind.name()), cycles);
    assert_eq!(violations, [], "a word was not kept");
}

/// Kills the database, or a part of it, in each cycle. The nodes stay as they are.
async fn kill_database(kind: Kind, cycles: usize) {
    if !kind.is_installed() {
        return;
    }
    let mut database = kind.start().await;
    let nodes = nodes::three(&database.url());
    let world = if kind.keeps_writes() { World::shared() } else { World::forgetful() };
    let world = Arc::new(world);
    let (mut dice, mut recoveries) = (Dice::new(1), Vec::new());
    for cycle in 0..cycles {
        let crowd = Crowd::gather(&world, &nodes, CLIENTS, cycle as u64);
        crowd.answered(between(&mut dice, OPERATIONS)).await;
        // Every other time a child alone, where the database has children: it recovers by itself.
        if cycle % 2 == 0 || !database.kill_one() {
            database.kill();
            let away = dice.below(300) as u64;
            tokio::time::sleep(Duration::from_millis(away)).await;
            database.run().await;
        }
        recoveries.push(nodes::recovery(&nodes, RECOVERY).await.as_secs_f64());
        crowd.stop().await;
        let mut connection = nodes[dice.below(3)].connect().await;
        world.verify(&mut connection, &mut dice, 2).await;
    }
    finish(&world, &nodes[0]).await;
    let name = format!("kill -9 of {}", kind.name());
    world.report(&name, cycles);
    let slowest = recoveries.iter().copied().fold(0.0, f64::max);
    let usual = median(recoveries);
    figure(
        &format!("{name}, back to normal service at three nodes"),
        format!("median {usual:.2} s, slowest {slowest:.2} s"),
    );
    judge(&name, kind, &world);
}

/// Looks at everything once more.
async fn finish(world: &World, node: &crate::support::Server) {
    world.closed.lock().unwrap().extend(world.sessions.lock().unwrap().iter().cloned());
    let mut connection = node.connect().await;
    world.verify(&mut connection, &mut Dice::new(1), 1).await;
}

/// What must hold of a database that was killed: no token is granted twice by any, and words are
/// kept by those that keep them.
fn judge(name: &str, kind: Kind, world: &World) {
    let violations = checker::check(&world.history());
    let count = |kept: fn(&Violation) -> bool| violations.iter().filter(|it| kept(it)).count();
    let grants =
        count(|it| matches!(it, Violation::GrantedTwice { .. } | Violation::GrantedWrongly { .. }));
    let mints = count(|it| matches!(it, Violation::MintLost { .. }));
    let others = violations.len() - grants - mints;
    figure(
        &format!("{name}, words that were not kept"),
        format!("{grants} wrong grants, {mints} tokens void, {others} writes or logouts lost"),
    );
    assert_eq!(grants, 0, "a token was granted twice: {violations:?}");
    assert!(mints == 0 || !kind.keeps_tokens(), "tokens are lost: {violations:?}");
    assert!(others == 0 || !kind.keeps_writes(), "a word was not kept: {violations:?}");
}

fn between(dice: &mut Dice, (least, most): (usize, usize)) -> usize {
    least + dice.below(most - least)
}
