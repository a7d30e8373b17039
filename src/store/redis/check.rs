//! The guarantees of a Redis with its present configuration, in words for its operator.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::Cmd;
use redis::Value;

use crate::base::clock::Clock;
use crate::base::clock::Stopwatch;
use crate::base::clock::SystemClock;
use crate::store::port::Guarantees;
use crate::store::port::Lack;
use crate::store::redis::engine::RedisEngine;
use crate::store::redis::engine::millis;
use crate::store::redis::servers::address::Address;
use crate::store::redis::servers::address::Form;
use crate::store::redis::servers::address::Host;
use crate::store::redis::servers::error::CommandError;
use crate::store::redis::servers::server_pool::ServerPool;
use crate::store::redis::servers::topology::Weight;

/// How long the configuration of a server is cached, because health checks may run every second.
const BELIEF: Duration = Duration::from_secs(5);
/// A smaller difference of clocks may be the round trip.
const CLOCKS_APART: Duration = Duration::from_secs(1);

/// The last result.
#[derive(Debug, Default)]
pub(super) struct Checks(Mutex<Option<(Stopwatch, Guarantees)>>);

/// The properties of one server.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one answer of the server")]
pub(super) struct Facts {
    pub(super) host: Option<Host>,
    /// The version of Redis with which it is compatible.
    pub(super) version: String,
    pub(super) is_valkey: bool,
    replicas: u64,
    is_guarded: bool,
    aof: bool,
    disk_fails: bool,
    /// The limit of the memory; 0 for no limit.
    maxmemory: u64,
    eviction: String,
    /// `appendfsync`; `None` where it may not be read.
    fsync: Option<String>,
    pauses_fsync: bool,
    ahead: Duration,
}

impl RedisEngine {
    pub(super) async fn guarantees(&self) -> Result<Guarantees, CommandError> {
        if let Some(known) = self.checks.known() {
            // The configuration is cached, but whether the server works must be checked.
            let key = self.keys.format();
            let mut get = Cmd::new();
            get.arg("GET").arg(&key);
            self.topology.query(&key, get).await?;
            return Ok(known);
        }
        let facts = self.facts().await?;
        let ahead = facts.iter().map(|facts| facts.ahead).max().unwrap_or_default();
        self.ahead.store(millis(ahead), Ordering::Relaxed);
        let guarantees = judge(&self.address, &facts, self.topology.is_whole());
        self.checks.learn(guarantees.clone());
        Ok(guarantees)
    }

    /// The properties of each server.
    pub(super) async fn facts(&self) -> Result<Vec<Facts>, CommandError> {
        let mut facts = Vec::new();
        for pool in self.topology.pools() {
            facts.push(facts_of(&pool).await?);
        }
        Ok(facts)
    }
}

impl Checks {
    fn known(&self) -> Option<Guarantees> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = known.as_ref().filter(|(since, _)| since.elapsed() < BELIEF);
        fresh.map(|(_, guarantees)| guarantees.clone())
    }

    fn learn(&self, guarantees: Guarantees) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Stopwatch::start(), guarantees));
    }
}

async fn facts_of(pool: &ServerPool) -> Result<Facts, CommandError> {
    let command = |words: &[&str]| {
        let mut command = Cmd::new();
        for word in words {
            command.arg(word);
        }
        command
    };
    let questions = [
        command(&["INFO", "server"]),
        command(&["INFO", "replication"]),
        command(&["INFO", "persistence"]),
        command(&["INFO", "memory"]),
        command(&["CONFIG", "GET", "appendfsync"]),
        command(&["CONFIG", "GET", "no-appendfsync-on-rewrite"]),
        command(&["TIME"]),
    ];
    let before = SystemClock.now();
    let answers = pool.send(&questions, Weight::Light).await?;
    let after = SystemClock.now();
    let mut answers = answers.into_iter();
    let mut info = String::new();
    for answer in answers.by_ref().take(4) {
        match answer {
            Value::BulkString(text) => info.push_str(&String::from_utf8_lossy(&text)),
            Value::ServerError(error) => return Err(CommandError::Said(error)),
            _ => return Err(CommandError::Garbled("INFO")),
        }
    }
    let mut facts = read(&info);
    facts.host = pool.host();
    facts.fsync = answers.next().and_then(setting);
    facts.pauses_fsync = answers.next().and_then(setting).is_some_and(|value| value == "yes");
    if let Some(now) = answers.next().and_then(time) {
        // The server read its clock at some point in between, and any value in the range is
        // possible.
        let ahead = Duration::from_millis(now.saturating_sub(after.millis()));
        facts.ahead = if ahead > CLOCKS_APART && before <= after { ahead } else { Duration::ZERO };
    }
    Ok(facts)
}

