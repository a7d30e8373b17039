//! A Cluster: the map of slots to nodes, and redirections to other nodes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;
use redis::ServerErrorKind;
use redis::Value;
use tokio::sync::Notify;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::store::redis::servers::address::Host;
use crate::store::redis::servers::connect::ConnectError;
use crate::store::redis::servers::connect::Connector;
use crate::store::redis::servers::connect::Kind;
use crate::store::redis::servers::error::CommandError;
use crate::store::redis::servers::server_pool::ACQUIRE_TIMEOUT;
use crate::store::redis::servers::server_pool::ServerPool;
use crate::store::redis::servers::server_pool::Target;
use crate::store::redis::servers::topology::Weight;

/// Time between two refreshes of the map of slots without a redirection.
const LOOK_PAUSE: Duration = Duration::from_secs(10);
/// Minimum time between two refreshes.
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(100);
/// Maximum number of redirections of a command.
const HOPS_MAX: usize = 5;
/// Pause before a retry while the keys of a slot are split by its migration.
const SPLIT_PAUSE: Duration = Duration::from_millis(25);

const NOWHERE: &str = "no node of its Cluster has the keys";

/// The nodes of a Cluster.
pub(crate) struct Cluster {
    shared: Arc<Shared>,
    looker: AbortHandle,
}

struct Shared {
    connector: Arc<Connector>,
    seeds: Vec<Host>,
    map: watch::Sender<Map>,
    /// Requests a refresh, because the map was found to be wrong.
    complaint: Notify,
}

/// The map of slots to nodes.
#[derive(Debug, Clone, Default)]
struct Map {
    /// First and last slot, in order.
    ranges: Vec<(u16, u16, Host)>,
    pools: BTreeMap<Host, Arc<ServerPool>>,
    /// Why the last refresh failed.
    blind: Option<ConnectError>,
}

impl Cluster {
    /// Starts to refresh the map. Call it within a runtime.
    pub(crate) fn keep(connector: Arc<Connector>, seeds: &[Host]) -> Self {
        let (map, _) = watch::channel(Map::default());
        let seeds = seeds.to_vec();
        let shared = Shared { connector, seeds, map, complaint: Notify::new() };
        let shared = Arc::new(shared);
        let looker = tokio::spawn(look_often(Arc::clone(&shared))).abort_handle();
        Self { shared, looker }
    }

    /// Sends commands about keys of one slot and waits for the replies, one for each.
    pub(crate) async fn send(
        &self,
        slot: u16,
        commands: &[Cmd],
        weight: Weight,
    ) -> Result<Vec<Value>, CommandError> {
        let mut pool = self.owner(slot).await?;
        let mut asking = false;
        for _ in 0..HOPS_MAX {
            let answers = if asking {
                send_asking(&pool, commands, weight).await
            } else {
                pool.send(commands, weight).await
            };
            let answers = match answers {
                Ok(answers) => answers,
                Err(error) => {
                    self.shared.complaint.notify_one();
                    match (&error, self.shared.map.borrow().owner(slot)) {
                        // Another node has the slot by now, and this one has not received the
                        // command.
                        (CommandError::Unsent(_), Some(other)) if !Arc::ptr_eq(&other, &pool) => {
                            pool = other;
                            continue;
                        }
                        _ => return Err(error),
                    }
                }
            };
            let Some((kind, to)) = redirection(&answers) else { return Ok(answers) };
            asking = kind == ServerErrorKind::Ask;
            match kind {
                ServerErrorKind::Moved | ServerErrorKind::Ask => {
                    if kind == ServerErrorKind::Moved {
                        self.shared.complaint.notify_one();
                    }
                    let Some(to) = to else { return Ok(answers) };
                    pool = self.shared.pool(&to.after(&pool));
                }
                _ => tokio::time::sleep(SPLIT_PAUSE).await,
            }
        }
        Err(CommandError::Unsent(NOWHERE))
    }

