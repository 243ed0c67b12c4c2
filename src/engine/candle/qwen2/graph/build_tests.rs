//! What build.rs does for the kernels, and what it takes from here.

#![expect(clippy::disallowed_methods, reason = "a test writes what it looks at")]

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use self::layout::{Address, DecodeLayer};
// What `header` finds in build.rs.
use super::{decode_plan, layout, sizes};

#[allow(dead_code, reason = "build.rs uses the rest")]
#[path = "../../../../../build/fingerprint.rs"]
mod fingerprint;
#[allow(dead_code, reason = "build.rs uses the rest")]
#[path = "../../../../../build/header.rs"]
mod header;

#[test]
fn a_changed_source_is_noticed_whatever_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str, seconds_ago: u64| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let then = SystemTime::now() - Duration::from_secs(seconds_ago);
        File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
        fingerprint::of_files(folder.path()).unwrap()
    };
    write("decode.cu", "one", 100);
    let before = write("common.cuh", "two", 1);
    assert_ne!(write("decode.cu", "three", 1000), before, "older than the newest, and other than it was");
    assert_eq!(write("decode.cu", "one", 0), before, "newer, and the same");
}

#[test]
fn the_header_has_the_sizes_and_asserts_every_byte() {
    let hopper = header::header(90);
    for line in ["#define DECODE_CLUSTER 8", "#define DECODE_WARPS 16", "#define PREFILL_90_BYTES_64 83072"] {
        assert!(hopper.lines().any(|found| found == line), "{line}: {hopper}");
    }
    assert!(header::header(89).contains("#define DECODE_CLUSTER 1\n"));
    // Twenty addresses and nineteen numbers.
    for assertion in ["offsetof(DecodeParameters, steps) == 228", "sizeof(DecodeParameters) == 248"] {
        assert!(hopper.contains(assertion), "{assertion}: {hopper}");
    }
    assert_eq!(hopper.matches("offsetof(DecodeParameters, ").count(), 41);
}

/// The kernel finds each at its place.
#[test]
fn a_layers_addresses_are_in_order() {
    let [norm1, qkv, bias, output, norm2, gate_up, down, keys, values] = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(Address);
    let layer = DecodeLayer { values, keys, down, gate_up, norm2, output, bias, qkv, norm1, kinds: 9 };
    let places = DecodeLayer::LAYOUT.fields.iter().map(|(_, offset)| (offset / size_of::<Address>()) as i64);
    assert!(places.eq(layer.words()), "{:?}", DecodeLayer::LAYOUT);
    assert_eq!(DecodeLayer::LAYOUT.bytes, size_of_val(&layer.words()));
}
