// How a head's cache is shared out over blocks, and how what they found is merged.
#pragma once

#include "decode_words.cuh"

constexpr float kNone = -1e30f;

// Keys of a tensor-core tile.
constexpr int kTile = DECODE_TILE;
// Tiles that a warp holds of the cache: of keys, and as many of values.
template <int kHeadDim>
constexpr int kSlots = kHeadDim == 64 ? DECODE_SLOTS_64 : DECODE_SLOTS_128;
template <int kHeadDim>
constexpr int kTileBytes = kTile * kHeadDim * 2;
// Shared memory of all tiles, and of the queries of a group with the new key and value.
template <int kHeadDim>
constexpr int kTiles = kAttentionWarps * kSlots<kHeadDim> * 2 * kTileBytes<kHeadDim>;
template <int kHeadDim>
constexpr int kAttentionBytes = kTiles<kHeadDim> + (kGroup + 2) * kHeadDim * 2;
static_assert(kAttentionBytes<64> == DECODE_ATTENTION_BYTES_64);
static_assert(kAttentionBytes<128> == DECODE_ATTENTION_BYTES_128);
// Shared memory of what a team's blocks tell each other: pairs of outputs, then each block's maxima and sums.
template <int kHeadDim>
constexpr int kTeamBytes = kGroup * (kHeadDim / 2 + kCluster) * static_cast<int>(sizeof(uint2));
static_assert(kTeamBytes<64> == DECODE_TEAM_BYTES_64);
static_assert(kTeamBytes<128> == DECODE_TEAM_BYTES_128);

// Parts that the readers of attention merge themselves; more are merged beforehand.
constexpr int kFewParts = 16;

// How a key/value head's cache is shared out over blocks, each of which leaves a part to be merged. When that would be
// too many, teams of blocks merge what they find in shared memory first, and a team leaves a part.
struct Splits {
    int team;         // Blocks of a team: 1, or as many as the launch allows.
    int most, count;  // Teams of a head: at most, and those with work now.
    int keys;         // Of a block.

    template <int kHeadDim>
    __device__ __forceinline__ static Splits of(const DecodeParameters& p, int length) {
        // As few tiles a warp as make few parts, if those are there before the query is. Else teams, with one; or,
        // where there are none, as many tiles as are there, or merging costs more than it spreads.
        constexpr int kTileEach = kAttentionWarps * kTile;
        const int tiles = (length + kTileEach * kFewParts - 1) / (kTileEach * kFewParts);
        const int team = tiles > kSlots<kHeadDim> ? p.team : 1;
        const int at_least = kTileEach * (team > 1 ? 1 : min(tiles, kSlots<kHeadDim>));
        const int most = static_cast<int>(gridDim.x) / team / p.kv_heads;
        const int keys = max((length + most * team - 1) / (most * team), at_least);
        return {team, most, (length + keys * team - 1) / (keys * team), keys};
    }
};

// A part of one head is in words of 16 bytes, each stored at once: four neighbouring outputs, the logarithm of the sum
// of the part's weights, and the epoch.
template <int kHeadDim>
constexpr int kPartWords = kHeadDim / 4;
static_assert(kPartWords<64> * sizeof(uint4) == DECODE_PART_BYTES_64);
static_assert(kPartWords<128> * sizeof(uint4) == DECODE_PART_BYTES_128);

template <int kHeadDim>
__device__ __forceinline__ uint4* part_words(const DecodeParameters& p, const Splits& splits, int head, int part) {
    return p.parts + static_cast<size_t>(head * splits.most + part) * kPartWords<kHeadDim>;
}

// A few parts: value i is four neighbouring outputs of every kLanes-th part from i % kLanes on.
template <int kHeadDim>
struct FewParts {
    static constexpr int kLanes = 4, kEach = kFewParts / kLanes;
    struct Raw {
        uint4 words[kEach];
    };
    static constexpr int kAtOnce = kCluster > 1 ? 1 : 2;  // With kEach words each.
    const DecodeParameters& p;
    const Splits& splits;
    unsigned epoch;

    __device__ __forceinline__ Raw load(int i) const {
        const int head = i / kLanes / kPartWords<kHeadDim>, word = i / kLanes % kPartWords<kHeadDim>,
                  first = i % kLanes;
        const uint4* from = part_words<kHeadDim>(p, splits, head, first) + word;
        Raw raw;
#pragma unroll
        for (int k = 0; k < kEach; ++k)
            raw.words[k] = first + k * kLanes < splits.count ? load_at_once(from + k * kLanes * kPartWords<kHeadDim>)
                                                             : make_uint4(0, 0, __float_as_uint(kNone), epoch);
        return raw;
    }

    __device__ __forceinline__ bool ready(const Raw& raw) const {
        bool ready = true;
#pragma unroll
        for (int k = 0; k < kEach; ++k) ready &= raw.words[k].w == epoch;
        return ready;
    }

    // Over the lanes with the same outputs, in all of them.
    template <typename Combine>
    __device__ __forceinline__ static float over_lanes(float v, Combine combine) {
        const unsigned lanes = ((1u << kLanes) - 1) << (threadIdx.x % kWarp / kLanes * kLanes);
#pragma unroll
        for (int offset = 1; offset < kLanes; offset *= 2) v = combine(v, __shfl_xor_sync(lanes, v, offset));
        return v;
    }

