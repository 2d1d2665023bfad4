//! Messages on a byte stream: sixteen bytes of mark and lengths, a JSON
//! header, then raw bytes. Both sides distrust the lengths they read.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Read, Write};

/// The first four bytes of every message.
const MARK: [u8; 4] = *b"SKP1";
/// The longest header.
const MAX_HEADER: u32 = 8 << 20;
/// The longest blob: an object or a log.
const MAX_BLOB: u64 = 512 << 20;

/// Writes one message.
pub fn write(writer: &mut impl Write, header: &impl Serialize, blob: &[u8]) -> io::Result<()> {
    let header = serde_json::to_vec(header)?;
    if header.len() > MAX_HEADER as usize || blob.len() as u64 > MAX_BLOB {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the message is too large"));
    }
    let mut start = [0; 16];
    start[..4].copy_from_slice(&MARK);
    start[4..8].copy_from_slice(&(header.len() as u32).to_le_bytes());
    start[8..].copy_from_slice(&(blob.len() as u64).to_le_bytes());
    writer.write_all(&start)?;
    writer.write_all(&header)?;
    writer.write_all(blob)?;
    writer.flush()
}

/// Reads one message.
///
/// # Errors
/// Besides the reader's own, [`io::ErrorKind::InvalidData`] where the bytes
/// are not a message.
pub fn read<T: DeserializeOwned>(reader: &mut impl Read) -> io::Result<(T, Vec<u8>)> {
    let invalid = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let mut start = [0; 16];
    reader.read_exact(&mut start)?;
    let [a, b, c, d, e, f, g, h, blob @ ..] = start;
    let length = u32::from_le_bytes([e, f, g, h]);
    let blob = u64::from_le_bytes(blob);
    if [a, b, c, d] != MARK || length > MAX_HEADER || blob > MAX_BLOB {
        return Err(invalid("not a message"));
    }
    let header = serde_json::from_slice(&exactly(reader, u64::from(length))?)
        .map_err(|error| invalid(&format!("a message cannot be understood: {error}")))?;
    Ok((header, exactly(reader, blob)?))
}

/// Reads so many bytes, growing as they come: a length alone costs nothing.
fn exactly(reader: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if reader.take(length).read_to_end(&mut bytes)? as u64 == length {
        Ok(bytes)
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_went() {
        let mut stream = Vec::new();
        write(&mut stream, &("a", 1), b"blob").unwrap();
        write(&mut stream, &("b", 2), b"").unwrap();
        let mut reader = &stream[..];
        assert_eq!(read(&mut reader).unwrap(), (("a".to_owned(), 1), b"blob".to_vec()));
        assert_eq!(read(&mut reader).unwrap(), (("b".to_owned(), 2), Vec::new()));
        for cut in 0..stream.len() - 1 {
            let mut reader = &stream[..cut];
            let first = read::<(String, i32)>(&mut reader);
            assert!(first.is_err() || read::<(String, i32)>(&mut reader).is_err());
        }
    }

    #[test]
    fn a_wrong_length_is_refused_before_it_costs_anything() {
        let mut stream = Vec::new();
        write(&mut stream, &1, b"").unwrap();
        stream[15] = 0xff;
        assert_eq!(read::<i32>(&mut &stream[..]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
