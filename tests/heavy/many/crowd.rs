//! Clients of three nodes, who work until they are told to stop, whatever happens meanwhile.

use std::io;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::support::Connection;
use crate::support::Dice;
use crate::support::Server;
use crate::world::World;

/// No answer of a node takes longer than this, whatever its database does.
const ANSWER: Duration = Duration::from_secs(20);
/// How long a client waits who was told that the node cannot answer.
const PATIENCE: Duration = Duration::from_millis(20);

pub(super) struct Crowd {
    world: Arc<World>,
    stop: Arc<AtomicBool>,
    working: JoinSet<()>,
}

impl Crowd {
    /// Lets so many clients work, by turns at each node.
    pub(super) fn gather(world: &Arc<World>, nodes: &[Server], count: usize, seed: u64) -> Self {
        let (stop, mut working) = (Arc::new(AtomicBool::new(false)), JoinSet::new());
        let mut dice = Dice::new(seed);
        for client in 0..count {
            let address = nodes[client % nodes.len()].address;
            let own = Dice::new(dice.below(usize::MAX) as u64);
            working.spawn(work(Arc::clone(world), address, own, Arc::clone(&stop)));
        }
        Self { world: Arc::clone(world), stop, working }
    }

    /// Waits until so many operations have been answered.
    pub(super) async fn answered(&self, count: usize) {
        let permits = self.world.answered.acquire_many(u32::try_from(count).unwrap());
        let waited = tokio::time::timeout(Duration::from_mins(2), permits).await;
        waited.expect("the clients come to nothing").unwrap().forget();
    }

    /// Tells all of them to stop, and waits until they have.
    pub(super) async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.working.join_all().await;
        self.world.answered.forget_permits(usize::MAX >> 3);
    }
}

/// One client, until it is told to stop or its node has been killed.
async fn work(world: Arc<World>, address: SocketAddr, mut dice: Dice, stop: Arc<AtomicBool>) {
    let worked = async {
        let mut connection = Connection::open(address).await?;
        while !stop.load(Ordering::SeqCst) {
            let act = world.step(&mut connection, &mut dice);
            match tokio::time::timeout(ANSWER, act).await.expect("a node does not answer") {
                Ok(()) => world.answered.add_permits(1),
                Err(error) if error.kind() == ErrorKind::Other => {
                    tokio::time::sleep(PATIENCE).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    };
    let ended: io::Result<()> = worked.await;
    if let Err(error) = ended {
        assert!(world.killed.load(Ordering::SeqCst), "a connection broke by itself: {error}");
    }
}
