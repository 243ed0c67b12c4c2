//! Which device has which layers, where a model is laid on several.
//!
//! All bytes of the weights are laid in a row: the embedding, the layers, the last norm with the output projection. The row is
//! cut into as many equal pieces as there are devices, and a layer goes where its middle lies. So neighbours stay together, a
//! token goes from each device to the next once, and two devices of one kind are filled as evenly as whole layers allow.
//! transformers' `device_map=auto` has the same order, but gives all devices except the last a layer more than their piece.

use std::ops::Range;

use candle_core::Device;

use super::footprint::PartBytes;
use crate::plural::counted;

/// A device, and the layers that it has.
pub struct Place {
    pub device: Device,
    pub layers: Range<usize>,
}

/// The layers of each device. The embedding is with the first, the last norm and the output projection are with the last.
pub fn split(parts: &PartBytes, devices: usize) -> Vec<Range<usize>> {
    let (total, mut before) = (u128::from(parts.total().max(1)), parts.embedding);
    let mut device_of = |bytes: &u64| {
        let middle = before + bytes / 2;
        before += bytes;
        (u128::from(middle) * devices as u128 / total) as usize
    };
    let owners: Vec<usize> = parts.layers.iter().map(&mut device_of).collect();
    let first_of = |device: usize| owners.partition_point(|&owner| owner < device);
    (0..devices).map(|device| first_of(device)..first_of(device + 1)).collect()
}

/// Why so many devices are too many: one between the first and the last would have nothing.
pub fn too_many(layers: &[Range<usize>]) -> Option<String> {
    let all = layers.last().map_or(0, |last| last.end);
    let inner = layers.get(1..layers.len().saturating_sub(1)).unwrap_or_default();
    inner.iter().any(Range::is_empty).then(|| {
        format!("{} can't be laid on {} GPUs: some would have nothing; name fewer", counted(all, "layer"), layers.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::{DeviceKind, Dtype};
    use crate::engine::ModelSpec;
    use crate::models;

    /// How many layers each device has.
    fn counts(parts: &PartBytes, devices: usize) -> Vec<usize> {
        split(parts, devices).iter().map(Range::len).collect()
    }

    fn published(id: &str) -> PartBytes {
        let spec = ModelSpec::generated(id, DeviceKind::Cuda);
        PartBytes::of(&spec, models::find(id).unwrap(), Dtype::Bf16).unwrap()
    }

    /// A piece of 72B in bf16 on four cards has 36.35 GB: 2.49 of the embedding and 19 layers of 1.755, or 21 layers.
    #[test]
    fn the_collection_lies_evenly() {
        assert_eq!(counts(&published("Qwen/Qwen2.5-0.5B-Instruct"), 2), [12, 12]);
        assert_eq!(counts(&published("Qwen/Qwen2.5-7B-Instruct"), 2), [14, 14]);
        assert_eq!(counts(&published("Qwen/Qwen2.5-72B-Instruct"), 2), [40, 40]);
        assert_eq!(counts(&published("Qwen/Qwen2.5-72B-Instruct"), 4), [19, 21, 21, 19]);
        // Layers of integers are small beside the embedding: 0.12 GB, and 1.09 GB, of 5.59.
        assert_eq!(counts(&published("Qwen/Qwen2.5-7B-Instruct-GPTQ-Int4"), 3), [6, 16, 6]);
    }

    #[test]
    fn one_device_has_all() {
        assert_eq!(counts(&published("Qwen/Qwen2.5-0.5B"), 1), [24]);
    }

    /// The row has 60 bytes; middles lie at 15, 25, 35 and 45.
    #[test]
    fn a_layer_goes_where_its_middle_lies() {
        let even = PartBytes { embedding: 10, layers: vec![10; 4], head: 10 };
        assert_eq!(split(&even, 2), [0..2, 2..4]);
        assert_eq!(split(&even, 3), [0..1, 1..3, 3..4]);
        let heavy_start = PartBytes { embedding: 0, layers: vec![30, 10, 10, 10], head: 0 };
        assert_eq!(split(&heavy_start, 2), [0..1, 1..4]);
    }

    /// llama.cpp gives the first and the last layers more bits.
    #[test]
    fn layers_of_unlike_sizes_count_as_they_are() {
        let parts = published("Qwen/Qwen2.5-7B-Instruct-GGUF:q4_k_m");
        assert!(parts.layers[0] > parts.layers[4], "{:?}", parts.layers);
        let [first, last] = &split(&parts, 2)[..] else { panic!("two devices") };
        let (first, last): (u64, u64) =
            (parts.layers[first.clone()].iter().sum(), parts.layers[last.clone()].iter().sum());
        let (first, last) = (parts.embedding + first, parts.head + last);
        assert!(first.abs_diff(last) <= parts.layers[14] + parts.embedding.abs_diff(parts.head), "{first} {last}");
    }

    /// The embedding and the head may be all that the ends have, but nobody between them has nothing.
    #[test]
    fn more_devices_than_layers_are_too_many() {
        let small = PartBytes { embedding: 100, layers: vec![10], head: 100 };
        assert_eq!((split(&small, 2), too_many(&split(&small, 2))), (vec![0..0, 0..1], None));
        let said = "1 layer can't be laid on 4 GPUs: some would have nothing; name fewer";
        assert_eq!(too_many(&split(&small, 4)).as_deref(), Some(said));
        assert_eq!(too_many(&split(&published("Qwen/Qwen2.5-0.5B"), 8)), None);
    }
}
