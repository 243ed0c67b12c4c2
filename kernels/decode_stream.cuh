// A warp's weights, streamed through a ring in shared memory that runs ahead across products, layers and steps: which
// weights come next is known, whatever the activations are.
//
// L2 drops weights first, so that what blocks tell each other stays in it (decode_words.cuh).
#pragma once

#include "decode_dense.cuh"

#include <type_traits>

// `Format`: how the layers' matrices lie in memory, and what a lane does with a batch (`Dense` is one).
template <int kHeadDim, typename Format>
class Stream {
  public:
    // `left`: products still to come, this one included.
    __device__ __forceinline__ Stream(const DecodeParameters& p, const DecodeLayer* layers, uint4* rings,
                                      uint64_t* barriers, int block, int phase, int left)
        : p_(p),
          layers_(layers),
          ring_(rings + threadIdx.x / kWarp * p.stages * Format::kSlot, barriers + threadIdx.x / kWarp * p.stages,
                p.stages),
          block_(block),
          phase_(phase),
          left_(left) {
        open();
#pragma unroll 1
        for (int s = 0; s < p.stages; ++s) fetch();
    }

    // Adds this lane's part of a pair's products with the staged vector. `Now`: the product's format.
    template <typename Now>
    __device__ __forceinline__ void multiply(const Product& w, const uint4* staged, float& acc0, float& acc1) {
        const int stride = Now::kBatch * w.split;
        for (int at = threadIdx.x / kWarp % w.split * Now::kBatch; at < w.chunks; at += stride) {
            ring_.await();
            Now::multiply(ring_.oldest(), staged + at, w.chunks - at, acc0, acc1);
            __syncwarp();
            fetch();
        }
    }

  private:
    static_assert(Format::kSlot >= Dense::kSlot);

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
            const Product w = product_of<kHeadDim, Format>(p_, layers_, phase_);
            const int warp = threadIdx.x / kWarp, round = kWarps >> (__ffs(w.split) - 1);
            pair_ = warp / w.split * gridDim.x + block_;
            first_ = warp % w.split * w.batch;
            if (pair_ >= w.pairs || first_ >= w.chunks) continue;
            weight_ = w.weight;
            pairs_ = w.pairs;
            chunks_ = w.chunks;
            distance_ = w.distance;
            stride_ = w.batch * w.split;
            per_round_ = round * gridDim.x;
            seek();
            return;
        }
    }

    __device__ __forceinline__ void step_phase() {
        --left_;
        phase_ = at_head() ? 0 : phase_ + 1;
    }

    __device__ __forceinline__ void seek() {
        at_ = first_;
        with_format([&](auto format) { from_ = format.pair(weight_, pair_, chunks_, distance_); });
    }

    // Starts on the next batch, where the oldest one was.
    __device__ __forceinline__ void fetch() {
        if (left_ > 0) {
            with_format([&](auto format) { format.copy(ring_, from_, at_, chunks_, distance_); });
            at_ += stride_;
            if (at_ >= chunks_) {
                pair_ += per_round_;
                if (pair_ < pairs_) {
                    seek();
                } else {
                    step_phase();
                    open();
                }
            }
        }
        ring_.turn();
    }

    const DecodeParameters& p_;
    const DecodeLayer* layers_;
    Ring<Format::kSlot> ring_;
    int block_, phase_, left_;
    // The product that batches come from now, and the next one.
    const void* weight_;
    const uint4* from_;
    int pairs_, chunks_, distance_, first_, stride_, per_round_, pair_, at_;
};

// Over a warp: `a` in lane 0, `b` in lane kWarp / 2.
__device__ __forceinline__ float warp_sums(float a, float b) {
    const bool upper = threadIdx.x % kWarp >= kWarp / 2;
    float sum = (upper ? b : a) + __shfl_xor_sync(kAllLanes, upper ? a : b, kWarp / 2);
#pragma unroll
    for (int offset = kWarp / 4; offset > 0; offset /= 2) sum += __shfl_xor_sync(kAllLanes, sum, offset);
    return sum;
}

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
        const float sum = warp_sums(a, b);
        if (threadIdx.x % (kWarp / 2) == 0) reinterpret_cast<float*>(sums + at)[threadIdx.x / (kWarp / 2) % 2] = sum;
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
