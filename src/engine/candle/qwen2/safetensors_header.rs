//! The header of a safetensors file: which tensors it has, and where. All of it is checked against the file, by the rules of
//! the format's own library, so that what is wrong is said in words.

use super::safetensors_error::SafetensorsError;
use crate::engine::json_fields::Fields;

/// The types of the format, and bits of a value.
const TYPES: [(&str, u64); 21] = [
    ("BOOL", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("U8", 8),
    ("I8", 8),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E8M0", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("F64", 64),
    ("I64", 64),
    ("U64", 64),
];

/// No model has longer ones, or more.
const LONGEST_NAME: usize = 512;
const MOST_DIMENSIONS: usize = 8;

/// What the format keeps for tools.
const METADATA: &str = "__metadata__";

/// Where a tensor is, counted from the end of the header.
struct Place {
    name: String,
    begin: u64,
    end: u64,
}

/// The names of the tensors in a file of `size` bytes, whose data begin at `start`, behind this header.
pub fn tensors(header: &[u8], start: u64, size: u64) -> Result<Vec<String>, SafetensorsError> {
    let fields = Fields::parse(header)?;
    fields.table(METADATA)?.map(|texts| texts.all_texts()).transpose()?;
    let names = fields.keys().filter(|name| *name != METADATA);
    let mut places = names.map(|name| place(&fields, name)).collect::<Result<Vec<_>, _>>()?;
    places.sort_by_key(|place| (place.begin, place.end));
    check_apart(&places, start, size)?;
    Ok(places.into_iter().map(|place| place.name).collect())
}

fn place(fields: &Fields, name: &str) -> Result<Place, SafetensorsError> {
    let tensor = || name.to_owned();
    let stated = fields.needed(name, Fields::table)?;
    let dtype = stated.needed("dtype", Fields::text)?;
    let shape = stated.needed("shape", Fields::wholes)?;
    let offsets = stated.needed("data_offsets", Fields::wholes)?;
    let known = TYPES.iter().find(|(known, _)| *known == dtype);
    let (_, bits) = known.ok_or_else(|| stated.wrong("dtype", "a type that safetensors has"))?;
    if name.len() > LONGEST_NAME || shape.len() > MOST_DIMENSIONS {
        return Err(SafetensorsError::Many { name: name.len(), dimensions: shape.len() });
    }
    let &[begin, end] = offsets.as_slice() else { return Err(SafetensorsError::Offsets(tensor())) };
    let length = end.checked_sub(begin).ok_or_else(|| SafetensorsError::Offsets(tensor()))?;
    let values = shape.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
    let takes = values.and_then(|values| values.checked_mul(*bits)).filter(|bits| bits % 8 == 0);
    if takes != Some(length.saturating_mul(8)) {
        return Err(SafetensorsError::Length { tensor: tensor(), length, dtype, shape });
    }
    Ok(Place { name: tensor(), begin, end })
}

/// One begins where the one before ends, and the last ends with the file.
fn check_apart(places: &[Place], start: u64, size: u64) -> Result<(), SafetensorsError> {
    let end = places.iter().map(|place| place.end).max().unwrap_or(0).saturating_add(start);
    if end > size {
        return Err(SafetensorsError::CutOff { size, end });
    }
    let mut last: Option<&Place> = None;
    for place in places {
        let expected = last.map_or(0, |last| last.end);
        match last {
            Some(last) if place.begin < expected => {
                return Err(SafetensorsError::Overlap(last.name.clone(), place.name.clone()));
            }
            _ if place.begin > expected => {
                return Err(SafetensorsError::Hole { tensor: place.name.clone(), bytes: place.begin - expected });
            }
            _ => last = Some(place),
        }
    }
    if end < size { Err(SafetensorsError::Rest(size - end)) } else { Ok(()) }
}
