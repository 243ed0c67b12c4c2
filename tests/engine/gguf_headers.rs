//! GGUF files whose headers are broken or hostile: each is refused in one sentence, before anything is allocated for it.

use super::*;

/// A header that a test can break: its values are written as GGUF has them.
struct Header {
    version: u32,
    metadata: Vec<(String, u32, Vec<u8>)>,
    tensors: Vec<Stated>,
    data: usize,
}

struct Stated {
    name: String,
    dimensions: Vec<u64>,
    kind: u32,
    offset: u64,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}

fn list(kind: u32, length: u64, items: &[u8]) -> Vec<u8> {
    [&kind.to_le_bytes()[..], &length.to_le_bytes(), items].concat()
}

impl Header {
    /// Of a model with one layer of four values, in F32.
    fn whole() -> Self {
        let mut header = Self { version: 3, metadata: Vec::new(), tensors: Vec::new(), data: 0 };
        header.set("general.architecture", 8, text("qwen2"));
        for (key, value) in [
            ("context_length", 16_u32),
            ("embedding_length", 4),
            ("block_count", 1),
            ("feed_forward_length", 4),
            ("attention.head_count", 1),
        ] {
            header.set(&format!("qwen2.{key}"), 4, value.to_le_bytes().to_vec());
        }
        header.set("qwen2.attention.layer_norm_rms_epsilon", 6, 1e-6_f32.to_le_bytes().to_vec());
        for name in
            ["token_embd", "blk.0.attn_q", "blk.0.attn_k", "blk.0.attn_v", "blk.0.attn_output", "blk.0.ffn_gate"]
                .into_iter()
                .chain(["blk.0.ffn_up", "blk.0.ffn_down"])
        {
            header.add(&format!("{name}.weight"), &[4, 4]);
        }
        for name in ["output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"] {
            header.add(name, &[4]);
        }
        for name in ["q", "k", "v"] {
            header.add(&format!("blk.0.attn_{name}.bias"), &[4]);
        }
        header
    }

    fn set(&mut self, key: &str, kind: u32, value: Vec<u8>) {
        self.metadata.retain(|(known, ..)| known != key);
        self.metadata.push((key.to_owned(), kind, value));
    }

    fn add(&mut self, name: &str, dimensions: &[u64]) {
        let (name, dimensions, offset) = (name.to_owned(), dimensions.to_vec(), self.data as u64);
        self.data += (dimensions.iter().product::<u64>() as usize * 4).next_multiple_of(32);
        self.tensors.push(Stated { name, dimensions, kind: 0, offset });
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [b"GGUF", &self.version.to_le_bytes()[..]].concat();
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.metadata {
            bytes.extend([&text(key)[..], &kind.to_le_bytes(), value].concat());
        }
        for Stated { name, dimensions, kind, offset } in &self.tensors {
            bytes.extend(text(name));
            bytes.extend((dimensions.len() as u32).to_le_bytes());
            bytes.extend(dimensions.iter().flat_map(|dimension| dimension.to_le_bytes()));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(offset.to_le_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(32) + self.data, 0);
        bytes
    }
}

/// What is said of a file with these bytes.
fn said_of(bytes: &[u8]) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    let loaded = Candle::load(&spec(&path, Dtype::F32, 4), &mut |_, _| {});
    let place = directory.path().display().to_string();
    loaded.map(drop).map_err(|error| error.in_one_line().replace(&place, "DIR"))
}

fn broken(change: impl Fn(&mut Header)) -> String {
    let mut header = Header::whole();
    change(&mut header);
    said_of(&header.bytes()).unwrap_err()
}

#[test]
fn a_whole_header_is_read() {
    assert_eq!(said_of(&Header::whole().bytes()), Ok(()));
    let older = Header { version: 2, ..Header::whole() };
    assert_eq!(said_of(&older.bytes()), Ok(()));
}

/// Metadata of one key in place of what it was.
fn metadata(key: &str, kind: u32, value: &[u8]) -> String {
    broken(|header| header.set(key, kind, value.to_vec()))
}

