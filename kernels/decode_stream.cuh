// A warp's dense weights, streamed through a ring in shared memory that runs ahead across products, layers and steps:
// which weights come next is known, whatever the activations are.
//
// L2 drops weights first, so that what blocks tell each other stays in it (decode_words.cuh).
#pragma once

#include "decode_upcoming.cuh"

template <int kHeadDim, bool kShort = false>
class DenseStream {
  public:
    // `left`: products still to come, this one included.
    __device__ __forceinline__ DenseStream(const DecodeParameters& p, const DecodeLayer* layers, uint4* ring, int block,
                                           int phase, int left)
        : upcoming_(p, layers, block, phase, left),
          ring_(ring + threadIdx.x / kWarp * kStages * kBatch + threadIdx.x % kWarp) {
        open();
#pragma unroll 1
        for (int s = 0; s < kStages; ++s) fetch();
    }

    // Adds this warp's part of a pair's products with the staged vector.
    template <typename Format>
    __device__ __forceinline__ void multiply(const Product& w, int, const uint4* staged, float& acc0, float& acc1) {
        const int stride = kWarp * w.split;
        const uint4* x = staged + (threadIdx.x / kWarp & (w.split - 1)) * kWarp + threadIdx.x % kWarp;
#pragma unroll 1
        for (int at = 0; at < w.chunks; at += stride) {
            copy_wait<kStages - 1>();
            const uint4* batch = ring_ + slot_ * kBatch;
            const uint4 v = x[at], first = batch[0], second = batch[kWarp];
            // Before the arithmetic: the later it is, the more it delays the words that follow a product's end.
            fetch();
            acc0 = dot8(first, v, acc0);
            acc1 = dot8(second, v, acc1);
        }
    }

    // Batches that were ever started on.
    __device__ __forceinline__ int started() const { return started_; }

  private:
    using Ring = DenseRing<kHeadDim, kShort>;
    static constexpr int kStages = Ring::kStages, kBatch = Ring::kBatch;

    // To the first pair that this warp has in this product or a later one.
    __device__ __forceinline__ void open() {
        for (; upcoming_.left() > 0; upcoming_.advance()) {
            const ProductSizes w = upcoming_.sizes();
            pair_ = w.own.first + (threadIdx.x / kWarp >> w.split_log2);
            if (pair_ >= w.own.end) continue;
            stride_ = kWarp << w.split_log2;
            offset_ = threadIdx.x & (stride_ - 1);
            weight_ = static_cast<const uint4*>(upcoming_.weight(w)) + offset_;
            end_ = w.own.end;
            chunks_ = w.chunks;
            distance_ = w.distance;
            per_round_ = kWarps >> w.split_log2;
            seek();
            return;
        }
    }

    __device__ __forceinline__ void seek() {
        at_ = 0;
        from_ = weight_ + static_cast<size_t>(first_row(pair_, distance_)) * chunks_;
    }

    // Starts on the next batch, where the oldest one was.
    __device__ __forceinline__ void fetch() {
        if (upcoming_.left() > 0) {
            const uint32_t to = shared_address(ring_ + slot_ * kBatch);
            const bool valid = at_ + offset_ < chunks_;
            copy_async_once(to, from_, valid);
            copy_async_once(to + kWarp * 16, from_ + static_cast<size_t>(distance_) * chunks_, valid);
            at_ += stride_;
            from_ += stride_;
            if (at_ >= chunks_) next_pair();
        }
        copy_commit();
        slot_ = slot_ + 1 == kStages ? 0 : slot_ + 1;
        ++started_;
    }

    __device__ __forceinline__ void next_pair() {
        pair_ += per_round_;
        if (pair_ < end_) {
            seek();
        } else {
            upcoming_.advance();
            open();
        }
    }

    Upcoming<kHeadDim, Ring> upcoming_;
    uint4* ring_;   // A lane reads only what it copied itself, so the ring needs no barrier.
    int slot_ = 0;  // Of the oldest batch.
    int started_ = 0;
    const uint4 *weight_, *from_;  // This lane's part of the matrix's first chunks, and of the next batch.
    int end_, chunks_, distance_, stride_, offset_, per_round_, pair_, at_;
};
