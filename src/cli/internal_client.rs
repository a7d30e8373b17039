//! Client of a running server's internal listener, with the operator credential.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Method;
use hyper::Request;
use hyper::StatusCode;
use hyper::header;
use hyper::http::HeaderValue;
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tokio::net::TcpStream;

use super::exit::CommandError;
use super::exit::Exit;
use crate::base::Clock;
use crate::base::clock::SystemClock;
use crate::base::secret::digest::sha256;
use crate::base::text::hex;
use crate::base::text::masked::misleads;
use crate::session::Keyring;
use crate::settings::KeyFault;
use crate::settings::Settings;

/// Timeout of one response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest response. A page of a thousand sessions with every privilege stays far below.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Total size of the responses to one command.
const ALL_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Longest text of the server that is quoted in a message.
const NAME_CHARS_MAX: usize = 300;

/// The internal listener of a server.
pub(super) struct InternalClient {
    address: SocketAddr,
    key: OperatorKeys,
    /// Bytes received from the server in total.
    received: usize,
}

/// The source of the operator credential.
enum OperatorKeys {
    /// The keys of these settings.
    Ring(Keyring),
    /// These settings have no keys.
    None,
    /// The keys of these settings are not usable, which is reported if the server requires a
    /// credential.
    Fault(KeyFault),
}

/// A response: its status, and the challenge it contains.
struct InternalResponse {
    status: StatusCode,
    challenge: Option<String>,
    body: Value,
    /// The length of the body.
    bytes: usize,
}

impl InternalClient {
    /// The listener that the settings name, with the credential of their keys if they have any.
    pub(super) fn of(settings: &Settings) -> Result<Self, CommandError> {
        let address = match settings.internal {
            Some(address) if address.port() != 0 => address,
            Some(_) => {
                let why = "internal has port 0, which names no server; give the address that the \
                           server printed with --internal ADDR";
                return Err(CommandError::new(Exit::BadSettings, why));
            }
            None => {
                let why = "internal is \"off\", and a server without it cannot be asked; start it \
                           with an internal address, or name that of another with --internal ADDR";
                return Err(CommandError::new(Exit::BadSettings, why));
            }
        };
        let key = match settings.found_keyring() {
            Ok(Some(ring)) => OperatorKeys::Ring(ring),
            Ok(None) => OperatorKeys::None,
            Err(fault) => OperatorKeys::Fault(fault),
        };
        Ok(Self { address: reachable(address), key, received: 0 })
    }

    /// Sends a request with the credential of these settings. `None` if the resource does not
    /// exist.
    pub(super) async fn ask(
        &mut self,
        method: Method,
        target: &str,
    ) -> Result<Option<Value>, CommandError> {
        self.exchanged(&method, target, Bytes::new()).await
    }

