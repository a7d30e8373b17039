//! A reader of the frames of an HTTP/2 connection, which measures the cost of the peer and whether
//! it makes progress.
//!
//! h2 accepts empty frames without a limit, and keeps a response for as long as its peer grants no
//! window for it, while a peer that replies to pings looks alive. Here the frame headers are read
//! as they pass, and nothing is changed (RFC 9113 §4.1).

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::task::ready;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;

use crate::http::conn::traffic::FrameHead;
use crate::http::conn::traffic::Traffic;

/// A frame's length, type, flags and stream (RFC 9113 §4.1).
const HEAD_BYTES: usize = 9;

/// A stream of HTTP/2 that reports every frame to `traffic`.
#[derive(Debug)]
pub(crate) struct Framed<S> {
    stream: S,
    received: Frames,
    sent: Frames,
    traffic: Arc<Traffic>,
}

/// Finds the frame headers in one direction of a connection.
#[derive(Debug)]
struct Frames {
    /// Bytes until the next header: of the preface or of a payload.
    left: usize,
    head: [u8; HEAD_BYTES],
    /// Bytes of the header read so far.
    filled: usize,
}

impl<S> Framed<S> {
    /// Watches a connection whose peer still has `preface` bytes to send before its first frame.
    pub(crate) fn new(stream: S, preface: usize, traffic: Arc<Traffic>) -> Self {
        Self { stream, received: Frames::after(preface), sent: Frames::after(0), traffic }
    }

    fn note_sent(&mut self, bytes: &[u8]) {
        self.sent.read(bytes, |head| self.traffic.sent(head));
    }
}

impl Frames {
    fn after(preface: usize) -> Self {
        Self { left: preface, head: [0; HEAD_BYTES], filled: 0 }
    }

    /// Reads the next bytes and passes on every complete header.
    fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(FrameHead)) {
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = (HEAD_BYTES - self.filled).min(bytes.len());
            let (head, rest) = bytes.split_at_checked(wanted).unwrap_or_default();
            if let Some(room) = self.head.get_mut(self.filled..self.filled + head.len()) {
                room.copy_from_slice(head);
            }
            self.filled += head.len();
            bytes = rest;
            if self.filled == HEAD_BYTES {
                let head = FrameHead::of(self.head);
                (self.filled, self.left) = (0, head.length);
                each(head);
            }
        }
    }
}

impl FrameHead {
    fn of([long, longer, length, kind, flags, stream @ ..]: [u8; HEAD_BYTES]) -> Self {
        const RESERVED: u32 = 1 << 31;
        Self {
            length: u32::from_be_bytes([0, long, longer, length]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & !RESERVED,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let bytes = buffer.filled().get(before..).unwrap_or_default();
        this.received.read(bytes, |head| this.traffic.received(head));
        Poll::Ready(if this.traffic.is_flood() {
            Err(io::Error::new(io::ErrorKind::InvalidData, "too many frames that carry nothing"))
        } else {
            Ok(())
        })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let count = ready!(Pin::new(&mut this.stream).poll_write(context, bytes))?;
        this.note_sent(bytes.get(..count).unwrap_or_default());
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let count = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, slices))?;
        let mut left = count;
        for slice in slices {
            let written = left.min(slice.len());
            this.note_sent(slice.get(..written).unwrap_or_default());
            left -= written;
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes_of(head: FrameHead) -> Vec<u8> {
        let length = u32::try_from(head.length).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([head.kind, head.flags]);
        bytes.extend(head.stream.to_be_bytes());
        bytes.resize(HEAD_BYTES + head.length, 0xAA);
        bytes
    }

    proptest! {
        #[test]
        fn every_head_is_found_however_the_bytes_are_cut(
            heads in prop::collection::vec((0..600_usize, 0..12_u8, any::<u8>(), 0..1_u32 << 31), 0..20),
            preface in 0..30_usize,
            piece in 1..400_usize,
        ) {
            let heads: Vec<FrameHead> = heads
                .into_iter()
                .map(|(length, kind, flags, stream)| FrameHead { length, kind, flags, stream })
                .collect();
            let mut bytes = vec![0x50; preface];
            bytes.extend(heads.iter().flat_map(|head| bytes_of(*head)));
            let mut frames = Frames::after(preface);
            let mut found = Vec::new();
            for piece in bytes.chunks(piece) {
                frames.read(piece, |head| found.push(head));
            }
            prop_assert_eq!(found, heads);
        }
    }

    #[test]
    fn the_reserved_bit_is_no_part_of_a_stream() {
        let head = FrameHead::of([1, 2, 3, 6, 1, 0x80, 0, 0, 5]);
        assert_eq!(head, FrameHead { length: 0x0001_0203, kind: 6, flags: 1, stream: 5 });
    }
}
