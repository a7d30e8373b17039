//! Opening a Redis: checks that it responds, is suitable, and was not written by a later callgate.

use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;
use redis::ServerError;
use redis::Value;

use crate::base::clock::Stopwatch;
use crate::store::redis::check::version;
use crate::store::redis::engine::RedisEngine;
use crate::store::redis::keys::FORMAT;
use crate::store::redis::rows;
use crate::store::redis::servers::address::Address;
use crate::store::redis::servers::address::Form;
use crate::store::redis::servers::connect::ConnectError;
use crate::store::redis::servers::error::CommandError;
use crate::store::redis::servers::error::FORBIDDEN_INSIDE;
use crate::store::redis::servers::error::code;
use crate::store::redis::servers::topology;
use crate::store::redis::servers::topology::Call;
use crate::store::redis::servers::topology::Weight;
use crate::store::shared::Engine;
use crate::store::shared::OpenError;
use crate::store::shared::OpenErrorKind;

/// Timeout of the first response of a server.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time between two checks whether it has responded.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// The oldest version that has all commands callgate uses.
const VERSION_MIN: (u32, u32) = (6, 2);

/// The message and kind of an error.
type Wrong = (OpenErrorKind, String);

/// Opens the Redis at this address for the sessions of one application.
///
/// It reconnects by itself from then on, through restarts and failovers, until it is closed or
/// dropped. Call it within a runtime.
pub async fn open(address: &Address, app: &str) -> Result<Arc<dyn Engine>, OpenError> {
    let opened = async {
        let engine = RedisEngine::new(address, app).map_err(unfit)?;
        reached(&engine).await?;
        examine(&engine).await?;
        // This also compares the clocks, before any operation needs the time.
        engine.guarantees().await.map_err(|error| explain(&error))?;
        Ok(engine)
    };
    match opened.await {
        Ok(engine) => Ok(Arc::new(engine)),
        Err((kind, why)) => Err(OpenError { kind, store: address.to_string(), why }),
    }
}

fn unfit(why: impl Into<String>) -> Wrong {
    (OpenErrorKind::Unfit, why.into())
}

fn unreachable(why: impl Into<String>) -> Wrong {
    (OpenErrorKind::Unreachable, why.into())
}

