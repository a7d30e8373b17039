//! Creating and upgrading the tables and functions, concurrently on several nodes, and reporting
//! missing rights.

use tokio_postgres::Client;
use tokio_postgres::Error;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::store::shared::OpenError;
use crate::store::shared::OpenErrorKind;

use super::address::Address;
use super::unfit;
use super::unreachable;

/// PostgreSQL 13, in the server's numbering.
const SERVER_MIN: i32 = 130_000;
/// The advisory lock of callgate: "callgate" as a number.
const LOCK: i64 = 0x6361_6c6c_6761_7465;

/// A migration from one version of the schema to the next.
struct Migration {
    version: i32,
    /// The oldest schema version that a callgate may be built for to work with this one. A
    /// migration that only adds leaves this unchanged, so that old and new nodes share the
    /// database during an upgrade.
    readable_from: i32,
    /// Executed in this order.
    files: &'static [&'static str],
}

const MIGRATIONS: [Migration; 2] = [
    Migration {
        version: 1,
        readable_from: 1,
        files: &[include_str!("tables_1.sql"), include_str!("steps_1.sql")],
    },
    Migration { version: 2, readable_from: 1, files: &[include_str!("records_2.sql")] },
];

const HISTORY: &str = "CREATE TABLE IF NOT EXISTS callgate.schema_version (
    version integer PRIMARY KEY,
    readable_from integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)";

/// A statement with the name of the schema in place of `callgate`.
pub(super) fn within(sql: &str, schema: &str) -> String {
    sql.replace("callgate.", &format!("{schema}."))
}

/// The only row of a result. The statement is unnamed, as a pooler requires.
async fn one(client: &Client, sql: &str) -> Result<Row, Error> {
    client.query_typed_one(sql, &[]).await
}

/// The state of the schema in a database.
enum Standing {
    /// The schema has the first version, and nodes from the second version on can work with it.
    At(i32, i32),
    /// There is no schema.
    Nothing,
}

/// Ensures that the tables and functions exist and that this role may use them.
pub(super) async fn prepare(client: &Client, address: &Address) -> Result<(), OpenError> {
    let version: i32 = one(client, "SELECT current_setting('server_version_num')::integer")
        .await
        .and_then(|row| row.try_get(0))
        .map_err(|error| unreachable(address, &reported(&error)))?;
    if version < SERVER_MIN {
        let major = version / 10_000;
        return Err(unfit(
            address,
            format!("it runs PostgreSQL {major}; callgate needs 13 or later"),
        ));
    }
    let latest = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let standing = standing(client, address).await?;
    if !matches!(standing, Standing::At(version, _) if version >= latest) {
        let migrated = migrate(client, address).await;
        if migrated.is_err() {
            // The connection remains in use, or is closed with the error.
            let _ = client.batch_execute("ROLLBACK").await;
        }
        migrated.map_err(|error| match error.as_db_error() {
            Some(_) => unfit(address, unmade(address, &error)),
            None => unreachable(address, &reported(&error)),
        })?;
    }
    match standing {
        Standing::At(version, readable_from) if readable_from > latest => {
            let why = format!(
                "a later callgate made its tables (version {version}, and this one knows {latest}); \
                 start that one, or give this one another schema in the URL"
            );
            Err(OpenError { kind: OpenErrorKind::Newer, store: address.to_string(), why })
        }
        Standing::At(..) | Standing::Nothing => try_out(client, address).await,
    }
}

async fn standing(client: &Client, address: &Address) -> Result<Standing, OpenError> {
    let sql = within(
        "SELECT version, readable_from FROM callgate.schema_version ORDER BY version DESC LIMIT 1",
        &address.schema,
    );
    let rows = client.query_typed(&sql, &[]).await;
    match rows.as_ref().map(|rows| rows.first()) {
        Ok(Some(row)) => {
            let read = |column| row.try_get::<_, i32>(column).unwrap_or(i32::MAX);
            Ok(Standing::At(read(0), read(1)))
        }
        Ok(None) => Ok(Standing::Nothing),
        Err(error) => match error.code() {
            Some(&SqlState::UNDEFINED_TABLE | &SqlState::INVALID_SCHEMA_NAME) => {
                Ok(Standing::Nothing)
            }
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                Err(unfit(address, shut_out(address, error)))
            }
            _ => Err(unreachable(address, &reported(error))),
        },
    }
}

