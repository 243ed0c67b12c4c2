// A warp's packed weights (packed.cuh), streamed through a ring as dense ones are (decode_stream.cuh), and multiplied.
//
// Integers become bf16 by logic operations, and tensor cores sum up. In a tile of m16n8k16 the lanes 4i to 4i + 3 (a
// segment) hold row i and row i + 8 of A and column i of B. So with a segment's weights of the pair's first row as row
// i, of its second as row i + 8, and its part of the vector as column i, the tile's diagonals are the segments' sums of
// both rows, and each lane multiplies just what it has. What is off the diagonals is of no use.
#pragma once

#include "decode_words.cuh"
#include "packed.cuh"

#include <type_traits>

// The ring of a kernel for packed matrices.
template <int kBits, int kHeadDim>
struct PackedRing {
    // Of a batch, in 16 bytes: two rows, 16 bytes a lane, and two words a segment. The head's dense ones fit too.
    static constexpr int kBatch = 2 * kWarp + kWarp / 4 / 2;
    static constexpr int kStages = kHeadDim == 64 ? PACKED_STAGES_64 : PACKED_STAGES_128;
    static constexpr int kRing = kWarps * kStages * kBatch * 16;
    static_assert(kRing == (kHeadDim == 64 ? PACKED_RING_BYTES_64 : PACKED_RING_BYTES_128));
    static constexpr bool kGroupSums = true;

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
        : p_(p),
          layers_(layers),
          ring_(rings + threadIdx.x / kWarp * kStages * Ring::kBatch),
          slot_(ring_),
          block_(block),
          phase_(phase),
          left_(left) {
        open();
#pragma unroll 1
        for (int s = 0; s < kStages; ++s) fetch();
    }

