//! Where a kernel is written, in a table.

use crate::kernel_code::kernel_source::Place;
use crate::number::count;
use crate::page::{Line, line, name};

/// Characters of a path.
const PATH: usize = 60;

/// The place of a kernel, if anybody knows.
pub type PlaceOf<'a, 'f> = &'f dyn Fn(&str) -> Option<&'a Place>;

/// `decode.cu:12`
pub fn source(place: Option<&Place>) -> Line {
    place.map(|place| line![name(&place.path, PATH), ":", count(place.line)]).unwrap_or_default()
}
