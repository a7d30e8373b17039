//! A plain HTTP/1.1 client: one connection that is kept, what was asked as bytes, and no more.

use std::io;
use std::io::ErrorKind;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The session cookie's name in all heavy suites.
pub(crate) const COOKIE: &str = "4DSID_callgate";

/// A connection to the server, opened again when the server says that it closes it.
pub(crate) struct Connection {
    address: SocketAddr,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The server has said that it closes the connection.
    closing: bool,
}

/// A request as it is sent.
#[derive(Clone)]
pub(crate) struct Ask {
    head: String,
    body: Vec<u8>,
    /// Whether the answer has a head only.
    bodiless: bool,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { address, stream, buffer: Vec::with_capacity(4096), closing: false })
    }

    /// Asks and waits for the answer.
    pub(crate) async fn ask(&mut self, ask: &Ask) -> io::Result<Reply> {
        self.ask_bytes(&ask.bytes(), ask.bodiless).await
    }

    /// As [`Connection::ask`], with bytes made once for many requests.
    pub(crate) async fn ask_bytes(&mut self, bytes: &[u8], bodiless: bool) -> io::Result<Reply> {
        self.renew().await?;
        self.send(bytes).await?;
        self.receive(bodiless).await
    }

    /// Opens the connection again if the server has said that it closes it.
    pub(crate) async fn renew(&mut self) -> io::Result<()> {
        if self.closing {
            *self = Self::open(self.address).await?;
        }
        Ok(())
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    pub(crate) async fn receive(&mut self, bodiless: bool) -> io::Result<Reply> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill().await?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, head.clone()))?;
        let mut reply = Reply { status, head, body: Vec::new() };
        let has_body = !bodiless && status != 204 && status != 304 && status >= 200;
        let length = reply.header("content-length").and_then(|length| length.parse().ok());
        let length = length.filter(|_| has_body).unwrap_or(0);
        while self.buffer.len() < end + length {
            self.fill().await?;
        }
        reply.body = self.buffer[end..end + length].to_vec();
        self.buffer.drain(..end + length);
        self.closing = reply.header("connection") == Some("close");
        Ok(reply)
    }

    /// Waits until the server closes; whatever it still says is an error.
    pub(crate) async fn closed(&mut self) -> io::Result<()> {
        match self.fill().await {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Err(io::Error::new(ErrorKind::InvalidData, "an answer nobody asked for")),
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Ask {
    pub(crate) fn new(verb: &str, target: &str) -> Self {
        let head = format!("{verb} {target} HTTP/1.1\r\nHost: localhost\r\n");
        Self { head, body: Vec::new(), bodiless: verb == "HEAD" }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.extend([name, ": ", value, "\r\n"]);
        self
    }

    /// Shows the session cookie; an empty one is none.
    pub(crate) fn cookie(self, value: &str) -> Self {
        if value.is_empty() { self } else { self.header("Cookie", &format!("{COOKIE}={value}")) }
    }

    /// Asks as a browser does.
    pub(crate) fn browser(self) -> Self {
        self.header("Accept", "text/html,*/*;q=0.8").header("Accept-Language", "en")
    }

    pub(crate) fn body(mut self, kind: &str, body: &str) -> Self {
        self = self.header("Content-Type", kind);
        self.body = body.into();
        self
    }

    /// The request line.
    pub(crate) fn line(&self) -> String {
        self.head.lines().next().unwrap_or_default().to_owned()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone().into_bytes();
        if !self.body.is_empty() {
            bytes.extend(format!("Content-Length: {}\r\n", self.body.len()).into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(&self.body);
        bytes
    }
}

impl Reply {
    /// The first value of a header; the name in lower case, as hyper sends it.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    pub(crate) fn headers<'r>(&'r self, name: &str) -> impl Iterator<Item = &'r str> {
        let fields = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// The session cookie that the answer sets.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.given(COOKIE)
    }

    /// The value of a cookie that the answer sets.
    pub(crate) fn given(&self, name: &str) -> Option<&str> {
        let value = self.headers("set-cookie").find_map(|set| set.strip_prefix(name))?;
        value.strip_prefix('=')?.split(';').next()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// What a handler returned that made no message of its own.
    pub(crate) fn result(&self) -> Value {
        self.json()["result"].take()
    }

    /// The session that the probe says it answered in.
    pub(crate) fn session(&self) -> String {
        self.json()["id"].as_str().unwrap_or_default().to_owned()
    }

    /// What the probe was told became of the token.
    pub(crate) fn outcome(&self) -> &str {
        self.header("x-outcome").unwrap_or_default()
    }

    /// Itself, if it is a success.
    pub(crate) fn good(self) -> Self {
        assert_eq!(self.status, 200, "{}{}", self.head, self.text());
        self
    }
}