/// Waits until a server has responded, or cannot be expected to any more.
async fn reached(engine: &RedisEngine) -> Result<(), Wrong> {
    let since = Stopwatch::start();
    loop {
        let away = engine.topology.away();
        let may_change = matches!(engine.address.form(), Form::Sentinel { .. } | Form::Cluster);
        match &away {
            None if engine.topology.is_whole() => return Ok(()),
            Some(ConnectError::ShutOut(why)) => {
                return Err(unreachable(format!("{why}; check them, and the server's ACL")));
            }
            Some(ConnectError::Forbidden(why)) => {
                return Err(unfit(format!("{why}; permit it to the user of the address")));
            }
            // A failover may be in progress.
            Some(ConnectError::Replica) if !may_change => {
                return Err(unfit("it is a replica; name its primary, or Sentinels that know it"));
            }
            _ => {}
        }
        if since.elapsed() > PATIENCE {
            return Err(unreachable(match away {
                Some(why) => {
                    format!("nobody answers as wanted: {why}; start it, or correct `store`")
                }
                None => "some slots of the Cluster have no master; bring it back".to_owned(),
            }));
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

async fn examine(engine: &RedisEngine) -> Result<(), Wrong> {
    for facts in engine.facts().await.map_err(|error| explain(&error))? {
        if version(&facts.version) < VERSION_MIN {
            return Err(unfit(format!(
                "it is Redis {}, and callgate needs 6.2 or later, or Valkey; upgrade it",
                facts.version
            )));
        }
    }
    let epoch = probe(engine).await?;
    if epoch.is_empty() && engine.address.fence() {
        return Err(unfit(
            "INFO replication does not tell master_replid, by which callgate notices that a \
             replica has taken over; use another server, or fence=off with a single one",
        ));
    }
    format(engine).await.map_err(|error| explain(&error))?.map_or(Ok(()), Err)
}

/// The commands that the steps use. Redis reports a refused command by its name, but inside a
/// script only by the line. Other nodes may run the same check concurrently, so each key always
/// has the same type.
const COMMANDS: [&[&str]; 15] = [
    &["HSET", "hash", "v", "0"],
    &["PEXPIRE", "hash", "1000"],
    &["HINCRBY", "hash", "v", "1"],
    &["HGET", "hash", "v"],
    &["HMGET", "hash", "v"],
    &["HDEL", "hash", "v"],
    &["ZADD", "set", "0", "m"],
    &["PEXPIRE", "set", "1000"],
    &["ZRANGEBYLEX", "set", "-", "+"],
    &["ZRANGEBYSCORE", "set", "-inf", "0"],
    &["ZREM", "set", "m"],
    &["SET", "text", "", "PX", "1000"],
    &["EXISTS", "text"],
    &["GET", "text"],
    &["DEL", "text"],
];

/// Runs everything that the steps will do once, on keys of its own; returns the server's
/// epoch.
async fn probe(engine: &RedisEngine) -> Result<String, Wrong> {
    for words in COMMANDS {
        let [verb, part, rest @ ..] = words else { continue };
        let key = engine.keys.probe(part);
        let mut command = Cmd::new();
        command.arg(verb).arg(&key).arg(rest);
        match engine.topology.query(&key, command).await {
            // The server is full, and still lets sessions end and tokens be redeemed.
            Err(CommandError::Said(error)) if code(&error) == "OOM" => {}
            answer => drop(answer.map_err(|error| explain(&error))?),
        }
    }
    if engine.address.wait().is_some() {
        let mut wait = Cmd::new();
        wait.arg("WAIT").arg(0).arg(0);
        let answer = engine.topology.query(&engine.keys.probe("text"), wait).await;
        answer.map_err(|error| explain(&error))?;
    }
    let keys = [engine.keys.probe("hash")];
    let call = Call { keys: &keys, words: &[], weight: Weight::Light };
    let answer = engine.topology.run(&topology::PROBE, call).await;
    answer.and_then(rows::text).map_err(|error| explain(&error))
}

/// Writes the version of the layout, or compares it; returns an error if it does not match.
async fn format(engine: &RedisEngine) -> Result<Option<Wrong>, CommandError> {
    let key = engine.keys.format();
    let mut get = Cmd::new();
    get.arg("GET").arg(&key);
    let mut found = engine.topology.query(&key, get.clone()).await?;
    if found == Value::Nil {
        let mut set = Cmd::new();
        set.arg("SET").arg(&key).arg(FORMAT).arg("NX");
        engine.topology.write(&key, set).await?;
        found = engine.topology.query(&key, get).await?;
    }
    let found = rows::text(found)?;
    Ok(match found.parse::<u32>() {
        Ok(version) if version <= FORMAT => None,
        Ok(version) => Some((
            OpenErrorKind::Newer,
            format!(
                "it is written in layout {version}, and this callgate knows up to {FORMAT}; \
                 start the newer callgate"
            ),
        )),
        Err(_) => Some(unfit(format!("{key} is {found:?}, which no callgate has written"))),
    })
}

/// Maps a failure at the start to an error.
fn explain(error: &CommandError) -> Wrong {
    let CommandError::Said(error) = error else { return unreachable(error.to_string()) };
    said(error)
}

fn said(error: &ServerError) -> Wrong {
    let details = error.details().unwrap_or_default();
    match code(error) {
        "NOPERM" | FORBIDDEN_INSIDE => unfit(format!(
            "the user of the address may not do what callgate does: {details}; give it \
             +@read +@write +@scripting +info +config|get +time +wait on ~cg:*"
        )),
        "READONLY" => unfit("it is a replica; name its primary, or Sentinels that know it"),
        "MOVED" | "ASK" => {
            unfit("it is a node of a Cluster; write redis+cluster:// in front of the address")
        }
        "WRONGTYPE" => unfit("a key of callgate holds something else; use another database or app"),
        code => unreachable(format!("it refuses to work: {code} {details}")),
    }
}
