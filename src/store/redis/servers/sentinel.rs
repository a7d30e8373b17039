//! Sentinels: the present master, by the majority of their replies.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;
use redis::Value;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::store::redis::servers::address::Host;
use crate::store::redis::servers::connect::ConnectError;
use crate::store::redis::servers::connect::Connection;
use crate::store::redis::servers::connect::Connector;
use crate::store::redis::servers::connect::Kind;

/// How long slower Sentinels are waited for after the first reply.
const STRAGGLERS: Duration = Duration::from_millis(300);
/// Time between two checks for a failover. Without them, an old master that is cut off from the
/// Sentinels but not from callgate would remain in use.
const LOOK_PAUSE: Duration = Duration::from_secs(2);

/// The Sentinels of one master.
#[derive(Debug)]
pub(crate) struct Sentinels {
    master: String,
    sentinels: Vec<Arc<Sentinel>>,
}

#[derive(Debug)]
struct Sentinel {
    host: Host,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Sentinels {
    pub(crate) fn new(master: &str, hosts: &[Host]) -> Self {
        let sentinels = hosts
            .iter()
            .map(|host| Arc::new(Sentinel { host: host.clone(), connection: Mutex::new(None) }));
        Self { master: master.to_owned(), sentinels: sentinels.collect() }
    }

    /// The server that the majority of the responding Sentinels name as master.
    pub(crate) async fn master(&self, connector: &Arc<Connector>) -> Result<Host, ConnectError> {
        let mut asked = JoinSet::new();
        for sentinel in &self.sentinels {
            let (sentinel, connector) = (Arc::clone(sentinel), Arc::clone(connector));
            let master = self.master.clone();
            asked.spawn(async move { sentinel.query(&connector, &master).await });
        }
        let mut votes = BTreeMap::<Host, usize>::new();
        let mut silence = ConnectError::Silent("no Sentinel answers".to_owned());
        while votes.is_empty()
            && let Some(answer) = asked.join_next().await
        {
            count(&mut votes, &mut silence, answer);
        }
        let rest = async {
            while let Some(answer) = asked.join_next().await {
                count(&mut votes, &mut silence, answer);
            }
        };
        // Sentinels that have not replied by then do not vote.
        let _ = tokio::time::timeout(STRAGGLERS, rest).await;
        votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(host, _)| host).ok_or(silence)
    }

    /// Completes when another server is the master.
    pub(crate) async fn replaced(&self, connector: &Arc<Connector>, master: &Host) {
        loop {
            tokio::time::sleep(LOOK_PAUSE).await;
            // Sentinels that do not reply do not replace the master.
            if self.master(connector).await.is_ok_and(|named| named != *master) {
                return;
            }
        }
    }
}

type Answer = Result<Result<Host, ConnectError>, tokio::task::JoinError>;

fn count(votes: &mut BTreeMap<Host, usize>, silence: &mut ConnectError, answer: Answer) {
    match answer {
        Ok(Ok(host)) => *votes.entry(host).or_default() += 1,
        Ok(Err(why)) => *silence = why,
        Err(_) => {}
    }
}

impl Sentinel {
    async fn query(&self, connector: &Connector, master: &str) -> Result<Host, ConnectError> {
        let mut held = self.connection.lock().await;
        let connection = match held.take().filter(|connection| !connection.is_broken()) {
            Some(connection) => connection,
            None => connector.dial(&self.host, Kind::Sentinel).await?,
        };
        let mut question = Cmd::new();
        question.arg("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master);
        let answers = connection.send(&[question]).await;
        let answers = answers.map_err(|error| ConnectError::Silent(error.to_string()))?;
        *held = Some(connection);
        match answers.into_iter().next() {
            Some(Value::Array(parts)) => named(&parts).ok_or_else(|| {
                ConnectError::Silent("a Sentinel names a master that has no address".to_owned())
            }),
            Some(Value::Nil) => {
                Err(ConnectError::Silent(format!("the Sentinels know no master {master:?}")))
            }
            Some(Value::ServerError(error)) => Err(ConnectError::ShutOut(format!(
                "a Sentinel refuses to name the master: {} {}",
                error.code(),
                error.details().unwrap_or_default()
            ))),
            _ => Err(ConnectError::Silent("a Sentinel does not speak as one".to_owned())),
        }
    }
}

fn named(parts: &[Value]) -> Option<Host> {
    let [Value::BulkString(name), Value::BulkString(port)] = parts else { return None };
    let port = str::from_utf8(port).ok()?.parse().ok()?;
    Some(Host { name: String::from_utf8(name.clone()).ok()?, port })
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the master {:?} of the Sentinels", self.master)
    }
}
