//! What crosses between Rust and kernels/, byte by byte: each struct that is defined by `crossing!` is also there, and
//! build/header.rs makes the kernels' compiler compare every offset.

/// Where something lies on the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Address(pub(super) u64);

impl Address {
    pub const NULL: Self = Self(0);
}

/// A struct as the kernels must have it too.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub name: &'static str,
    pub bytes: usize,
    /// Names and offsets.
    pub fields: &'static [(&'static str, usize)],
}

macro_rules! crossing {
    ($(#[$about:meta])* struct $name:ident { $($(#[$note:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[repr(C)]
        pub struct $name {
            $($(#[$note])* pub $field: $type,)*
        }

        impl $name {
            #[allow(dead_code, reason = "build/header.rs uses it")]
            pub const LAYOUT: super::layout::Layout = super::layout::Layout {
                name: stringify!($name),
                bytes: size_of::<Self>(),
                fields: &[$((stringify!($field), std::mem::offset_of!(Self, $field))),*],
            };
        }
    };
}

pub(super) use crossing;

crossing! {
    /// The parameters of the decode kernel (kernels/decode.cuh says what they mean).
    struct DecodeParameters {
        layers: Address,
        embedding: Address,
        head: Address,
        final_norm: Address,
        cosines: Address,
        sines: Address,
        x: Address,
        x1: Address,
        x2: Address,
        qkv: Address,
        attended: Address,
        activated: Address,
        parts: Address,
        logits: Address,
        bests: Address,
        state: Address,
        multiprocessors: Address,
        tokens: Address,
        times: Address,
        phases: Address,
        layer_count: i32,
        hidden: i32,
        intermediate: i32,
        heads: i32,
        kv_heads: i32,
        vocabulary: i32,
        max_length: i32,
        split_qkv: i32,
        split_output: i32,
        split_gate_up: i32,
        split_down: i32,
        split_head: i32,
        epsilon: f32,
        scale_log2: f32,
        team: i32,
        second_region: i32,
        team_region: i32,
        steps: i32,
        head_kind: i32,
        stamps_every: i32,
        stamps: Address,
    }
}

crossing! {
    /// One layer's weights and its cache.
    struct DecodeLayer {
        norm1: Address,
        qkv: Address,
        bias: Address,
        output: Address,
        norm2: Address,
        gate_up: Address,
        down: Address,
        keys: Address,
        values: Address,
        kinds: u64,
    }
}

impl DecodeLayer {
    /// As it lies in memory: each word at its offset.
    pub fn words(&self) -> [i64; size_of::<Self>() / size_of::<u64>()] {
        let Self { norm1, qkv, bias, output, norm2, gate_up, down, keys, values, kinds } = *self;
        let [norm1, qkv, bias, output, norm2, gate_up, down, keys, values] =
            [norm1, qkv, bias, output, norm2, gate_up, down, keys, values].map(|address| address.0 as i64);
        [norm1, qkv, bias, output, norm2, gate_up, down, keys, values, kinds as i64]
    }
}

crossing! {
    /// The decode loop's scalars, which only the GPU reads and writes.
    struct StepState {
        position: i32,
        token: u32,
        step: i32,
        epoch: u32,
        arrivals: u32,
        leavers: u32,
    }
}

crossing! {
    /// A logit and its token.
    struct Best {
        value: f32,
        index: u32,
    }
}

crossing! {
    /// Two values in bf16, and which layer's they are.
    struct PairWord {
        pair: u32,
        epoch: u32,
    }
}

/// One value in bf16, and which layer's it is.
pub type HalfWord = u32;
