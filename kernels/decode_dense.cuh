// Dense weights in bf16, [out, in] row-major: how a warp copies and multiplies a batch of a pair of rows.
#pragma once

#include "decode.cuh"

struct Dense {
    static constexpr int kStages = DECODE_STAGES;  // Batches of a ring.
    static constexpr int kBatch = kWarp;           // A chunk a lane.
    static constexpr int kSlot = 2 * kWarp;        // Of the ring, in 16 bytes: both rows.

    // Where a pair begins.
    __device__ __forceinline__ static const uint4* pair(const Product& w, int pair) {
        return static_cast<const uint4*>(w.weight) + static_cast<size_t>(first_row(pair, w.distance)) * w.chunks;
    }

    // Starts to copy the pair's batch from chunk `at` on.
    __device__ __forceinline__ static void copy(uint4* slot, const uint4* pair, int at, int chunks, int distance) {
        const int lane = threadIdx.x % kWarp;
        const bool valid = at + lane < chunks;
        const uint4* from = pair + (valid ? at + lane : 0);
        const uint32_t to = shared_address(slot + lane);
        copy_async_once(to, from, valid);
        copy_async_once(to + kWarp * 16, from + static_cast<size_t>(distance) * chunks, valid);
    }

    // Adds this lane's part of the batch's products with the vector `x`.
    __device__ __forceinline__ static void multiply(const uint4* slot, const uint4* x, float& acc0, float& acc1) {
        const int lane = threadIdx.x % kWarp;
        const uint4 v = x[lane];
        acc0 = dot8(slot[lane], v, acc0);
        acc1 = dot8(slot[kWarp + lane], v, acc1);
    }
};