/// Applies the missing migrations in one transaction, one node at a time.
async fn migrate(client: &Client, address: &Address) -> Result<(), Error> {
    let schema = &address.schema;
    let begin = format!(
        "BEGIN; SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '60s'; \
         SELECT pg_advisory_xact_lock({LOCK})"
    );
    client.batch_execute(&begin).await?;
    // `IF NOT EXISTS` would require the right to create a schema even where it exists.
    let is_new = format!("SELECT to_regnamespace('{schema}') IS NULL");
    if one(client, &is_new).await?.try_get(0)? {
        client.batch_execute(&format!("CREATE SCHEMA {schema}")).await?;
    }
    client.batch_execute(&within(HISTORY, schema)).await?;
    let sql = within("SELECT coalesce(max(version), 0) FROM callgate.schema_version", schema);
    let found: i32 = one(client, &sql).await?.try_get(0)?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.version > found) {
        for file in migration.files {
            client.batch_execute(&within(file, schema)).await?;
        }
        let Migration { version, readable_from, .. } = migration;
        let note = format!(
            "INSERT INTO callgate.schema_version (version, readable_from) \
             VALUES ({version}, {readable_from})"
        );
        client.batch_execute(&within(&note, schema)).await?;
    }
    client.batch_execute("COMMIT").await
}

/// Checks that no right is missing before the first request needs it.
async fn try_out(client: &Client, address: &Address) -> Result<(), OpenError> {
    let rights = "SELECT string_agg(need || ' on ' || name, ', ') \
        FROM unnest(ARRAY['callgate.session', 'callgate.token', 'callgate.record']) AS name, \
          unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS need \
        WHERE NOT has_table_privilege(name, need)";
    let fence = format!("SELECT callgate.fence_v1({})", address.fence);
    let lost = |error: Error| match error.as_db_error() {
        Some(_) => unfit(address, shut_out(address, &error)),
        None => unreachable(address, &reported(&error)),
    };
    let row = one(client, &within(rights, &address.schema)).await.map_err(lost)?;
    if let Some(missing) = row.try_get::<_, Option<String>>(0).map_err(lost)? {
        return Err(unfit(address, bare(address, &missing)));
    }
    client.batch_execute(&within(&fence, &address.schema)).await.map_err(lost)
}

/// Why the tables could not be created, and who can create them how.
fn unmade(address: &Address, error: &Error) -> String {
    let Address { user, schema, database, .. } = address;
    let why = reported(error);
    if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
        return format!("its tables cannot be made: {why}");
    }
    format!(
        "the role {user:?} may not make its tables ({why}); let somebody who may run: CREATE SCHEMA \
         IF NOT EXISTS {schema}; GRANT USAGE, CREATE ON SCHEMA {schema} TO \"{user}\"; in the \
         database {database:?}. If the tables are another role's, start callgate once as that role"
    )
}

/// Which rights are missing.
fn shut_out(address: &Address, error: &Error) -> String {
    let user = &address.user;
    let why = reported(error);
    let Some(code) = error.code() else { return why };
    if *code == SqlState::INSUFFICIENT_PRIVILEGE && why.contains("pg_") {
        return format!(
            "the role {user:?} may not read its epoch ({why}); let a superuser \
             run: GRANT EXECUTE ON FUNCTION pg_current_wal_lsn(), pg_walfile_name(pg_lsn), pg_control_system() TO \
             \"{user}\"; or, if the database never fails over, write fence=off in the URL"
        );
    }
    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        bare(address, &why)
    } else {
        format!("its tables are not as callgate made them: {why}")
    }
}

/// How a role gets the rights that it needs.
fn bare(address: &Address, why: &str) -> String {
    let Address { user, schema, .. } = address;
    format!(
        "the role {user:?} may not use its tables ({why}); let their owner run: GRANT USAGE ON \
         SCHEMA {schema} TO \"{user}\"; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN \
         SCHEMA {schema} TO \"{user}\"; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO \
         \"{user}\";"
    )
}

/// The server's message, or the error of the connection.
fn reported(error: &Error) -> String {
    match error.as_db_error() {
        Some(said) => said.message().to_owned(),
        None => error.to_string(),
    }
}
