//! Polling on three nodes while a browser signs in on one of them: each node is a gate of its own,
//! with its own socket, on one database.

use callgate::Settings;
use callgate::base::secret::SecretText;
use tokio::net::TcpListener;

use super::ground;
use super::rights::poll_rounds;
use crate::size;
use crate::support::House;
use crate::support::settings;
use crate::support::wire::Served;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_polls_other_nodes_while_somebody_signs_in_sees_nothing_of_it() {
    // Nodes of one application have one key.
    let settings = || Settings { keys: vec![SecretText::new("5".repeat(64))], ..settings() };
    let (mut ground, mut nodes) = (ground(), Vec::new());
    for _ in 0..3 {
        let house = House::on(ground.open().await, settings()).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        nodes.push(Served::house(house, listener, "127.0.0.1:0").await);
    }
    let name = nodes[0].house.cookie_name().to_owned();
    let addresses: Vec<_> = nodes.iter().map(|node| node.public).collect();
    poll_rounds(&addresses, &name, size(12, 1_000)).await;
}
