//! One connection to PostgreSQL: how it is made, and the notices that arrive on it.

use std::error::Error as StdError;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::task::AbortHandle;
use tokio_postgres::AsyncMessage;
use tokio_postgres::Client;
use tokio_postgres::Config;
use tokio_postgres::NoTls;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::config::SslMode as Encryption;
use tokio_postgres::error::DbError;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::address::Host;
use super::address::SslMode;
use super::tls;

/// Timeout of connecting and authenticating.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const KEEPALIVE: Duration = Duration::from_secs(10);
const UNACKNOWLEDGED: Duration = Duration::from_secs(5);

/// The first statement on a connection. Behind a pooler in transaction mode it may reach another
/// connection than intended, so nothing that must be correct depends on it.
const SETUP: &str = "SET statement_timeout = '1s'; SET lock_timeout = '500ms'; \
    SET default_transaction_isolation = 'read committed'; SET client_min_messages = 'warning'; \
    SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS standby";

/// The connector to the database.
#[derive(Debug)]
pub(super) struct Connector {
    configs: Vec<(Host, Config)>,
    tls: Option<rustls::ClientConfig>,
    /// The host of the last connection, which is tried first after a failover.
    last: AtomicUsize,
}

/// A usable connection.
pub(super) struct Connection {
    pub(super) client: Client,
    /// The pool's count of failures when this connection was last known to work.
    pub(super) failures_seen: u64,
    warned: Arc<AtomicBool>,
    driver: AbortHandle,
    /// Whether the connection can be closed cleanly.
    sound: bool,
}

/// Nothing was sent, because there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// The server does not respond.
    Silent(String),
    /// The server rejects the connection.
    Refused(Box<DbError>),
    /// All of them are standbys.
    Standby,
    /// No common encryption.
    Tls(String),
    /// A credential for the authentication is missing.
    Login(String),
}

impl Connector {
    pub(super) fn new(address: &Address) -> Result<Self, String> {
        let configs = address.hosts.iter().map(|host| (host.clone(), config(address, host)));
        Ok(Self {
            configs: configs.collect(),
            tls: tls::config(address)?,
            last: AtomicUsize::new(0),
        })
    }

    /// Connects to the first host that accepts writes.
    pub(super) async fn open(&self) -> Result<Connection, ConnectError> {
        let last = self.last.load(Ordering::Relaxed);
        let mut worst = ConnectError::Standby;
        for number in 0..self.configs.len() {
            let number = (last + number) % self.configs.len();
            let Some((host, config)) = self.configs.get(number) else { continue };
            match tokio::time::timeout(CONNECT_TIMEOUT, self.connect(config)).await {
                Ok(Ok(connection)) => {
                    self.last.store(number, Ordering::Relaxed);
                    return Ok(connection);
                }
                Ok(Err(ConnectError::Standby)) => {}
                Ok(Err(ConnectError::Silent(why))) => {
                    worst = ConnectError::Silent(format!("{host}: {why}"));
                }
                Ok(Err(why)) => worst = why,
                Err(_) => {
                    worst = ConnectError::Silent(format!("{host}: no answer within a second"));
                }
            }
        }
        Err(worst)
    }

    async fn connect(&self, config: &Config) -> Result<Connection, ConnectError> {
        let connection = match &self.tls {
            None => {
                let (client, connection) =
                    config.connect(NoTls).await.map_err(ConnectError::from)?;
                Connection::new(client, connection)
            }
            Some(tls) => {
                let tls = MakeRustlsConnect::new(tls.clone());
                let (client, connection) = config.connect(tls).await.map_err(ConnectError::from)?;
                Connection::new(client, connection)
            }
        };
        if connection.set_up().await.map_err(ConnectError::from)? {
            Ok(connection)
        } else {
            Err(ConnectError::Standby)
        }
    }
}

fn config(address: &Address, host: &Host) -> Config {
    let mut config = Config::new();
    config
        .user(&address.user)
        .dbname(&address.database)
        .application_name("callgate")
        .host(&host.name)
        .port(host.port)
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE)
        .tcp_user_timeout(UNACKNOWLEDGED)
        .ssl_mode(match address.ssl {
            // PostgreSQL offers no TLS on a Unix socket, and the traffic does not leave this
            // machine.
            _ if host.is_socket() => Encryption::Disable,
            SslMode::Disable => Encryption::Disable,
            SslMode::Prefer => Encryption::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Encryption::Require,
        });
    if let Some(password) = &address.password {
        config.password(password.expose());
    }
    config
}

impl Connection {
    fn new<S, T>(client: Client, mut connection: tokio_postgres::Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let warned = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&warned);
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if matches!(&message, AsyncMessage::Notice(notice) if is_replication_warning(notice))
                {
                    flag.store(true, Ordering::SeqCst);
                }
            }
        });
        Self { client, failures_seen: 0, warned, driver: driver.abort_handle(), sound: true }
    }

    /// Initializes the connection; false if the server is a standby.
    pub(super) async fn set_up(&self) -> Result<bool, tokio_postgres::Error> {
        let said = self.client.simple_query(SETUP).await?;
        let standby = said.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(standby == Some("f"))
    }

    /// Whether the server has warned since the last call that a commit may not hold. Call it after
    /// the result arrived, because notices that the server sent before the result are processed
    /// before it.
    pub(super) fn take_warning(&self) -> bool {
        self.warned.swap(false, Ordering::SeqCst)
    }

    /// Closes the connection without waiting for what is in flight.
    pub(super) fn abort(mut self) {
        self.sound = false;
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("failures_seen", &self.failures_seen)
            .finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.sound {
            self.driver.abort();
        }
    }
}

/// Whether the notice says that the wait for a standby was cancelled. The commit is then on this
/// server's disk only, and the client still receives a success.
fn is_replication_warning(notice: &DbError) -> bool {
    // The text may be in any language; the name of the routine is not translated.
    notice.routine() == Some("SyncRepWaitForLSN")
        || notice.message().contains("synchronous replication")
}

impl From<tokio_postgres::Error> for ConnectError {
    fn from(error: tokio_postgres::Error) -> Self {
        let mut why = error.to_string();
        // The library does not expose the kind of its errors.
        let is_tls = why.contains("TLS");
        let is_login =
            ["invalid configuration", "authentication"].iter().any(|k| why.starts_with(k));
        let mut cause = error.source();
        while let Some(deeper) = cause {
            why = format!("{why}: {deeper}");
            cause = deeper.source();
        }
        let Some(source) = error.into_source() else { return Self::Silent(why) };
        match source.downcast::<DbError>() {
            Ok(refusal) => Self::Refused(refusal),
            Err(_) if is_tls => Self::Tls(why),
            Err(_) if is_login => Self::Login(why),
            Err(_) => Self::Silent(why),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(why) | Self::Tls(why) | Self::Login(why) => f.write_str(why),
            Self::Refused(refusal) => {
                write!(f, "{} (SQLSTATE {})", refusal.message(), refusal.code().code())
            }
            Self::Standby => f.write_str("it is a standby, or read only"),
        }
    }
}

impl StdError for ConnectError {}
