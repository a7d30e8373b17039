//! Connecting to a server: TCP, TLS, authentication, and a check of its role.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::Cmd;
use redis::ErrorKind;
use redis::Pipeline;
use redis::RedisConnectionInfo;
use redis::RedisError;
use redis::Value;
use redis::aio::MultiplexedConnection;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use crate::base::secret::SecretText;
use crate::store::redis::servers::address::Address;
use crate::store::redis::servers::address::Host;
use crate::store::redis::servers::address::SignIn;

/// From the first packet to an authenticated connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// From a command to its reply.
const REPLY_TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum number of commands queued for one connection.
const QUEUE_MAX: usize = 1_024;

/// Opens connections to the servers of one address.
pub(crate) struct Connector {
    tls: Option<TlsConnector>,
    servers: RedisConnectionInfo,
    sentinels: RedisConnectionInfo,
}

/// The kind of server to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A server that must not be a replica.
    Primary,
    /// Any node of a Cluster.
    Node,
    Sentinel,
}

/// Why a connection could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// The server does not respond.
    Silent(String),
    /// The server rejects the credentials.
    ShutOut(String),
    /// The user may not query the role of the server.
    Forbidden(String),
    /// It is a replica.
    Replica,
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(why) | Self::ShutOut(why) | Self::Forbidden(why) => f.write_str(why),
            Self::Replica => f.write_str("it is a replica"),
        }
    }
}

/// One connection, on which any number of commands may be in flight.
pub(crate) struct Connection {
    pub(crate) host: Host,
    multiplexed: MultiplexedConnection,
    /// True once the connection must not be used any more.
    broken: watch::Sender<bool>,
    driver: AbortHandle,
}

impl Connector {
    /// Fails if the file of certificates cannot be used, or the system has none.
    pub(crate) fn new(address: &Address, sentinels: &SignIn) -> Result<Self, String> {
        Ok(Self {
            tls: if address.tls() { Some(connector(address)?) } else { None },
            servers: sign_in(address.sign_in()).set_db(address.database().into()),
            sentinels: sign_in(sentinels),
        })
    }

    /// Connects to a server of this kind.
    pub(crate) async fn dial(
        &self,
        host: &Host,
        kind: Kind,
    ) -> Result<Arc<Connection>, ConnectError> {
        let connection = tokio::time::timeout(CONNECT_TIMEOUT, async {
            let connection = self.connect(host, kind).await?;
            match kind {
                Kind::Primary => connection.primary().await,
                Kind::Node | Kind::Sentinel => Ok(connection),
            }
        });
        let connection = connection
            .await
            .map_err(|_| ConnectError::Silent("it does not answer".to_owned()))??;
        Ok(Arc::new(connection))
    }

    async fn connect(&self, host: &Host, kind: Kind) -> Result<Connection, ConnectError> {
        let silent = |error: &dyn fmt::Display| ConnectError::Silent(error.to_string());
        let stream = TcpStream::connect((host.name.as_str(), host.port));
        let stream = stream.await.map_err(|error| silent(&error))?;
        // Commands are small and callers wait for the replies, so Nagle's algorithm would only add
        // latency.
        stream.set_nodelay(true).map_err(|error| silent(&error))?;
        let Some(tls) = &self.tls else { return self.sign_in(host, kind, stream).await };
        let name = ServerName::try_from(host.name.clone());
        let name = name.map_err(|error| silent(&error))?;
        let stream = tls.connect(name, stream).await.map_err(|error| silent(&error))?;
        self.sign_in(host, kind, stream).await
    }

    async fn sign_in<S>(
        &self,
        host: &Host,
        kind: Kind,
        stream: S,
    ) -> Result<Connection, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(Some(REPLY_TIMEOUT))
            .set_pipeline_buffer_size(QUEUE_MAX);
        let info = match kind {
            Kind::Primary | Kind::Node => &self.servers,
            Kind::Sentinel => &self.sentinels,
        };
        let dialed = MultiplexedConnection::new_with_config(info, stream, config).await;
        let (multiplexed, driver) = dialed.map_err(|error| unsigned(&error))?;
        let (broken, _) = watch::channel(false);
        let ended = broken.clone();
        let driver = tokio::spawn(async move {
            driver.await;
            ended.send_replace(true);
        });
        let driver = driver.abort_handle();
        Ok(Connection { host: host.clone(), multiplexed, broken, driver })
    }
}

