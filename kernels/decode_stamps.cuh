// When each block came to what in a step, for who asks: before and after it waits for each input, and what follows the
// last. Of one clock for all multiprocessors, which an H100 moves on every 32 nanoseconds.
#pragma once

#include "decode.cuh"

// Of the kernels that are timed: their machine code has nothing of it. Even a test whether somebody asks takes 1% of a
// small model's step.
struct NoStamps {
    __device__ __forceinline__ NoStamps(const DecodeParameters&, int, int) {}
    __device__ __forceinline__ void stamp() const {}
};

// The moments of one step of one block.
class Stamps {
  public:
    // `step`: of the launch.
    __device__ __forceinline__ Stamps(const DecodeParameters& p, int block, int step) : p_(p) {
        if (threadIdx.x != 0) return;
        const int every = p.stamps_every, sample = step / every;
        const bool stamped = step % every == every - 1;
        const int of_block = p.layer_count * kLayerStamps + kHeadStamps;
        next() = stamped ? (sample * static_cast<int>(gridDim.x) + block) * of_block : -1;
    }

    __device__ __forceinline__ void stamp() const {
        if (threadIdx.x != 0 || next() < 0) return;
        p_.stamps[next()++] = now();
    }

  private:
    // Where the next moment goes; negative in a step that isn't stamped. Only the first thread uses it, and a register
    // would be one in all.
    __device__ __forceinline__ static int& next() {
        __shared__ int place;
        return place;
    }

    // A step takes less than the four seconds after which these come again.
    __device__ __forceinline__ static unsigned now() {
        unsigned t;
        asm volatile("mov.u32 %0, %globaltimer_lo;" : "=r"(t)::"memory");
        return t;
    }

    const DecodeParameters& p_;
};
