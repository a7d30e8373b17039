//! Content codings of request bodies: what was compressed for the way is undone (RFC 9110 §8.4).

use std::io::Read;

use bytes::Bytes;
use flate2::bufread::DeflateDecoder;
use flate2::bufread::MultiGzDecoder;
use flate2::bufread::ZlibDecoder;
use hyper::HeaderMap;
use hyper::header;

use crate::http::message::fault::Fault;

/// Bytes that are decoded at a time; the limit of a body is exceeded by no more than this.
const CHUNK_BYTES: usize = 32 * 1024;

/// A coding that has to be undone before a body can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// RFC 1952, also under its old name `x-gzip`.
    Gzip,
    /// RFC 1950. Some senders leave its frame out and send RFC 1951.
    Deflate,
}

impl Coding {
    /// The coding that a header names. `identity` and nothing are none. Some senders put the
    /// charset here; it is left aside with a warning.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Option<Self>, Fault> {
        let mut found = None;
        for field in headers.get_all(header::CONTENT_ENCODING) {
            let names = field.to_str().map_err(|_| Fault::body_encoded())?;
            for name in names.split(',').map(|name| name.trim().to_ascii_lowercase()) {
                let coding = match &*name {
                    "" | "identity" => continue,
                    "utf-8" | "utf8" => {
                        let advice = "Content-Encoding names a charset, which belongs into \
                                      Content-Type; it is ignored";
                        tracing::warn!(event = "body.charset_as_coding", "{advice}");
                        continue;
                    }
                    "gzip" | "x-gzip" => Self::Gzip,
                    "deflate" => Self::Deflate,
                    _ => return Err(Fault::body_encoded()),
                };
                // Nobody compresses twice but those who want to have more unpacked than they send.
                if found.replace(coding).is_some() {
                    return Err(Fault::body_encoded());
                }
            }
        }
        Ok(found)
    }

    /// What was sent, decoded to at most `bytes_max` bytes.
    pub(crate) async fn undo(self, sent: &Bytes, bytes_max: u64) -> Result<Bytes, Fault> {
        match self {
            Self::Gzip => read(MultiGzDecoder::new(&sent[..]), bytes_max).await,
            Self::Deflate if is_zlib(sent) => read(ZlibDecoder::new(&sent[..]), bytes_max).await,
            Self::Deflate => read(DeflateDecoder::new(&sent[..]), bytes_max).await,
        }
    }
}

/// RFC 1950 §2.2: method 8, and the first two bytes are a multiple of 31.
fn is_zlib(bytes: &[u8]) -> bool {
    let [first, second, ..] = bytes else { return false };
    first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0
}

/// Reads a decoder to its end, and gives other requests their turn meanwhile.
async fn read(mut decoder: impl Read, bytes_max: u64) -> Result<Bytes, Fault> {
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let (mut whole, mut chunk) = (Vec::new(), vec![0; CHUNK_BYTES]);
    loop {
        let count = decoder.read(&mut chunk).map_err(|_| Fault::broken_body())?;
        let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else {
            return Ok(whole.into());
        };
        let length = whole.len() + read.len();
        if length > bytes_max {
            return Err(Fault::body_too_large());
        }
        if length > whole.capacity() {
            // Doubles as a vector does by itself, but not beyond the limit.
            let room = (2 * length).min(bytes_max);
            whole.reserve_exact(room - whole.len());
        }
        whole.extend_from_slice(read);
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use flate2::write::GzEncoder;
    use flate2::write::ZlibEncoder;
    use hyper::header::HeaderValue;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn undone(coding: Coding, sent: Vec<u8>, max: u64) -> Result<Bytes, &'static str> {
        coding.undo(&sent.into(), max).await.map_err(|fault| fault.code())
    }

    fn named(fields: &[&'static str]) -> Result<Option<Coding>, &'static str> {
        let field =
            |text: &&'static str| (header::CONTENT_ENCODING, HeaderValue::from_static(text));
        Coding::of(&fields.iter().map(field).collect()).map_err(|fault| fault.code())
    }

    #[test]
    fn a_header_names_one_coding_or_none() {
        for none in ["", "identity", "Identity, ", "UTF-8", "utf8"] {
            assert_eq!(named(&[none]), Ok(None), "{none:?}");
        }
        assert_eq!(named(&["GZIP"]), Ok(Some(Coding::Gzip)));
        assert_eq!(named(&["identity", "x-gzip"]), Ok(Some(Coding::Gzip)));
        assert_eq!(named(&[" deflate "]), Ok(Some(Coding::Deflate)));
        for other in
            ["br", "zstd", "compress", "gzip, gzip", "aws-chunked", "gzip;q=1", "iso-8859-1"]
        {
            assert_eq!(named(&[other]), Err("body_encoded"), "{other:?}");
        }
        assert_eq!(named(&["gzip", "deflate"]), Err("body_encoded"));
    }

    #[tokio::test]
    async fn each_coding_is_undone() {
        let text = b"payment=1&".repeat(10_000);
        let max = text.len() as u64;
        let two = [gzip(&text[..7]), gzip(&text[7..])].concat();
        for (coding, sent) in [
            (Coding::Gzip, gzip(&text)),
            (Coding::Gzip, two),
            (Coding::Deflate, zlib(&text)),
            (Coding::Deflate, raw_deflate(&text)),
        ] {
            assert_eq!(undone(coding, sent.clone(), max).await.unwrap(), text);
            assert_eq!(undone(coding, sent, max - 1).await, Err("body_too_large"));
        }
        assert_eq!(undone(Coding::Gzip, gzip(b""), 0).await.unwrap(), "");
    }

    #[tokio::test]
    async fn what_is_broken_or_cut_off_is_no_body() {
        let text = b"payment=1&".repeat(1_000);
        for (coding, whole) in [(Coding::Gzip, gzip(&text)), (Coding::Deflate, zlib(&text))] {
            for cut in [1, 2, 5, 11, whole.len() / 2, whole.len() - 1] {
                let sent = whole[..cut].to_vec();
                assert_eq!(
                    undone(coding, sent, 1 << 20).await,
                    Err("bad_body"),
                    "{coding:?} {cut}"
                );
            }
            let mut wrong = whole.clone();
            let last = wrong.len() - 6;
            wrong[last] ^= 1;
            assert_eq!(undone(coding, wrong, 1 << 20).await, Err("bad_body"), "{coding:?}");
            assert_eq!(undone(coding, b"plain text".to_vec(), 1 << 20).await, Err("bad_body"));
        }
    }

    /// Says zeros for ever, and counts them.
    struct Endless<'c>(&'c mut usize);

    impl Read for Endless<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            buffer.fill(0);
            *self.0 += buffer.len();
            Ok(buffer.len())
        }
    }

    #[tokio::test]
    async fn what_unpacks_to_more_than_the_limit_is_unpacked_no_further_than_one_buffer() {
        for max in [0, 10, CHUNK_BYTES, 10 * CHUNK_BYTES + 1] {
            let mut unpacked = 0;
            let fault = read(Endless(&mut unpacked), max as u64).await.unwrap_err();
            assert_eq!(fault.code(), "body_too_large");
            assert!(unpacked <= max + CHUNK_BYTES, "{unpacked} bytes for a limit of {max}");
        }
        let bomb = gzip(&vec![0; 50 << 20]);
        assert!(bomb.len() < 1 << 20);
        assert_eq!(undone(Coding::Gzip, bomb, 1 << 20).await, Err("body_too_large"));
    }
}
