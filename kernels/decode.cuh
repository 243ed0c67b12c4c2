// What the decode kernel works on: a model's addresses and sizes, and its matrix-vector products.
#pragma once

#include "common.cuh"

// Warps a block: src/engine/candle/qwen2/graph/sizes.rs chooses by compute capability.
constexpr int kWarps = DECODE_WARPS;
constexpr int kThreads = kWarps * kWarp;
// Blocks that read together what all others found, and share it (decode_words.cuh); 1: each for itself.
constexpr int kCluster = DECODE_CLUSTER;
// Warps of a block that read the cache.
constexpr int kAttentionWarps = DECODE_ATTENTION_WARPS;
// Of a kernel that blocks of this size run, one on a multiprocessor.
#if DECODE_CLUSTER > 1
#define DECODE_LAUNCH __launch_bounds__(kThreads, 1) __cluster_dims__(kCluster, 1, 1)
#else
#define DECODE_LAUNCH __launch_bounds__(kThreads, 1)
#endif

// Bytes of a line of L2. What is copied to shared memory in lines lies there at a multiple of it, too: 32 bytes beside
// one it takes 2% longer, 16 bytes beside one 10%.
constexpr int kLine = DECODE_LINE;

// Chunks of inputs of packed weights that share a scale.
constexpr int kGroupChunks = PACKED_GROUP / 8;

// Query heads that share a key/value head, at most.
constexpr int kGroup = DECODE_GROUP;

// One layer's weights, its matrices in their format (dense: [out, in] row-major), and its cache, [key/value
// head][position][head_dim].
struct DecodeLayer {
    const bf16* norm1;
    const void* qkv;
    const bf16* bias;
    const void* output;
    const bf16* norm2;
    const void *gate_up, *down;
    bf16 *keys, *values;
    // Of blocks (blocks.cuh): a byte each for query, key, value, output, gate and up, down.
    unsigned long long kinds;
};
ASSERT_LAYOUT_DecodeLayer;

// The greater value wins, and among equals the lower index, as argmax does.
struct Best {
    float value;
    unsigned index;

    __device__ __forceinline__ void take(float v, unsigned i) {
        if (v > value || (v == value && i < index)) {
            value = v;
            index = i;
        }
    }
};
ASSERT_LAYOUT_Best;

// A value and its epoch: of a pair of neighbours in bf16 (or of one number), and of one value in bf16.
struct PairWord {
    uint32_t pair;
    unsigned epoch;
};
ASSERT_LAYOUT_PairWord;
using HalfWord = uint32_t;  // Value in the low half, the epoch's low half in the high one.

struct DecodeParameters {
    const DecodeLayer* layers;
    const bf16 *embedding, *head, *final_norm;
    const float *cosines, *sines;  // [position][head_dim / 2]
    const bf16* x;                 // [hidden]: the input of a launch with steps = 0
    PairWord *x1, *x2;             // [hidden / 2]: the residual stream after the MLP and after attention
    PairWord* qkv;                 // [heads + 2 kv_heads][head_dim / 2]: values i and i + head_dim / 2
    PairWord* attended;            // [heads * head_dim / 2]
    HalfWord* activated;           // [intermediate]
    uint4* parts;                  // Attention before merging: [head][team][head_dim / 4]
    float* logits;                 // [vocabulary], of the last step
    Best* bests;                   // [blocks]
    StepState* state;
    unsigned* multiprocessors;  // [blocks]: where each runs
    unsigned* tokens;           // [max_length], by step
    unsigned long long* times;  // [max_length], device nanoseconds
    // Null, or [layers * kPhases + 1]: when the first block had each input, device nanoseconds.
    unsigned long long* phases;
    int layer_count, hidden, intermediate, heads, kv_heads, vocabulary, max_length;
    int split_qkv, split_output, split_gate_up, split_down, split_head;  // Warps that share a row
    float epsilon, scale_log2;                                           // scale_log2: log2(e) / sqrt(head_dim)
    int team;           // Blocks of a cluster that share a key/value head's cache: a power of two
    int second_region;  // Chunks of 16 bytes between the two regions of staged vectors in shared memory
    int team_region;    // Chunks of 16 bytes from the second to what a team's blocks tell each other
    int steps;          // Steps to run; 0: only the head, over `x`
    int head_kind;      // Of blocks
    int stamps_every;   // Of so many steps the last one is stamped
    // Of kernels that stamp: [steps / stamps_every][blocks][layers * kLayerStamps + kHeadStamps]
    unsigned* stamps;
};
ASSERT_LAYOUT_DecodeParameters;

// The kinds of a matrix in blocks: of its first pairs, of those from `second` on, and of those from `third` on.
struct Parts {
    unsigned kinds;
    int second, third;

    __device__ __forceinline__ static Parts one(unsigned kind) { return {kind, 1 << 30, 1 << 30}; }
    __device__ __forceinline__ unsigned kind_of(int pair) const {
        return kinds >> (pair >= third ? 16 : pair >= second ? 8 : 0) & 0xff;
    }
    __device__ __forceinline__ int begin_of(int pair) const {
        return pair >= third ? third : pair >= second ? second : 0;
    }
    __device__ __forceinline__ int end_of(int pair) const {
        return pair >= third ? 1 << 30 : pair >= second ? third : second;
    }
};

