//! The first bytes of a connection, which determine its protocol within a deadline.
//!
//! `hyper-util` can detect the protocol too, but waits forever for a client that sends nothing or
//! only the beginning of the HTTP/2 preface (docs/SECURITY.md D.1). Here the caller sets a
//! deadline around [`sniff`], and hyper gets a connection only once it has sent enough bytes.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use crate::http::conn::stall::Abandon;

/// The HTTP/2 preface (RFC 9113 §3.4). It is read completely, because hyper's handshake has no
/// deadline of its own, and a client could stop in the middle of it and stay connected.
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of the preface that rule out an HTTP/1.1 request.
const TELLTALE: usize = 3;

/// The protocol of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A stream whose first bytes were read and are returned again by its reads.
#[derive(Debug)]
pub(crate) struct Sniffed<S> {
    first: [u8; PREFACE.len()],
    /// How many of the first bytes were read, and how many were returned again.
    filled: usize,
    given: usize,
    stream: S,
}

impl<S: Abandon> Abandon for Sniffed<S> {
    fn abandon(&self) {
        self.stream.abandon();
    }
}

/// Reads just enough of a stream to determine its protocol.
pub(crate) async fn sniff<S: AsyncRead + Unpin>(
    mut stream: S,
) -> io::Result<(Protocol, Sniffed<S>)> {
    let mut first = [0; PREFACE.len()];
    let mut filled = 0;
    let protocol = loop {
        let room = first.get_mut(filled..).unwrap_or_default();
        match stream.read(room).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
        let read = first.get(..filled).unwrap_or_default();
        if read == PREFACE {
            break Protocol::Http2;
        }
        if !PREFACE.starts_with(read) {
            if read.get(..TELLTALE) == PREFACE.get(..TELLTALE) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            break Protocol::Http1;
        }
    };
    Ok((protocol, Sniffed { first, filled, given: 0, stream }))
}

impl<S: AsyncRead + Unpin> AsyncRead for Sniffed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let left = this.first.get(this.given..this.filled).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..count).unwrap_or_default());
        this.given += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Sniffed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    async fn sniffed(chunks: &[&'static [u8]]) -> io::Result<(Protocol, Vec<u8>)> {
        let (mut client, server) = tokio::io::duplex(64);
        let chunks = chunks.to_vec();
        let sending = async move {
            for chunk in chunks {
                client.write_all(chunk).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let ((), found) = tokio::join!(sending, sniff(server));
        let (protocol, mut stream) = found?;
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await?;
        Ok((protocol, all))
    }

    #[tokio::test]
    async fn protocols_are_told_apart_and_no_byte_is_lost() {
        for (chunks, protocol) in [
            (&[&b"GET / HTTP/1.1\r\n"[..]][..], Protocol::Http1),
            (&[b"P", b"OST / "], Protocol::Http1),
            (&[b"P", b"R", b"OPFIND"], Protocol::Http1),
            (&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0"], Protocol::Http2),
            (&[b"P", b"R", b"I", b" * HTTP/2.0\r\n\r\nSM\r\n", b"\r\n"], Protocol::Http2),
        ] {
            assert_eq!(sniffed(chunks).await.unwrap(), (protocol, chunks.concat()));
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_too_early_or_speaks_neither_is_an_error() {
        for chunks in
            [&[][..], &[&b"P"[..]], &[b"PR"], &[b"PRI * HTTP/2.0\r\n"], &[b"PRI * HTTP/3"]]
        {
            assert!(sniffed(chunks).await.is_err());
        }
    }
}
