//! Sessions and tokens in a PostgreSQL database, which many nodes share.
//!
//! Each step is one statement, and so one round trip and one transaction: the functions in
//! `steps_1.sql` lock the row of the session, decide and write. Statements are unnamed, so that a
//! pooler in front of the database may send each of them to another connection.
//!
//! ```text
//!   address      the parsed URL of the database
//!   tls          encryption, and the authorities to trust
//!   connection   one connection, and the notices that arrive on it
//!   pool         a bounded number of connections
//!   query        one command, its timeout, and the meaning of its failure
//!   rows         conversions of rows and values
//!   records      the records beside sessions and tokens
//!   schema       creating and upgrading the tables and functions
//!   check        the guarantees of the database with its present configuration
//! ```

mod address;
mod check;
mod commit;
mod connection;
mod pool;
mod query;
mod records;
mod rows;
mod schema;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::base::SessionId;
use crate::base::Timestamp;
use crate::base::TokenId;
use crate::base::limits::TOMBSTONE;
use crate::store::error::StoreError;
use crate::store::port::Guarantees;
use crate::store::port::Pending;
use crate::store::port::Records;
use crate::store::shared::OpenError;
use crate::store::shared::OpenErrorKind;
use crate::store::shared::engine::ClaimOrder;
use crate::store::shared::engine::Claimed;
use crate::store::shared::engine::Commit;
use crate::store::shared::engine::Committed;
use crate::store::shared::engine::Engine;
use crate::store::shared::engine::Found;
use crate::store::shared::engine::SessionRow;
use crate::store::shared::engine::Share;
use crate::store::shared::engine::TokenKey;
use crate::store::shared::engine::Trimmed;

pub use address::Address;
use connection::ConnectError;
use connection::Connector;
use pool::Pool;
use query::Effect;
use query::Params;

/// Opens the store of the application `app` in a database: connects, and creates or upgrades the
/// tables if they are missing or older than this callgate.
pub async fn open(address: &Address, app: &str) -> Result<Arc<dyn Engine>, OpenError> {
    let connector = Connector::new(address).map_err(|why| unfit(address, why))?;
    let pool = Pool::new(connector, address.pool);
    let connection = pool.first().await.map_err(|error| shut(address, &error))?;
    schema::prepare(&connection.client, address).await?;
    pool.keep(connection);
    let postgres = Postgres {
        pool,
        app: app.to_owned(),
        statements: Statements::new(&address.schema),
        address: address.clone(),
        ahead: AtomicU64::new(0),
    };
    let checked = postgres.check().await;
    checked.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        unreachable(address, &cause.unwrap_or_else(|| error.to_string()))
    })?;
    Ok(Arc::new(postgres))
}

fn unfit(address: &Address, why: impl Into<String>) -> OpenError {
    OpenError { kind: OpenErrorKind::Unfit, store: address.to_string(), why: why.into() }
}

fn unreachable(address: &Address, why: &str) -> OpenError {
    let why = format!(
        "it cannot be reached ({why}); see that it runs, that the address is right and that nothing \
         in between refuses connections"
    );
    OpenError { kind: OpenErrorKind::Unreachable, store: address.to_string(), why }
}

/// Maps a failed connect to an error.
fn shut(address: &Address, error: &ConnectError) -> OpenError {
    match error {
        ConnectError::Silent(why) => unreachable(address, why),
        // The server, or a pooler in front of it, is starting, shutting down or full.
        ConnectError::Refused(refusal)
            if matches!(refusal.code().code().get(..2), Some("57" | "53" | "08")) =>
        {
            unreachable(address, &error.to_string())
        }
        ConnectError::Refused(_) | ConnectError::Login(_) => {
            let why = format!(
                "the server refuses the connection: {error}; see that user, \
                password and database are right and that pg_hba.conf lets this machine in"
            );
            unfit(address, why)
        }
        ConnectError::Standby => {
            let why = "no server there may be written to; name the primary, or all servers of the \
                cluster, separated by commas";
            unfit(address, why)
        }
        ConnectError::Tls(why) => {
            let why = format!(
                "there is no trusted encryption with sslmode={} ({why}); name the certificate \
                 authority of the server with sslrootcert=FILE, or lower sslmode if the network \
                 to it is yours alone",
                address.ssl
            );
            unfit(address, why)
        }
    }
}

/// A database of PostgreSQL, as an engine.
struct Postgres {
    pool: Pool,
    app: String,
    statements: Statements,
    address: Address,
    ahead: AtomicU64,
}

/// The statements, with the name of the schema in them.
struct Statements {
    read: String,
    find: String,
    claim: String,
    commit: String,
    touch: String,
    sessions: String,
    tokens: String,
    sweep: String,
    trim: String,
    check: String,
    read_records: String,
    list_records: String,
    write_records: String,
}

