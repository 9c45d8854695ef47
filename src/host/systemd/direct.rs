//! A connection to a service manager without a bus between: what the manager sends is made fit for the library.
//!
//! Without a bus nobody has a unique name, and systemd gives its well-known one as the sender of all that it says
//! (`bus_on_connection`, src/core/dbus.c). The library takes only unique names there, so the sender gets one of the same
//! length (D-Bus Specification, Message Format).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

/// The sender that systemd names, with a colon for its last character: a unique name.
const SENDER: &[u8] = b"org.freedesktop.systemd1";
/// The name that it gets.
pub const UNIQUE: &str = ":org.freedesktop.systemd";
/// What is before it: the code of the field, its signature, and its length in the order of x86 and ARM.
const FIELD: &[u8] = &[7, 1, b's', 0, 24, 0, 0, 0];
/// The bytes of a message before its fields.
const FIXED: usize = 16;
/// Most bytes of a message.
const LIMIT: usize = 128 << 20;

/// The stream to use in the place of `manager`. Each of them ends with the other.
pub fn fit(manager: UnixStream) -> io::Result<UnixStream> {
    let (inner, outer) = UnixStream::pair()?;
    let (mut said, mut sent) = (inner.try_clone()?, manager.try_clone()?);
    std::thread::Builder::new().name("to manager".to_owned()).spawn(move || {
        let _ = io::copy(&mut said, &mut sent);
        let _ = sent.shutdown(Shutdown::Both);
    })?;
    std::thread::Builder::new().name("from manager".to_owned()).spawn(move || {
        let mut to = &inner;
        let _ = relay(&mut BufReader::new(manager), &mut to);
        let _ = inner.shutdown(Shutdown::Both);
    })?;
    Ok(outer)
}

/// Passes on lines of the greeting, then messages, until there are no more.
fn relay(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    while let Some(first) = from.fill_buf()?.first().copied() {
        let mut bytes = Vec::new();
        if matches!(first, b'l' | b'B') {
            message(from, &mut bytes)?;
        } else {
            from.by_ref().take(LIMIT as u64).read_until(b'\n', &mut bytes)?;
        }
        to.write_all(&bytes)?;
    }
    Ok(())
}

/// Reads a message, and gives it a sender of its own.
fn message(from: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.resize(FIXED, 0);
    from.read_exact(bytes)?;
    let is_little = bytes[0] == b'l';
    let number = |at: usize| {
        let four = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        (if is_little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }) as usize
    };
    let (body, fields) = (number(4), number(12));
    let end = FIXED.saturating_add(fields);
    let whole = end.next_multiple_of(8).saturating_add(body);
    if whole > LIMIT {
        return Err(io::Error::from(io::ErrorKind::InvalidData));
    }
    bytes.resize(whole, 0);
    from.read_exact(&mut bytes[FIXED..])?;
    let pattern = [FIELD, SENDER].concat();
    if let Some(at) = bytes[FIXED..end].windows(pattern.len()).position(|part| part == pattern) {
        let name = FIXED + at + FIELD.len();
        bytes[name..name + UNIQUE.len()].copy_from_slice(UNIQUE.as_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with one field, and a body that has the same bytes.
    fn message(sender: &[u8]) -> Vec<u8> {
        let field = [FIELD, sender, b"\0"].concat();
        let body = [FIELD, SENDER].concat();
        let mut bytes = vec![b'l', 4, 1, 1];
        for number in [body.len(), 1, field.len()] {
            bytes.extend(u32::try_from(number).unwrap().to_le_bytes());
        }
        bytes.extend(&field);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(body);
        bytes
    }

    fn relayed(bytes: &[u8]) -> Vec<u8> {
        let mut given = Vec::new();
        relay(&mut BufReader::with_capacity(3, bytes), &mut given).unwrap();
        given
    }

    #[test]
    fn only_the_sender_changes() {
        let greeting = b"OK 0123\r\nAGREE_UNIX_FD\r\n".as_slice();
        let others = message(b"org.freedesktop.systemd2");
        let said = [greeting, &message(SENDER), &others, &message(SENDER)].concat();
        assert_eq!(
            relayed(&said),
            [greeting, &message(UNIQUE.as_bytes()), &others, &message(UNIQUE.as_bytes())].concat()
        );
    }

    #[test]
    fn what_is_no_message_ends_it() {
        let mut huge = message(SENDER);
        huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(relay(&mut huge.as_slice(), &mut Vec::new()).is_err());
        let whole = message(SENDER);
        assert!(relay(&mut &whole[..whole.len() - 1], &mut Vec::new()).is_err());
    }
}
