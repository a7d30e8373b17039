//! A server that is killed again and again while clients work, and a record of what they were
//! told (docs/SECURITY.md C-05): whatever was acknowledged must hold after every restart.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;

use crate::checker;
use crate::checker::Violation;
use crate::support::Ask;
use crate::support::Connection;
use crate::support::Dice;
use crate::support::ServerPlan;
use crate::support::figure;
use crate::support::process::folder;
use crate::support::run;
use crate::support::size;
use crate::world::World;

/// Clients that work at the same time.
const CLIENTS: usize = 24;
/// Answered operations between start and kill, at least and at most.
const OPERATIONS: (usize, usize) = (20, 1_500);
/// From the start of the process to the first answer (the issue's own bound).
const RESTART_SECS_MAX: f64 = 2.0;

#[test]
fn what_was_acknowledged_survives_every_kill() {
    let cycles = size(4, 300);
    let folder = folder();
    let world = run(torture(&ServerPlan::embedded(folder.path()), cycles));
    let violations = checker::check(&world.history());
    world.report("kill -9 on embedded", cycles);
    assert_eq!(violations, [], "a word was not kept");
    let slowest = world.restarts.lock().unwrap().iter().copied().fold(0.0, f64::max);
    assert!(slowest < RESTART_SECS_MAX, "a restart took {slowest} s");
}

/// The same clients and the same checker, and a store that forgets: it must be noticed.
#[test]
fn a_store_that_forgets_is_found_out() {
    let plan = ServerPlan::probe("memory:")
        .set("KEYS", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    let world = run(torture(&plan, 3));
    let violations = checker::check(&world.history());
    let count = |kind: fn(&Violation) -> bool| violations.iter().filter(|it| kind(it)).count();
    let writes =
        count(|it| matches!(it, Violation::WriteLost { .. } | Violation::SessionLost { .. }));
    let mints = count(|it| matches!(it, Violation::MintLost { .. }));
    figure(
        "kill -9 on memory, as a negative control",
        format!("{mints} lost mints and {writes} lost writes found"),
    );
    assert!(writes > 0 && mints > 0, "{violations:?}");
}

/// Starts, checks, loads and kills the server so often; then looks at everything once more.
async fn torture(plan: &ServerPlan, cycles: usize) -> Arc<World> {
    let world = Arc::new(World::new());
    let mut dice = Dice::new(1);
    for cycle in 0..cycles {
        let mut server = plan.start();
        let mut connection = world.first_answer(&server).await;
        world.verify(&mut connection, &mut dice, 2).await;
        let end = OPERATIONS.0 + dice.below(OPERATIONS.1 - OPERATIONS.0);
        let mut working = JoinSet::new();
        for client in 0..CLIENTS {
            let dice = Dice::new((cycle * CLIENTS + client) as u64);
            working.spawn(work(Arc::clone(&world), server.address, dice));
        }
        world.answered.acquire_many(u32::try_from(end).unwrap()).await.unwrap().forget();
        world.killed.store(true, Ordering::SeqCst);
        server.kill();
        working.join_all().await;
        world.killed.store(false, Ordering::SeqCst);
        world.answered.forget_permits(usize::MAX >> 3);
    }
    let server = plan.start();
    let mut connection = world.first_answer(&server).await;
    world.closed.lock().unwrap().extend(world.sessions.lock().unwrap().iter().cloned());
    world.verify(&mut connection, &mut dice, 1).await;
    let fresh = connection.ask(&Ask::get("/mint")).await.unwrap().good().text();
    let redeem = Ask::get(&format!("/context?$4DSID={fresh}"));
    let redeemed = connection.ask(&redeem).await.unwrap().good();
    assert_eq!(redeemed.outcome(), "restored", "after all of it the server works");
    world
}

/// One client, until the server is killed.
async fn work(world: Arc<World>, address: SocketAddr, mut dice: Dice) {
    let worked = async {
        let mut connection = Connection::open(address).await?;
        loop {
            world.step(&mut connection, &mut dice).await?;
            world.answered.add_permits(1);
        }
    };
    let broken: io::Result<()> = worked.await;
    let broken = broken.unwrap_err();
    assert!(world.killed.load(Ordering::SeqCst), "a connection broke by itself: {broken}");
}