    /// The masters.
    pub(crate) fn pools(&self) -> Vec<Arc<ServerPool>> {
        let map = self.shared.map.borrow();
        let mut hosts: Vec<&Host> = map.ranges.iter().map(|(_, _, host)| host).collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts.into_iter().filter_map(|host| map.pools.get(host).cloned()).collect()
    }

    /// Why no node can be reached; `None` if some can.
    pub(crate) fn away(&self) -> Option<ConnectError> {
        self.shared.map.borrow().blind.clone()
    }

    /// Whether every slot has a node.
    pub(crate) fn is_whole(&self) -> bool {
        let map = self.shared.map.borrow();
        map.ranges.iter().map(|(first, last, _)| usize::from(last - first) + 1).sum::<usize>()
            == 16_384
    }

    pub(crate) fn close(&self) {
        self.looker.abort();
        self.shared.map.borrow().pools.values().for_each(|pool| pool.close());
    }

    async fn owner(&self, slot: u16) -> Result<Arc<ServerPool>, CommandError> {
        if let Some(pool) = self.shared.map.borrow().owner(slot) {
            return Ok(pool);
        }
        self.shared.complaint.notify_one();
        let mut map = self.shared.map.subscribe();
        let found = map.wait_for(|map| map.owner(slot).is_some());
        let found = tokio::time::timeout(ACQUIRE_TIMEOUT, found).await;
        let owner = found.ok().and_then(Result::ok).and_then(|map| map.owner(slot));
        owner.ok_or(CommandError::Unsent(NOWHERE))
    }
}

/// Sends commands to the node to which the slot is being migrated.
async fn send_asking(
    pool: &ServerPool,
    commands: &[Cmd],
    weight: Weight,
) -> Result<Vec<Value>, CommandError> {
    let mut asking = Cmd::new();
    asking.arg("ASKING");
    let commands: Vec<Cmd> = std::iter::once(asking).chain(commands.iter().cloned()).collect();
    let answers = pool.send(&commands, weight).await?;
    Ok(answers.into_iter().skip(1).collect())
}

/// The node in a redirection.
struct Hint {
    name: String,
    port: u16,
}

impl Hint {
    /// A node that does not know its own name leaves it out.
    fn after(self, pool: &ServerPool) -> Host {
        let name = match pool.host() {
            Some(host) if self.name.is_empty() || self.name == "?" => host.name,
            _ => self.name,
        };
        Host { name, port: self.port }
    }
}

/// Whether the first command was not executed, but redirected or deferred. The others concern the
/// same slot, or the connection.
fn redirection(answers: &[Value]) -> Option<(ServerErrorKind, Option<Hint>)> {
    let Some(Value::ServerError(error)) = answers.first() else { return None };
    let kind = error.kind()?;
    if !matches!(kind, ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain) {
        return None;
    }
    let hint = error.details().and_then(|details| {
        let (name, port) = details.split_whitespace().nth(1)?.rsplit_once(':')?;
        let name = name.trim_start_matches('[').trim_end_matches(']');
        Some(Hint { name: name.to_owned(), port: port.parse().ok()? })
    });
    Some((kind, hint))
}

impl Map {
    fn owner(&self, slot: u16) -> Option<Arc<ServerPool>> {
        let at = self.ranges.partition_point(|(_, last, _)| *last < slot);
        let (first, _, host) = self.ranges.get(at)?;
        if *first > slot {
            return None;
        }
        self.pools.get(host).cloned()
    }
}

impl Shared {
    /// The `ServerPool` of a node, new or existing.
    fn pool(&self, host: &Host) -> Arc<ServerPool> {
        if let Some(pool) = self.map.borrow().pools.get(host) {
            return Arc::clone(pool);
        }
        let mut found = None;
        self.map.send_modify(|map| {
            let pool = map.pools.entry(host.clone()).or_insert_with(|| self.new_pool(host));
            found = Some(Arc::clone(pool));
        });
        found.unwrap_or_else(|| self.new_pool(host))
    }

    fn new_pool(&self, host: &Host) -> Arc<ServerPool> {
        Arc::new(ServerPool::keep(Arc::clone(&self.connector), Target::Host(host.clone())))
    }