    /// Sends a request with a body. The credential is for a method and a target, so the target
    /// names the digest of the body.
    pub(super) async fn send_json(
        &mut self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Option<Value>, CommandError> {
        let body = Bytes::from(body.to_string());
        let target = format!("{path}?body={}", hex::lower(&sha256(&body)));
        self.exchanged(&method, &target, body).await
    }

    async fn exchanged(
        &mut self,
        method: &Method,
        target: &str,
        body: Bytes,
    ) -> Result<Option<Value>, CommandError> {
        let reply = self.send(method, target, body).await?;
        self.received = self.received.saturating_add(reply.bytes);
        if self.received > ALL_BYTES_MAX {
            let why = format!("{} sends more than {} MiB", self.address, ALL_BYTES_MAX >> 20);
            return Err(CommandError::new(Exit::Io, why));
        }
        let detail = reply.body.get("detail").and_then(Value::as_str);
        // The server at that address may not be callgate.
        let detail = detail.map(|text| {
            let short: String = text.chars().take(NAME_CHARS_MAX).collect();
            short.replace(misleads, " ")
        });
        let said = |exit, way_out: &str| {
            let (address, status) = (self.address, reply.status.as_u16());
            let detail = detail.as_deref().unwrap_or("no reason was given");
            Err(CommandError::new(exit, format!("{address} answers {status}: {detail}{way_out}")))
        };
        match reply.status {
            StatusCode::OK => Ok(Some(reply.body)),
            // A 404 of another program would not be about a session.
            StatusCode::NOT_FOUND if detail.is_some() => Ok(None),
            StatusCode::UNAUTHORIZED => {
                Err(self.no_key(reply.challenge.as_deref().unwrap_or_default()))
            }
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => said(Exit::NotPermitted, ""),
            StatusCode::SERVICE_UNAVAILABLE => said(Exit::StoreUnreachable, ""),
            StatusCode::CONFLICT | StatusCode::BAD_REQUEST if detail.is_some() => {
                said(Exit::BadTable, "")
            }
            _ => said(Exit::StoreUnreachable, "; is that the internal address of a callgate?"),
        }
    }

    /// Why no key of these settings is accepted. The server's hint about its key file is printed,
    /// and never acted on: a program that listens on that address could name any file of this user.
    fn no_key(&self, challenge: &str) -> CommandError {
        let address = self.address;
        let named = parameter(challenge, "key-file").map(|file| {
            let file = percent_decode_str(file).decode_utf8_lossy();
            let file: String = file.chars().take(NAME_CHARS_MAX).collect();
            format!("; it says that its key is in {:?}", file.replace(char::is_control, " "))
        });
        let named = named.unwrap_or_default();
        let own = match &self.key {
            OperatorKeys::Ring(_) => "wants another key than that of these settings".to_owned(),
            OperatorKeys::None => "wants the key of its settings".to_owned(),
            OperatorKeys::Fault(fault) => {
                format!("wants a key, and that of these settings cannot be used: {fault}")
            }
        };
        let why = format!(
            "{address} {own}{named}; give its settings with --settings FILE, the folder of its store \
             with --store embedded:FOLDER, or the key with --keys-file FILE or CALLGATE_KEYS"
        );
        CommandError::new(Exit::NotPermitted, why)
    }

    async fn send(
        &self,
        method: &Method,
        target: &str,
        body: Bytes,
    ) -> Result<InternalResponse, CommandError> {
        let exchange = self.exchange(method, target, body);
        let exchanged = tokio::time::timeout(RESPONSE_TIMEOUT, exchange).await;
        let why = match exchanged {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {} s", RESPONSE_TIMEOUT.as_secs()),
        };
        let address = self.address;
        Err(CommandError::new(
            Exit::StoreUnreachable,
            format!(
                "no server answers on {address}: {why}; start one with callgate serve, or name \
                 the address that it printed with --internal ADDR"
            ),
        ))
    }

    async fn exchange(
        &self,
        method: &Method,
        target: &str,
        body: Bytes,
    ) -> Result<InternalResponse, Box<dyn std::error::Error + Send + Sync>> {
        let stream = TcpStream::connect(self.address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driving = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(target)
            .header(header::HOST, self.address.to_string())
            .body(Full::new(body))?;
        if let OperatorKeys::Ring(keyring) = &self.key {
            let credential = keyring.operator((method.as_str(), target), SystemClock.now());
            let mut value = HeaderValue::from_str(&format!("Callgate {}", credential.expose()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
        driving.abort();
        let challenge = head.headers.get(header::WWW_AUTHENTICATE);
        let challenge = challenge.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let bytes = body.len();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(InternalResponse { status: head.status, challenge, body, bytes })
    }
}

/// An address that can be connected to: a server that listens on all addresses is on this machine
/// too.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A parameter of a challenge that begins with `Callgate`.
fn parameter<'c>(challenge: &'c str, name: &str) -> Option<&'c str> {
    let parameters = challenge.strip_prefix("Callgate ")?;
    parameters
        .split(", ")
        .find_map(|parameter| parameter.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_the_app_and_the_file() {
        let challenge = "Callgate app=\"shop\", key-file=\"/var/lib/a,%20b/callgate.key\"";
        assert_eq!(parameter(challenge, "app"), Some("shop"));
        assert_eq!(parameter(challenge, "key-file"), Some("/var/lib/a,%20b/callgate.key"));
        for other in ["Basic realm=\"shop\"", "Callgate", "Callgate app=shop", ""] {
            assert_eq!(parameter(other, "app"), None, "{other}");
        }
    }

    #[test]
    fn a_server_that_listens_everywhere_is_asked_on_this_machine() {
        for (given, asked) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")]
        {
            assert_eq!(reachable(given.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
