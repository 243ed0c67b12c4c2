// A warp's packed weights (packed.cuh), streamed through a ring as dense ones are (decode_stream.cuh), and multiplied.
//
// Integers become bf16 by logic operations, and tensor cores sum up. In a tile of m16n8k16 the lanes 4i to 4i + 3 (a
// segment) hold row i and row i + 8 of A and column i of B. So with a segment's weights of the pair's first row as row
// i, of its second as row i + 8, and its part of the vector as column i, the tile's diagonals are the segments' sums of
// both rows, and each lane multiplies just what it has. What is off the diagonals is of no use.
#pragma once

#include "decode_upcoming.cuh"
#include "decode_words.cuh"
#include "packed.cuh"

#include <type_traits>

// The ring of a kernel for packed matrices.
template <int kBits, int kHeadDim>
struct PackedRing {
    // Of a batch, in 16 bytes: two rows, 16 bytes a lane, and two words a segment. The head's dense ones fit too.
    static constexpr int kBatch = 2 * kWarp + kWarp / 4 / 2;
    static constexpr int kStages = kBits == 4 ? (kHeadDim == 64 ? INT4_STAGES_64 : INT4_STAGES_128)
                                              : (kHeadDim == 64 ? INT8_STAGES_64 : INT8_STAGES_128);
    static constexpr int kRing = kWarps * kStages * kBatch * 16;
    static_assert(kRing == (kBits == 4 ? (kHeadDim == 64 ? INT4_RING_BYTES_64 : INT4_RING_BYTES_128)
                                       : (kHeadDim == 64 ? INT8_RING_BYTES_64 : INT8_RING_BYTES_128)));
    static constexpr int kSumChunks = kGroupChunks;
    static constexpr bool kGroupSums = true, kMixed = false;
    using Head = Dense;

    __device__ __forceinline__ static int step(int) { return Packed<kBits>::kBatch; }
};

template <int kHeadDim, int kBits>
class PackedStream {
    using Layout = Packed<kBits>;
    using Ring = PackedRing<kBits, kHeadDim>;
    static constexpr int kRuns = Layout::kRuns, kStages = Ring::kStages;

  public:
    // `left`: products still to come, this one included.
    __device__ __forceinline__ PackedStream(const DecodeParameters& p, const DecodeLayer* layers, uint4* rings,
                                            int block, int phase, int left)
        : upcoming_(p, layers, block, phase, left),
          ring_(rings + threadIdx.x / kWarp * kStages * Ring::kBatch),
          slot_(ring_) {
        open();
#pragma unroll 1
        for (int s = 0; s < kStages; ++s) fetch();
    }

    // Adds this lane's part of a pair's products with the staged vector. `Format`: of the matrix.
    template <typename Format>
    __device__ __forceinline__ void multiply(const Product& w, int, const uint4* staged, float& acc0, float& acc1) {
        constexpr bool kDense = std::is_same_v<Format, Dense>;
        constexpr unsigned kBatch = kDense ? kWarp : Layout::kBatch;
        const unsigned chunks = w.chunks, stride = kBatch * w.split,
                       first = (threadIdx.x / kWarp & (w.split - 1)) * kBatch;
        Vector vector(staged, group_sums(w, const_cast<uint4*>(staged)), first);
        for (unsigned at = first; at < chunks; at += stride) {
            copy_wait<kStages - 1>();
            if constexpr (kDense)
                multiply_dense(staged + at, acc0, acc1);
            else
                multiply_packed(vector, acc0, acc1);
            fetch();
            vector.advance(stride);
        }
    }

    // Batches that were ever started on.
    __device__ __forceinline__ int started() const { return started_; }

  private:
    __device__ __forceinline__ static unsigned lane() { return threadIdx.x % kWarp; }
    // Tiles have this lane's segment's sums in this lane.
    __device__ __forceinline__ static bool on_diagonal() { return lane() % 4 == lane() / 8; }
    // The segment's words in the oldest slot: a lane copies and reads them.
    __device__ __forceinline__ uint2* words_in_slot() const {
        return reinterpret_cast<uint2*>(slot_ + 2 * kWarp) + lane() / 4;
    }

    // This lane's part of a batch of the vector: chunks of even runs and of odd ones, and its group's sum.
    struct Vector {
        const uint4 *even, *odd;
        const float* sum;

        __device__ __forceinline__ Vector(const uint4* staged, const float* sums, unsigned at)
            : even(staged + at + Layout::chunk(lane(), 0)),
              odd(staged + at + Layout::chunk(lane(), 1)),
              sum(sums + at / kGroupChunks + lane() / Layout::kLanes) {}

        __device__ __forceinline__ uint4 run(int i) const { return i % 2 ? odd[(i - 1) * 4] : even[i * 4]; }

        __device__ __forceinline__ void advance(unsigned chunks) {
            even += chunks;
            odd += chunks;
            sum += chunks / kGroupChunks;
        }
    };

    __device__ __forceinline__ void multiply_dense(const uint4* x, float& acc0, float& acc1) const {
        const uint4 v = x[lane()];
        acc0 = dot8(slot_[lane()], v, acc0);
        acc1 = dot8(slot_[kWarp + lane()], v, acc1);
    }

