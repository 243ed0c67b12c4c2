// Packed weights (packed.cuh): how a warp copies and multiplies a batch of a pair of rows.
//
// Integers become bf16 by logic operations, and tensor cores sum up. In a tile of m16n8k16 the lanes 4i to 4i + 3 (a
// segment) hold row i and row i + 8 of A and column i of B. So with a segment's weights of the pair's first row as row
// i, of its second as row i + 8, and its part of the vector as column i, the tile's diagonals are the segments' sums of
// both rows, and each lane multiplies just what it has. What is off the diagonals is of no use.
#pragma once

#include "decode.cuh"
#include "packed.cuh"

template <int kBits>
struct PackedStream : Packed<kBits> {
    using Layout = Packed<kBits>;
    using Layout::kBatch, Layout::kPlanes, Layout::kRuns;
    static constexpr int kSlot = Layout::kBatchBytes / 16;

    __device__ __forceinline__ static const uint4* pair(const void* weight, int pair, int chunks, int) {
        return static_cast<const uint4*>(weight) + static_cast<size_t>(pair) * (Layout::pair_bytes(chunks) / 16);
    }

    template <typename Ring>
    __device__ __forceinline__ static void copy(const Ring& ring, const uint4* pair, int at, int chunks, int) {
        ring.fill(pair + Layout::offset(at) / 16, Layout::batch_bytes(chunks - at));
    }

    __device__ __forceinline__ static void multiply(uint32_t slot, const uint4* x, int left, float& acc0, float& acc1) {
        const int lane = threadIdx.x % kWarp, segment = lane / 4, lanes = Layout::lanes(left);
        // Beyond `lanes` any numbers will do: the vector is padded with zeros.
        const uint4 a = load_shared(slot + lane * 16), b = load_shared(slot + (lanes + lane) * 16);
        const uint32_t first[4] = {a.x, a.y, a.z, a.w}, second[4] = {b.x, b.y, b.z, b.w};
        constexpr uint32_t kOne = 0x3f803f80u;
        constexpr uint32_t kOnes[4] = {kOne, kOne, kOne, kOne};
        float sums[kPlanes][4] = {}, x_sums[4] = {};
        // Of even runs and of odd ones.
        const uint4 *even = x + Layout::chunk(lane, 0), *odd_ = x + Layout::chunk(lane, 1);
#pragma unroll
        for (int run = 0; run < kRuns; ++run) {
            const uint4 v = run % 2 ? odd_[(run - 1) * 4] : even[run * 4];
            mma_16816(x_sums, kOnes, v.x, v.y);
            mma_16816(x_sums, kOnes, v.z, v.w);
#pragma unroll
            for (int plane = 0; plane < kPlanes; ++plane) {
                const uint32_t m = first[plane * kRuns + run], n = second[plane * kRuns + run];
                mma_16816(sums[plane], {nibbles(m), nibbles(n), nibbles(m >> 4), nibbles(n >> 4)}, v.x, v.y);
                mma_16816(sums[plane], {nibbles(m >> 8), nibbles(n >> 8), nibbles(m >> 12), nibbles(n >> 12)}, v.z, v.w);
            }
        }
        // Columns 2j and 2j + 1 of a tile are in lane j of a segment.
        if (lane % 4 != segment / 2 || lane >= lanes) return;
        const bool odd = segment & 1;
        const uint2 words = load_shared2(slot + 2 * lanes * 16 + lane / Layout::kLanes * 8);
        const float x_sum = odd ? x_sums[1] : x_sums[0];
        float sum0 = odd ? sums[0][1] : sums[0][0], sum1 = odd ? sums[0][3] : sums[0][2];
        float offset = kNibbleOffset;
        if constexpr (kPlanes == 2) {
            sum0 = fmaf(16, odd ? sums[1][1] : sums[1][0], sum0);
            sum1 = fmaf(16, odd ? sums[1][3] : sums[1][2], sum1);
            offset *= 17;
        }
        acc0 = fmaf(scale_of(words.x), fmaf(-(offset + zero_of(words.x)), x_sum, sum0), acc0);
        acc1 = fmaf(scale_of(words.y), fmaf(-(offset + zero_of(words.y)), x_sum, sum1), acc1);
    }
};
