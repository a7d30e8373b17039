//! One token and many bearers who arrive in the same instant (docs/SECURITY.md C-02).

use std::collections::HashSet;
use std::sync::Arc;

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

/// A token, and the session that it leads to.
#[derive(Clone)]
struct Minted {
    token: String,
    session: String,
    cookie: String,
}

#[test]
fn of_many_connections_one_redeems_a_token_kept_in_memory() {
    run(race("memory", &[ServerPlan::probe("memory:").start()]));
}

#[test]
fn of_many_connections_one_redeems_a_token_kept_on_disk() {
    let folder = folder();
    run(race("embedded", &[ServerPlan::embedded(folder.path()).start()]));
}

/// One race for each of many tokens on these nodes of one store.
pub(crate) async fn race(name: &str, nodes: &[Server]) {
    let (tokens, bearers) = size((12, 32), (300, 256));
    let minted = mint(&nodes[0], tokens).await;
    let replies = redeem_all(nodes, minted.clone(), bearers).await;
    let mut cookies = 0;
    for (at, (minted, replies)) in minted.iter().zip(&replies).enumerate() {
        judge(&nodes[at % nodes.len()], minted, replies).await;
        cookies += replies.iter().filter(|reply| reply.cookie().is_some()).count();
    }
    let requests = tokens * bearers;
    figure(
        &format!("race on {name}"),
        format!(
            "{tokens} tokens x {bearers} connections = {requests} requests on {} node(s): {tokens} \
             restored, {} used, {cookies} cookies issued",
            nodes.len(),
            requests - tokens
        ),
    );
    assert_eq!(nodes[0].census().await.1, 0, "no token is left");
}

async fn mint(server: &Server, count: usize) -> Vec<Minted> {
    let mut minted = Vec::new();
    let mut connection = server.connect().await;
    for _ in 0..count {
        let reply = connection.ask(&Ask::get("/mint?for=Probe.whoami")).await.unwrap().good();
        let (token, cookie) = (reply.text(), reply.cookie().unwrap().to_owned());
        let whoami = Ask::get("/whoami").cookie(&cookie);
        let session = connection.ask(&whoami).await.unwrap().good().session();
        minted.push(Minted { token, session, cookie });
    }
    minted
}

/// All bearers try the first token, then all the second, and so on: for each token, the answers.
/// Each of them keeps to one node.
async fn redeem_all(nodes: &[Server], minted: Vec<Minted>, bearers: usize) -> Vec<Vec<Reply>> {
    let minted = Arc::new(minted);
    let barrier = Arc::new(Barrier::new(bearers));
    let mut racing = JoinSet::new();
    for bearer in 0..bearers {
        let connection = nodes[bearer % nodes.len()].connect().await;
        racing.spawn(bear(connection, Arc::clone(&minted), Arc::clone(&barrier)));
    }
    let mut replies = vec![Vec::with_capacity(bearers); minted.len()];
    for bearer in racing.join_all().await {
        for (at, reply) in bearer.into_iter().enumerate() {
            replies[at].push(reply);
        }
    }
    replies
}

/// One browser with a cookie of its own, which tries every token.
async fn bear(mut me: Connection, minted: Arc<Vec<Minted>>, barrier: Arc<Barrier>) -> Vec<Reply> {
    let hello = me.ask(&Ask::get("/whoami")).await.unwrap().good();
    let own = hello.cookie().unwrap().to_owned();
    let mut replies = Vec::with_capacity(minted.len());
    for Minted { token, .. } in minted.iter() {
        let bytes = Ask::get(&format!("/share?$4DSID={token}")).browser().cookie(&own).bytes();
        let (most, last) = bytes.split_at(bytes.len() - 1);
        me.renew().await.unwrap();
        // Everything but the last byte is there before the race begins, so that what is raced
        // is the redemption and not the reading.
        me.send(most).await.unwrap();
        barrier.wait().await;
        me.send(last).await.unwrap();
        replies.push(me.receive(false).await.unwrap());
    }
    replies
}

async fn judge(server: &Server, minted: &Minted, replies: &[Reply]) {
    let (won, lost): (Vec<&Reply>, Vec<&Reply>) =
        replies.iter().partition(|reply| reply.outcome() == "restored");
    assert_eq!(won.len(), 1, "exactly one redeems");
    assert!(lost.iter().all(|reply| reply.status == 200 && reply.outcome() == "used"));
    assert_eq!(won[0].session(), minted.session);
    assert!(lost.iter().all(|reply| reply.session() != minted.session));
    let cookies: HashSet<&str> = replies.iter().filter_map(Reply::cookie).collect();
    assert_eq!(cookies.len(), 1, "one credential is issued");
    assert_eq!(won[0].cookie(), cookies.iter().next().copied(), "and the winner has it");
    let devices = Ask::get("/devices").cookie(&minted.cookie);
    let devices = server.connect().await.ask(&devices).await.unwrap().good().result();
    assert_eq!(devices.as_array().unwrap().len(), 2, "the one that minted and the one that won");
}
