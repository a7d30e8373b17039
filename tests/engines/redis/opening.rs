//! Opening a Redis: what is refused, in which words, and what is said about one that is accepted.

use callgate::store::shared::OpenErrorKind;
use redis::Value;

use crate::redis::opened;
use crate::redis::try_open;
use crate::services::redis::Cluster;
use crate::services::redis::Redis;
use crate::services::redis::is_installed;

/// Is refused for this reason, and told so in words that give nothing away.
async fn refused(url: &str, kind: OpenErrorKind, part: &str) {
    let error = try_open(url, "app").await.expect_err(url);
    let said = error.to_string();
    assert_eq!(error.kind, kind, "{said}");
    assert!(said.contains(part), "{said}");
    assert!(!said.contains("canary"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    if !is_installed() {
        return;
    }
    let mut server = Redis::start("").await;
    server.kill();
    refused(&server.url(), OpenErrorKind::Unreachable, "nobody answers").await;
}

#[tokio::test]
async fn a_wrong_password_is_said_without_it() {
    if !is_installed() {
        return;
    }
    let server = Redis::with_password("right").await;
    opened(&server.url(), "app").await;
    let port = server.port();
    for wrong in [
        format!("redis://:canary@127.0.0.1:{port}"),
        format!("redis://canary:canary@127.0.0.1:{port}"),
        format!("redis://127.0.0.1:{port}"),
    ] {
        refused(&wrong, OpenErrorKind::Unreachable, "password").await;
    }
}

#[tokio::test]
async fn a_user_without_permissions_is_told_which() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    let all = "+@read +@write +@scripting +info +config|get +time +wait";
    let user = |rights: &str, keys: &str| {
        let mut words = vec!["ACL", "SETUSER", "ann", "reset", "on", ">canary", keys];
        words.extend(rights.split(' '));
        server.say(&words);
    };
    let url = format!("redis://ann:canary@127.0.0.1:{}", server.port());
    for lacking in ["info", "eval", "hset", "zadd", "hmget", "get", "del"] {
        let more = if lacking == "eval" { " -evalsha" } else { "" };
        user(&format!("{all} -{lacking}{more}"), "~*");
        refused(&url, OpenErrorKind::Unfit, lacking).await;
    }
    user(all, "~other:*");
    refused(&url, OpenErrorKind::Unfit, "may not do").await;
    // With what the message asks for it works, and where it may not ask it says so.
    user(&all.replace(" +config|get", ""), "~cg:*");
    let checked = opened(&url, "app").await.check().await.unwrap();
    let blind = checked.lacks.iter().any(|lack| lack.to_string().contains("CONFIG GET"));
    assert!(!blind, "without appendonly there is nothing to ask: {:?}", checked.lacks);
    server.say(&["CONFIG", "SET", "appendonly", "yes"]);
    let checked = opened(&url, "app").await.check().await.unwrap();
    let blind = checked.lacks.iter().any(|lack| lack.to_string().contains("CONFIG GET"));
    assert!(blind, "{:?}", checked.lacks);
    user(all, "~cg:*");
    let checked = opened(&url, "app").await.check().await.unwrap();
    assert!(!checked.lacks.iter().any(|lack| lack.to_string().contains("CONFIG GET")));
}

#[tokio::test]
async fn nodes_that_start_together_are_in_nobodys_way() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let url = server.url();
        nodes.spawn(async move { opened(&url, "app").await.check().await.unwrap() });
    }
    assert_eq!(nodes.join_all().await.len(), 16);
    assert_eq!(server.told(&["KEYS", "cg:{app}:probe:*"]), "");
}

#[tokio::test]
async fn a_replica_is_unfit() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    let replica = Redis::replica_of(&server, "").await;
    refused(&replica.url(), OpenErrorKind::Unfit, "replica").await;
}

#[tokio::test]
async fn a_cluster_is_opened_as_one_and_nothing_else_is() {
    if !is_installed() {
        return;
    }
    let cluster = Cluster::start("").await;
    refused(&cluster.nodes[0].url(), OpenErrorKind::Unfit, "redis+cluster://").await;
    // One node that is known is enough.
    let one = format!("redis+cluster://127.0.0.1:{}", cluster.nodes[2].port());
    opened(&one, "app").await;
    let server = Redis::start("").await;
    let url = format!("redis+cluster://127.0.0.1:{}", server.port());
    refused(&url, OpenErrorKind::Unfit, "cluster").await;
    let url = format!("redis+sentinel://127.0.0.1:{}/mymaster", server.port());
    refused(&url, OpenErrorKind::Unreachable, "Sentinel").await;
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_refused() {
    if !is_installed() {
        return;
    }
    let (server, other) = (Redis::with_tls().await, Redis::with_tls().await);
    let (_, ca) = other.url().split_once('?').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let url = format!("rediss://127.0.0.1:{}?{ca}", server.port());
    refused(&url, OpenErrorKind::Unreachable, "certificate").await;
    let plain = format!("redis://127.0.0.1:{}", server.port());
    refused(&plain, OpenErrorKind::Unreachable, "nobody answers").await;
    let missing = format!("rediss://127.0.0.1:{}?ca=/nowhere/at.pem", server.port());
    refused(&missing, OpenErrorKind::Unfit, "PEM").await;
}

#[tokio::test]
async fn what_a_later_callgate_has_written_is_refused() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    opened(&server.url(), "app").await;
    assert_eq!(server.told(&["GET", "cg:{app}:format"]), "1");
    opened(&server.url(), "app").await;
    server.say(&["SET", "cg:{app}:format", "2"]);
    refused(&server.url(), OpenErrorKind::Newer, "newer callgate").await;
    server.say(&["SET", "cg:{app}:format", "sessions"]);
    refused(&server.url(), OpenErrorKind::Unfit, "sessions").await;
    // Another application has its own.
    opened(&server.url(), "other").await;
}

#[tokio::test]
async fn what_is_weak_is_named() {
    if !is_installed() {
        return;
    }
    let server = Redis::start("").await;
    let weak = opened(&server.url(), "app").await.check().await.unwrap();
    assert!(!weak.survives_crash && !weak.survives_power_loss && weak.shared);
    assert!(weak.lacks.iter().any(|lack| lack.remedy.contains("appendonly yes")), "{weak:?}");
    let server = Redis::start("--appendonly yes --appendfsync always --maxmemory 100mb").await;
    let strong = opened(&server.url(), "app").await.check().await.unwrap();
    assert!(strong.survives_crash && strong.survives_power_loss, "{strong:?}");
    assert!(strong.lacks.is_empty(), "{:?}", strong.lacks);
    assert_eq!(strong.store, "redis");
    assert!(matches!(
        server.say(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]),
        Value::Okay
    ));
    let evicting = opened(&server.url(), "app").await.check().await.unwrap();
    let named = evicting.lacks.iter().any(|lack| lack.remedy.contains("noeviction"));
    assert!(named, "{:?}", evicting.lacks);
}
