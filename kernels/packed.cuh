// Weights as small integers in groups of inputs that share a scale and a zero point, in the order in which the decode
// kernel reads them. packed.cu brings them into it.
//
// Rows come in pairs (`Product` of decode.cuh). A pair lies in one piece: batches of what a warp takes at a time, then
// for each group of inputs the words of both rows (`group_word`). A batch is 16 bytes of the first row a lane, then 16
// bytes of the second row a lane. The last one of a pair may have fewer lanes.
//
// Eight inputs of a row are one word for each four bits of a weight: its nibbles are the inputs in the order 0, 2, 4,
// 6, 1, 3, 5, 7, so that nibbles n and n + 4 are neighbours, as pairs of bf16 are. Four neighbouring lanes (a segment)
// have neighbouring inputs, in runs of 32 that odd segments have in another order: so their vector's chunks lie in
// different banks of shared memory.
#pragma once

#include "common.cuh"

// Inputs that share a scale.
constexpr int kGroupInputs = PACKED_GROUP;

template <int kBits>
struct Packed {
    static_assert(kBits == 4 || kBits == 8);
    static constexpr int kPlanes = kBits / 4;                  // Words of eight weights.
    static constexpr int kRuns = 4 / kPlanes;                  // Chunks of 8 inputs that a lane has of a batch.
    static constexpr int kBatch = kWarp * kRuns;               // Chunks of a batch.
    static constexpr int kGroups = kBatch * 8 / kGroupInputs;  // Groups of a batch.
    static constexpr int kLanes = kWarp / kGroups;             // Lanes that share a group.

    // Bytes of the batches of a pair with so many chunks, and of all of it: whole sectors.
    __host__ __device__ __forceinline__ static unsigned code_bytes(unsigned chunks) { return chunks * 2 * kBits; }
    __host__ __device__ __forceinline__ static unsigned pair_bytes(unsigned chunks) {
        return (code_bytes(chunks) + chunks * 8 / kGroupInputs * 8 + 31) / 32 * 32;
    }

    // Lanes of a batch when `left` chunks of the pair are left.
    __host__ __device__ __forceinline__ static int lanes(int left) { return left < kBatch ? left / kRuns : kWarp; }

    // How much more than its product with the vector's sum the sum of a group is (`nibbles`), and its zero point, from
    // its word: 128 or 17 * 128 more.
    __device__ __forceinline__ static float offset(uint32_t word) {
        // The zero point as the mantissa's upper bits of 128 + it, and as its middle bits of 32768 + it.
        if constexpr (kPlanes == 1) return __uint_as_float(__byte_perm(word, 0x43000000u, 0x7044));
        return __uint_as_float(__byte_perm(word, 0x47000000u, 0x7404)) - (32768 - 17 * 128);
    }

    // The chunk of a batch that a lane has as its `run`th.
    __host__ __device__ __forceinline__ static int chunk(int lane, int run) {
        const int segment = lane / 4;
        return segment * 4 * kRuns + (run ^ (segment & 1)) * 4 + lane % 4;
    }
};

// A scale with 16 significant bits, more than numbers of 16 bits have, and its zero point (0 to 255) in the bits below.
__device__ __forceinline__ uint32_t group_word(float scale, unsigned zero) {
    return ((__float_as_uint(scale) + 0x80u) & ~0xffu) | zero;
}
__device__ __forceinline__ float scale_of(uint32_t word) { return __uint_as_float(word & ~0xffu); }
__device__ __forceinline__ float zero_of(uint32_t word) { return static_cast<float>(word & 0xffu); }

// Nibbles 0 and 4 of a word as two bf16, each 128 more than it is.
constexpr float kNibbleOffset = 128;
__device__ __forceinline__ uint32_t nibbles(uint32_t word) {
    uint32_t pair;
    // word & mask | exponents: one instruction, if the constants are in registers.
    asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(pair) : "r"(word), "r"(0x000f000fu), "r"(0x43004300u));
    return pair;
}
