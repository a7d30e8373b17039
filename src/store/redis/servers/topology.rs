//! Access to the data in every kind of deployment: one server, the master of Sentinels, or the
//! masters of a Cluster.

use std::sync::Arc;
use std::sync::LazyLock;

use redis::Cmd;
use redis::ServerErrorKind;
use redis::Value;
use tokio::task::JoinSet;

use crate::base::secret::digest::sha1;
use crate::base::text::hex;
use crate::store::redis::keys;
use crate::store::redis::servers::address::Address;
use crate::store::redis::servers::address::Form;
use crate::store::redis::servers::address::SignIn;
use crate::store::redis::servers::cluster::Cluster;
use crate::store::redis::servers::connect::ConnectError;
use crate::store::redis::servers::connect::Connector;
use crate::store::redis::servers::error::CommandError;
use crate::store::redis::servers::sentinel::Sentinels;
use crate::store::redis::servers::server_pool::ServerPool;
use crate::store::redis::servers::server_pool::Target;

/// How long a write waits for replicas, in milliseconds, where the address requires replicas.
const REPLICAS_MILLIS: u16 = 200;
/// Concurrent commands to different slots of a Cluster, for one caller.
const ABREAST_MAX: usize = 32;

/// Access to the data.
#[derive(Debug)]
pub(crate) struct Topology {
    servers: Servers,
    wait: Option<u8>,
}

#[derive(Debug)]
enum Servers {
    /// One server has all keys.
    One(Arc<ServerPool>),
    Many(Cluster),
}

/// Whether a caller relies on the write of a command. Such commands have connections of their own,
/// and where the address requires replicas, their replies count only once replicas have the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// No caller relies on it.
    Light,
    /// A caller relies on it.
    Heavy,
}

/// A step that the server runs atomically.
#[derive(Debug)]
pub(crate) struct Script {
    text: String,
    sha: String,
}

impl Script {
    fn of(parts: &[&str]) -> Self {
        let text = parts.concat();
        let sha = hex::lower(&sha1(text.as_bytes()));
        Self { text, sha }
    }
}

const ROWS: &str = include_str!("../scripts/rows.lua");
const LOCATE: &str = include_str!("../scripts/locate.lua");

macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident: $($part:expr),+;)+) => {
        $($(#[$doc])* pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::of(&[$($part),+]));)+
    };
}

scripts! {
    /// With the keys of the token and its session.
    FIND: ROWS, include_str!("../scripts/find.lua");
    /// With the token's pointer.
    LOCATE_AND_FIND: ROWS, LOCATE, include_str!("../scripts/find.lua");
    /// With the keys of the token, its session, its shard's names and what is due.
    CLAIM: ROWS, include_str!("../scripts/claim.lua");
    /// With the token's pointer.
    LOCATE_AND_CLAIM: ROWS, LOCATE, include_str!("../scripts/claim.lua");
    /// With the keys of the session, the indexes of its shard, and its tokens.
    COMMIT: ROWS, include_str!("../scripts/commit.lua");
    /// With the keys of the sessions.
    TOUCH: ROWS, include_str!("../scripts/touch.lua");
    /// With the numbers of the shards among its words.
    SWEEP: ROWS, include_str!("../scripts/sweep.lua");
    /// With the numbers of the shards among its words.
    TRIM: ROWS, include_str!("../scripts/trim.lua");
    /// With the keys of all records and their values.
    WRITE_RECORDS: include_str!("../scripts/records.lua");
    /// With the keys of all records and their values.
    LIST_RECORDS: include_str!("../scripts/records_list.lua");
    /// Without a key.
    PROBE: ROWS, include_str!("../scripts/probe.lua");
}

impl Topology {
    /// Starts to connect. Call it within a runtime.
    pub(crate) fn to(address: &Address) -> Result<Self, String> {
        let wait = address.wait();
        let one = |connector, target| {
            Servers::One(Arc::new(ServerPool::keep(Arc::new(connector), target)))
        };
        let servers = match address.form() {
            Form::Single => {
                let host = address.hosts().first().ok_or("the address names no server")?;
                one(Connector::new(address, &SignIn::default())?, Target::Host(host.clone()))
            }
            Form::Sentinel { master, sign_in } => {
                let sentinels = Sentinels::new(master, address.hosts());
                one(Connector::new(address, sign_in)?, Target::Master(sentinels))
            }
            Form::Cluster => {
                let connector = Arc::new(Connector::new(address, &SignIn::default())?);
                Servers::Many(Cluster::keep(connector, address.hosts()))
            }
        };
        Ok(Self { servers, wait })
    }

    /// Whether one server has all keys, so that a step may access any of them.
    pub(crate) fn is_one(&self) -> bool {
        matches!(self.servers, Servers::One(_))
    }

    /// Sends one command about this key.
    pub(crate) async fn query(&self, key: &str, command: Cmd) -> Result<Value, CommandError> {
        self.send(key, &[command], Weight::Light).await.map(first)?
    }

    /// Sends one command that writes.
    pub(crate) async fn write(&self, key: &str, command: Cmd) -> Result<Value, CommandError> {
        self.weighed(key, command, Weight::Heavy).await
    }

    /// Runs a step. The keys are of one slot, or of one server.
    pub(crate) async fn run(&self, script: &Script, call: Call<'_>) -> Result<Value, CommandError> {
        let key = call.keys.first().map_or("", String::as_str);
        match self.weighed(key, call.command("EVALSHA", &script.sha), call.weight).await {
            // The server has not executed it, because it was restarted or is a new one.
            Err(CommandError::Said(error)) if error.kind() == Some(ServerErrorKind::NoScript) => {
                self.weighed(key, call.command("EVAL", &script.text), call.weight).await
            }
            answer => answer,
        }
    }

    async fn weighed(
        &self,
        key: &str,
        command: Cmd,
        weight: Weight,
    ) -> Result<Value, CommandError> {
        let Some(wanted) = self.wait.filter(|_| weight == Weight::Heavy) else {
            return self.send(key, &[command], weight).await.map(first)?;
        };
        let mut wait = Cmd::new();
        wait.arg("WAIT").arg(wanted).arg(REPLICAS_MILLIS);
        let mut answers = self.send(key, &[command, wait], weight).await?.into_iter();
        let answer = answers.next().ok_or(CommandError::Garbled("nothing"))?;
        if let Value::ServerError(error) = answer {
            return Err(CommandError::Said(error));
        }
        match answers.next() {
            Some(Value::Int(got)) if got >= i64::from(wanted) => Ok(answer),
            Some(Value::Int(got)) => Err(CommandError::Unreplicated { wanted, got }),
            // It was written, and how many replicas have it is unknown.
            _ => Err(CommandError::Unreplicated { wanted, got: 0 }),
        }
    }

    async fn send(
        &self,
        key: &str,
        commands: &[Cmd],
        weight: Weight,
    ) -> Result<Vec<Value>, CommandError> {
        match &self.servers {
            Servers::One(pool) => pool.send(commands, weight).await,
            Servers::Many(cluster) => cluster.send(keys::slot(key), commands, weight).await,
        }
    }

    /// Sends commands about many keys concurrently. The replies are in the order of the commands.
    pub(crate) async fn query_all(
        self: &Arc<Self>,
        questions: Vec<(String, Cmd)>,
    ) -> Result<Vec<Value>, CommandError> {
        if let Servers::One(pool) = &self.servers {
            let commands: Vec<Cmd> = questions.into_iter().map(|(_, command)| command).collect();
            if commands.is_empty() {
                return Ok(Vec::new());
            }
            return pool.send(&commands, Weight::Light).await?.into_iter().map(said).collect();
        }
        let work = questions.into_iter().map(|(key, command)| {
            let topology = Arc::clone(self);
            async move { topology.query(&key, command).await }
        });
        abreast(work).await.into_iter().collect()
    }

    /// Every server that has keys.
    pub(crate) fn pools(&self) -> Vec<Arc<ServerPool>> {
        match &self.servers {
            Servers::One(pool) => vec![Arc::clone(pool)],
            Servers::Many(cluster) => cluster.pools(),
        }
    }

    /// Whether every key has a server.
    pub(crate) fn is_whole(&self) -> bool {
        match &self.servers {
            Servers::One(_) => true,
            Servers::Many(cluster) => cluster.is_whole(),
        }
    }

    /// Why no server can be reached; `None` if one can.
    pub(crate) fn away(&self) -> Option<ConnectError> {
        match &self.servers {
            Servers::One(pool) => pool.away(),
            Servers::Many(cluster) => {
                cluster.away().or_else(|| cluster.pools().iter().find_map(|pool| pool.away()))
            }
        }
    }

    pub(crate) fn close(&self) {
        match &self.servers {
            Servers::One(pool) => pool.close(),
            Servers::Many(cluster) => cluster.close(),
        }
    }
}

/// A step with its keys and arguments.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) keys: &'a [String],
    pub(crate) words: &'a [Vec<u8>],
    pub(crate) weight: Weight,
}

impl Call<'_> {
    fn command(&self, verb: &str, script: &str) -> Cmd {
        let mut command = Cmd::new();
        command.arg(verb).arg(script).arg(self.keys.len());
        for key in self.keys {
            command.arg(key);
        }
        for word in self.words {
            command.arg(word.as_slice());
        }
        command
    }
}

/// Runs tasks for many keys, a bounded number concurrently; the results are in the order of the
/// tasks.
pub(crate) async fn abreast<T: Send + 'static>(
    work: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let mut work = work.into_iter().enumerate();
    let mut under_way = JoinSet::new();
    let mut done = Vec::new();
    loop {
        while under_way.len() < ABREAST_MAX
            && let Some((at, piece)) = work.next()
        {
            under_way.spawn(async move { (at, piece.await) });
        }
        match under_way.join_next().await {
            Some(Ok(piece)) => done.push(piece),
            // The task panicked, and the panic is passed on to the caller.
            Some(Err(failed)) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => break,
            },
            None => break,
        }
    }
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

fn first(answers: Vec<Value>) -> Result<Value, CommandError> {
    said(answers.into_iter().next().ok_or(CommandError::Garbled("nothing"))?)
}

fn said(answer: Value) -> Result<Value, CommandError> {
    match answer {
        Value::ServerError(error) => Err(CommandError::Said(error)),
        answer => Ok(answer),
    }
}
