// What all blocks of the grid do together: wait, number themselves, and choose the best logit.
#pragma once

#include "decode.cuh"

// All blocks wait for all; what they wrote before is visible after.
class Barrier {
  public:
    __device__ __forceinline__ Barrier(StepState* state) : arrivals_(&state->arrivals) {}

    __device__ __forceinline__ void wait() {
        __syncthreads();
        if (threadIdx.x == 0) {
            target_ += gridDim.x;
            asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(arrivals_) : "memory");
            unsigned seen;
            do {
                asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(arrivals_) : "memory");
            } while (seen < target_);
        }
        __syncthreads();
    }

  private:
    unsigned* arrivals_;
    unsigned target_ = 0;
};

// This block's number: clusters count in the order of the multiprocessors they run on. Each launch begins with another
// part of the GPU, and which block lies where makes a difference of up to 1.5% in speed.
__device__ __forceinline__ int block_number(unsigned* multiprocessors, Barrier& barrier) {
    if (threadIdx.x == 0) {
        unsigned here;
        asm volatile("mov.u32 %0, %smid;" : "=r"(here));
        __stcg(multiprocessors + blockIdx.x, here);
    }
    barrier.wait();
    const int cluster = blockIdx.x / kCluster, clusters = gridDim.x / kCluster;
    const unsigned here = __ldcg(multiprocessors + cluster * kCluster);
    int before = 0;
    for (int i = threadIdx.x % kWarp; i < clusters; i += kWarp) {
        const unsigned there = __ldcg(multiprocessors + i * kCluster);
        before += there < here || (there == here && i < cluster);
    }
    return __reduce_add_sync(kAllLanes, before) * kCluster + blockIdx.x % kCluster;
}

// The best of the block, in every thread.
__device__ __forceinline__ Best block_best(Best best) {
    __shared__ Best bests[kWarps];
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
        const float v = __shfl_xor_sync(kAllLanes, best.value, offset);
        const unsigned i = __shfl_xor_sync(kAllLanes, best.index, offset);
        best.take(v, i);
    }
    if (threadIdx.x % kWarp == 0) bests[threadIdx.x / kWarp] = best;
    __syncthreads();
    best = bests[0];
#pragma unroll
    for (int w = 1; w < kWarps; ++w) best.take(bests[w].value, bests[w].index);
    __syncthreads();
    return best;
}

// The best of all blocks' `mine`, in every thread of every block.
__device__ __forceinline__ Best grid_best(Best mine, Best* bests, int block, Barrier& barrier) {
    Best best = block_best(mine);
    if (threadIdx.x == 0) bests[block] = best;
    barrier.wait();
    best = Best{-INFINITY, 0xffffffffu};
    for (int i = threadIdx.x; i < gridDim.x; i += kThreads) best.take(__ldcg(&bests[i].value), __ldcg(&bests[i].index));
    return block_best(best);
}