    // Adds this lane's part of a pair's products with the staged vector. `Format`: of the matrix.
    template <typename Format>
    __device__ __forceinline__ void multiply(const Product& w, const uint4* staged, float& acc0, float& acc1) {
        constexpr bool kDense = std::is_same_v<Format, Dense>;
        constexpr int kBatch = kDense ? kWarp : Layout::kBatch;
        const float* sums = group_sums(w, const_cast<uint4*>(staged));
        const unsigned chunks = w.chunks, stride = kBatch * w.split;
        for (unsigned at = threadIdx.x / kWarp % w.split * kBatch; at < chunks; at += stride) {
            copy_wait<kStages - 1>();
            if constexpr (kDense)
                multiply_dense(staged + at, acc0, acc1);
            else
                multiply_packed(staged + at, sums + at / kGroupChunks, acc0, acc1);
            fetch();
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

    __device__ __forceinline__ void multiply_dense(const uint4* x, float& acc0, float& acc1) const {
        const uint4 v = x[lane()];
        acc0 = dot8(slot_[lane()], v, acc0);
        acc1 = dot8(slot_[kWarp + lane()], v, acc1);
    }

    __device__ __forceinline__ void multiply_packed(const uint4* x, const float* x_sums, float& acc0,
                                                    float& acc1) const {
        const uint4 a = slot_[lane()], b = slot_[kWarp + lane()];
        const uint32_t first[4] = {a.x, a.y, a.z, a.w}, second[4] = {b.x, b.y, b.z, b.w};
        // Of even runs and of odd ones.
        const uint4 *even = x + Layout::chunk(lane(), 0), *odd = x + Layout::chunk(lane(), 1);
        // Two planes, or for one every other run: so that not each tile waits for the one before.
        float tiles[2][4] = {};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int run = i % kRuns;
            const uint4 v = run % 2 ? odd[(run - 1) * 4] : even[run * 4];
            float(&tile)[4] = tiles[Layout::kPlanes == 2 ? i / kRuns : run % 2];
            const uint32_t m = first[i], n = second[i];
            mma_16816(tile, {nibbles(m), nibbles(n), nibbles(m >> 4), nibbles(n >> 4)}, v.x, v.y);
            mma_16816(tile, {nibbles(m >> 8), nibbles(n >> 8), nibbles(m >> 12), nibbles(n >> 12)}, v.z, v.w);
        }
        if (!on_diagonal()) return;
        // Columns 2j and 2j + 1 of a tile are in lane j of a segment.
        const bool second_column = lane() / 4 % 2;
        constexpr float kHigh = Layout::kPlanes == 2 ? 16 : 1;
        auto sum = [&](int i) {
            return fmaf(kHigh, second_column ? tiles[1][i + 1] : tiles[1][i],
                        second_column ? tiles[0][i + 1] : tiles[0][i]);
        };
        constexpr float kOffset = Layout::kPlanes == 2 ? 17 * kNibbleOffset : kNibbleOffset;
        const uint2 words = *words_in_slot();
        // A segment's share of its group.
        const float x_sum = x_sums[lane() / Layout::kLanes] * (4.0f / Layout::kLanes);
        acc0 = fmaf(scale_of(words.x), fmaf(-(kOffset + zero_of(words.x)), x_sum, sum(0)), acc0);
        acc1 = fmaf(scale_of(words.y), fmaf(-(kOffset + zero_of(words.y)), x_sum, sum(2)), acc1);
    }

    __device__ __forceinline__ bool at_head() const { return phase_ == p_.layer_count * kProducts; }

    // To the first batch that this warp has in this product or a later one.
    __device__ __forceinline__ void open() {
        for (; left_ > 0; step_phase()) {
            const Product w = product_of<kHeadDim, Ring>(p_, layers_, phase_);
            const int warp = threadIdx.x / kWarp, batch = at_head() ? kWarp : Layout::kBatch;
            dense_ = at_head();
            pair_ = warp / w.split * gridDim.x + block_;
            first_ = warp % w.split * batch;
            if (pair_ >= w.pairs || first_ >= w.chunks) continue;
            weight_ = static_cast<const char*>(w.weight);
            pairs_ = w.pairs;
            chunks_ = w.chunks;
            stride_ = batch * w.split;
            per_round_ = (kWarps >> (__ffs(w.split) - 1)) * gridDim.x;
            open_pair();
            return;
        }
        // Nothing is left: batches of no lanes.
        at_ = chunks_ = 0;
    }

    __device__ __forceinline__ void step_phase() {
        --left_;
        phase_ = at_head() ? 0 : phase_ + 1;
    }

    // The head's rows are neighbours, so its pairs lie one after the other too.
    __device__ __forceinline__ void open_pair() {
        const unsigned bytes = dense_ ? 2 * 16 * chunks_ : Layout::pair_bytes(chunks_);
        const char* begin = weight_ + static_cast<size_t>(bytes) * static_cast<unsigned>(pair_);
        at_ = first_;
        from_ = begin + code_bytes(first_) + lane() * 16;
        words_ = begin + Layout::code_bytes(chunks_) + first_ / kGroupChunks * 8 + lane() / Layout::kLanes * 8;
    }

    // Bytes of a row of the head, or of both rows of packed ones.
    __device__ __forceinline__ unsigned code_bytes(unsigned chunks) const {
        return dense_ ? chunks * 16 : Layout::code_bytes(chunks);
    }

    // Starts on the next batch, where the oldest one was.
    __device__ __forceinline__ void fetch() {
        const unsigned left = chunks_ - at_, lanes = min(unsigned(kWarp), dense_ ? left : left / kRuns);
        const bool valid = lane() < lanes;
        const uint32_t to = shared_address(slot_ + lane());
        copy_async_once(to, from_, valid);
        copy_async_once(to + kWarp * 16, from_ + 16 * (dense_ ? chunks_ : lanes), valid);
        if (on_diagonal() && !dense_) copy_async_once8(shared_address(words_in_slot()), words_, valid);
        copy_commit();
        next();
        slot_ = slot_ == ring_ + (kStages - 1) * Ring::kBatch ? ring_ : slot_ + Ring::kBatch;
        ++started_;
    }

    __device__ __forceinline__ void next() {
        at_ += stride_;
        from_ += code_bytes(stride_);
        words_ += stride_ / kGroupChunks * 8;
        if (at_ < chunks_) return;
        pair_ += per_round_;
        if (pair_ < pairs_) {
            open_pair();
        } else {
            if (left_ > 0) step_phase();
            open();
        }
    }

    const DecodeParameters& p_;
    const DecodeLayer* layers_;
    uint4 *ring_, *slot_;  // The slot of the oldest batch.
    int block_, phase_, left_;
    int started_ = 0;
    // The product that batches come from now, its current pair, and where this lane's part of the next batch lies.
    const char *weight_, *from_, *words_;
    bool dense_;
    int pairs_, per_round_, pair_;
    unsigned chunks_, first_, stride_, at_;
};
