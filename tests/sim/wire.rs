//! The database at the end of a simulated network: an engine for nodes, and the host that answers.
//!
//! What travels is the number of a call; its words lie on a table that both ends can reach. So a
//! call whose number is lost is never executed, and one whose answer is lost was.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use callgate::base::SessionId;
use callgate::base::Timestamp;
use callgate::base::TokenId;
use callgate::store::Pending;
use callgate::store::StoreError;
use callgate::store::port::Guarantees;
use callgate::store::port::RecordChange;
use callgate::store::port::Records;
use callgate::store::shared::Engine;
use callgate::store::shared::engine::ClaimOrder;
use callgate::store::shared::engine::Claimed;
use callgate::store::shared::engine::Commit;
use callgate::store::shared::engine::Committed;
use callgate::store::shared::engine::Found;
use callgate::store::shared::engine::SessionRow;
use callgate::store::shared::engine::Share;
use callgate::store::shared::engine::TokenKey;
use callgate::store::shared::engine::Trimmed;
use callgate::store::shared::map::MapEngine;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use turmoil::net::TcpListener;
use turmoil::net::TcpStream;

/// The name of the host of the database.
pub(crate) const DATABASE: &str = "database";
const PORT: u16 = 5_000;
/// How long a node waits for an answer, as the real engines do.
const PATIENCE: Duration = Duration::from_millis(500);

type Work = Box<dyn FnOnce(Arc<MapEngine>) -> Pending<'static, ()> + Send>;

/// The calls under way.
#[derive(Default)]
pub(crate) struct Desk(Mutex<(u64, HashMap<u64, Work>)>);

impl Desk {
    fn put(&self, work: Work) -> u64 {
        let mut calls = self.0.lock().unwrap();
        calls.0 += 1;
        let number = calls.0;
        calls.1.insert(number, work);
        number
    }

    fn take(&self, number: u64) -> Option<Work> {
        self.0.lock().unwrap().1.remove(&number)
    }
}

/// Answers calls for as long as the host runs.
pub(crate) async fn serve(engine: Arc<MapEngine>, desk: Arc<Desk>) -> turmoil::Result {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        let (engine, desk) = (Arc::clone(&engine), Arc::clone(&desk));
        tokio::spawn(async move {
            // A client that is gone by now does not hear of it, and that is all.
            let number = stream.read_u64().await?;
            if let Some(work) = desk.take(number) {
                work(engine).await.map_err(io::Error::other)?;
            }
            stream.write_u64(number).await
        });
    }
}

/// The engine of one node.
pub(crate) struct Remote {
    desk: Arc<Desk>,
}

impl Remote {
    pub(crate) fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    /// Has the host do this, and waits for its word that it has.
    fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&MapEngine) -> Pending<'_, T> + Send + 'static,
    ) -> Pending<'_, T> {
        let answer = Arc::new(Mutex::new(None));
        let place = Arc::clone(&answer);
        let number = self.desk.put(Box::new(move |engine| {
            Box::pin(async move {
                let done = work(&engine).await;
                *place.lock().unwrap() = Some(done);
                Ok(())
            })
        }));
        Box::pin(async move {
            let heard = tokio::time::timeout(PATIENCE, travel(number)).await;
            heard.map_err(lost)?.map_err(lost)?;
            let answer = answer.lock().unwrap().take();
            answer.ok_or_else(|| StoreError::Unreachable("it was never executed".into()))?
        })
    }
}

async fn travel(number: u64) -> io::Result<()> {
    let mut stream = TcpStream::connect((DATABASE, PORT)).await?;
    stream.write_u64(number).await?;
    stream.read_u64().await?;
    Ok(())
}

fn lost(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Unreachable(Box::new(error))
}

impl Engine for Remote {
    fn read(&self, id: SessionId) -> Pending<'_, Option<SessionRow>> {
        self.call(move |engine| engine.read(id))
    }

    fn find(&self, key: TokenKey) -> Pending<'_, Option<Found>> {
        self.call(move |engine| engine.find(key))
    }

    fn claim(&self, order: ClaimOrder) -> Pending<'_, Claimed> {
        self.call(move |engine| engine.claim(order))
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Committed> {
        self.call(move |engine| engine.commit(commit))
    }

    fn touch(&self, uses: Vec<(SessionId, Timestamp)>) -> Pending<'_, ()> {
        self.call(move |engine| engine.touch(uses))
    }

    fn sessions(
        &self,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<(SessionId, SessionRow)>> {
        self.call(move |engine| engine.sessions(after, at_most))
    }

    fn tokens(&self, after: Option<TokenId>, at_most: usize) -> Pending<'_, Vec<Found>> {
        self.call(move |engine| engine.tokens(after, at_most))
    }

    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize> {
        self.call(move |engine| engine.sweep(now, at_most))
    }

    fn trim(&self, share: Share) -> Pending<'_, Trimmed> {
        self.call(move |engine| engine.trim(share))
    }

    fn records(&self) -> &dyn Records {
        self
    }

    fn ahead(&self) -> Duration {
        Duration::ZERO
    }

    fn check(&self) -> Pending<'_, Guarantees> {
        self.call(Engine::check)
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

impl Records for Remote {
    fn read(&self, keys: Vec<String>) -> Pending<'_, Vec<Option<Vec<u8>>>> {
        self.call(move |engine| engine.records().read(keys))
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        at_most: usize,
    ) -> Pending<'_, Vec<(String, Vec<u8>)>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        self.call(move |engine| engine.records().list(&prefix, after.as_deref(), at_most))
    }

    fn write(&self, changes: Vec<RecordChange>) -> Pending<'_, bool> {
        self.call(move |engine| engine.records().write(changes))
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Remote")
    }
}
