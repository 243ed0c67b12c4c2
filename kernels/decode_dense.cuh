// Dense weights in bf16, [out, in] row-major: how a warp copies and multiplies a batch of a pair of rows.
#pragma once

#include "decode.cuh"
#include "ring.cuh"

struct Dense {
    static constexpr int kBatch = kWarp;     // Chunks: one a lane.
    static constexpr int kSlot = 2 * kWarp;  // Of the ring, in 16 bytes: both rows.

    // Where a pair begins.
    __device__ __forceinline__ static const uint4* pair(const void* weight, int pair, int chunks, int distance) {
        return static_cast<const uint4*>(weight) + static_cast<size_t>(first_row(pair, distance)) * chunks;
    }

    // Starts to copy the pair's batch from chunk `at` on.
    template <typename Ring>
    __device__ __forceinline__ static void copy(const Ring& ring, const uint4* pair, int at, int chunks, int distance) {
        ring.fill(pair + at, pair + at + static_cast<size_t>(distance) * chunks, min(kBatch, chunks - at) * 16);
    }

    // Adds this lane's part of the batch's products with the vector `x`, of which `left` chunks are left.
    __device__ __forceinline__ static void multiply(uint32_t slot, const uint4* x, int left, float& acc0, float& acc1) {
        const int lane = threadIdx.x % kWarp;
        if (lane >= left) return;
        const uint4 v = x[lane];
        acc0 = dot8(load_shared(slot + lane * 16), v, acc0);
        acc1 = dot8(load_shared(slot + (kWarp + lane) * 16), v, acc1);
    }
};
