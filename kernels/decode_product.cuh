// A product over the grid: each block has pairs of its own, and shares them out over its warps.
#pragma once

#include "decode_words.cuh"

// Over a warp: `a` in lane 0, `b` in lane kWarp / 2.
__device__ __forceinline__ float warp_sums(float a, float b) {
    const bool upper = threadIdx.x % kWarp >= kWarp / 2;
    float sum = (upper ? b : a) + __shfl_xor_sync(kAllLanes, upper ? a : b, kWarp / 2);
#pragma unroll
    for (int offset = kWarp / 4; offset > 0; offset /= 2) sum += __shfl_xor_sync(kAllLanes, sum, offset);
    return sum;
}

// This block's pairs of a product. `finish(pair, a, b)` gets both sums of a pair, one pair a thread. `Format`:
// of the matrix.
template <typename Format, typename Stream, typename Finish>
__device__ __forceinline__ void run_product(Stream& stream, const Product& w, const Pairs& own, const uint4* staged,
                                            Finish finish) {
    const int warp = threadIdx.x / kWarp, split = log2_of(w.split);
    const int pairs_a_round = kWarps >> split;
    // One float2 for each warp and round.
    float2* sums = behind_vector<Format>(w, const_cast<uint4*>(staged));
#pragma unroll 1
    for (int pair = own.first + (warp >> split), at = warp; pair < own.end; pair += pairs_a_round, at += kWarps) {
        float a = 0, b = 0;
        stream.template multiply<Format>(w, pair, staged, a, b);
        const float sum = warp_sums(a, b);
        if (threadIdx.x % (kWarp / 2) == 0) reinterpret_cast<float*>(sums + at)[threadIdx.x / (kWarp / 2) % 2] = sum;
    }
    __syncthreads();
#pragma unroll 1
    for (int slot = threadIdx.x; own.first + slot < own.end; slot += kThreads) {
        float2 sum = sums[slot * w.split];
#pragma unroll 2
        for (int i = 1; i < w.split; ++i) {
            const float2 more = sums[slot * w.split + i];
            sum.x += more.x;
            sum.y += more.y;
        }
        finish(own.first + slot, sum.x, sum.y);
    }
}
