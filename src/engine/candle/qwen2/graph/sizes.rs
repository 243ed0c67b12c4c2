//! The sizes that the kernels share with who launches them, said once: build/header.rs writes them into a header for the
//! kernels, which assert what they compute from them.
//!
//! This file, `layout` and `plan` use nothing else of the crate, because the build script and the kernels' own programs
//! compile them too.

/// Lanes of a warp.
pub const WARP: usize = 32;
/// Bytes of a line of L2.
pub const LINE: usize = 128;
/// Threads of a block of the element-wise kernels.
pub const ELEMENTWISE_THREADS: usize = 256;

/// Of packed weights that are unpacked at a time for a prompt's products, at most: enough for products that fill the GPU.
pub const MOST_UNPACKED_BYTES: usize = 256 << 20;

/// Query heads that can share a key/value head.
pub const GROUP: usize = 8;
/// Keys of one tile of decode attention.
const TILE: usize = 16;
/// Pairs of outputs that one block of a team merges at a time.
pub const TOGETHER: usize = 4;
/// Moments that the decode kernel writes for each layer: when a block had the input of the query/key/value product, was
/// done with its part of attention, and had the inputs of the three other products. One more follows: the head's input.
pub const PHASES: usize = 5;
/// Moments that each block of a kernel that stamps writes for each layer, and for what follows the last: kernels/decode.cuh.
pub const LAYER_STAMPS: usize = 2 * PHASES;
pub const HEAD_STAMPS: usize = 4;
/// Shared memory of the decode kernel's static variables, rounded up (`cuobjdump -res-usage`, without the 1024 that every
/// block reserves and the device's limit leaves out).
pub const STATIC_BYTES: usize = 1280;

/// How a matrix lies in memory: as it is, kernels/packed.cuh, or kernels/blocks.cuh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// bf16.
    Dense,
    /// Integers of 4 bits with a scale and a zero point for each group.
    Int4,
    /// Integers of 8 bits.
    Int8,
    /// GGUF's blocks.
    Blocks(Kind),
}

/// A type of GGUF's blocks. Its number says to the kernels what they need: in the lowest two bits the logarithm of the
/// chunks that a lane has of a batch, then what scales the scales, then whether there are upper bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Q8_0 = 1,
    Q4_0 = 2,
    Q4K = 4 + 2,
    Q6K = 8 + 2,
}

/// Inputs of a packed row that share a scale.
pub const PACKED_GROUP: usize = 128;
/// Inputs of a row in blocks that share a word of scales, and those whose sums of the vector are kept.
const RUN: usize = 32;
pub const SUMMED: usize = 16;
/// Inputs of a row of Q4_K or Q6_K that share what scales the scales.
pub const SUPER: usize = 256;

impl Format {
    /// Inputs that a warp takes at a time of a pair of rows: 16 bytes a lane of each.
    pub const fn batch_inputs(self) -> usize {
        match self {
            Self::Dense => WARP * 8,
            Self::Int4 | Self::Blocks(Kind::Q4_0 | Kind::Q4K | Kind::Q6K) => WARP * 32,
            Self::Int8 | Self::Blocks(Kind::Q8_0) => WARP * 16,
        }
    }

    /// Inputs of which rows must be multiples.
    pub const fn row_multiple(self) -> usize {
        match self {
            Self::Dense => 8,
            Self::Int4 | Self::Int8 | Self::Blocks(Kind::Q4_0 | Kind::Q8_0) => PACKED_GROUP,
            Self::Blocks(Kind::Q4K | Kind::Q6K) => SUPER,
        }
    }

    /// Bytes that a matrix takes.
    pub const fn bytes(self, rows: usize, inputs: usize) -> usize {
        match self {
            Self::Dense => rows * inputs * 2,
            Self::Int4 => rows / 2 * packed_pair_bytes(inputs, 4),
            Self::Int8 => rows / 2 * packed_pair_bytes(inputs, 8),
            Self::Blocks(kind) => rows / 2 * kind.pair_bytes(inputs),
        }
    }

    /// As the kernels know it; 0: dense.
    pub const fn kind(self) -> usize {
        match self {
            Self::Blocks(kind) => kind as usize,
            Self::Dense | Self::Int4 | Self::Int8 => 0,
        }
    }
}

impl Kind {
    /// Integers of two rows, a word for each run, and a super for each block of the file's.
    pub const fn pair_bytes(self, inputs: usize) -> usize {
        let (bits, super_bytes) = match self {
            Self::Q4_0 => (4, 0),
            Self::Q8_0 => (8, 0),
            Self::Q4K => (4, 8),
            Self::Q6K => (6, 4),
        };
        (2 * inputs * bits / 8 + inputs / RUN * 4 + inputs / SUPER * super_bytes).next_multiple_of(32)
    }
}

