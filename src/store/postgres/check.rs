//! The guarantees of a PostgreSQL database with its present configuration, in words for its
//! administrator.

use tokio_postgres::Row;

use crate::base::clock::Clock;
use crate::base::clock::SystemClock;
use crate::store::error::StoreError;
use crate::store::port::Guarantees;
use crate::store::port::Lack;

use super::address::Address;
use super::address::Host;
use super::pool::Pool;
use super::query;
use super::query::Effect;
use super::query::Params;
use super::rows;

/// The difference of clocks that is not reported: more than a round trip.
const CLOCK_APART_MS: u64 = 1_000;

pub(super) const STATEMENT: &str = "SELECT
    callgate.fence_v1(false),
    current_setting('server_version'),
    current_setting('fsync'),
    current_setting('full_page_writes'),
    (SELECT setting FROM pg_settings WHERE name = 'synchronous_commit'),
    current_setting('synchronous_standby_names'),
    current_setting('default_transaction_isolation'),
    (SELECT string_agg(c.relname, ', ') FROM pg_class c
      WHERE c.oid IN ('callgate.session'::regclass, 'callgate.token'::regclass)
        AND c.relpersistence <> 'p'),
    (SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'),
    (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')),
    pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
    (SELECT s.ssl FROM pg_stat_ssl s WHERE s.pid = pg_backend_pid()),
    (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    pg_total_relation_size('callgate.session') + pg_total_relation_size('callgate.token')";

/// The result of the check.
pub(super) struct Checked {
    pub(super) guarantees: Guarantees,
    /// How far the clock of the database is ahead, in milliseconds.
    pub(super) ahead: u64,
}

/// Queries the database.
pub(super) async fn run(
    pool: &Pool,
    statement: &str,
    address: &Address,
) -> Result<Checked, StoreError> {
    let before = SystemClock.now();
    let rows = query::query(pool, Effect::Reads, statement, &Params::default()).await;
    let rows = rows.map_err(|failure| failure.error)?;
    let after = SystemClock.now();
    let facts = Facts::read(rows::first(&rows)?)?;
    // The database read its clock between these two times.
    let ahead = facts.clock.saturating_sub(after.millis());
    let behind = before.millis().saturating_sub(facts.clock);
    let mut guarantees = Guarantees {
        store: "postgres",
        survives_crash: true,
        survives_power_loss: facts.is_durable(),
        shared: true,
        notes: facts.notes(address),
        lacks: facts.lacks(address),
    };
    let apart = ahead.max(behind);
    if apart > CLOCK_APART_MS {
        guarantees.lacks.push(lack(
            &format!("the clocks of the database and of this machine are {apart} ms apart"),
            "set both by NTP",
        ));
    }
    let ahead = if ahead > CLOCK_APART_MS { ahead } else { 0 };
    Ok(Checked { guarantees, ahead })
}

/// The properties of the database.
struct Facts {
    version: String,
    fsync: String,
    full_page_writes: String,
    synchronous_commit: String,
    standby_names: String,
    isolation: String,
    unlogged: Option<String>,
    standbys: i64,
    synchronous: i64,
    sees_standbys: bool,
    encrypted: bool,
    clock: u64,
    bytes: i64,
}

impl Facts {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            version: rows::read(row, 1)?,
            fsync: rows::read(row, 2)?,
            full_page_writes: rows::read(row, 3)?,
            synchronous_commit: rows::read(row, 4)?,
            standby_names: rows::read(row, 5)?,
            isolation: rows::read(row, 6)?,
            unlogged: rows::read(row, 7)?,
            standbys: rows::read(row, 8)?,
            synchronous: rows::read(row, 9)?,
            sees_standbys: rows::read(row, 10)?,
            encrypted: rows::read::<Option<bool>>(row, 11)?.unwrap_or(false),
            clock: rows::unsigned(rows::read(row, 12)?),
            bytes: rows::read(row, 13)?,
        })
    }

    fn is_durable(&self) -> bool {
        self.fsync == "on" && self.full_page_writes == "on" && self.unlogged.is_none()
    }

    fn lacks(&self, address: &Address) -> Vec<Lack> {
        let mut lacks = Vec::new();
        if self.fsync != "on" {
            lacks.push(lack(
                "a power cut can lose what was answered and break the database, for fsync is off",
                "set fsync = on in postgresql.conf",
            ));
        }
        if self.full_page_writes != "on" {
            lacks.push(lack(
                "a power cut can break the database, for full_page_writes is off",
                "set full_page_writes = on in postgresql.conf",
            ));
        }
        if let Some(tables) = &self.unlogged {
            lacks.push(lack(
                &format!("a crash of the database empties what is unlogged: {tables}"),
                &format!("run ALTER TABLE {}.… SET LOGGED for each", address.schema),
            ));
        }
        if !address.fence {
            lacks.push(lack(
                "after a fail-over or the restore of a backup a token may be redeemed twice, for \
                 fence=off",
                "take fence=off out of the URL",
            ));
        }
        let elsewhere = address.hosts.iter().find(|host| !host.is_here());
        lacks.extend(elsewhere.and_then(|host| self.lacks_on_the_way(address, host)));
        lacks
    }

    fn lacks_on_the_way(&self, address: &Address, host: &Host) -> Option<Lack> {
        if address.ssl.verifies() {
            return None;
        }
        let what = if self.encrypted {
            format!("whoever answers at {host} is believed, for sslmode={}", address.ssl)
        } else {
            format!("what is said to {host} can be read and changed on the way")
        };
        let remedy = "set sslmode=verify-full in the URL, with sslrootcert=FILE if the server's \
            authority is your own";
        Some(lack(&what, remedy))
    }

    fn notes(&self, address: &Address) -> Vec<String> {
        let mut notes = vec![format!(
            "PostgreSQL {}, schema {}, {} MiB",
            self.version,
            address.schema,
            self.bytes / (1024 * 1024)
        )];
        notes.push(match (self.standby_names.is_empty(), self.sees_standbys) {
            (true, true) if self.standbys == 0 => {
                "no standby is connected; if the server is lost, so is what it kept".to_owned()
            }
            (true, _) => {
                "no standby confirms a commit: a fail-over may lose the last writes, and voids \
                 tokens that are outstanding; set synchronous_standby_names to lose none"
                    .to_owned()
            }
            (false, true) if self.synchronous == 0 => format!(
                "every commit waits for a standby of {:?}, and none is connected: nothing can be \
                 written until one is",
                self.standby_names
            ),
            (false, _) => format!(
                "commits wait for the standbys {:?}: a fail-over to them loses nothing that was \
                 answered, and voids tokens that are outstanding",
                self.standby_names
            ),
        });
        if !matches!(self.synchronous_commit.as_str(), "on" | "remote_apply") {
            notes.push(format!(
                "synchronous_commit is {} for this role; callgate sets it to on for what it writes",
                self.synchronous_commit
            ));
        }
        if self.isolation != "read committed" {
            notes.push(format!(
                "default_transaction_isolation is {}; callgate is written for read committed, and \
                 with another one is slower under contention",
                self.isolation
            ));
        }
        notes
    }
}

fn lack(what: &str, remedy: &str) -> Lack {
    Lack { what: what.to_owned(), remedy: remedy.to_owned() }
}
