//! One token and many bearers who arrive in the same instant, at three nodes and at the store
//! (docs/SECURITY.md C-01, C-02).

use callgate::base::Timestamp;
use callgate::store::contract;

use super::databases::Kind;
use super::nodes;
use crate::races::race;
use crate::support::figure;
use crate::support::run;
use crate::support::size;

const START: Timestamp = Timestamp::from_millis(1_900_000_000_000);

#[test]
fn of_many_connections_to_three_nodes_one_redeems_a_token_kept_in_postgres() {
    run(race_on_three_nodes(Kind::Postgres));
}

#[test]
fn of_many_connections_to_three_nodes_one_redeems_a_token_kept_in_redis() {
    run(race_on_three_nodes(Kind::Redis));
}

async fn race_on_three_nodes(kind: Kind) {
    if kind.is_installed() {
        let database = kind.start().await;
        race(kind.name(), &nodes::three(&database.url())).await;
    }
}

#[test]
fn of_many_claimers_of_a_token_in_postgres_one_wins() {
    run(race_at_the_store(Kind::Postgres));
}

#[test]
fn of_many_claimers_of_a_token_in_redis_one_wins() {
    run(race_at_the_store(Kind::Redis));
}

async fn race_at_the_store(kind: Kind) {
    if !kind.is_installed() {
        return;
    }
    let database = kind.start().await;
    let (tokens, claimers) = size((48, 64), (2_000, 64));
    contract::race(START, database.store().await, tokens, claimers).await.unwrap();
    let claims = tokens * claimers;
    figure(
        &format!("race at the store on {}", kind.name()),
        format!("{tokens} tokens x {claimers} claimers = {claims} claims: one winner each"),
    );
}
