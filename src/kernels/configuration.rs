//! The configuration that a kernel has inside (CONFIG_IKCONFIG): a gzip stream
//! between the marks `IKCFG_ST` and `IKCFG_ED` (kernel/configs.c).

use std::io::Read as _;

/// No configuration is longer.
const MAX: u64 = 4 << 20;

/// The configuration in a `vmlinux`.
pub(super) fn inside(vmlinux: &[u8]) -> Option<Vec<u8>> {
    const MARK: &[u8] = b"IKCFG_ST";
    let start = vmlinux.windows(MARK.len() + 1).position(|bytes| {
        // What follows is gzip; the mark alone may stand in any tool's text.
        bytes[..MARK.len()] == *MARK && bytes[MARK.len()] == 0x1f
    })?;
    let stream = &vmlinux[start + MARK.len()..];
    let mut config = Vec::new();
    flate2::read::GzDecoder::new(stream).take(MAX).read_to_end(&mut config).ok()?;
    Some(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_kernels_own_configuration_is_found() {
        let level = flate2::Compression::fast();
        let mut stream = flate2::write::GzEncoder::new(Vec::new(), level);
        stream.write_all(b"CONFIG_X=y\n").unwrap();
        let inner = stream.finish().unwrap();
        let image = [b"IKCFG_ST no ", &b"IKCFG_ST"[..], &inner, b"IKCFG_ED"].concat();
        assert_eq!(inside(&image).as_deref(), Some(&b"CONFIG_X=y\n"[..]));
        assert_eq!(inside(b"IKCFG_ST"), None);
    }
}
