//! The engine in memory, held to the rules of engines: so a rule that is wrong shows without a
//! database.

use std::sync::Arc;

use callgate::store::shared::map::MapEngine;

use crate::rules;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_in_memory_keeps_the_rules() {
    rules::hold(|_| async { Arc::new(MapEngine::default()) as _ }).await;
}

#[tokio::test]
async fn the_engine_in_memory_decides_as_the_node_does() {
    rules::table::decides_as_the_node_does(Arc::new(MapEngine::default())).await;
    rules::table::undoes_a_wrong_grant(Arc::new(MapEngine::default())).await;
}
