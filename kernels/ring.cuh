// A warp's ring in shared memory: slots that asynchronous copies fill in turn and the warp empties in the same order.
#pragma once

#include "barrier.cuh"

// `kSlot`: of a slot, in 16 bytes.
template <int kSlot>
class Ring {
  public:
    // The slots lie at `slots`, their barriers at `barriers`. All slots have to be filled before the first is awaited.
    __device__ __forceinline__ Ring(uint4* slots, uint64_t* barriers, int stages)
        : slots_(shared_address(slots)), barriers_(shared_address(barriers)), stages_(stages) {
        if (lane() == 0) {
            for (int i = 0; i < stages; ++i) barrier_init(barriers_ + i * 8, kArrivals);
            barrier_init_done();
        }
        __syncwarp();
    }

    __device__ __forceinline__ int stages() const { return stages_; }

    // The oldest slot: where it lies in shared memory. It can be read after `await`.
    __device__ __forceinline__ uint32_t oldest() const { return slots_ + at_ * kSlot * 16; }
    __device__ __forceinline__ void await() const { barrier_wait(barriers_ + at_ * 8, parity_); }

    // Starts to fill the oldest slot again, which no lane reads any more.
    __device__ __forceinline__ void fill(const uint4* from, int bytes) const {
        start(bytes);
        copy(oldest(), from, bytes);
        finish();
    }
    // The same from two places, the second's to the middle of the slot.
    __device__ __forceinline__ void fill(const uint4* first, const uint4* second, int bytes) const {
        start(2 * bytes);
        copy(oldest(), first, bytes);
        copy(oldest() + kWarp * 16, second, bytes);
        finish();
    }

    // The next slot becomes the oldest.
    __device__ __forceinline__ void turn() {
        if (++at_ < stages_) return;
        at_ = 0;
        parity_ ^= 1;
    }

  private:
    __device__ __forceinline__ static int lane() { return threadIdx.x % kWarp; }

#if COMPUTE_CAPABILITY >= 90
    // One lane asks the copy engine.
    static constexpr int kArrivals = 1;
    __device__ __forceinline__ void start(int bytes) const {
        if (lane() == 0) barrier_expect(barriers_ + at_ * 8, bytes);
    }
    __device__ __forceinline__ void copy(uint32_t to, const uint4* from, int bytes) const {
        if (lane() == 0) copy_bulk_once(to, from, bytes, barriers_ + at_ * 8);
    }
    __device__ __forceinline__ void finish() const {}
#else
    // Every lane copies.
    static constexpr int kArrivals = kWarp;
    __device__ __forceinline__ void start(int) const {}
    __device__ __forceinline__ void copy(uint32_t to, const uint4* from, int bytes) const {
        for (int i = lane(); i < bytes / 16; i += kWarp) copy_async_once(to + i * 16, from + i, true);
    }
    __device__ __forceinline__ void finish() const { barrier_arrive_after_copies(barriers_ + at_ * 8); }
#endif

    uint32_t slots_, barriers_;
    int stages_, at_ = 0;
    int parity_ = 1;  // Of the oldest slot's barrier when it's full. It changes with every turn, first while all are filled.
};
