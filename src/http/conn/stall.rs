//! A stream whose writes fail when the peer reads nothing, or almost nothing.
//!
//! hyper waits forever for a client that has stopped reading. Each such client would keep its
//! connection and its response in memory, and so would one that reads a byte now and then.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::task::ready;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::base::limits::BYTES_PER_SEC_MIN;

/// Fails when pending writes make no progress, or too little, for a while.
#[derive(Debug)]
pub(crate) struct Unstalled<S> {
    stream: S,
    patience: Duration,
    /// Runs from when a write has to wait until the reader has taken enough, or everything.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Bytes taken since then.
    taken: u64,
}

/// A stream that can be closed without sending its pending bytes.
pub(crate) trait Abandon {
    /// Makes the close send nothing more.
    fn abandon(&self);
}

impl Abandon for TcpStream {
    /// Otherwise the kernel would keep sending after the server gave up, and hold megabytes for
    /// it.
    fn abandon(&self) {
        // The socket is closed next, so an error does not matter.
        let _ = self.set_zero_linger();
    }
}

impl<S: Abandon> Abandon for Unstalled<S> {
    fn abandon(&self) {
        self.stream.abandon();
    }
}

impl<S> Unstalled<S> {
    pub(crate) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, alarm: None, taken: 0 }
    }

    fn rest(&mut self) {
        self.alarm = None;
        self.taken = 0;
    }
}

impl<S: Abandon> Unstalled<S> {
    /// Records a write that succeeded completely or in part.
    fn note(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.taken += *count as u64;
            if self.taken >= self.patience.as_secs() * BYTES_PER_SEC_MIN {
                self.rest();
            }
        }
        self.watch(context, written)
    }

    /// Passes on a result that is ready. A pending write fails once its time is over.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        progress: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            return progress;
        }
        let patience = self.patience;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(alarm.as_mut().poll(context));
        self.stream.abandon();
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unstalled<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Abandon + Unpin> AsyncWrite for Unstalled<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.note(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, bytes);
        this.note(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.stream).poll_flush(context);
        // A flush comes after the last write, and the next write has its own time.
        if progress.is_ready() {
            this.rest();
        }
        this.watch(context, progress)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = Pin::new(&mut this.stream).poll_shutdown(context);
        this.watch(context, progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    use tokio::io::DuplexStream;

    impl Abandon for DuplexStream {
        fn abandon(&self) {}
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_who_takes_nothing_or_too_little_is_given_up() {
        let answer = vec![0; 60_000];
        for (each, survives) in [(15_000, true), (1_000, false), (0, false)] {
            let (mut slow, server) = tokio::io::duplex(1_000);
            let mut server = Unstalled::new(server, Duration::from_secs(30));
            let reading = async {
                let mut taken = vec![0; each];
                loop {
                    tokio::time::sleep(Duration::from_secs(20)).await;
                    if slow.read_exact(&mut taken).await.is_err() {
                        return;
                    }
                }
            };
            let writing = async {
                // A completed write says nothing about the next response.
                for _ in 0..2 {
                    server.write_all(&answer).await?;
                    server.flush().await?;
                    tokio::time::sleep(Duration::from_hours(1)).await;
                }
                Ok::<_, io::Error>(())
            };
            let written = tokio::select! {
                written = writing => written.map_err(|error| error.kind()),
                () = reading => unreachable!("the server is still there"),
            };
            let given_up = Err(io::ErrorKind::TimedOut);
            assert_eq!(written, if survives { Ok(()) } else { given_up }, "{each}");
        }
    }
}
