//! A peer that speaks HTTP/2 frame by frame, so that it can say what no library would.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::frames::CONTINUATION;
use crate::support::frames::END_HEADERS;
use crate::support::frames::END_STREAM;
use crate::support::frames::GOAWAY;
use crate::support::frames::HEADERS;
use crate::support::frames::PREFACE;
use crate::support::frames::RST_STREAM;
use crate::support::frames::SETTINGS;
use crate::support::frames::frame;
use crate::support::wire::soon;

/// Bytes of one piece of a header that is sent in pieces; more pieces than a handful are a flood.
const PIECE: usize = 16_000;

/// How a server answers a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Status(u16),
    Reset(u32),
    GoAway(u32),
}

/// One connection.
pub(crate) struct Peer(TcpStream);

impl Peer {
    /// Connects and says what it must: the preface and empty settings.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let mut peer = Self(TcpStream::connect(address).await.unwrap());
        peer.send(PREFACE).await;
        peer.frame(SETTINGS, 0, 0, &[]).await;
        peer
    }

    /// Sends a request without a body in one frame.
    pub(crate) async fn ask(&mut self, stream: u32, fields: &[(String, String)]) {
        self.frame(HEADERS, END_STREAM | END_HEADERS, stream, &packed(fields)).await;
    }

    /// The same in frames of some thousand bytes each.
    pub(crate) async fn ask_in_pieces(&mut self, stream: u32, fields: &[(String, String)]) {
        let block = packed(fields);
        let pieces: Vec<&[u8]> = block.chunks(PIECE).collect();
        for (number, piece) in pieces.iter().enumerate() {
            let kind = if number == 0 { HEADERS } else { CONTINUATION };
            let begins = if number == 0 { END_STREAM } else { 0 };
            let ends = if number + 1 == pieces.len() { END_HEADERS } else { 0 };
            self.frame(kind, begins | ends, stream, piece).await;
        }
    }

    /// Reads until the server has said what becomes of a stream.
    pub(crate) async fn answer_to(&mut self, stream: u32) -> Said {
        loop {
            let mut head = [0; 9];
            soon(self.0.read_exact(&mut head)).await.expect("a frame");
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let on = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
            let mut payload = vec![0; length as usize];
            soon(self.0.read_exact(&mut payload)).await.expect("the rest of a frame");
            let code = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
            match head[3] {
                HEADERS if on == stream => return Said::Status(status(&payload)),
                RST_STREAM if on == stream => return Said::Reset(code(0)),
                GOAWAY => return Said::GoAway(code(4)),
                _ => {}
            }
        }
    }

    async fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.send(&frame(kind, flags, stream, payload)).await;
    }

    /// A server that is done with this peer may have closed already.
    async fn send(&mut self, bytes: &[u8]) {
        let _ = soon(self.0.write_all(bytes)).await;
    }
}

/// HPACK: each field as a literal with a new name, not indexed, not Huffman-coded (RFC 7541
/// §6.2.2).
fn packed(fields: &[(String, String)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn length(block: &mut Vec<u8>, mut length: usize) {
    if length < 127 {
        block.push(u8::try_from(length).unwrap());
        return;
    }
    block.push(127);
    length -= 127;
    while length >= 128 {
        block.push(u8::try_from(length % 128).unwrap() | 128);
        length /= 128;
    }
    block.push(u8::try_from(length).unwrap());
}

/// The status, which is the first field of every answer: from the static table, or a literal
/// with the name from there (RFC 7541 appendix A).
fn status(block: &[u8]) -> u16 {
    // An encoder may begin by resizing its table.
    let block = if block[0] & 0xe0 == 0x20 { &block[1..] } else { block };
    match block[0] {
        0x88 => return 200,
        0x89 => return 204,
        0x8a => return 206,
        0x8b => return 304,
        0x8c => return 400,
        0x8d => return 404,
        0x8e => return 500,
        0x48 | 0x18 | 0x08 => {}
        other => panic!("the status begins with {other:#x}"),
    }
    let coded = block[1] & 0x80 != 0;
    let text = &block[2..2 + usize::from(block[1] & 0x7f)];
    if coded { digits(text) } else { std::str::from_utf8(text).unwrap().parse().unwrap() }
}

/// Huffman-coded digits: 0 to 2 have five bits, 3 to 9 have six (RFC 7541 appendix B).
fn digits(text: &[u8]) -> u16 {
    let bits: Vec<u8> =
        text.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)).collect();
    let (mut at, mut number) = (0, 0);
    let value = |from: usize, count: usize| {
        bits.get(from..from + count)
            .map(|bits| bits.iter().fold(0, |sum, bit| sum * 2 + u16::from(*bit)))
    };
    while let Some(five) = value(at, 5) {
        if five <= 2 {
            (number, at) = (number * 10 + five, at + 5);
            continue;
        }
        match value(at, 6) {
            Some(six @ 0x19..=0x1f) => (number, at) = (number * 10 + six - 0x16, at + 6),
            _ => break,
        }
    }
    number
}

#[test]
fn a_coded_status_reads_back() {
    // 421 is 011010 00010 00001, padded with ones; 302 is the example of RFC 7541 C.6.1.
    assert_eq!(digits(&[0b0110_1000, 0b0100_0001]), 421);
    assert_eq!(digits(&[0x64, 0x02]), 302);
}