impl Statements {
    fn new(schema: &str) -> Self {
        let session = rows::columns(&rows::SESSION, "s");
        let token = rows::columns(&rows::TOKEN, "t");
        let found_session = rows::columns(&rows::SESSION, "(f.found_session)");
        let found_token = rows::columns(&rows::TOKEN, "(f.found_token)");
        let statements = Self {
            read: format!("SELECT {session} FROM callgate.read_v1($1, $2) AS s"),
            find: format!(
                "SELECT {found_token}, f.fenced, {found_session} \
                 FROM callgate.find_v1($1, $2, $3, $4) AS f"
            ),
            claim: format!(
                "SELECT f.granted, {found_token}, f.fenced, {found_session} \
                 FROM callgate.claim_v1({}) AS f",
                numbers(19)
            ),
            commit: format!(
                "SELECT f.outcome, {found_session} \
                 FROM callgate.commit_v1({}) AS f",
                numbers(42)
            ),
            touch: "SELECT callgate.touch_v1($1, $2, $3)".to_owned(),
            // A page always has at least one row, so that a standby, where the fence fails, is not
            // mistaken for an empty database.
            sessions: format!(
                "SELECT s.id, {session} FROM (SELECT callgate.fence_v1(false)) AS f \
                 LEFT JOIN LATERAL (SELECT * FROM callgate.session s WHERE s.app = $1 \
                   AND ($2::bytea IS NULL OR s.id > $2) AND s.ended_at IS NULL \
                   ORDER BY s.id LIMIT $3) AS s ON true ORDER BY s.id"
            ),
            tokens: format!(
                "SELECT {token}, t.fence = f.fence, {session} \
                 FROM (SELECT callgate.fence_v1($2) AS fence) AS f LEFT JOIN LATERAL (SELECT * FROM callgate.token t WHERE t.app = $1 \
                   AND ($3::bytea IS NULL OR t.id > $3) AND t.claim IS NULL \
                   AND EXISTS (SELECT FROM callgate.session o WHERE o.app = t.app \
                     AND o.id = t.session AND o.ended_at IS NULL) \
                   ORDER BY t.id LIMIT $4) AS t ON true \
                 LEFT JOIN callgate.session s ON s.app = t.app AND s.id = t.session ORDER BY t.id"
            ),
            sweep: "SELECT callgate.sweep_v1($1, $2, $3, $4)".to_owned(),
            trim: "SELECT t.guests, t.bytes, t.dropped \
                FROM callgate.trim_v1($1, $2, $3, $4, $5) AS t"
                .to_owned(),
            check: check::STATEMENT.to_owned(),
            read_records: records::READ.to_owned(),
            list_records: records::LIST.to_owned(),
            write_records: records::WRITE.to_owned(),
        };
        statements.within(schema)
    }

    fn within(mut self, schema: &str) -> Self {
        let Self { read, find, claim, commit, touch, sessions, tokens, .. } = &mut self;
        for sql in [read, find, claim, commit, touch, sessions, tokens] {
            *sql = schema::within(sql, schema);
        }
        let Self { sweep, trim, check, read_records, list_records, write_records, .. } = &mut self;
        for sql in [sweep, trim, check, read_records, list_records, write_records] {
            *sql = schema::within(sql, schema);
        }
        self
    }
}

/// `$1, $2, …`
fn numbers(count: usize) -> String {
    let each: Vec<String> = (1..=count).map(|number| format!("${number}")).collect();
    each.join(", ")
}

impl Postgres {
    fn params(&self) -> Params<'_> {
        Params::default().with(self.app.as_str(), Type::TEXT)
    }

    async fn query(
        &self,
        effect: Effect,
        sql: &str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        query::query(&self.pool, effect, sql, &params).await.map_err(|failure| failure.error)
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Postgres({}, {:?})", self.address, self.app)
    }
}

