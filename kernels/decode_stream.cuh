// A warp's dense weights, streamed through a ring in shared memory that runs ahead across products, layers and steps:
// which weights come next is known, whatever the activations are.
//
// L2 drops weights first, so that what blocks tell each other stays in it (decode_words.cuh).
#pragma once

#include "decode.cuh"

template <int kHeadDim>
class DenseStream {
  public:
    // `left`: products still to come, this one included.
    __device__ __forceinline__ DenseStream(const DecodeParameters& p, const DecodeLayer* layers, uint4* ring, int block,
                                           int phase, int left)
        : p_(p),
          layers_(layers),
          ring_(ring + threadIdx.x / kWarp * kStages * kBatch + threadIdx.x % kWarp),
          block_(block),
          phase_(phase),
          left_(left) {
        open();
#pragma unroll 1
        for (int s = 0; s < kStages; ++s) fetch();
    }

    // Adds this warp's part of a pair's products with the staged vector.
    template <typename Format>
    __device__ __forceinline__ void multiply(const Product& w, const uint4* staged, float& acc0, float& acc1) {
        const int stride = kWarp * w.split;
        const uint4* x = staged + (threadIdx.x / kWarp & (w.split - 1)) * kWarp + threadIdx.x % kWarp;
#pragma unroll 1
        for (int at = 0; at < w.chunks; at += stride) {
            copy_wait<kStages - 1>();
            const uint4* batch = ring_ + slot_ * kBatch;
            const uint4 v = x[at];
            acc0 = dot8(batch[0], v, acc0);
            acc1 = dot8(batch[kWarp], v, acc1);
            fetch();
        }
    }

    // Batches that were ever started on.
    __device__ __forceinline__ int started() const { return started_; }

  private:
    static constexpr int kStages = Dense::kStages, kBatch = Dense::kBatch;

    // To the first pair that this warp has in this product or a later one.
    __device__ __forceinline__ void open() {
        for (; left_ > 0; step_phase()) {
            const Product w = product_of<kHeadDim, Dense>(p_, layers_, phase_);
            const int warp = threadIdx.x / kWarp, split = log2_of(w.split);
            pair_ = (warp >> split) * gridDim.x + block_;
            if (pair_ >= w.pairs) continue;
            weight_ = reinterpret_cast<const uint4*>(w.weight);
            pairs_ = w.pairs;
            chunks_ = w.chunks;
            distance_ = w.distance;
            stride_ = kWarp * w.split;
            offset_ = (warp & (w.split - 1)) * kWarp + threadIdx.x % kWarp;
            per_round_ = (kWarps >> split) * gridDim.x;
            seek();
            return;
        }
    }

    __device__ __forceinline__ void step_phase() {
        --left_;
        phase_ = phase_ == p_.layer_count * kProducts ? 0 : phase_ + 1;
    }

    __device__ __forceinline__ void seek() {
        at_ = 0;
        row_ = weight_ + static_cast<size_t>(first_row(pair_, distance_)) * chunks_;
    }

    // Starts on the next batch, where the oldest one was.
    __device__ __forceinline__ void fetch() {
        if (left_ > 0) {
            const uint32_t to = shared_address(ring_ + slot_ * kBatch);
            const size_t second = static_cast<size_t>(distance_) * chunks_;
            const int chunk = at_ + offset_;
            const bool valid = chunk < chunks_;
            const uint4* from = row_ + (valid ? chunk : 0);
            copy_async_once(to, from, valid);
            copy_async_once(to + kWarp * 16, from + second, valid);
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
        copy_commit();
        slot_ = slot_ + 1 == kStages ? 0 : slot_ + 1;
        ++started_;
    }

    const DecodeParameters& p_;
    const DecodeLayer* layers_;
    uint4* ring_;  // A lane reads only what it copied itself, so the ring needs no barrier.
    int block_, phase_, left_;
    int slot_ = 0;  // Of the oldest batch.
    int started_ = 0;
    const uint4 *weight_, *row_;
    int pairs_, chunks_, distance_, stride_, offset_, per_round_, pair_, at_;
};
