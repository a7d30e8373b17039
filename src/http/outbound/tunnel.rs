//! A connection that was upgraded: bytes pass in both directions and are not inspected.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt as _;
use tokio::io::ReadBuf;

use crate::base::limits::RIGHT_CHECK;
use crate::flow::mint::capability::Granted;
use crate::flow::session::Session;
use crate::http::message::body::progress::Progress;

/// The upstream end of a tunnel, which the response that opens it carries in its extensions.
///
/// It is created only after an upstream has agreed to switch protocols. Anything that a client
/// sends before that is treated as a request or dropped (docs/SECURITY.md T40).
#[derive(Clone)]
pub struct Tunnel {
    upstream: OnUpgrade,
    idle: Duration,
    /// Open for as long as the tunnel is.
    granted: Option<Arc<Granted>>,
    /// The session whose right keeps it open.
    session: Session,
}

impl Tunnel {
    /// A tunnel to the connection that `upstream` becomes. It is closed once nothing has passed
    /// for as long as `idle`, and when the right under which it was opened ends. Until then the
    /// upstream may work in the session by its capability.
    pub fn new(
        upstream: OnUpgrade,
        idle: Duration,
        (session, granted): (Session, Option<Granted>),
    ) -> Self {
        Self { upstream, idle, granted: granted.map(Arc::new), session }
    }

    /// Passes bytes in both directions until both ends have finished, one breaks, or nothing
    /// passes. `ahead` is what the client has sent already.
    pub(crate) async fn pass<C>(self, client: C, ahead: Bytes) -> io::Result<()>
    where
        C: AsyncRead + AsyncWrite + Unpin,
    {
        let _granted = self.granted;
        let upstream = self.upstream.await.map_err(io::Error::other)?;
        let mut upstream = TokioIo::new(upstream);
        let progress = Progress::start();
        let mut client = ProgressStream { stream: client, progress: progress.clone() };
        let passing = async {
            upstream.write_all(&ahead).await?;
            tokio::io::copy_bidirectional(&mut client, &mut upstream).await
        };
        tokio::select! {
            passed = passing => passed.map(|_| ()),
            () = progress.stands(self.idle) => Ok(()),
            () = self.session.right_ended(RIGHT_CHECK) => {
                tracing::info!(event = "forward.right_ended", session = %self.session.id());
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tunnel(idle {:?})", self.idle)
    }
}

/// A stream that records when bytes pass.
struct ProgressStream<S> {
    stream: S,
    progress: Progress,
}

impl<S: AsyncRead + Unpin> AsyncRead for ProgressStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            this.progress.moved();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ProgressStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if written.is_ready() {
            this.progress.moved();
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
