//! Clients that hold a connection and do as little as they can with it.

use std::io;
use std::io::ErrorKind;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::time::Duration;

use callgate::base::clock::Stopwatch;
use tokio::io::Interest;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;

use crate::support::frames;
use crate::support::frames::frame;

/// Pause between two things that a slow client does.
const PAUSE: Duration = Duration::from_millis(250);
/// A window that is full at once.
const TINY_WINDOW_BYTES: u32 = 4 * 1024;

/// What a slow client does.
#[derive(Clone)]
pub(crate) struct Manner {
    /// Sent at once.
    pub(crate) start: Vec<u8>,
    /// Sent again and again, with a pause between; empty for nothing.
    pub(crate) drip: Vec<u8>,
    pub(crate) reads: Reads,
}

/// How a slow client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Whatever comes; an HTTP/2 peer answers what it is asked, so that it looks alive.
    All,
    /// A byte now and then.
    Bytes,
    Nothing,
}

/// A connection from one of many addresses of this machine.
pub(crate) async fn from(address: usize, to: SocketAddr) -> io::Result<TcpStream> {
    socket(address)?.connect(to).await
}

/// The same for somebody who reads as `reads` says.
pub(crate) async fn reading(reads: Reads, address: usize, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(address)?;
    if reads != Reads::All {
        socket.set_recv_buffer_size(TINY_WINDOW_BYTES)?;
    }
    socket.connect(to).await
}

fn socket(address: usize) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    let last = u8::try_from(address + 2).map_err(io::Error::other)?;
    socket.bind((IpAddr::from(Ipv4Addr::new(127, 0, 0, last)), 0).into())?;
    Ok(socket)
}

impl Manner {
    /// Sends `start` and reads whatever comes.
    pub(crate) fn new(start: impl Into<Vec<u8>>) -> Self {
        Self { start: start.into(), drip: Vec::new(), reads: Reads::All }
    }

    pub(crate) fn dripping(self, drip: impl Into<Vec<u8>>) -> Self {
        Self { drip: drip.into(), ..self }
    }

    pub(crate) fn reading(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    /// Goes on until the server has closed the connection; how long that took.
    pub(crate) async fn endure(&self, stream: TcpStream) -> Duration {
        let watch = Stopwatch::start();
        // An end that comes while something is sent is seen when it is read.
        let _ = send(&stream, &self.start).await;
        let mut tick = tokio::time::interval(PAUSE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let idles = self.drip.is_empty() && self.reads == Reads::All;
        let mut ahead = Vec::new();
        loop {
            let over = tokio::select! {
                _ = stream.ready(Interest::READABLE), if self.reads == Reads::All => {
                    self.read_all(&stream, &mut ahead).await
                }
                _ = tick.tick(), if !idles => self.act(&stream).await,
            };
            if over {
                return watch.elapsed();
            }
        }
    }

    /// Does the little that it does; whether the connection is over.
    async fn act(&self, stream: &TcpStream) -> bool {
        let sent = self.drip.is_empty() || send(stream, &self.drip).await.is_ok();
        let read = match self.reads {
            Reads::Bytes => is_open(stream.try_read(&mut [0])),
            Reads::All | Reads::Nothing => true,
        };
        !sent || !read || stream.take_error().is_ok_and(|error| error.is_some())
    }

    async fn read_all(&self, stream: &TcpStream, ahead: &mut Vec<u8>) -> bool {
        let mut buffer = [0; 4096];
        let read = stream.try_read(&mut buffer);
        if let Ok(count) = &read
            && self.start.starts_with(frames::PREFACE)
        {
            ahead.extend_from_slice(&buffer[..*count]);
            while let Some(seen) = frames::take(ahead) {
                if seen.kind == frames::PING && seen.flags & frames::ACK == 0 {
                    let _ = send(stream, &frame(frames::PING, frames::ACK, 0, &seen.payload)).await;
                }
            }
        }
        !is_open(read)
    }
}

fn is_open(read: io::Result<usize>) -> bool {
    match read {
        Ok(count) => count > 0,
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}

async fn send(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
