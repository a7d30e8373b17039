//! One connection to PostgreSQL: how it is made, and what is heard on it besides answers.

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
use tokio_postgres::Connection;
use tokio_postgres::NoTls;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::config::SslMode as Encryption;
use tokio_postgres::error::DbError;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::address::Host;
use super::address::SslMode;
use super::tls;

/// How long a server may take to let us in.
const CONNECT: Duration = Duration::from_secs(1);
const KEEPALIVE: Duration = Duration::from_secs(10);
const UNANSWERED: Duration = Duration::from_secs(5);

/// What is said first on a connection. Behind a pooler in transaction mode it may reach another
/// connection than it is meant for; nothing that must be right rests on it.
const GREETING: &str = "SET statement_timeout = '1s'; SET lock_timeout = '500ms'; \
    SET default_transaction_isolation = 'read committed'; SET client_min_messages = 'warning'; \
    SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS standby";

/// The way to the database.
#[derive(Debug)]
pub(super) struct Door {
    configs: Vec<(Host, Config)>,
    tls: Option<rustls::ClientConfig>,
    /// The host that let us in last; after a fail-over it is asked first.
    last: AtomicUsize,
}

/// A connection that can be worked with.
pub(super) struct Line {
    pub(super) client: Client,
    /// How many scares the pool had when this was last known to work.
    pub(super) calm: u64,
    heard: Arc<AtomicBool>,
    driver: AbortHandle,
    /// Whether it can be taken leave of in order.
    sound: bool,
}

/// Nothing was asked, because there is no connection.
#[derive(Debug)]
pub(super) enum NoLine {
    /// Nobody answers.
    Silent(String),
    /// Somebody answers and does not let us in.
    Refused(Box<DbError>),
    /// All of them are standbys.
    Standby,
    /// There is no common way to encrypt.
    Tls(String),
    /// We have not what it takes to be let in.
    Login(String),
}

impl Door {
    pub(super) fn new(address: &Address) -> Result<Self, String> {
        let configs = address.hosts.iter().map(|host| (host.clone(), config(address, host)));
        Ok(Self {
            configs: configs.collect(),
            tls: tls::config(address)?,
            last: AtomicUsize::new(0),
        })
    }

    /// Connects to the first host that may be written to.
    pub(super) async fn open(&self) -> Result<Line, NoLine> {
        let last = self.last.load(Ordering::Relaxed);
        let mut worst = NoLine::Standby;
        for number in 0..self.configs.len() {
            let number = (last + number) % self.configs.len();
            let Some((host, config)) = self.configs.get(number) else { continue };
            match tokio::time::timeout(CONNECT, self.connect(config)).await {
                Ok(Ok(line)) => {
                    self.last.store(number, Ordering::Relaxed);
                    return Ok(line);
                }
                Ok(Err(NoLine::Standby)) => {}
                Ok(Err(NoLine::Silent(why))) => worst = NoLine::Silent(format!("{host}: {why}")),
                Ok(Err(why)) => worst = why,
                Err(_) => worst = NoLine::Silent(format!("{host}: no answer within a second")),
            }
        }
        Err(worst)
    }

    async fn connect(&self, config: &Config) -> Result<Line, NoLine> {
        let line = match &self.tls {
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(NoLine::from)?;
                Line::new(client, connection)
            }
            Some(tls) => {
                let tls = MakeRustlsConnect::new(tls.clone());
                let (client, connection) = config.connect(tls).await.map_err(NoLine::from)?;
                Line::new(client, connection)
            }
        };
        if line.greet().await.map_err(NoLine::from)? { Ok(line) } else { Err(NoLine::Standby) }
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
        .connect_timeout(CONNECT)
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE)
        .tcp_user_timeout(UNANSWERED)
        .ssl_mode(match address.ssl {
            // Nobody listens on a socket of this machine, and PostgreSQL offers no TLS there.
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

impl Line {
    fn new<S, T>(client: Client, mut connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let heard = Arc::new(AtomicBool::new(false));
        let warned = Arc::clone(&heard);
        let driver = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if matches!(&message, AsyncMessage::Notice(notice) if casts_doubt(notice)) {
                    warned.store(true, Ordering::SeqCst);
                }
            }
        });
        Self { client, calm: 0, heard, driver: driver.abort_handle(), sound: true }
    }

    /// Sets it up; false if it leads to a standby.
    pub(super) async fn greet(&self) -> Result<bool, tokio_postgres::Error> {
        let said = self.client.simple_query(GREETING).await?;
        let standby = said.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(standby == Some("f"))
    }

    /// Whether the server has warned since the last time that a commit may not hold. Asked when
    /// an answer is there: what the server said before it was heard before it.
    pub(super) fn take_doubt(&self) -> bool {
        self.heard.swap(false, Ordering::SeqCst)
    }

    /// Breaks it off instead of waiting for what is still on its way.
    pub(super) fn break_off(mut self) {
        self.sound = false;
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("calm", &self.calm).finish_non_exhaustive()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.sound {
            self.driver.abort();
        }
    }
}

/// Whether it says that the wait for a standby was given up: the commit is on this server's disk
/// and nowhere else, and whoever asked is told of success all the same.
fn casts_doubt(notice: &DbError) -> bool {
    // The text may be in any language, and the name of the routine is not.
    notice.routine() == Some("SyncRepWaitForLSN")
        || notice.message().contains("synchronous replication")
}

impl From<tokio_postgres::Error> for NoLine {
    fn from(error: tokio_postgres::Error) -> Self {
        let mut why = error.to_string();
        // The library keeps the kind of its errors to itself.
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

impl fmt::Display for NoLine {
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

impl StdError for NoLine {}