    /// Queries one node after the other, connected ones first, until one returns a map.
    async fn look(&self) {
        let mut pools: Vec<Arc<ServerPool>> = self.map.borrow().pools.values().cloned().collect();
        pools.sort_by_key(|pool| pool.away().is_some());
        let mut blind = None;
        for pool in pools.iter().filter(|pool| pool.away().is_none()) {
            match slots(pool).await {
                Ok(ranges) => return self.drawn(ranges),
                Err(why) => blind = Some(why),
            }
        }
        for host in &self.seeds {
            let asked = self.connector.dial(host, Kind::Node).await;
            let answers = match asked {
                Ok(connection) => connection.send(&[question()]).await,
                Err(why) => {
                    blind = Some(why);
                    continue;
                }
            };
            let read = answers.map_err(|error| ConnectError::Silent(error.to_string()));
            match read.and_then(|answers| ranges(answers, Some(host))) {
                Ok(ranges) => return self.drawn(ranges),
                Err(why) => blind = Some(why),
            }
        }
        self.map.send_modify(|map| map.blind = blind);
    }

    /// Replaces the map, and drops nodes that have no slot in it.
    fn drawn(&self, ranges: Vec<(u16, u16, Host)>) {
        self.map.send_modify(|map| {
            map.pools.retain(|host, _| ranges.iter().any(|(_, _, owner)| owner == host));
            for (_, _, host) in &ranges {
                map.pools.entry(host.clone()).or_insert_with(|| self.new_pool(host));
            }
            map.ranges = ranges;
            map.blind = None;
        });
    }
}

async fn look_often(shared: Arc<Shared>) {
    loop {
        shared.look().await;
        tokio::time::sleep(LOOK_PAUSE_MIN).await;
        let _ = tokio::time::timeout(LOOK_PAUSE, shared.complaint.notified()).await;
    }
}

fn question() -> Cmd {
    let mut question = Cmd::new();
    question.arg("CLUSTER").arg("SLOTS");
    question
}

async fn slots(pool: &ServerPool) -> Result<Vec<(u16, u16, Host)>, ConnectError> {
    let answers = pool.send(&[question()], Weight::Light).await;
    let answers = answers.map_err(|error| ConnectError::Silent(error.to_string()))?;
    ranges(answers, pool.host().as_ref())
}

/// Parses the reply of CLUSTER SLOTS: first slot, last slot, the master, its replicas.
fn ranges(
    answers: Vec<Value>,
    asked: Option<&Host>,
) -> Result<Vec<(u16, u16, Host)>, ConnectError> {
    let rows = match answers.into_iter().next() {
        Some(Value::Array(rows)) => rows,
        Some(Value::ServerError(error)) => {
            return Err(ConnectError::Forbidden(format!(
                "CLUSTER SLOTS is refused: {} {}",
                error.code(),
                error.details().unwrap_or_default()
            )));
        }
        _ => {
            return Err(ConnectError::Silent(
                "it does not speak as a node of a Cluster".to_owned(),
            ));
        }
    };
    let mut ranges: Vec<_> = rows.iter().filter_map(|row| range(row, asked)).collect();
    ranges.sort_unstable();
    Ok(ranges)
}

fn range(row: &Value, asked: Option<&Host>) -> Option<(u16, u16, Host)> {
    let Value::Array(row) = row else { return None };
    let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = row.as_slice() else {
        return None;
    };
    let (name, port) = match master.as_slice() {
        [Value::BulkString(name), Value::Int(port), ..] => (str::from_utf8(name).ok()?, port),
        [Value::Nil, Value::Int(port), ..] => ("", port),
        _ => return None,
    };
    let name = if name.is_empty() || name == "?" { asked?.name.as_str() } else { name };
    let host = Host { name: name.to_owned(), port: u16::try_from(*port).ok()? };
    Some((u16::try_from(*first).ok()?, u16::try_from(*last).ok()?, host))
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.looker.abort();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("pools", &self.pools()).finish_non_exhaustive()
    }
}
