// The blocks of a cluster, which write to each other's shared memory.
//
// A barrier in the receiver's shared memory counts what has come. The cluster's own barrier would do too, but its
// release waits for all that a thread has on its way, and that is always a ring full of weights.
#pragma once

#include "decode.cuh"

namespace cluster {
__device__ __forceinline__ int rank() { return blockIdx.x % kCluster; }

// All threads of all blocks wait for each other; what they wrote to shared memory before can be read after.
__device__ __forceinline__ void sync() {
#if DECODE_CLUSTER > 1
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#else
    __syncthreads();
#endif
}
}  // namespace cluster

// A place in shared memory, the same in all blocks of the cluster, to which they send; and how much has come of what
// this use of it brings. All are constructed before the first is sent to.
//
// A use ends in each block with `wait`. The next may begin elsewhere before, but must bring nothing here.
class Mailbox {
  public:
    static constexpr int kMost = 3;  // Of a kernel.

    __device__ __forceinline__ Mailbox(int index, uint4* place) : place_(place) {
#if DECODE_CLUSTER > 1
        __shared__ uint64_t barriers[kMost];
        barrier_ = shared_address(barriers + index);
        if (threadIdx.x != 0) return;
        asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier_), "n"(kWarps) : "memory");
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
    }

    __device__ __forceinline__ uint4* place() const { return place_; }

    // To the same address of another block.
    __device__ __forceinline__ void send(uint4* to, int rank, const uint4& value) const {
#if DECODE_CLUSTER > 1
        asm volatile(
            "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.u32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(
                there(shared_address(to), rank)),
            "r"(value.x), "r"(value.y), "r"(value.z), "r"(value.w), "r"(there(barrier_, rank))
            : "memory");
#else
        *to = value;
#endif
    }
    __device__ __forceinline__ void send(uint2* to, int rank, const uint2& value) const {
#if DECODE_CLUSTER > 1
        asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.u32 [%0], {%1, %2}, [%3];" ::"r"(
                         there(shared_address(to), rank)),
                     "r"(value.x), "r"(value.y), "r"(there(barrier_, rank))
                     : "memory");
#else
        *to = value;
#endif
    }
    __device__ __forceinline__ void send(float* to, int rank, float value) const {
#if DECODE_CLUSTER > 1
        asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%0], %1, [%2];" ::"r"(
                         there(shared_address(to), rank)),
                     "r"(__float_as_uint(value)), "r"(there(barrier_, rank))
                     : "memory");
#else
        *to = value;
#endif
    }

    // Until all `bytes` have come, and all threads of this block have written what they write here themselves.
    __device__ __forceinline__ void wait(int bytes) {
#if DECODE_CLUSTER > 1
        __syncwarp();
        if (threadIdx.x == 0)
            asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier_), "r"(bytes)
                         : "memory");
        else if (threadIdx.x % kWarp == 0)
            asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier_) : "memory");
        while (!complete()) {}
        parity_ ^= 1;
#else
        __syncthreads();
#endif
    }

  private:
#if DECODE_CLUSTER > 1
    __device__ __forceinline__ static uint32_t there(uint32_t address, int rank) {
        uint32_t other;
        asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(other) : "r"(address), "r"(rank));
        return other;
    }

    __device__ __forceinline__ bool complete() const {
        uint32_t is;
        asm volatile(
            "{\n.reg .pred p;\n"
            "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n"
            "selp.u32 %0, 1, 0, p;\n}"
            : "=r"(is)
            : "r"(barrier_), "r"(parity_)
            : "memory");
        return is;
    }

    uint32_t barrier_;
    uint32_t parity_ = 0;
#endif
    uint4* place_;
};
