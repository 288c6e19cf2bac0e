//! The first message of a DTLS client, looked at the way the bridge's library does.

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RENEGOTIATION_INFO: u16 = 0xFF01;
const RENEGOTIATION_SCSV: u16 = 0x00FF;

/// Whether a datagram is of DTLS, by its first byte (RFC 7983).
pub(super) fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

/// Whether it is a client's hello without any sign of RFC 5746; the bridge refuses such.
pub(super) fn is_refused(datagram: &[u8]) -> bool {
    match hello(datagram) {
        Some(body) => !knows_renegotiation(body).unwrap_or(false),
        None => false,
    }
}

/// The fatal alert `handshake_failure`.
pub(super) fn alert() -> Vec<u8> {
    vec![21, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40]
}

/// The body of a client's hello, unfragmented.
fn hello(datagram: &[u8]) -> Option<&[u8]> {
    let (record, rest) = datagram.split_at_checked(13)?;
    let (header, body) = rest.split_at_checked(12)?;
    let plain = record[0] == HANDSHAKE && record[3..5] == [0, 0];
    if !plain || header[0] != CLIENT_HELLO || header[6..9] != [0, 0, 0] {
        return None;
    }
    let length = usize::from(header[9]) << 16 | usize::from(header[10]) << 8 | usize::from(header[11]);
    Some(body.get(..length).unwrap_or(body))
}

fn knows_renegotiation(body: &[u8]) -> Option<bool> {
    let rest = body.get(2 + 32..)?;
    let (_session, rest) = short(rest)?;
    let (_cookie, rest) = short(rest)?;
    let (suites, rest) = long(rest)?;
    if suites.chunks_exact(2).any(|suite| number(suite) == RENEGOTIATION_SCSV) {
        return Some(true);
    }
    let (_compression, rest) = short(rest)?;
    let (mut extensions, _) = long(rest)?;
    while let Some((kind, rest)) = extensions.split_at_checked(2) {
        if number(kind) == RENEGOTIATION_INFO {
            return Some(true);
        }
        extensions = long(rest)?.1;
    }
    Some(false)
}

fn number(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| sum << 8 | u16::from(*byte))
}

/// A value with its length in one byte, and what follows.
fn short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// A value with its length in two bytes, and what follows.
fn long(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(2)?;
    rest.split_at_checked(usize::from(number(length)))
}
