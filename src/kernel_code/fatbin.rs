//! NVIDIA's container of kernels for several kinds of GPUs: a header, then entries with headers of their own. Its format isn't
//! documented; what is read of it was held against `cuobjdump` (tests/fixtures/kernel_code).

use std::borrow::Cow;
use std::io::Read;

/// How it begins.
pub const MAGIC: [u8; 4] = 0xBA55_ED50_u32.to_le_bytes();

/// What an entry unpacks to: the largest known have a tenth of it.
const MOST_UNPACKED: usize = 256 << 20;

const PTX: u16 = 1;
const MACHINE_CODE: u16 = 2;
/// Flags of an entry: how it is packed, and that it is for exactly this GPU.
const LZ4: u64 = 0x2000;
const ZSTD: u64 = 0x8000;
const EXACTLY: u64 = 0x10_0000;

/// One that begins where the bytes do.
#[derive(Debug)]
pub struct Fatbin<'a> {
    /// With its header.
    pub bytes: usize,
    rest: &'a [u8],
}

/// Kernels of one kind of GPU.
#[derive(Debug)]
pub struct Entry<'a> {
    pub what: What,
    /// Such as `sm_90a`.
    pub target: String,
    payload: &'a [u8],
    packed: Packed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    MachineCode,
    Ptx,
    /// Something else, which no GPU runs as it is.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packed {
    No,
    Lz4 { unpacked: usize },
    Zstd,
}

impl<'a> Fatbin<'a> {
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let (start, end) = ends(bytes)?;
        Some(Self { bytes: end, rest: bytes.get(start..end)? })
    }
}

/// It begins as one, and its end is missing.
pub fn is_cut(bytes: &[u8]) -> bool {
    ends(bytes).is_some_and(|(_, end)| end > bytes.len())
}

/// Where the header of one ends, and all of it. The first bytes alone may be anything.
fn ends(bytes: &[u8]) -> Option<(usize, usize)> {
    let (version, header, size) = (u16_at(bytes, 4)?, u16_at(bytes, 6)?, u64_at(bytes, 8)?);
    let start = usize::from(header);
    let known = bytes.starts_with(&MAGIC) && version == 1 && start >= 16;
    Some((start, start.checked_add(usize::try_from(size).ok()?)?)).filter(|_| known)
}

/// As far as they are what they should be.
impl<'a> Iterator for Fatbin<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let header = usize::try_from(u32_at(self.rest, 4)?).ok().filter(|size| *size >= 64)?;
        let payload = usize::try_from(u64_at(self.rest, 8)?).ok()?;
        let end = header.checked_add(payload)?;
        let entry = Entry::read(self.rest, self.rest.get(header..end)?)?;
        self.rest = &self.rest[end..];
        Some(entry)
    }
}

impl<'a> Entry<'a> {
    fn read(header: &[u8], payload: &'a [u8]) -> Option<Self> {
        let what = match u16_at(header, 0)? {
            PTX => What::Ptx,
            MACHINE_CODE => What::MachineCode,
            _ => What::Other,
        };
        let (packed_size, flags, unpacked) = (u32_at(header, 16)?, u64_at(header, 40)?, u64_at(header, 56)?);
        let packed = match flags & (LZ4 | ZSTD) {
            0 => Packed::No,
            LZ4 => Packed::Lz4 { unpacked: usize::try_from(unpacked).ok()? },
            _ => Packed::Zstd,
        };
        // Behind what is packed there is room up to the next entry.
        let payload = if packed == Packed::No { payload } else { payload.get(..packed_size as usize)? };
        let target = format!("sm_{}{}", u32_at(header, 28)?, if flags & EXACTLY == 0 { "" } else { "a" });
        Some(Self { what, target, payload, packed })
    }

    /// Its contents, if they can be unpacked in bounded room.
    pub fn contents(&self) -> Option<Cow<'a, [u8]>> {
        match self.packed {
            Packed::No => Some(Cow::Borrowed(self.payload)),
            Packed::Lz4 { unpacked } if unpacked <= MOST_UNPACKED => {
                lz4_flex::block::decompress(self.payload, unpacked).ok().map(Cow::Owned)
            }
            Packed::Lz4 { .. } => None,
            Packed::Zstd => unpacked(self.payload).map(Cow::Owned),
        }
    }
}

fn unpacked(payload: &[u8]) -> Option<Vec<u8>> {
    let decoder = ruzstd::decoding::StreamingDecoder::new(payload).ok()?;
    let mut text = Vec::new();
    decoder.take(MOST_UNPACKED as u64 + 1).read_to_end(&mut text).ok()?;
    (text.len() <= MOST_UNPACKED).then_some(text)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
