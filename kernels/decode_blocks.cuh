// A warp's weights in GGUF's blocks (blocks.cuh), streamed through a ring as packed ones are (decode_packed.cuh), and
// multiplied. Each matrix has a kind of its own, and so has each projection of queries, keys and values.
//
// As there, tensor cores sum up the integers' products with the vector, and the sums of a segment are on a tile's
// diagonal. But here each run has a tile, as its 32 inputs have a scale. For run r the columns are those of the
// segments s ^ 2r: so the sums of segment s are in another of its lanes for each run, and all four scale at the same
// time.
#pragma once

#include "blocks.cuh"
#include "decode_upcoming.cuh"
#include "decode_words.cuh"
#include "packed.cuh"

// The ring of a kernel for blocks. Its slots have room for a batch of any kind. `kShort`: fewer of them.
template <int kHeadDim, bool kShort = false>
struct BlockRing {
    // In bytes: two rows of 16 bytes a lane, of 8 bytes a lane (upper bits), a word a lane, and a super a lane.
    static constexpr int kUpper = 2 * kWarp * 16, kWords = kUpper + 2 * kWarp * 8, kSupers = kWords + kWarp * 4;
    static constexpr int kSlot = kSupers + kWarp * 8;
    static constexpr int kStages = kShort           ? SHORT_BLOCKS_STAGES_128
                                   : kHeadDim == 64 ? BLOCKS_STAGES_64
                                                    : BLOCKS_STAGES_128;
    static constexpr int kRing = kWarps * kStages * kSlot;
    static_assert(kRing == (kShort           ? SHORT_BLOCKS_RING_BYTES_128
                            : kHeadDim == 64 ? BLOCKS_RING_BYTES_64
                                             : BLOCKS_RING_BYTES_128));
    static constexpr int kSumChunks = kSumInputs / 8;
    static constexpr bool kGroupSums = true, kMixed = true;
    using Head = BlockRing;

    // The longest batch.
    __device__ __forceinline__ static int step(int) { return KindSizes::of(kQ4_0).batch(); }
};

template <int kHeadDim, bool kShort = false>
class BlockStream {
    using Ring = BlockRing<kHeadDim, kShort>;
    static constexpr int kStages = Ring::kStages;

  public:
    // `left`: products still to come, this one included.
    __device__ __forceinline__ BlockStream(const DecodeParameters& p, const DecodeLayer* layers, uint4* rings,
                                           int block, int phase, int left)
        : upcoming_(p, layers, block, phase, left),
          ring_(reinterpret_cast<char*>(rings) + threadIdx.x / kWarp * kStages * Ring::kSlot),
          slot_(ring_),
          column_(lane() / 4 * 16 | (lane() / 4 & 1) * 4 | lane() % 4) {
        open();
#pragma unroll 1
        for (int s = 0; s < kStages; ++s) fetch();
    }

    // Adds this lane's part of a pair's products with the staged vector.
    template <typename Format>
    __device__ __forceinline__ void multiply(const Product& w, int pair, const uint4* staged, float& acc0,
                                             float& acc1) {
        const unsigned kind = w.parts.kind_of(pair), batch = kWarp << (kind & 3);
        const unsigned stride = batch * w.split, first = threadIdx.x / kWarp % w.split * batch;
        const uint4* x = staged + first;
        const float* sums = group_sums(w, const_cast<uint4*>(staged)) + first / Ring::kSumChunks;
        for (unsigned at = first; at < static_cast<unsigned>(w.chunks); at += stride) {
            copy_wait<kStages - 1>();
            if (kind == kQ4K)
                multiply_nibbles<kQ4K>(x, sums, acc0, acc1);
            else if (kind == kQ6K)
                multiply_six_bits(x, sums, acc0, acc1);
            else if (kind == kQ8_0)
                multiply_bytes(x, sums, acc0, acc1);
            else if (kind == kQ4_0)
                multiply_nibbles<kQ4_0>(x, sums, acc0, acc1);
            else
                multiply_dense(x, acc0, acc1);
            fetch();
            x += stride;
            sums += stride / Ring::kSumChunks;
        }
    }

    // Batches that were ever started on.
    __device__ __forceinline__ int started() const { return started_; }