// One matrix-vector product. Its rows come in pairs, `distance` apart: pair g is row g / distance * 2 * distance +
// g % distance and the one `distance` below. That covers neighbours (1), what the rotary embedding mixes
// (head_dim / 2), and a row of the gate with its row of the up projection (intermediate size).
struct Product {
    const void* weight;
    int pairs, chunks, distance, split;
    // Chunks of the vector that the warps of a row take at a time, or each: it is padded to a multiple. A power of two.
    int step;
    Parts parts;  // Of blocks.
};

// The distance is a power of two, or so great that no pair reaches it.
__device__ __forceinline__ int first_row(int pair, int distance) {
    return pair < distance ? pair : 2 * pair - (pair & (distance - 1));
}

constexpr int kProducts = 4;  // Of a layer.
// What a layer waits for: the input of each product, and attention's.
constexpr int kPhases = kProducts + 1;
static_assert(kPhases == DECODE_PHASES);
// What blocks stamp (decode_stamps.cuh). Of a layer: before and after they wait for the input of each product and of
// attention. Of the head: the same, when its product is done, and when the token is chosen.
constexpr int kLayerStamps = 2 * kPhases, kHeadStamps = 4;
static_assert(kLayerStamps == DECODE_LAYER_STAMPS && kHeadStamps == DECODE_HEAD_STAMPS);

// Matrices in bf16.
struct Dense {
    // A batch of the ring, in 16 bytes: two rows, a chunk a lane.
    static constexpr int kBatch = 2 * kWarp;
    // The products need no sums of the vector.
    static constexpr bool kGroupSums = false, kMixed = false;
    static constexpr int kSumChunks = 1;
    using Head = Dense;

    __device__ __forceinline__ static int step(int split) { return kWarp * split; }
};

// And the ring that they come through. `kShort`: with fewer batches.
template <int kHeadDim, bool kShort = false>
struct DenseRing : Dense {
    static_assert(kHeadDim == 128 || !kShort);
    static constexpr int kStages = kShort           ? SHORT_DENSE_STAGES_128
                                   : kHeadDim == 64 ? DENSE_STAGES_64
                                                    : DENSE_STAGES_128;
    static constexpr int kRing = kWarps * kStages * kBatch * 16;
    static_assert(kRing == (kShort           ? SHORT_DENSE_RING_BYTES_128
                            : kHeadDim == 64 ? DENSE_RING_BYTES_64
                                             : DENSE_RING_BYTES_128));
};

// All but the parts.
template <int kHeadDim, typename Format>
__device__ __forceinline__ Product whole_product_of(const DecodeParameters& p, const DecodeLayer* layers, int phase) {
    const int chunks = p.hidden / 8;
    if (phase == p.layer_count * kProducts)
        return {p.head, p.vocabulary / 2, chunks, 1, p.split_head, Format::Head::step(p.split_head)};
    const DecodeLayer* layer = layers + phase / kProducts;
    switch (phase % kProducts) {
        case 0:
            return {layer->qkv,  (p.heads + 2 * p.kv_heads) * kHeadDim / 2,
                    chunks,      kHeadDim / 2,
                    p.split_qkv, Format::step(p.split_qkv)};
        case 1:
            return {
                layer->output, p.hidden / 2, p.heads * kHeadDim / 8, 1, p.split_output, Format::step(p.split_output)};
        case 2:
            return {layer->gate_up, p.intermediate,  chunks,
                    p.intermediate, p.split_gate_up, Format::step(p.split_gate_up)};
        default:
            return {layer->down, p.hidden / 2, p.intermediate / 8, 1, p.split_down, Format::step(p.split_down)};
    }
}

// Of a matrix in blocks.
template <int kHeadDim, typename Format>
__device__ __forceinline__ Parts parts_of(const DecodeParameters& p, const DecodeLayer* layers, int phase) {
    if constexpr (!Format::kMixed) return {};
    const int index = phase % kProducts;
    if (phase == p.layer_count * kProducts) return Parts::one(p.head_kind);
    const unsigned long long kinds = layers[phase / kProducts].kinds;
    if (index > 0) return Parts::one(kinds >> (index + 2) * 8 & 0xff);
    const int query = p.heads * kHeadDim / 2, key = p.kv_heads * kHeadDim / 2;
    return {static_cast<unsigned>(kinds & 0xffffff), query, query + key};
}

// `Format`: of the layers' matrices, and by it the head's.
template <int kHeadDim, typename Format>
__device__ __forceinline__ Product product_of(const DecodeParameters& p, const DecodeLayer* layers, int phase) {
    Product w = whole_product_of<kHeadDim, Format>(p, layers, phase);
    w.parts = parts_of<kHeadDim, Format>(p, layers, phase);
    return w;
}

// Of a power of two.
__device__ __forceinline__ int log2_of(int power) { return __ffs(power) - 1; }

// Of a product.
struct Pairs {
    int first, end;
};

// Neighbours: each block reads one piece of a matrix. Dealt out one by one, as neighbours to different blocks, reading
// takes 1 to 4% longer.
__device__ __forceinline__ Pairs pairs_of_block(int pairs, int block) {
    const unsigned count = pairs, number = block;
    return {static_cast<int>(count * number / gridDim.x), static_cast<int>(count * (number + 1) / gridDim.x)};
}
