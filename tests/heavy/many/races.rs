//! One token and many bearers who arrive in the same instant, at three nodes and at the store.

use callgate::base::Timestamp;
use callgate::store::contract;
use callgate::store::shared::SharedStore;

use super::databases::Kind;
use super::nodes;
use crate::races::race;
use crate::support::figure;
use crate::support::run;
use crate::support::size;

#[test]
fn of_many_connections_to_three_nodes_one_redeems_a_token_kept_in_postgres() {
    race_on_three_nodes(Kind::Postgres);
}

fn race_on_three_nodes(kind: Kind) {
    if kind.is_installed() {
        let database = kind.start();
        run(race(kind.name(), &nodes::three(&database.url())));
    }
}

#[test]
fn of_many_claimers_of_a_token_in_postgres_one_wins() {
    if Kind::Postgres.is_installed() {
        let database = Kind::Postgres.start();
        let address = callgate::store::postgres::Address::parse(&database.url()).unwrap();
        run(async {
            let engine = callgate::store::postgres::open(&address, "race").await.unwrap();
            race_at_the_store(Kind::Postgres, SharedStore::new(engine)).await;
        });
    }
}

/// The claimers come to one node and, as many at a time as it lets, to the database.
async fn race_at_the_store(kind: Kind, store: std::sync::Arc<SharedStore>) {
    const START: Timestamp = Timestamp::from_millis(1_900_000_000_000);
    let (tokens, claimers) = size((48, 64), (2_000, 64));
    contract::race(START, store, tokens, claimers).await.unwrap();
    let claims = tokens * claimers;
    figure(
        &format!("race at the store on {}", kind.name()),
        format!("{tokens} tokens x {claimers} claimers = {claims} claims: one winner each"),
    );
}