    __device__ __forceinline__ void multiply_packed(const Vector& x, float& acc0, float& acc1) const {
        const uint4 a = slot_[lane()], b = slot_[kWarp + lane()];
        const uint32_t first[4] = {a.x, a.y, a.z, a.w}, second[4] = {b.x, b.y, b.z, b.w};
        // Two planes, or for one every other run: so that not each tile waits for the one before.
        float tiles[2][4] = {};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const uint4 v = x.run(i % kRuns);
            float (&tile)[4] = tiles[Layout::kPlanes == 2 ? i / kRuns : i % 2];
            const uint32_t m = first[i], n = second[i];
            mma_16816(tile, {nibbles(m), nibbles(n), nibbles(m >> 4), nibbles(n >> 4)}, v.x, v.y);
            mma_16816(tile, {nibbles(m >> 8), nibbles(n >> 8), nibbles(m >> 12), nibbles(n >> 12)}, v.z, v.w);
        }
        if (!on_diagonal()) return;
        // Columns 2j and 2j + 1 of a tile are in lane j of a segment.
        const bool second_column = lane() / 4 % 2;
        auto sum = [&](int i) {
            const float one = second_column ? tiles[0][i + 1] : tiles[0][i];
            const float other = second_column ? tiles[1][i + 1] : tiles[1][i];
            return Layout::kPlanes == 2 ? fmaf(16, other, one) : one + other;
        };
        const uint2 words = *words_in_slot();
        // A segment's share of its group.
        const float x_sum = *x.sum * (-4.0f / Layout::kLanes);
        acc0 = fmaf(scale_of(words.x), fmaf(Layout::offset(words.x), x_sum, sum(0)), acc0);
        acc1 = fmaf(scale_of(words.y), fmaf(Layout::offset(words.y), x_sum, sum(2)), acc1);
    }

    // To the first batch that this warp has in this product or a later one.
    __device__ __forceinline__ void open() {
        for (; upcoming_.left() > 0; upcoming_.advance()) {
            const ProductSizes w = upcoming_.sizes();
            const int pair = w.own.first + (threadIdx.x / kWarp >> w.split_log2);
            dense_ = upcoming_.at_head();
            chunks_ = w.chunks;
            stride_ = batch() << w.split_log2;
            if (pair >= w.own.end || first_batch() >= chunks_) continue;
            // The head's rows are neighbours, so its pairs lie one after the other too.
            const unsigned bytes = dense_ ? 2 * 16 * chunks_ : Layout::pair_bytes(chunks_);
            begin_ = static_cast<const char*>(upcoming_.weight(w)) +
                     static_cast<size_t>(bytes) * static_cast<unsigned>(pair);
            per_round_ = kWarps >> w.split_log2;
            step_ = bytes * per_round_;
            pairs_ = w.own.end - pair;
            open_pair();
            return;
        }
        // Nothing is left: batches of no lanes.
        at_ = chunks_ = whole_ = 0;
    }

    __device__ __forceinline__ unsigned batch() const { return dense_ ? kWarp : Layout::kBatch; }
    // Batches of a row are shared out over a power of two of warps.
    __device__ __forceinline__ unsigned first_batch() const { return threadIdx.x / kWarp * batch() & (stride_ - 1); }

    __device__ __forceinline__ void open_pair() {
        at_ = first_batch();
        whole_ = dense_ ? 0 : chunks_ - chunks_ % Layout::kBatch;
        from_ = begin_ + code_bytes(at_) + lane() * 16;
        words_ = begin_ + Layout::code_bytes(chunks_) + at_ / kGroupChunks * 8 + lane() / Layout::kLanes * 8;
    }

    // Bytes of a row of the head, or of both rows of packed ones.
    __device__ __forceinline__ unsigned code_bytes(unsigned chunks) const {
        return dense_ ? chunks * 16 : Layout::code_bytes(chunks);
    }

    // Starts on the next batch, where the oldest one was.
    __device__ __forceinline__ void fetch() {
        if (at_ < whole_)
            copy(from_ + kWarp * 16, true, true);
        else
            copy_rest();
        copy_commit();
        slot_ = slot_ == ring_ + (kStages - 1) * Ring::kBatch ? ring_ : slot_ + Ring::kBatch;
        ++started_;
        at_ += stride_;
        from_ += code_bytes(stride_);
        words_ += stride_ / kGroupChunks * 8;
        if (at_ >= chunks_) next_pair();
    }

    // `second`: this lane's part of the second row.
    __device__ __forceinline__ void copy(const char* second, bool valid, bool has_words) const {
        const uint32_t to = shared_address(slot_ + lane());
        copy_async_once(to, from_, valid);
        copy_async_once(to + kWarp * 16, second, valid);
        if (on_diagonal() && has_words) copy_async_once_narrow<8>(shared_address(words_in_slot()), words_, valid);
    }

    // A batch of the head, a pair's last one with fewer lanes, or none.
    __device__ __forceinline__ void copy_rest() const {
        const unsigned left = chunks_ - at_, lanes = dense_ ? left : left / kRuns;
        copy(from_ + 16 * (dense_ ? chunks_ : lanes), lane() < lanes, !dense_);
    }

    __device__ __forceinline__ void next_pair() {
        pairs_ -= per_round_;
        if (pairs_ > 0) {
            begin_ += step_;
            open_pair();
        } else {
            if (upcoming_.left() > 0) upcoming_.advance();
            open();
        }
    }

    Upcoming<kHeadDim, Ring> upcoming_;
    uint4 *ring_, *slot_;  // The slot of the oldest batch.
    int started_ = 0;
    // The product that batches come from now: where its current pair begins, and this lane's part of the next batch.
    const char *begin_, *from_, *words_;
    bool dense_;
    int pairs_ = 0, per_round_ = 0;  // Pairs from the current one on.
    unsigned step_, chunks_, whole_, stride_, at_;
};