    __device__ __forceinline__ static uint2 merged(const Raw& raw) {
        float top = kNone;
#pragma unroll
        for (int k = 0; k < kEach; ++k) top = fmaxf(top, __uint_as_float(raw.words[k].z));
        top = over_lanes(top, [](float x, float y) { return fmaxf(x, y); });
        float sum = 0, outputs[4] = {};
#pragma unroll
        for (int k = 0; k < kEach; ++k) {
            const uint4& word = raw.words[k];
            const float weight = exp2f(__uint_as_float(word.z) - top);
            sum += weight;
            outputs[0] += weight * low(word.x), outputs[1] += weight * high(word.x);
            outputs[2] += weight * low(word.y), outputs[3] += weight * high(word.y);
        }
        auto add = [](float x, float y) { return x + y; };
        const float scale = __fdividef(1.0f, over_lanes(sum, add));
#pragma unroll
        for (float& output : outputs) output = over_lanes(output, add) * scale;
        return make_uint2(pack(outputs[0], outputs[1]), pack(outputs[2], outputs[3]));
    }
};

// As `stage`, of parts.
template <typename Format, int kHeadDim>
__device__ __forceinline__ void stage_parts(const Product& w, Mailbox& staged, const FewParts<kHeadDim>& parts) {
    constexpr int kLanes = FewParts<kHeadDim>::kLanes;
    uint2* to = reinterpret_cast<uint2*>(staged.place());
    pad<Format>(w, staged.place());
    gather(parts, w.chunks * 2 * kLanes, [&](int i, const typename FewParts<kHeadDim>::Raw& raw) {
        const uint2 values = parts.merged(raw);
#pragma unroll
        for (int first = 0; first < kCluster; first += kLanes)
            if (first + i % kLanes < kCluster) staged.send(to + i / kLanes, first + i % kLanes, values);
    });
    staged.wait(w.chunks * 16);
    sum_groups<Format>(w, staged.place());
}

// Outputs 2i and 2i + 1 of a head from some of its parts, not yet divided by `sum`: a softmax with base 2.
struct Merged {
    float a = 0, b = 0, max = kNone, sum = 0;

    __device__ __forceinline__ void merge(const Merged& other) {
        const float new_max = fmaxf(max, other.max);
        const float keep = exp2f(max - new_max), factor = exp2f(other.max - new_max);
        a = a * keep + other.a * factor;
        b = b * keep + other.b * factor;
        sum = sum * keep + other.sum * factor;
        max = new_max;
    }
};

// Merges every `stride`th part from `first` on.
template <int kHeadDim>
__device__ __forceinline__ Merged merge_parts(const DecodeParameters& p, const Splits& splits, int head, int i,
                                              int first, int stride, unsigned epoch) {
    constexpr int kAhead = 4;
    Merged merged;
    for (int base = first; base < splits.count; base += stride * kAhead) {
        uint4 words[kAhead];
        bool ready;
        do {
            ready = true;
#pragma unroll
            for (int k = 0; k < kAhead; ++k)
                words[k] = load_at_once(
                    part_words<kHeadDim>(p, splits, head, min(base + k * stride, splits.count - 1)) + i / 2);
#pragma unroll
            for (int k = 0; k < kAhead; ++k) ready &= words[k].w == epoch;
        } while (!ready);
#pragma unroll
        for (int k = 0; k < kAhead; ++k) {
            if (base + k * stride >= splits.count) continue;
            const uint32_t outputs = i % 2 ? words[k].y : words[k].x;
            merged.merge({low(outputs), high(outputs), __uint_as_float(words[k].z), 1.0f});
        }
    }
    return merged;
}

// Many parts: the merge is shared out over the grid, eight lanes to two neighbouring outputs.
template <int kHeadDim>
__device__ __forceinline__ void merge_shared(const DecodeParameters& p, const Splits& splits, int block,
                                             unsigned epoch) {
    constexpr int kLanes = 8;
    const int items = p.heads * kHeadDim / 2;
    // Neighbouring items go to different blocks, so that they spread over all multiprocessors.
    for (int base = 0; base < items; base += kThreads / kLanes * gridDim.x) {
        const int item = base + threadIdx.x / kLanes * gridDim.x + block;
        // Whole groups of lanes are idle beyond the items.
        if (item >= items) continue;
        const unsigned lanes = 0xffu << (threadIdx.x % kWarp / kLanes * kLanes);
        Merged merged = merge_parts<kHeadDim>(p, splits, item / (kHeadDim / 2), item % (kHeadDim / 2),
                                              threadIdx.x % kLanes, kLanes, epoch);
#pragma unroll
        for (int offset = 1; offset < kLanes; offset *= 2) {
            merged.merge({__shfl_xor_sync(lanes, merged.a, offset), __shfl_xor_sync(lanes, merged.b, offset),
                          __shfl_xor_sync(lanes, merged.max, offset), __shfl_xor_sync(lanes, merged.sum, offset)});
        }
        if (threadIdx.x % kLanes == 0)
            store_word(p.attended + item, pack(merged.a / merged.sum, merged.b / merged.sum), epoch);
    }
}
