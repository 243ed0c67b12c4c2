//! Bytes as people write hashes and identifiers: two lower-case digits a byte.

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