/// Codes of two rows, and a word for each of their groups.
const fn packed_pair_bytes(inputs: usize, bits: usize) -> usize {
    (2 * inputs * bits / 8 + 2 * 4 * (inputs / PACKED_GROUP)).next_multiple_of(32)
}

/// The decode kernel is compiled once for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ring {
    Dense = 0,
    Int4 = 1,
    Int8 = 2,
    /// For all kinds, each matrix in its own.
    Blocks = 3,
    /// The same with fewer batches, for models whose vectors leave no room for more.
    ShortBlocks = 4,
    /// As `Dense`, with fewer batches.
    ShortDense = 5,
}

impl Ring {
    const ALL: [Self; 6] = [Self::Dense, Self::Int4, Self::Int8, Self::Blocks, Self::ShortBlocks, Self::ShortDense];

    /// The one with this number.
    pub const fn numbered(number: usize) -> Self {
        Self::ALL[number]
    }

    /// For matrices of these formats, by product, the best first. The head is dense or in blocks.
    pub const fn of(formats: &[Format; 5], head_dim: usize) -> &'static [Self] {
        match (formats[0], head_dim) {
            (Format::Int4, _) => &[Self::Int4],
            (Format::Int8, _) => &[Self::Int8],
            // Models with small heads are small.
            (Format::Dense, 64) => &[Self::Dense],
            (Format::Blocks(_), 64) => &[Self::Blocks],
            (Format::Dense, _) => &[Self::Dense, Self::ShortDense],
            (Format::Blocks(_), _) => &[Self::Blocks, Self::ShortBlocks],
        }
    }

    /// Shared memory of a batch. Packed ones come with words for both rows of each four lanes; those in blocks may have
    /// two upper bits of a weight, and have scales for each lane.
    const fn slot_bytes(self) -> usize {
        match self {
            Self::Dense | Self::ShortDense => 2 * WARP * 16,
            Self::Int4 | Self::Int8 => 2 * WARP * 16 + WARP / 4 * 8,
            Self::Blocks | Self::ShortBlocks => 2 * WARP * (16 + 8) + WARP * (4 + 8),
        }
    }
}

/// The decode kernel's block: what shared memory has room for and memory's latency asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeBlock {
    pub warps: usize,
    /// Batches of a warp's ring of dense weights, with heads of 64 values and of 128.
    pub dense_stages: [usize; 2],
    /// And of packed ones, at most.
    pub packed_stages: usize,
    /// Blocks that read together what all others found, and share it; 1: each for itself.
    pub cluster: usize,
    /// Warps that read the cache.
    pub attention_warps: usize,
}

impl DecodeBlock {
    /// For a compute capability, such as 90.
    pub const fn of(capability: u32) -> Self {
        match capability {
            // 227 KiB of shared memory.
            90..120 => Self { warps: 16, dense_stages: [5, 6], packed_stages: 4, cluster: 8, attention_warps: 8 },
            // 163 KiB.
            80 | 87 => Self { warps: 8, dense_stages: [5, 5], packed_stages: 4, cluster: 1, attention_warps: 8 },
            // 99 KiB.
            _ => Self { warps: 8, dense_stages: [2, 2], packed_stages: 2, cluster: 1, attention_warps: 4 },
        }
    }

    pub const fn threads(&self) -> usize {
        self.warps * WARP
    }

    /// Shared memory of all warps' rings: batches of 16 bytes a lane of two rows.
    pub const fn ring_bytes(&self, ring: Ring, head_dim: usize) -> usize {
        self.warps * self.stages(ring, head_dim) * ring.slot_bytes()
    }

    /// Batches of a warp's ring. Many in flight delay what blocks tell each other (docs/engine-notes.md).
    const fn stages(&self, ring: Ring, head_dim: usize) -> usize {
        let dense = self.dense_stages[(head_dim != 64) as usize];
        let (wanted, most) = match (ring, head_dim) {
            (Ring::Dense, _) => (dense, dense),
            (Ring::ShortDense, _) => (4, dense),
            (Ring::Int4, 128) => (4, self.packed_stages),
            (Ring::Int4 | Ring::Int8 | Ring::Blocks, _) => (3, self.packed_stages),
            (Ring::ShortBlocks, _) => (2, self.packed_stages),
        };
        if wanted < most { wanted } else { most }
    }