fn unsigned(error: &RedisError) -> ConnectError {
    let is_refusal = error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "NOPERM"));
    if is_refusal {
        return ConnectError::ShutOut(
            "it refuses the user or the password in the address".to_owned(),
        );
    }
    ConnectError::Silent(error.to_string())
}

fn sign_in(sign_in: &SignIn) -> RedisConnectionInfo {
    // Not every server supports CLIENT SETINFO.
    let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(user) = &sign_in.user {
        info = info.set_username(SecretText::expose(user));
    }
    if let Some(password) = &sign_in.password {
        info = info.set_password(SecretText::expose(password));
    }
    info
}

fn connector(address: &Address) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = address.authorities() {
        let bad = |error: &dyn fmt::Display| {
            let file = file.display();
            format!("ca={file} holds no certificates: {error}; name a PEM file")
        };
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| bad(&error))? {
            let certificate = certificate.map_err(|error| bad(&error))?;
            roots.add(certificate).map_err(|error| bad(&error))?;
        }
        if roots.is_empty() {
            return Err(bad(&"it is empty"));
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("this machine knows no certificate authorities; name a PEM file with \
                        ca=FILE in the address"
                .to_owned());
        }
    }
    let config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Connection {
    /// Sends commands and waits for the replies, one for each; a reply may be an error of the
    /// server. After a timeout the connection is broken, because further commands on it would time
    /// out as well.
    pub(crate) async fn send(&self, commands: &[Cmd]) -> Result<Vec<Value>, RedisError> {
        let mut pipeline = Pipeline::with_capacity(commands.len());
        for command in commands {
            pipeline.add_command(command.clone());
        }
        let mut multiplexed = self.multiplexed.clone();
        let answers = multiplexed.send_packed_commands(&pipeline, 0, commands.len()).await;
        if answers.is_err() {
            self.shut();
        }
        answers
    }

    /// Closes the connection for further commands.
    pub(crate) fn shut(&self) {
        self.broken.send_replace(true);
    }

    pub(crate) fn is_broken(&self) -> bool {
        *self.broken.borrow()
    }

    /// Completes when the connection is broken.
    pub(crate) async fn ended(&self) {
        let mut broken = self.broken.subscribe();
        // `self` holds the sender.
        let _ = broken.wait_for(|broken| *broken).await;
    }

    /// The connection, if it is not to a replica, whose data may be stale.
    async fn primary(self) -> Result<Self, ConnectError> {
        let mut info = Cmd::new();
        info.arg("INFO").arg("replication");
        let answers = self.send(&[info]).await;
        let answers = answers.map_err(|error| ConnectError::Silent(error.to_string()))?;
        match answers.into_iter().next() {
            Some(Value::BulkString(info)) => {
                let mut lines = info.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
                match lines.find(|line| line.starts_with(b"role:")) {
                    Some(b"role:master") => Ok(self),
                    Some(_) => Err(ConnectError::Replica),
                    None => Err(ConnectError::Silent(
                        "it keeps no data, as a Sentinel does not; those are written behind \
                         redis+sentinel://"
                            .to_owned(),
                    )),
                }
            }
            Some(Value::ServerError(error)) if matches!(error.code(), "NOAUTH" | "WRONGPASS") => {
                Err(ConnectError::ShutOut(
                    "it wants a password, and the address has none".to_owned(),
                ))
            }
            Some(Value::ServerError(error)) => Err(ConnectError::Forbidden(format!(
                "INFO is refused: {} {}",
                error.code(),
                error.details().unwrap_or_default()
            ))),
            _ => Err(ConnectError::Silent("it does not speak the language of a Redis".to_owned())),
        }
    }
}

impl Drop for Connection {
    /// Commands in flight hold the connection, so none is waiting any more.
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("tls", &self.tls.is_some()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({})", self.host)
    }
}