fn read(info: &str) -> Facts {
    let line = |name: &str| {
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.clone().find(|(key, _)| *key == name).map(|(_, value)| value.trim())
    };
    let number = |name| line(name).and_then(|value| value.parse().ok()).unwrap_or(0);
    Facts {
        version: line("redis_version").unwrap_or_default().to_owned(),
        is_valkey: line("valkey_version").is_some() || line("server_name") == Some("valkey"),
        replicas: number("connected_slaves"),
        // This field is present only where min-replicas-to-write is set.
        is_guarded: line("min_slaves_good_slaves").is_some(),
        aof: line("aof_enabled") == Some("1"),
        disk_fails: line("aof_last_write_status") == Some("err")
            || line("rdb_last_bgsave_status") == Some("err"),
        maxmemory: number("maxmemory"),
        eviction: line("maxmemory_policy").unwrap_or_default().to_owned(),
        ..Facts::default()
    }
}

/// The value in the reply of CONFIG GET; `None` if there is none.
fn setting(answer: Value) -> Option<String> {
    let Value::Array(parts) = answer else { return None };
    match parts.as_slice() {
        [_, Value::BulkString(value)] => Some(String::from_utf8_lossy(value).into_owned()),
        _ => None,
    }
}

/// The reply of TIME, in milliseconds.
fn time(answer: Value) -> Option<u64> {
    let Value::Array(parts) = answer else { return None };
    let [Value::BulkString(seconds), Value::BulkString(micros)] = parts.as_slice() else {
        return None;
    };
    let number = |text: &[u8]| str::from_utf8(text).ok()?.parse::<u64>().ok();
    Some(number(seconds)?.saturating_mul(1000).saturating_add(number(micros)? / 1000))
}

/// The first two numbers of a version.
pub(super) fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The guarantees of all servers together.
fn judge(address: &Address, facts: &[Facts], is_whole: bool) -> Guarantees {
    let mut lacks = Vec::new();
    for each in facts {
        for (what, remedy) in lacks_of(address, each) {
            let what = match (&each.host, address.form()) {
                (Some(host), Form::Cluster) => format!("{host}: {what}"),
                _ => what,
            };
            lacks.push(Lack { what, remedy: remedy.to_owned() });
        }
    }
    if !is_whole {
        lacks.push(Lack {
            what: "some keys have no server in the Cluster".to_owned(),
            remedy: "bring the missing masters back, or give their slots to others".to_owned(),
        });
    }
    let survives_crash = facts.iter().all(|each| each.fsync.as_deref() == Some("always"))
        && facts.iter().all(|each| each.aof);
    let survives_power_loss = survives_crash && !facts.iter().any(|each| each.pauses_fsync);
    Guarantees {
        store: name(address, facts),
        survives_crash,
        survives_power_loss,
        shared: true,
        notes: notes(address, facts),
        lacks,
    }
}

fn name(address: &Address, facts: &[Facts]) -> &'static str {
    let is_valkey = facts.iter().any(|each| each.is_valkey);
    match (address.form(), is_valkey) {
        (Form::Single, false) => "redis",
        (Form::Single, true) => "valkey",
        (Form::Sentinel { .. }, false) => "redis with sentinels",
        (Form::Sentinel { .. }, true) => "valkey with sentinels",
        (Form::Cluster, false) => "redis cluster",
        (Form::Cluster, true) => "valkey cluster",
    }
}

/// The risks of one server, and what to change.
fn lacks_of(address: &Address, facts: &Facts) -> Vec<(String, &'static str)> {
    let mut lacks = Vec::new();
    let mut lack = |what: &str, remedy| lacks.push((what.to_owned(), remedy));
    match (facts.aof, facts.fsync.as_deref()) {
        (false, _) => lack(
            "a server that restarts forgets what was answered since its last snapshot",
            "set appendonly yes and appendfsync always",
        ),
        (true, None) => lack(
            "CONFIG GET is refused, so nobody knows how soon an answer is on disk",
            "permit CONFIG GET to the user of the address",
        ),
        (true, Some("always")) => {}
        (true, Some("everysec")) => lack(
            "a server that loses power forgets up to two seconds of what was answered",
            "set appendfsync always",
        ),
        (true, Some(_)) => lack(
            "a server that loses power forgets what the operating system has not written yet",
            "set appendfsync always",
        ),
    }
    if facts.aof && facts.pauses_fsync {
        lack(
            "what is answered while the append-only file is rewritten is not on disk",
            "set no-appendfsync-on-rewrite no",
        );
    }
    if facts.disk_fails {
        lack("the server could not write to its disk", "look into its log, and free space");
    }
    if facts.maxmemory > 0 && facts.eviction != "noeviction" {
        lack(
            "a server whose memory is full throws away sessions that live",
            "set maxmemory-policy noeviction",
        );
    }
    let is_followed = facts.replicas > 0 || matches!(address.form(), Form::Sentinel { .. });
    if !address.fence() && (is_followed || facts.fsync.as_deref() != Some("always")) {
        lack(
            "a server that forgets, or a replica that takes over, grants a token a second time",
            "remove fence=off from the address",
        );
    }
    if is_followed && !facts.is_guarded && !matches!(address.form(), Form::Cluster) {
        lack(
            "a server that is cut off from its replicas goes on to accept what is lost when one \
             of them takes over",
            "set min-replicas-to-write 1",
        );
    }
    let replicas = facts.replicas;
    if let Some(wait) = address.wait().filter(|wait| u64::from(*wait) > replicas) {
        lacks.push((
            format!("every write waits for {wait} replicas, and {replicas} are connected"),
            "connect more replicas, or lower wait in the address",
        ));
    }
    lacks
}