    /// Shared memory of attention: tiles of keys and of values, and the queries of a group with the new key and value.
    pub const fn attention_bytes(&self, head_dim: usize) -> usize {
        let tile = TILE * head_dim * 2;
        self.attention_warps * slots(head_dim) * 2 * tile + (GROUP + 2) * head_dim * 2
    }

    /// Shared memory of what a team's blocks tell each other: a group's outputs, and each block's maxima and sums.
    pub const fn team_bytes(&self, head_dim: usize) -> usize {
        GROUP * (head_dim * 4 + self.cluster * 8)
    }

    /// As the header calls them, where they don't depend on the heads.
    pub fn constants(&self) -> [(&'static str, usize); 18] {
        [
            ("WARP", WARP),
            ("DECODE_LINE", LINE),
            ("DECODE_WARPS", self.warps),
            ("PACKED_GROUP", PACKED_GROUP),
            ("DECODE_CLUSTER", self.cluster),
            ("DECODE_ATTENTION_WARPS", self.attention_warps),
            ("KIND_DENSE", Format::Dense.kind()),
            ("KIND_Q4_0", Kind::Q4_0 as usize),
            ("KIND_Q8_0", Kind::Q8_0 as usize),
            ("KIND_Q4_K", Kind::Q4K as usize),
            ("KIND_Q6_K", Kind::Q6K as usize),
            ("DECODE_STATIC_BYTES", STATIC_BYTES),
            ("DECODE_GROUP", GROUP),
            ("DECODE_TILE", TILE),
            ("DECODE_TOGETHER", TOGETHER),
            ("DECODE_PHASES", PHASES),
            ("DECODE_LAYER_STAMPS", LAYER_STAMPS),
            ("DECODE_HEAD_STAMPS", HEAD_STAMPS),
        ]
    }

    /// And where they do.
    pub fn constants_of(&self, head_dim: usize) -> [(&'static str, usize); 16] {
        [
            ("DENSE_STAGES", self.stages(Ring::Dense, head_dim)),
            ("INT4_STAGES", self.stages(Ring::Int4, head_dim)),
            ("INT8_STAGES", self.stages(Ring::Int8, head_dim)),
            ("BLOCKS_STAGES", self.stages(Ring::Blocks, head_dim)),
            ("SHORT_BLOCKS_STAGES", self.stages(Ring::ShortBlocks, head_dim)),
            ("SHORT_DENSE_STAGES", self.stages(Ring::ShortDense, head_dim)),
            ("DENSE_RING_BYTES", self.ring_bytes(Ring::Dense, head_dim)),
            ("INT4_RING_BYTES", self.ring_bytes(Ring::Int4, head_dim)),
            ("INT8_RING_BYTES", self.ring_bytes(Ring::Int8, head_dim)),
            ("BLOCKS_RING_BYTES", self.ring_bytes(Ring::Blocks, head_dim)),
            ("SHORT_BLOCKS_RING_BYTES", self.ring_bytes(Ring::ShortBlocks, head_dim)),
            ("SHORT_DENSE_RING_BYTES", self.ring_bytes(Ring::ShortDense, head_dim)),
            ("DECODE_SLOTS", slots(head_dim)),
            ("DECODE_ATTENTION_BYTES", self.attention_bytes(head_dim)),
            ("DECODE_TEAM_BYTES", self.team_bytes(head_dim)),
            ("DECODE_PART_BYTES", part_bytes(head_dim)),
        ]
    }
}

/// Tiles of keys that a warp holds of the cache, and as many of values.
const fn slots(head_dim: usize) -> usize {
    if head_dim == 64 { 3 } else { 1 }
}

/// Bytes of one part of a head's attention before merging: a word of 16 bytes for four outputs.
pub const fn part_bytes(head_dim: usize) -> usize {
    head_dim * 4
}

/// A block of prefill's attention kernel: one for every GPU since 8.0, one for 9.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptBlock {
    pub threads: usize,
    /// Query rows of a block, and keys of a tile.
    pub tile: usize,
    /// Tiles of keys, values and queries in shared memory.
    tiles: usize,
    /// Shared memory of barriers, and to align the tiles.
    extra_bytes: usize,
}

impl PromptBlock {
    /// Two tiles of keys and two of values.
    pub const PORTABLE: Self = Self { threads: 128, tile: 64, tiles: 4, extra_bytes: 0 };
    /// The queries, two tiles of keys and two of values.
    pub const HOPPER: Self = Self { threads: 384, tile: 128, tiles: 5, extra_bytes: 128 + 1024 };

    pub const fn shared_bytes(&self, head_dim: usize) -> usize {
        self.tiles * self.tile * head_dim * 2 + self.extra_bytes
    }
}
