//! Records of ring and perf buffers, many in one blob: each with the number
//! of its stream and its length in front, both as 32 bits.

/// The bytes in front of a record.
const HEAD: usize = 8;

/// Puts a record behind those in `blob`.
pub fn push(blob: &mut Vec<u8>, stream: u32, record: &[u8]) {
    blob.extend_from_slice(&stream.to_le_bytes());
    // No buffer of the kernel's holds a record of 4 GiB.
    blob.extend_from_slice(&(record.len() as u32).to_le_bytes());
    blob.extend_from_slice(record);
}

/// The records of a blob, each with its stream. A blob that is cut off ends
/// where it stops making sense.
pub fn iter(blob: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = blob;
    std::iter::from_fn(move || {
        let (head, behind) = rest.split_at_checked(HEAD)?;
        let word = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
        let (record, behind) = behind.split_at_checked(word(4)? as usize)?;
        rest = behind;
        Some((word(0)?, record))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_as_they_went() {
        let mut blob = Vec::new();
        push(&mut blob, 3, b"abc");
        push(&mut blob, 0, b"");
        push(&mut blob, 1, b"d");
        let all: Vec<_> = iter(&blob).collect();
        assert_eq!(all, [(3, &b"abc"[..]), (0, b""), (1, b"d")]);
        for cut in 0..blob.len() {
            assert!(iter(&blob[..cut]).count() < 3);
        }
    }
}