fn notes(address: &Address, facts: &[Facts]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut versions: Vec<&str> = facts.iter().map(|each| each.version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    notes.push(format!("the server speaks as Redis {}", versions.join(", ")));
    notes.push(if address.fence() {
        "a server that restarts or gets its first replica, and a replica that takes over, refuse \
         the tokens minted before"
            .to_owned()
    } else {
        "the fence is off: tokens outlive a restart of the server".to_owned()
    });
    let followed = facts.iter().filter(|each| each.replicas > 0).count();
    if followed > 0 && address.wait().is_none() {
        notes.push(
            "a replica that takes over may lack the last writes; wait=1 in the address makes \
             them wait for a replica"
                .to_owned(),
        );
    }
    if followed < facts.len() && !matches!(address.form(), Form::Single) {
        notes.push("a server without a replica has nobody to take over".to_owned());
    }
    if facts.iter().any(|each| each.maxmemory == 0) {
        notes.push("the memory of the server has no limit (maxmemory)".to_owned());
    }
    if let Some(ahead) = facts.iter().map(|each| each.ahead).max().filter(|span| !span.is_zero()) {
        let ahead = ahead.as_secs();
        notes.push(format!(
            "the clock of the server is {ahead} s ahead of this machine's, and callgate goes by it"
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Facts {
        Facts {
            version: "7.2.4".to_owned(),
            aof: true,
            fsync: Some("always".to_owned()),
            eviction: "noeviction".to_owned(),
            maxmemory: 1 << 30,
            ..Facts::default()
        }
    }

    fn judged(address: &str, facts: Facts) -> Guarantees {
        judge(&Address::parse(address).unwrap(), &[facts], true)
    }

    #[test]
    fn a_server_that_keeps_everything_lacks_nothing() {
        let judged = judged("redis://h", good());
        assert!(judged.lacks.is_empty(), "{:?}", judged.lacks);
        assert!(judged.survives_crash && judged.survives_power_loss && judged.shared);
    }

    #[test]
    fn each_weakness_is_named_with_its_remedy() {
        let everysec = Some("everysec".to_owned());
        for (address, facts, remedy) in [
            ("redis://h", Facts { aof: false, ..good() }, "appendonly yes"),
            ("redis://h", Facts { fsync: everysec.clone(), ..good() }, "appendfsync always"),
            ("redis://h", Facts { fsync: Some("no".into()), ..good() }, "appendfsync always"),
            ("redis://h", Facts { fsync: None, ..good() }, "permit CONFIG GET"),
            ("redis://h", Facts { pauses_fsync: true, ..good() }, "on-rewrite no"),
            ("redis://h", Facts { disk_fails: true, ..good() }, "log"),
            ("redis://h", Facts { eviction: "allkeys-lru".into(), ..good() }, "noeviction"),
            ("redis://h", Facts { replicas: 1, ..good() }, "min-replicas-to-write 1"),
            ("redis+sentinel://h/m", good(), "min-replicas-to-write 1"),
            ("redis://h?fence=off", Facts { replicas: 1, ..good() }, "remove fence=off"),
            ("redis://h?fence=off", Facts { fsync: everysec, ..good() }, "remove fence=off"),
            ("redis://h?wait=2", Facts { replicas: 1, is_guarded: true, ..good() }, "lower wait"),
        ] {
            let lacks = judged(address, facts).lacks;
            let named = lacks.iter().any(|lack| lack.remedy.contains(remedy));
            assert!(named, "{address} {remedy}: {lacks:?}");
        }
    }

    #[test]
    fn a_server_without_a_limit_evicts_nothing() {
        let unlimited = Facts { maxmemory: 0, eviction: "allkeys-lru".into(), ..good() };
        let judged = judged("redis://h?fence=off", unlimited);
        assert!(judged.lacks.is_empty(), "{:?}", judged.lacks);
    }

    #[test]
    fn what_a_server_says_is_read() {
        let facts = read(
            "# Server\r\nredis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n\
             connected_slaves:2\r\nmin_slaves_good_slaves:1\r\naof_enabled:1\r\n\
             maxmemory:100\r\nmaxmemory_policy:noeviction\r\nrdb_last_bgsave_status:err\r\n",
        );
        assert_eq!((version(&facts.version), facts.is_valkey, facts.replicas), ((7, 2), true, 2));
        assert!(facts.is_guarded && facts.aof && facts.disk_fails && facts.maxmemory == 100);
        let time = time(Value::Array(vec![
            Value::BulkString(b"1700000000".to_vec()),
            Value::BulkString(b"123456".to_vec()),
        ]));
        assert_eq!(time, Some(1_700_000_000_123));
    }
}