#[test]
fn files_that_are_no_gguf_say_so() {
    let counts = |tensors: u64, entries: u64| {
        let mut bytes = Header::whole().bytes();
        bytes[8..16].copy_from_slice(&tensors.to_le_bytes());
        bytes[16..24].copy_from_slice(&entries.to_le_bytes());
        said_of(&bytes).unwrap_err()
    };
    let said = [
        said_of(b"").unwrap_err(),
        said_of(b"GGU").unwrap_err(),
        said_of(b"<!DOCTYPE html>").unwrap_err(),
        said_of(b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 988097824\n").unwrap_err(),
        broken(|header| header.version = 1),
        broken(|header| header.version = 3_u32.swap_bytes()),
        broken(|header| header.version = 77),
        counts(u64::MAX, 8),
        counts(14, u64::MAX),
        counts(14, 0),
        counts(0, 8),
        counts(13, 8),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn hostile_metadata_says_what_is_wrong() {
    let number = |key: &str, value: u32| metadata(key, 4, &value.to_le_bytes());
    let said = [
        broken(|header| header.metadata.push(header.metadata[1].clone())),
        metadata("a", 99, &[]),
        metadata("a", 8, &u64::MAX.to_le_bytes()),
        metadata("a", 9, &list(9, 1, &list(4, 0, &[]))),
        metadata("a", 9, &list(10, u64::MAX, &[])),
        metadata("a", 9, &list(8, u64::MAX, &[0; 64])),
        metadata("a", 9, &list(13, 1, &[0; 8])),
        broken(|header| header.set(&"k".repeat(70_000), 7, vec![1])),
        number("general.alignment", 0),
        number("general.alignment", 4),
        number("general.alignment", 48),
        number("general.alignment", u32::MAX),
        metadata("general.architecture", 8, &text("llama")),
        broken(|header| header.metadata.retain(|(key, ..)| key != "general.architecture")),
        metadata("general.architecture", 4, &[1; 4]),
        number("qwen2.block_count", 2),
        number("qwen2.block_count", 0),
        number("qwen2.block_count", u32::MAX),
        metadata("qwen2.block_count", 5, &(-1_i32).to_le_bytes()),
        metadata("qwen2.block_count", 9, &list(4, 1, &[0; 4])),
        metadata("qwen2.embedding_length", 10, &u64::MAX.to_le_bytes()),
        number("qwen2.attention.head_count", 0),
        number("qwen2.attention.head_count_kv", 3),
        number("qwen2.feed_forward_length", 5),
        number("qwen2.rope.dimension_count", 2),
        number("qwen2.vocab_size", 7),
        metadata("qwen2.rope.freq_base", 6, &f32::NAN.to_le_bytes()),
        metadata("qwen2.rope.scaling.type", 8, &text("linear")),
        metadata("qwen2.rope.scaling.type", 8, &text("yarn")),
        metadata("qwen2.rope.scale_linear", 6, &0.5_f32.to_le_bytes()),
        metadata("qwen2.rope.scaling.factor", 6, &4_f32.to_le_bytes()),
        number("split.count", 3),
        number("split.tensors.count", 15),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn hostile_tensors_say_what_is_wrong() {
    let tensor = |change: &dyn Fn(&mut Stated)| broken(|header| change(&mut header.tensors[1]));
    let said = [
        tensor(&|tensor| tensor.name = "x".repeat(64)),
        tensor(&|tensor| "token_embd.weight".clone_into(&mut tensor.name)),
        tensor(&|tensor| "blk.0.attn_q.scale".clone_into(&mut tensor.name)),
        tensor(&|tensor| tensor.dimensions = vec![]),
        tensor(&|tensor| tensor.dimensions = vec![4, 4, 1, 1, 1]),
        tensor(&|tensor| tensor.dimensions = vec![4, 0]),
        tensor(&|tensor| tensor.dimensions = vec![1 << 40, 1 << 40]),
        tensor(&|tensor| tensor.dimensions = vec![4, 2]),
        tensor(&|tensor| tensor.kind = 2),
        tensor(&|tensor| tensor.kind = 20),
        tensor(&|tensor| tensor.kind = 15),
        tensor(&|tensor| tensor.kind = 4_000_000_000),
        tensor(&|tensor| tensor.offset += 4),
        tensor(&|tensor| tensor.offset = !31),
        tensor(&|tensor| tensor.offset = 1 << 20),
        tensor(&|tensor| tensor.offset = 0),
        broken(|header| header.add("rope_freqs.weight", &[4])),
        broken(|header| drop(header.tensors.pop())),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

/// Wherever it ends, and whatever byte is another: never a panic, and every error is one sentence.
#[test]
fn no_change_of_a_byte_is_a_panic() {
    let whole = Header::whole().bytes();
    // The last tensor's padding is nobody's.
    for end in 0..whole.len() - 16 {
        let said = said_of(&whole[..end]).unwrap_err();
        assert!(said.starts_with("weights: DIR/model.gguf ") && !said.contains('\n'), "{end}: {said}");
    }
    for place in 0..whole.len() - 512 {
        for bit in [0, 5, 7] {
            let mut changed = whole.clone();
            changed[place] ^= 1 << bit;
            if let Err(said) = said_of(&changed) {
                assert!(!said.contains('\n'), "{place}: {said}");
            }
        }
    }
}