  private:
    __device__ __forceinline__ static unsigned lane() { return threadIdx.x % kWarp; }
    __device__ __forceinline__ uint4 codes(int row) const {
        return reinterpret_cast<const uint4*>(slot_)[row * kWarp + lane()];
    }
    __device__ __forceinline__ uint2 upper(int row) const {
        return reinterpret_cast<const uint2*>(slot_ + Ring::kUpper)[row * kWarp + lane()];
    }
    __device__ __forceinline__ uint32_t word() const {
        return reinterpret_cast<const uint32_t*>(slot_ + Ring::kWords)[lane()];
    }
    __device__ __forceinline__ uint2 super() const {
        return reinterpret_cast<const uint2*>(slot_ + Ring::kSupers)[lane()];
    }

    // The chunk of the vector that this lane's column has of a run: `run_chunk` of segment s ^ 2 * run, and the lane's.
    __device__ __forceinline__ unsigned column_of_four(int run) const { return column_ ^ run * (2 * 16 | 4); }
    __device__ __forceinline__ unsigned column_of_two(int run) const {
        return (lane() / 4 * 8 | column_ & 7) ^ run * (2 * 8 | 4);
    }
    // Of the tiles of some runs, the two rows' sums of this lane's run.
    template <int kRuns>
    __device__ __forceinline__ static float2 own_sums(const float (&tiles)[kRuns][4]) {
        const bool second_column = lane() / 4 % 2;
        const unsigned own = Lane::of(lane()).run;
        auto of_run = [&](int i) {
            const float even = own & 1 ? tiles[1][i] : tiles[0][i];
            if constexpr (kRuns == 2) return even;
            const float odd = own & 1 ? tiles[kRuns - 1][i] : tiles[kRuns - 2][i];
            return own & 2 ? odd : even;
        };
        return make_float2(second_column ? of_run(1) : of_run(0), second_column ? of_run(3) : of_run(2));
    }
    // The vector's sums over both halves of this lane's run.
    __device__ __forceinline__ static float2 own_vector_sums(const float* sums, unsigned run_bits) {
        const unsigned group = (lane() / 4 << run_bits) + Lane::of(lane()).group;
        return *reinterpret_cast<const float2*>(sums + 2 * group);
    }

    // Four runs of eight inputs a lane.
    template <unsigned kKind>
    __device__ __forceinline__ void multiply_nibbles(const uint4* x, const float* sums, float& acc0,
                                                     float& acc1) const {
        const uint4 a = codes(0), b = codes(1);
        const uint32_t first[4] = {a.x, a.y, a.z, a.w}, second[4] = {b.x, b.y, b.z, b.w};
        float tiles[4][4] = {};
#pragma unroll
        for (int run = 0; run < 4; ++run) {
            const uint4 v = x[column_of_four(run)];
            const uint32_t m = first[run], n = second[run];
            mma_16816(tiles[run], {nibbles(m), nibbles(n), nibbles(m >> 4), nibbles(n >> 4)}, v.x, v.y);
            mma_16816(tiles[run], {nibbles(m >> 8), nibbles(n >> 8), nibbles(m >> 12), nibbles(n >> 12)}, v.z, v.w);
        }
        const float2 sum = own_sums(tiles), halves_sum = own_vector_sums(sums, 2);
        const float x_sum = halves_sum.x + halves_sum.y;
        if constexpr (kKind == kQ4_0) {
            const float2 scale = halves(word());
            acc0 = fmaf(scale.x, fmaf(-(kNibbleOffset + 8), x_sum, sum.x), acc0);
            acc1 = fmaf(scale.y, fmaf(-(kNibbleOffset + 8), x_sum, sum.y), acc1);
        } else {
            const uint32_t w = word();
            const uint2 s = super();
            const float2 one = halves(s.x), other = halves(s.y);
            acc0 = fmaf(one.x * byte_of<0>(w), fmaf(-kNibbleOffset, x_sum, sum.x), acc0);
            acc0 = fmaf(one.y * byte_of<1>(w), -x_sum, acc0);
            acc1 = fmaf(other.x * byte_of<2>(w), fmaf(-kNibbleOffset, x_sum, sum.y), acc1);
            acc1 = fmaf(other.y * byte_of<3>(w), -x_sum, acc1);
        }
    }

