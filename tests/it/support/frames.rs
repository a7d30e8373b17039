//! HTTP/2 as raw frames, for peers that no library would be (RFC 9113, RFC 7541).

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

/// A frame as it came.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [&head, payload].concat()
}

/// The headers of a request, as a block without compression.
pub(crate) fn block(method: &str, path: &str) -> Vec<u8> {
    const METHOD: u8 = 2;
    const METHOD_GET: u8 = 0x82;
    const METHOD_POST: u8 = 0x83;
    const SCHEME_HTTP: u8 = 0x86;
    let literal = |index: u8, text: &str| {
        [&[index, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    };
    let method = match method {
        "GET" => vec![METHOD_GET],
        "POST" => vec![METHOD_POST],
        other => literal(METHOD, other),
    };
    [method, vec![SCHEME_HTTP], literal(4, path), literal(1, "gate.test")].concat()
}

/// A request without a body.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block("GET", path))
}

/// The beginning of a request whose body is still to come.
pub(crate) fn post(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block("POST", path))
}

/// The preface and settings that grant each stream so many bytes.
pub(crate) fn hello(window: u32) -> Vec<u8> {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    let setting = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &window.to_be_bytes()].concat();
    [PREFACE, &frame(SETTINGS, 0, 0, &setting)].concat()
}

/// Takes the first whole frame out of what has been read.
pub(crate) fn take(read: &mut Vec<u8>) -> Option<Frame> {
    const HEAD: usize = 9;
    let [a, b, c, kind, flags, s @ ..] = *read.first_chunk::<HEAD>()?;
    let end = HEAD + u32::from_be_bytes([0, a, b, c]) as usize;
    let payload = read.get(HEAD..end)?.to_vec();
    read.drain(..end);
    Some(Frame { kind, flags, stream: u32::from_be_bytes(s), payload })
}
