// A warp's weights, streamed through a ring in shared memory that runs ahead across products, layers and steps: which
// weights come next is known, whatever the activations are.
//
// L2 drops weights first, so that what blocks tell each other stays in it (decode_words.cuh).
#pragma once

#include "decode_dense.cuh"

#include <type_traits>

// Shared memory of all warps' rings.
template <typename Format>
constexpr int kRing = kWarps * Format::kStages * Format::kSlot * 16;
static_assert(kRing<Dense> == DECODE_RING_BYTES);

// `Format`: how the layers' matrices lie in memory, and what a lane does with a batch (`Dense` is one). A lane reads only
// what it copied itself, so the ring needs no barrier.
template <int kHeadDim, typename Format>
class Stream {
  public:
    // `left`: products still to come, this one included.
    __device__ __forceinline__ Stream(const DecodeParameters& p, const DecodeLayer* layers, uint4* rings, int block,
                                      int phase, int left)
        : p_(p),
          layers_(layers),
          ring_(rings + threadIdx.x / kWarp * kStages * kSlot),
          block_(block),
          phase_(phase),
          left_(left) {
        open();
#pragma unroll
        for (int s = 0; s < kStages; ++s) fetch();
    }

    // Adds this lane's part of a pair's products with the staged vector. `Now`: the product's format.
    template <typename Now>
    __device__ __forceinline__ void multiply(const Product& w, const uint4* staged, float& acc0, float& acc1) {
        const int stride = Now::kBatch * w.split;
        for (int at = threadIdx.x / kWarp % w.split * Now::kBatch; at < w.chunks; at += stride) {
            copy_wait<kStages - 1>();
            Now::multiply(ring_ + slot_ * kSlot, staged + at, acc0, acc1);
            fetch();
        }
    }

    // Batches that were ever started on.
    __device__ __forceinline__ int started() const { return started_; }

  private:
    static constexpr int kStages = Format::kStages, kSlot = Format::kSlot;
    static_assert(kSlot >= Dense::kSlot);

    __device__ __forceinline__ bool at_head() const { return phase_ == p_.layer_count * kProducts; }

    // `work` with the format of the product that batches come from now.
    template <typename Work>
    __device__ __forceinline__ void with_format(Work work) {
        if (std::is_same_v<Format, Dense> || at_head())
            work(Dense{});
        else
            work(Format{});
    }

    // To the first batch that this warp has in this product or a later one.
    __device__ __forceinline__ void open() {
        for (; left_ > 0; step_phase()) {
            product_ = product_of<kHeadDim, Format>(p_, layers_, phase_);
            const int warp = threadIdx.x / kWarp;
            pair_ = warp / product_.split * gridDim.x + block_;
            if (pair_ >= product_.pairs || first_batch() >= product_.chunks) continue;
            seek();
            return;
        }
    }

    __device__ __forceinline__ int first_batch() const {
        return threadIdx.x / kWarp % product_.split * product_.batch;
    }

    __device__ __forceinline__ void step_phase() {
        --left_;
        phase_ = at_head() ? 0 : phase_ + 1;
    }

    __device__ __forceinline__ void seek() {
        at_ = first_batch();
        with_format([&](auto format) { weights_ = format.pair(product_, pair_); });
    }

    // Starts on the next batch, where the oldest one was.
    __device__ __forceinline__ void fetch() {
        if (left_ > 0) {
            uint4* slot = ring_ + slot_ * kSlot;
            with_format([&](auto format) { format.copy(slot, weights_, at_, product_.chunks, product_.distance); });
            at_ += product_.batch * product_.split;
            if (at_ >= product_.chunks) {
                pair_ += kWarps / product_.split * gridDim.x;
                if (pair_ < product_.pairs) {
                    seek();
                } else {
                    step_phase();
                    open();
                }
            }
        }
        copy_commit();
        slot_ = slot_ + 1 == kStages ? 0 : slot_ + 1;
        ++started_;
    }

    const DecodeParameters& p_;
    const DecodeLayer* layers_;
    uint4* ring_;
    int block_, phase_, left_;
    int slot_ = 0;  // Of the oldest batch.
    int started_ = 0;
    Product product_;       // That batches come from now.
    const uint4* weights_;  // Of its pair.
    int pair_, at_;
};

// All of this block's pairs of a product. `finish(pair, a, b)` gets both sums of a pair, one pair a thread.
// Shared memory from `sums`: one float2 for each warp and round. `Now`: the product's format.
template <typename Now, int kHeadDim, typename Format, typename Finish>
__device__ __forceinline__ void run_product(Stream<kHeadDim, Format>& stream, const Product& w, int block,
                                            const uint4* staged, float2* sums, Finish finish) {
    const int warp = threadIdx.x / kWarp;
    const int pairs_a_round = kWarps / w.split;
    const int mine = pairs_of_block(w.pairs, block);
    for (int slot = warp / w.split, at = warp; slot < mine; slot += pairs_a_round, at += kWarps) {
        float a = 0, b = 0;
        stream.template multiply<Now>(w, staged, a, b);
        a = warp_sum(a);
        b = warp_sum(b);
        if (threadIdx.x % kWarp == 0) sums[at] = make_float2(a, b);
    }
    __syncthreads();
    for (int slot = threadIdx.x; slot < mine; slot += kThreads) {
        float2 sum = sums[slot * w.split];
        for (int i = 1; i < w.split; ++i) {
            const float2 more = sums[slot * w.split + i];
            sum.x += more.x;
            sum.y += more.y;
        }
        finish(slot * gridDim.x + block, sum.x, sum.y);
    }
}
