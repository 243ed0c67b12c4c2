//! The header of a GGUF file: its metadata, and where its tensors are. All that it says is checked against the file before
//! any of it is used.

use std::collections::BTreeMap;
use std::ops::Range;

use candle_core::quantized::GgmlDType;

use super::gguf_bytes::Bytes;
use super::gguf_error::GgufError;
use super::gguf_type::tensor_type;
use super::gguf_value::Metadata;

const MAGIC: &[u8] = b"GGUF";
/// No model has so many: 12 a layer.
const MOST_TENSORS: u64 = 1 << 16;
/// ggml's own limit.
const LONGEST_NAME: u64 = 63;
/// ggml's own limit.
const MOST_DIMENSIONS: u32 = 4;
const USUAL_ALIGNMENT: u64 = 32;

/// A file's metadata and tensors.
#[derive(Debug)]
pub struct Header {
    pub metadata: Metadata,
    pub tensors: BTreeMap<String, TensorInfo>,
}

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    pub kind: GgmlDType,
    /// The longest stride first, as candle has it; GGUF has it the other way round.
    pub shape: Vec<usize>,
    /// Its bytes in the file.
    pub place: Range<usize>,
}

impl Header {
    /// Of a whole file.
    pub fn read(file: &[u8]) -> Result<Self, GgufError> {
        let mut bytes = Bytes::new(file);
        check_version(&mut bytes)?;
        let tensors = bytes.count("tensors", MOST_TENSORS)?;
        let entries = Metadata::count(&mut bytes)?;
        let metadata = Metadata::read(&mut bytes, entries)?;
        let stated = (0..tensors).map(|_| Stated::read(&mut bytes)).collect::<Result<Vec<_>, _>>()?;
        let alignment = alignment(&metadata)?;
        let start = (bytes.position() as u64).next_multiple_of(alignment);
        let mut places = BTreeMap::new();
        for tensor in stated {
            let name = tensor.name.clone();
            let info = tensor.check(start, alignment, file.len())?;
            if places.insert(name.clone(), info).is_some() {
                return Err(GgufError::Twice { what: "tensor", name });
            }
        }
        check_apart(&places)?;
        Ok(Self { metadata, tensors: places })
    }
}

fn check_version(bytes: &mut Bytes) -> Result<(), GgufError> {
    if bytes.take(4).ok() != Some(MAGIC) {
        return Err(GgufError::NotGguf);
    }
    match bytes.u32()? {
        2 | 3 => Ok(()),
        version if matches!(version.swap_bytes(), 1..=3) => Err(GgufError::BigEndian),
        version => Err(GgufError::Version(version)),
    }
}

fn alignment(metadata: &Metadata) -> Result<u64, GgufError> {
    match metadata.whole("general.alignment")?.unwrap_or(USUAL_ALIGNMENT) {
        alignment if alignment.is_power_of_two() && (8..=1 << 16).contains(&alignment) => Ok(alignment),
        alignment => Err(GgufError::Alignment(alignment)),
    }
}

/// A tensor as the file states it.
struct Stated {
    name: String,
    dimensions: Vec<u64>,
    kind: u32,
    offset: u64,
}

impl Stated {
    fn read(bytes: &mut Bytes) -> Result<Self, GgufError> {
        let name = bytes.name("tensor's name", LONGEST_NAME)?;
        let count = bytes.u32()?;
        if count > MOST_DIMENSIONS {
            let (what, most) = ("dimensions in a tensor", MOST_DIMENSIONS.into());
            return Err(GgufError::Many { what, count: count.into(), most });
        }
        let dimensions = (0..count).map(|_| bytes.u64()).collect::<Result<_, _>>()?;
        Ok(Self { name, dimensions, kind: bytes.u32()?, offset: bytes.u64()? })
    }

    /// `start` is where the file's data begins, `size` where it ends.
    fn check(self, start: u64, alignment: u64, size: usize) -> Result<TensorInfo, GgufError> {
        let Self { name: tensor, dimensions, kind, offset } = self;
        let kind = match tensor_type(kind) {
            Ok(kind) => kind,
            Err(kind) => return Err(GgufError::TensorType { tensor, kind }),
        };
        if !offset.is_multiple_of(alignment) {
            return Err(GgufError::Unaligned { tensor, offset, alignment });
        }
        let Some(length) = length(&dimensions, kind) else {
            return Err(GgufError::Dimensions { tensor, dimensions, block: kind.block_size() });
        };
        let begin = start.saturating_add(offset);
        let end = begin.saturating_add(length);
        if end > size as u64 {
            return Err(GgufError::CutOff { tensor, end, size });
        }
        let shape = dimensions.iter().rev().map(|&dimension| dimension as usize).collect();
        Ok(TensorInfo { kind, shape, place: begin as usize..end as usize })
    }
}

/// Bytes of a tensor: `None` without a dimension, with an empty one, with parts of blocks in a row, and beyond 64 bits.
fn length(dimensions: &[u64], kind: GgmlDType) -> Option<u64> {
    let row = dimensions.first()?;
    let block = kind.block_size() as u64;
    if !row.is_multiple_of(block) || dimensions.contains(&0) {
        return None;
    }
    let elements = dimensions.iter().try_fold(1_u64, |product, dimension| product.checked_mul(*dimension))?;
    (elements / block).checked_mul(kind.type_size() as u64)
}

fn check_apart(tensors: &BTreeMap<String, TensorInfo>) -> Result<(), GgufError> {
    let mut places: Vec<_> = tensors.iter().map(|(name, info)| (info.place.start, info.place.end, name)).collect();
    places.sort();
    match places.windows(2).find(|pair| pair[1].0 < pair[0].1) {
        Some(pair) => Err(GgufError::Overlap(pair[0].2.clone(), pair[1].2.clone())),
        None => Ok(()),
    }
}
