//! Reads a header from the start of a file. Lengths are the file's own words: nothing is allocated for them.

use super::gguf_error::GgufError;

/// No header is longer: a vocabulary of 152064 tokens with its merges takes 6 MB.
const MOST: usize = 100_000_000;

/// What is left of a header.
pub struct Bytes<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    pub fn new(file: &'a [u8]) -> Self {
        Self { file, at: 0 }
    }

    /// Bytes that are read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: u64) -> Result<&'a [u8], GgufError> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let end = end.filter(|end| *end <= self.file.len()).ok_or(GgufError::HeaderEnds(self.file.len()))?;
        if end > MOST {
            return Err(GgufError::LongHeader(MOST));
        }
        let taken = &self.file[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let taken = self.take(N as u64)?;
        taken.try_into().map_err(|_| GgufError::HeaderEnds(self.file.len()))
    }

    pub fn u32(&mut self) -> Result<u32, GgufError> {
        self.array().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Result<u64, GgufError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of `size` bytes, filled up with zeros.
    pub fn unsigned(&mut self, size: u64) -> Result<u64, GgufError> {
        let mut bytes = [0; 8];
        let taken = self.take(size)?;
        bytes[..taken.len()].copy_from_slice(taken);
        Ok(u64::from_le_bytes(bytes))
    }

    /// A number of items that take at least `size` bytes each.
    pub fn count(&mut self, what: &'static str, most: u64) -> Result<u64, GgufError> {
        match self.u64()? {
            count if count > most => Err(GgufError::Many { what, count, most }),
            count => Ok(count),
        }
    }

    /// A length, and so many bytes.
    pub fn string(&mut self) -> Result<&'a [u8], GgufError> {
        let length = self.u64()?;
        self.take(length)
    }

    /// A name of bounded length. What is no UTF-8 is shown so.
    pub fn name(&mut self, what: &'static str, most: u64) -> Result<String, GgufError> {
        match self.string()? {
            name if name.len() as u64 > most => Err(GgufError::LongName { what, length: name.len() as u64, most }),
            name => Ok(String::from_utf8_lossy(name).into_owned()),
        }
    }
}
