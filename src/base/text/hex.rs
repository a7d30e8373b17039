//! Hex digits, the written form of ids, digests and tokens.

/// The text is not hex digits of the expected number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotHex;

const LOWER: &[u8; 16] = b"0123456789abcdef";
const UPPER: &[u8; 16] = b"0123456789ABCDEF";

/// Lower-case hex digits of `bytes`.
pub(crate) fn lower(bytes: &[u8]) -> String {
    write(bytes, LOWER)
}

/// Upper-case hex digits of `bytes`.
pub(crate) fn upper(bytes: &[u8]) -> String {
    write(bytes, UPPER)
}

/// Reads exactly `2 * N` hex digits of either case.
pub(crate) fn read<const N: usize>(text: &str) -> Result<[u8; N], NotHex> {
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(NotHex);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return Err(NotHex);
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        // Two hex digits are at most 255.
        *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).map_err(|_| NotHex)?;
    }
    Ok(bytes)
}

fn write(bytes: &[u8], digits: &[u8; 16]) -> String {
    let digit =
        |nibble: u8| digits.get(usize::from(nibble)).map_or('0', |digit| char::from(*digit));
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