impl Engine for Postgres {
    fn read(&self, id: SessionId) -> Pending<'_, Option<SessionRow>> {
        Box::pin(async move {
            let params = self.params().with(id.bytes().as_slice().to_vec(), Type::BYTEA);
            let rows = self.query(Effect::Reads, &self.statements.read, params).await?;
            rows::session(rows::first(&rows)?, 0)
        })
    }

    fn find(&self, key: TokenKey) -> Pending<'_, Option<Found>> {
        Box::pin(async move {
            let (digest, name) = match key {
                TokenKey::Digest(digest) => (Some(digest.bytes().to_vec()), None),
                TokenKey::Name(name) => (None, Some(name.bytes().to_vec())),
            };
            let params = self.params().with(self.address.fence, Type::BOOL);
            let params = params.with(digest, Type::BYTEA).with(name, Type::BYTEA);
            let rows = self.query(Effect::Reads, &self.statements.find, params).await?;
            rows::found(rows::first(&rows)?, 0)
        })
    }

    fn claim(&self, order: ClaimOrder) -> Pending<'_, Claimed> {
        Box::pin(async move {
            let params = commit::claim(self.params(), self.address.fence, &order);
            let rows = self.query(Effect::Writes, &self.statements.claim, params).await?;
            let row = rows::first(&rows)?;
            Ok(Claimed { granted: rows::read(row, 0)?, found: rows::found(row, 1)? })
        })
    }

    fn commit(&self, commit: Commit) -> Pending<'_, Committed> {
        Box::pin(async move {
            let packed = commit::Packed::new(&commit);
            let params = commit::commit(self.params(), self.address.fence, &commit, &packed);
            match query::query(&self.pool, Effect::Writes, &self.statements.commit, &params).await {
                Ok(rows) => commit::outcome(rows::first(&rows)?),
                // Another node has minted it since the function checked.
                Err(failure) if failure.is_twice => Ok(Committed::TokenExists),
                Err(failure) => Err(failure.error),
            }
        })
    }

    fn touch(&self, uses: Vec<(SessionId, Timestamp)>) -> Pending<'_, ()> {
        Box::pin(async move {
            let ids: Vec<Vec<u8>> = uses.iter().map(|(id, _)| id.bytes().to_vec()).collect();
            let moments: Vec<i64> = uses.iter().map(|(_, at)| rows::millis(*at)).collect();
            let params = self.params().with(ids, Type::BYTEA_ARRAY).with(moments, Type::INT8_ARRAY);
            self.query(Effect::Writes, &self.statements.touch, params).await.map(drop)
        })
    }

    fn sessions(
        &self,
        after: Option<SessionId>,
        at_most: usize,
    ) -> Pending<'_, Vec<(SessionId, SessionRow)>> {
        Box::pin(async move {
            let after = after.map(|id| id.bytes().to_vec());
            let params = self.params().with(after, Type::BYTEA).with(limit(at_most), Type::INT8);
            let rows = self.query(Effect::Reads, &self.statements.sessions, params).await?;
            let mut page = Vec::with_capacity(rows.len());
            for row in &rows {
                let Some(id) = rows::read::<Option<&[u8]>>(row, 0)? else { continue };
                if let Some(session) = rows::session(row, 1)? {
                    page.push((rows::session_id(id)?, session));
                }
            }
            Ok(page)
        })
    }

    fn tokens(&self, after: Option<TokenId>, at_most: usize) -> Pending<'_, Vec<Found>> {
        Box::pin(async move {
            let after = after.map(|id| id.bytes().to_vec());
            let params = self.params().with(self.address.fence, Type::BOOL);
            let params = params.with(after, Type::BYTEA).with(limit(at_most), Type::INT8);
            let rows = self.query(Effect::Reads, &self.statements.tokens, params).await?;
            let found = rows.iter().map(|row| rows::found(row, 0));
            found.filter_map(Result::transpose).collect()
        })
    }

    fn sweep(&self, now: Timestamp, at_most: usize) -> Pending<'_, usize> {
        Box::pin(async move {
            let at_most = i32::try_from(at_most).unwrap_or(i32::MAX / 4);
            let tombstone = i64::try_from(TOMBSTONE.as_millis()).unwrap_or(i64::MAX);
            let params = self.params().with(rows::millis(now), Type::INT8);
            let params = params.with(at_most, Type::INT4).with(tombstone, Type::INT8);
            let rows = self.query(Effect::Writes, &self.statements.sweep, params).await?;
            let swept: i32 = rows::read(rows::first(&rows)?, 0)?;
            Ok(usize::try_from(swept).unwrap_or(0))
        })
    }

    fn trim(&self, share: Share) -> Pending<'_, Trimmed> {
        Box::pin(async move {
            let spared = share.spared.map(|id| id.bytes().to_vec());
            let at_most = i32::try_from(share.at_most).unwrap_or(i32::MAX);
            let params = self.params().with(limit(share.guests), Type::INT8);
            let params = params.with(limit(share.bytes), Type::INT8).with(at_most, Type::INT4);
            let params = params.with(spared, Type::BYTEA);
            let rows = self.query(Effect::Writes, &self.statements.trim, params).await?;
            let row = rows::first(&rows)?;
            let count = |number: i64| usize::try_from(number).unwrap_or(0);
            Ok(Trimmed {
                guests: count(rows::read(row, 0)?),
                bytes: count(rows::read(row, 1)?),
                dropped: count(rows::read::<i32>(row, 2)?.into()),
            })
        })
    }

    fn records(&self) -> &dyn Records {
        self
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead.load(Ordering::Relaxed))
    }

    fn check(&self) -> Pending<'_, Guarantees> {
        Box::pin(async move {
            let checked = check::run(&self.pool, &self.statements.check, &self.address).await?;
            self.ahead.store(checked.ahead, Ordering::Relaxed);
            Ok(checked.guarantees)
        })
    }

    fn close(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            self.pool.close();
            Ok(())
        })
    }
}

fn limit(at_most: usize) -> i64 {
    i64::try_from(at_most).unwrap_or(i64::MAX)
}