    // Two runs, each in two planes of nibbles. Half of the lanes have a run.
    __device__ __forceinline__ void multiply_bytes(const uint4* x, const float* sums, float& acc0, float& acc1) const {
        const uint4 a = codes(0), b = codes(1);
        const uint32_t first[4] = {a.x, a.y, a.z, a.w}, second[4] = {b.x, b.y, b.z, b.w};
        float lower[2][4] = {}, higher[2][4] = {};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const uint4 v = x[column_of_two(i % 2)];
            float (&tile)[4] = i < 2 ? lower[i % 2] : higher[i % 2];
            const uint32_t m = first[i], n = second[i];
            mma_16816(tile, {nibbles(m), nibbles(n), nibbles(m >> 4), nibbles(n >> 4)}, v.x, v.y);
            mma_16816(tile, {nibbles(m >> 8), nibbles(n >> 8), nibbles(m >> 12), nibbles(n >> 12)}, v.z, v.w);
        }
        if (Lane::of(lane()).run >= 2) return;
        const float2 low_sum = own_sums(lower), high_sum = own_sums(higher), halves_sum = own_vector_sums(sums, 1);
        const float x_sum = -(17 * kNibbleOffset + 128) * (halves_sum.x + halves_sum.y);
        const float2 scale = halves(word());
        acc0 = fmaf(scale.x, fmaf(16, high_sum.x, low_sum.x) + x_sum, acc0);
        acc1 = fmaf(scale.y, fmaf(16, high_sum.y, low_sum.y) + x_sum, acc1);
    }

    // Four runs, each with a tile for its first 16 inputs and one for the others.
    __device__ __forceinline__ void multiply_six_bits(const uint4* x, const float* sums, float& acc0,
                                                      float& acc1) const {
        const uint4 a = codes(0), b = codes(1);
        const uint2 c = upper(0), d = upper(1);
        const uint32_t first[4] = {a.x, a.y, a.z, a.w}, second[4] = {b.x, b.y, b.z, b.w};
        float halves_of[2][4][4] = {};
#pragma unroll
        for (int run = 0; run < 4; ++run) {
            const uint2* column = reinterpret_cast<const uint2*>(x + (column_of_four(run) & ~3u)) + lane() % 4;
            const uint32_t up = run < 2 ? c.x : c.y, other_up = run < 2 ? d.x : d.y;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                const uint2 v = column[half * 4];
                auto pair = [&](uint32_t codes, uint32_t bits, int i) {
                    return with_upper(nibbles(codes >> (half * 8 + i * 4)), bits, run % 2 * 4 + half * 2 + i);
                };
                mma_16816(halves_of[half][run],
                          {pair(first[run], up, 0), pair(second[run], other_up, 0), pair(first[run], up, 1),
                           pair(second[run], other_up, 1)},
                          v.x, v.y);
            }
        }
        const float2 sum = own_sums(halves_of[0]), more = own_sums(halves_of[1]);
        const float2 x_sum = own_vector_sums(sums, 2);
        const uint32_t w = word();
        const float2 scale = halves(super().x);
        constexpr float kOffset = kNibbleOffset + 32;
        const float one = byte_of<0>(w, 128) * fmaf(-kOffset, x_sum.x, sum.x);
        const float other = byte_of<2>(w, 128) * fmaf(-kOffset, x_sum.x, sum.y);
        acc0 = fmaf(scale.x, fmaf(byte_of<1>(w, 128), fmaf(-kOffset, x_sum.y, more.x), one), acc0);
        acc1 = fmaf(scale.y, fmaf(byte_of<3>(w, 128), fmaf(-kOffset, x_sum.y, more.y), other), acc1);
    }

    __device__ __forceinline__ void multiply_dense(const uint4* x, float& acc0, float& acc1) const {
        const uint4 v = x[lane()];
        acc0 = dot8(codes(0), v, acc0);
        acc1 = dot8(codes(1), v, acc1);
    }

    // To the first batch that this warp has in this product or a later one.
    __device__ __forceinline__ void open() {
        for (; upcoming_.left() > 0; upcoming_.advance()) {
            const Product w = upcoming_.product();
            if (open_from(w, upcoming_.sizes().own.first + threadIdx.x / kWarp / w.split)) return;
        }
        // Nothing is left: batches of no lanes.
        at_ = chunks_ = 0;
    }

    // To the first batch that this warp has in pair `pair` or a later one of the product, if there is one.
    __device__ __forceinline__ bool open_from(const Product& w, int pair) {
        per_round_ = kWarps >> log2_of(w.split);
        for (; pair < w.pairs; pair += per_round_) {
            kind_ = w.parts.kind_of(pair);
            const KindSizes sizes = KindSizes::of(kind_);
            chunks_ = w.chunks;
            stride_ = sizes.batch() * w.split;
            if (first_batch() >= chunks_) continue;
            pair_ = pair;
            open_part(sizes);
            part_end_ = min(w.parts.end_of(pair), w.pairs);
            const unsigned bytes = sizes.pair_bytes(chunks_);
            step_ = bytes * per_round_;
            begin_ =
                part_begin(w, pair) + static_cast<size_t>(bytes) * static_cast<unsigned>(pair - w.parts.begin_of(pair));
            at_ = first_batch();
            return true;
        }
        return false;
    }

    // Where this lane finds what it copies, from the start of a pair on. Where half of the lanes have no run, they copy
    // a word that they don't use.
    __device__ __forceinline__ void open_part(const KindSizes& sizes) {
        const bool dense = kind_ == kDenseKind;
        const unsigned own = Lane::of(lane()).group & ((1u << sizes.run_bits) - 1);
        const unsigned group = (lane() / 4 << sizes.run_bits) + own;
        code_bytes_ = dense ? 16 : sizes.code_bytes;
        words_ = sizes.words(chunks_) + group * 4;
        super_bytes_ = sizes.super_bytes;
        supers_ = sizes.supers(chunks_) + group / (kSuperInputs / kRunInputs) * super_bytes_;
    }

    // Parts lie one behind the other.
    __device__ __forceinline__ const char* part_begin(const Product& w, int pair) const {
        const char* begin = static_cast<const char*>(w.weight);
        for (int before = 0; before < w.parts.begin_of(pair); before = w.parts.end_of(before))
            begin += static_cast<size_t>(KindSizes::of(w.parts.kind_of(before)).pair_bytes(w.chunks)) *
                     static_cast<unsigned>(w.parts.end_of(before) - before);
        return begin;
    }

    // Batches of a row are shared out over a power of two of warps.
    __device__ __forceinline__ unsigned first_batch() const {
        return threadIdx.x / kWarp * (kWarp << (kind_ & 3)) & (stride_ - 1);
    }

    // Starts on the next batch, where the oldest one was.
    __device__ __forceinline__ void fetch() {
        const unsigned lanes = min((chunks_ - at_) >> (kind_ & 3), static_cast<unsigned>(kWarp));
        const bool valid = lane() < lanes;
        const char* batch = begin_ + at_ * code_bytes_;
        const char* from = batch + lane() * 16;
        const uint32_t to = shared_address(slot_ + lane() * 16);
        copy_async_once(to, from, valid);
        // The head's rows are neighbours, so its pairs lie one after the other too.
        copy_async_once(to + kWarp * 16, from + 16 * (kind_ == kDenseKind ? chunks_ : lanes), valid);
        if (kind_ != kDenseKind) copy_scales(valid);
        if (kind_ == kQ6K) {
            const char* upper = batch + 32 * lanes + lane() * 8;
            const uint32_t upper_to = shared_address(slot_ + Ring::kUpper + lane() * 8);
            copy_async_once_narrow<8>(upper_to, upper, valid);
            copy_async_once_narrow<8>(upper_to + kWarp * 8, upper + 8 * lanes, valid);
        }
        copy_commit();
        slot_ = slot_ == ring_ + (kStages - 1) * Ring::kSlot ? ring_ : slot_ + Ring::kSlot;
        ++started_;
        at_ += stride_;
        if (at_ >= chunks_) next_pair();
    }

    // Word and super of this lane's run.
    __device__ __forceinline__ void copy_scales(bool valid) const {
        copy_async_once_narrow<4>(shared_address(slot_ + Ring::kWords + lane() * 4), begin_ + words_ + at_, valid);
        if (super_bytes_ == 0) return;
        const uint32_t to = shared_address(slot_ + Ring::kSupers + lane() * 8);
        const char* super = begin_ + supers_ + at_ / (kSuperInputs / 8) * super_bytes_;
        if (kind_ == kQ4K)
            copy_async_once_narrow<8>(to, super, valid);
        else
            copy_async_once_narrow<4>(to, super, valid);
    }

    __device__ __forceinline__ void next_pair() {
        if (upcoming_.left() <= 0) {
            at_ = chunks_ = 0;
            return;
        }
        pair_ += per_round_;
        if (pair_ < part_end_) {
            begin_ += step_;
            at_ = first_batch();
            return;
        }
        if (open_from(upcoming_.product(), pair_)) return;
        upcoming_.advance();
        open();
    }

    Upcoming<kHeadDim, Ring> upcoming_;
    char *ring_, *slot_;  // The slot of the oldest batch.
    int started_ = 0;
    // The part of a product that batches come from now: where its current pair begins, and the next batch.
    unsigned kind_ = kDenseKind;
    const char* begin_ = nullptr;
    int pair_ = 0, part_end_ = 0, per_round_ = 0;
    unsigned step_ = 0, chunks_, stride_ = 0, at_;
    unsigned code_bytes_ = 0, words_ = 0, supers_ = 0, super_bytes_ = 0;
    unsigned column_;
};
