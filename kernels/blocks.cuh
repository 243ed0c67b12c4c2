// GGUF's blocks (Q4_0, Q8_0, Q4_K, Q6_K), in the order in which the decode kernel reads them. blocks.cu brings them
// into it. No number of a file is rounded: integers and scales are the file's own, in other places.
//
// Rows come in pairs (`Product` of decode.cuh), and inputs in batches, segments and runs, as in packed.cuh. A run of a
// segment is 32 inputs, which is what shares a scale. A pair lies in one piece:
//
//   batches   of each row 16 bytes a lane, then (Q6_K) of each row 8 bytes a lane: the upper two bits
//   words     one for each run: what the file has of both rows' scales (`Word`), in the order of inputs
//   supers    (Q4_K, Q6_K) for each 256 inputs both rows' numbers of 16 bits that scale the scales
#pragma once

#include "common.cuh"

enum Kind : unsigned {
    kDenseKind = KIND_DENSE,
    kQ4_0 = KIND_Q4_0,
    kQ8_0 = KIND_Q8_0,
    kQ4K = KIND_Q4_K,
    kQ6K = KIND_Q6_K,
};

// Inputs that share a word, and those whose sums the products need: Q6_K has two scales in a word.
constexpr int kRunInputs = 32;
constexpr int kSumInputs = 16;
// Inputs that share a super.
constexpr int kSuperInputs = 256;

// What follows from a kind, which says it in its bits where it isn't known at compile time.
struct KindSizes {
    unsigned run_bits;     // Log2 of the chunks of 8 inputs that a lane has of a batch.
    unsigned code_bytes;   // Of a chunk of both rows.
    unsigned super_bytes;  // Of both rows.

    __host__ __device__ __forceinline__ constexpr static KindSizes of(unsigned kind) {
        const unsigned run_bits = kind & 3;
        return {run_bits, (32u >> run_bits) + (kind >> 3) * 4, kind >> 2 == 0 ? 0 : 12 - (kind & 12)};
    }
    // Chunks of a batch.
    __host__ __device__ __forceinline__ constexpr unsigned batch() const { return kWarp << run_bits; }
    // From the start of a pair with so many chunks.
    __host__ __device__ __forceinline__ constexpr unsigned words(unsigned chunks) const { return chunks * code_bytes; }
    // A word is 4 bytes for 4 chunks.
    __host__ __device__ __forceinline__ constexpr unsigned supers(unsigned chunks) const {
        return chunks * (code_bytes + 1);
    }
    // Whole sectors. (A dense head lies as it is.)
    __host__ __device__ __forceinline__ constexpr unsigned pair_bytes(unsigned chunks) const {
        return code_bytes == 32 ? chunks * 32
                                : (supers(chunks) + chunks / (kSuperInputs / 8) * super_bytes + 31) / 32 * 32;
    }
};

// A lane of a warp that multiplies: of the tiles of its segment, one for each run, it finds the sums of one, its own.
struct Lane {
    unsigned run;    // Of all segments' lanes together each has another.
    unsigned group;  // The run's place in its segment, by the order of inputs.

    __device__ __forceinline__ static Lane of(unsigned lane) {
        const unsigned run = lane % 4 ^ lane / 8;
        return {run, run ^ (lane / 4 & 1)};
    }
};

// The chunk of a batch that begins the `run`th run of a segment. Odd segments have runs in another order: so their
// vector's chunks lie in different banks of shared memory.
__host__ __device__ __forceinline__ constexpr unsigned run_chunk(unsigned segment, unsigned run, unsigned run_bits) {
    return (segment << run_bits | (run ^ (segment & 1))) * (kRunInputs / 8);
}

// Two numbers of 16 bits.
__device__ __forceinline__ float2 halves(uint32_t pair) {
    float a, b;
    asm("{.reg .f16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h;}" : "=f"(a), "=f"(b) : "r"(pair));
    return make_float2(a, b);
}

// Byte `kByte` of a word, less `offset`.
template <int kByte>
__device__ __forceinline__ float byte_of(uint32_t word, float offset = 0) {
    // As the lowest bits of 2^23 + it.
    return __uint_as_float(__byte_perm(word, 0x4b000000u, 0x7650 | kByte)) - (8388608.0f + offset);
}

// Two upper bits of two weights, from place `at` of a lane's upper bits (`upper_place`), beside their nibbles.
__device__ __forceinline__ uint32_t with_upper(uint32_t nibble_pair, uint32_t upper, int at) {
    const uint32_t shifted = at < 2 ? upper << (4 - 2 * at) : upper >> (2 * at - 4);
    uint32_t pair;
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(pair) : "r"(shifted), "r"(0x00300030u), "r"(nibble_pair));
    return pair;
}
