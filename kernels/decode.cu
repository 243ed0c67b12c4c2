// Decoding, as one persistent kernel: a block on every multiprocessor runs whole steps, layer by layer, together with
// all others. Launch cooperatively, at most one block for each multiprocessor.
//
// At batch 1 a step is bound by reading the weights once. Two things keep device memory busy all the time:
// - Which weights come next is known ahead, whatever the activations are. Every warp streams its rows through a ring in
//   shared memory that runs ahead across products, layers and steps.
// - Blocks don't wait at barriers. Every value that passes from block to block is stored together with the number of
//   the layer it belongs to (its epoch) in one word, and who needs it reads the word until the epoch is right.
//   No value can be overwritten before all have read it, as long as every block computes a part of every product:
//   who writes a product's output has seen parts of the product before from all blocks, which had read what is
//   overwritten. The launching code sees to it (DecodePlan).

#include "common.cuh"

// Warps a block and batches a ring: what shared memory allows (build.rs chooses by compute capability).
#ifndef DECODE_WARPS
#define DECODE_WARPS 16
#endif
#ifndef DECODE_STAGES
#define DECODE_STAGES 3
#endif

constexpr int kWarps = DECODE_WARPS;
constexpr int kThreads = kWarps * kWarp;
constexpr int kStages = DECODE_STAGES;
// A batch of the ring: two rows, this many chunks of 16 bytes a lane.
constexpr int kUnroll = 2;
constexpr int kBatch = 2 * kUnroll * kWarp;
constexpr int kRing = kWarps * kStages * kBatch * 16;

// Attention: keys in a tile, and query heads that share a key/value head, at most.
constexpr int kTile = 16;
constexpr int kGroup = 8;
constexpr float kNone = -1e30f;

// One layer's weights, [out, in] row-major, and its cache, [key/value head][position][head_dim].
struct DecodeLayer {
    const bf16 *norm1, *qkv, *bias, *output, *norm2, *gate_up, *down;
    bf16 *keys, *values;
};

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

// A value and its epoch: of a pair of neighbours in bf16, of one number, and of one value in bf16 (the epoch's low half).
struct PairWord {
    uint32_t pair;
    unsigned epoch;
};
struct FloatWord {
    float value;
    unsigned epoch;
};
using HalfWord = uint32_t;  // Value in the low half.

struct Decode {
    const DecodeLayer* layers;
    const bf16 *embedding, *head, *final_norm;
    const float *cosines, *sines;    // [position][head_dim / 2]
    const bf16* x;                   // [hidden]: the input of a launch with steps = 0
    PairWord *x1, *x2;               // [hidden / 2]: the residual stream after the MLP and after attention
    PairWord* qkv;                   // [heads + 2 kv_heads][head_dim / 2]: values i and i + head_dim / 2
    PairWord* attended;              // [heads * head_dim / 2]
    HalfWord* activated;             // [intermediate]
    FloatWord* partial;              // Attention before merging: [key/value head][split][kGroup][head_dim + 2]
    float* logits;                   // [vocabulary], of the last step
    Best* bests;                     // [blocks]
    StepState* state;
    unsigned* tokens;                // [capacity], by step
    unsigned long long* times;       // [capacity], device nanoseconds
    unsigned long long* phases;      // Null, or [layers * kPhases + 1]: when the first block had each input, device nanoseconds
    int layer_count, hidden, intermediate, heads, kv_heads, vocabulary, max_length, capacity;
    int split_qkv, split_output, split_gate_up, split_down, split_head;  // Warps that share a row
    float eps, scale_log2;           // scale_log2: log2(e) / sqrt(head_dim)
    int steps;                       // Steps to run; 0: only the head, over `x`
};

// One matrix-vector product. Its rows come in pairs, `distance` apart: pair g is row g / distance * 2 * distance +
// g % distance and the one `distance` below. That covers neighbours (1), what the rotary embedding mixes
// (head_dim / 2), and a row of the gate with its row of the up projection (intermediate size).
struct Product {
    const bf16* weight;
    int pairs, chunks, distance, split;
};

// The distance is a power of two, or so great that no pair reaches it.
__device__ __forceinline__ int first_row(int pair, int distance) {
    return pair < distance ? pair : 2 * pair - (pair & (distance - 1));
}

constexpr int kProducts = 4;  // Of a layer.
// What a layer waits for: the input of each product, and attention's.
[[maybe_unused]] constexpr int kPhases = kProducts + 1;

template <int kHeadDim>
__device__ __forceinline__ Product product_of(const Decode& p, const DecodeLayer* layers, int phase) {
    const int chunks = p.hidden / 8;
    if (phase == p.layer_count * kProducts) return {p.head, p.vocabulary / 2, chunks, 1, p.split_head};
    const DecodeLayer* layer = layers + phase / kProducts;
    switch (phase % kProducts) {
        case 0:
            return {layer->qkv, (p.heads + 2 * p.kv_heads) * kHeadDim / 2, chunks, kHeadDim / 2, p.split_qkv};
        case 1:
            return {layer->output, p.hidden / 2, p.heads * kHeadDim / 8, 1, p.split_output};
        case 2:
            return {layer->gate_up, p.intermediate, chunks, p.intermediate, p.split_gate_up};
        default:
            return {layer->down, p.hidden / 2, p.intermediate / 8, 1, p.split_down};
    }
}

// This warp's stream of weights through its ring.
template <int kHeadDim>
class Stream {
  public:
    // `left`: products still to come, this one included.
    __device__ __forceinline__ Stream(const Decode& p, const DecodeLayer* layers, uint4* ring, int phase, int left)
        : p_(p), layers_(layers), ring_(ring + threadIdx.x / kWarp * kStages * kBatch + threadIdx.x % kWarp), phase_(phase), left_(left) {
        open();
#pragma unroll
        for (int s = 0; s < kStages; ++s) fetch(s);
    }

    // Adds this warp's part of a pair's products with the staged vector.
    __device__ __forceinline__ void multiply(const Product& w, const uint4* staged, float& acc0, float& acc1) {
        const int stride = kWarp * w.split;
        const uint4* x = staged + threadIdx.x / kWarp % w.split * kWarp + threadIdx.x % kWarp;
        for (int at = 0; at < w.chunks; at += stride * kUnroll) {
            copy_wait<kStages - 1>();
            const uint4* batch = ring_ + slot_ * kBatch;
#pragma unroll
            for (int u = 0; u < kUnroll; ++u) {
                const uint4 v = x[at + u * stride];
                acc0 = dot8(batch[u * 2 * kWarp], v, acc0);
                acc1 = dot8(batch[(u * 2 + 1) * kWarp], v, acc1);
            }
            fetch(slot_);
            slot_ = slot_ + 1 == kStages ? 0 : slot_ + 1;
        }
    }

  private:
    // To the first pair that this warp has in this product or a later one.
    __device__ __forceinline__ void open() {
        for (; left_ > 0; step_phase()) {
            const Product w = product_of<kHeadDim>(p_, layers_, phase_);
            const int warp = threadIdx.x / kWarp;
            pair_ = warp / w.split * gridDim.x + blockIdx.x;
            if (pair_ >= w.pairs) continue;
            weight_ = reinterpret_cast<const uint4*>(w.weight);
            pairs_ = w.pairs;
            chunks_ = w.chunks;
            distance_ = w.distance;
            stride_ = kWarp * w.split;
            offset_ = warp % w.split * kWarp + threadIdx.x % kWarp;
            per_round_ = kWarps / w.split * gridDim.x;
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

    __device__ __forceinline__ void fetch(int slot) {
        if (left_ > 0) {
            const uint32_t to = shared_address(ring_ + slot * kBatch);
            const size_t second = static_cast<size_t>(distance_) * chunks_;
#pragma unroll
            for (int u = 0; u < kUnroll; ++u) {
                const int chunk = at_ + offset_ + u * stride_;
                const bool valid = chunk < chunks_;
                const uint4* from = row_ + (valid ? chunk : 0);
                copy_async(to + u * 2 * kWarp * 16, from, valid);
                copy_async(to + (u * 2 + 1) * kWarp * 16, from + second, valid);
            }
            at_ += stride_ * kUnroll;
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
    }

    const Decode& p_;
    const DecodeLayer* layers_;
    uint4* ring_;  // A lane reads only what it copied itself, so the ring needs no barrier.
    int phase_, left_;
    int slot_ = 0;
    const uint4 *weight_, *row_;
    int pairs_, chunks_, distance_, stride_, offset_, per_round_, pair_, at_;
};

// All blocks wait for all; what they wrote before is visible after.
class Barrier {
  public:
    __device__ __forceinline__ Barrier(StepState* state) : arrivals_(&state->arrivals) {}

    __device__ __forceinline__ void wait() {
        __syncthreads();
        if (threadIdx.x == 0) {
            target_ += gridDim.x;
            asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(arrivals_) : "memory");
            unsigned seen;
            do {
                asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(arrivals_) : "memory");
            } while (seen < target_);
        }
        __syncthreads();
    }

  private:
    unsigned* arrivals_;
    unsigned target_ = 0;
};

// 16 bytes of words, as they are in L2 now.
__device__ __forceinline__ uint4 load_words(const void* words) {
    uint4 v;
    asm volatile("ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(words)
                 : "memory");
    return v;
}

__device__ __forceinline__ void store_word(void* word, uint32_t value, unsigned epoch) {
    asm volatile("st.relaxed.gpu.global.v2.u32 [%0], {%1, %2};" ::"l"(word), "r"(value), "r"(epoch) : "memory");
}

// Two words of eight bytes of this epoch: their values.
__device__ __forceinline__ uint2 await_two(const void* words, unsigned epoch) {
    uint4 v;
    while (true) {
        v = load_words(words);
        if (v.y == epoch && v.w == epoch) return make_uint2(v.x, v.z);
    }
}

// Four half words of this epoch: their values.
__device__ __forceinline__ uint2 await_four(const HalfWord* words, unsigned epoch) {
    uint4 v;
    const unsigned high_half = epoch << 16;
    while (true) {
        v = load_words(words);
        if (((v.x ^ high_half) | (v.y ^ high_half) | (v.z ^ high_half) | (v.w ^ high_half)) >> 16 == 0)
            return make_uint2(__byte_perm(v.x, v.y, 0x5410), __byte_perm(v.z, v.w, 0x5410));
    }
}

// Asks L2 for a vector that the next layer needs.
__device__ __forceinline__ void prefetch(const void* data, int bytes) {
    for (int at = threadIdx.x * 128; at < bytes; at += kThreads * 128)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(static_cast<const char*>(data) + at));
}

// Chunks of the staged vector: whole batches.
__device__ __forceinline__ int padded(const Product& w) {
    const int step = kWarp * w.split * kUnroll;
    return (w.chunks + step - 1) / step * step;
}

// The input vector to shared memory, padded with zeros. `four_at(i)` gives values 4i to 4i + 3.
template <typename FourAt>
__device__ __forceinline__ void stage(const Product& w, uint4* staged, FourAt four_at) {
    uint2* to = reinterpret_cast<uint2*>(staged);
    for (int i = threadIdx.x; i < padded(w) * 2; i += kThreads) to[i] = i < w.chunks * 2 ? four_at(i) : make_uint2(0, 0);
    __syncthreads();
}

// As `stage`, times the norm's weight. Returns 1 / rms, which the caller applies to the products: so the sum of squares
// and the products need only one barrier.
template <typename FourAt>
__device__ __forceinline__ float stage_normed(const Product& w, const bf16* weight, float eps, uint4* staged,
                                              FourAt four_at) {
    __shared__ float sums[kWarps];
    float sum = 0;
    uint2* to = reinterpret_cast<uint2*>(staged);
    for (int i = threadIdx.x; i < padded(w) * 2; i += kThreads) {
        uint2 out = make_uint2(0, 0);
        if (i < w.chunks * 2) {
            const uint2 g = __ldg(reinterpret_cast<const uint2*>(weight) + i);
            const uint2 v = four_at(i);
            const float v0 = low(v.x), v1 = high(v.x), v2 = low(v.y), v3 = high(v.y);
            sum += v0 * v0 + v1 * v1 + v2 * v2 + v3 * v3;
            out = make_uint2(pack(v0 * low(g.x), v1 * high(g.x)), pack(v2 * low(g.y), v3 * high(g.y)));
        }
        to[i] = out;
    }
    sum = warp_sum(sum);
    if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = sum;
    __syncthreads();
    sum = 0;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) sum += sums[i];
    return rsqrtf(sum / (w.chunks * 8) + eps);
}

__device__ __forceinline__ int pairs_of_block(int pairs) {
    return (pairs - static_cast<int>(blockIdx.x) + static_cast<int>(gridDim.x) - 1) / static_cast<int>(gridDim.x);
}

// All of this block's pairs of a product. `finish(pair, a, b)` gets both sums of a pair, one pair a thread.
// Shared memory from `sums`: one float2 for each warp and round.
template <int kHeadDim, typename Finish>
__device__ __forceinline__ void run_product(Stream<kHeadDim>& stream, const Product& w, const uint4* staged,
                                            float2* sums, Finish finish) {
    const int warp = threadIdx.x / kWarp;
    const int pairs_a_round = kWarps / w.split;
    const int mine = pairs_of_block(w.pairs);
    for (int slot = warp / w.split, at = warp; slot < mine; slot += pairs_a_round, at += kWarps) {
        float a = 0, b = 0;
        stream.multiply(w, staged, a, b);
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
        finish(slot * gridDim.x + blockIdx.x, sum.x, sum.y);
    }
}

// How the cache is shared out over blocks.
struct Splits {
    int most, count, keys;

    __device__ __forceinline__ Splits(const Decode& p, int length) {
        most = max(static_cast<int>(gridDim.x) / p.kv_heads, 1);
        keys = (length + most - 1) / most;
        // At least two tiles a warp, or merging costs more than it spreads.
        keys = max((keys + kTile - 1) / kTile * kTile, kWarps * kTile * 2);
        count = (length + keys - 1) / keys;
    }
};

// Offset in bytes of 16-byte chunk `chunk` of row `row`; the XOR keeps ldmatrix free of bank conflicts.
template <int kHeadDim>
__device__ __forceinline__ uint32_t swizzled(int row, int chunk) {
    return static_cast<uint32_t>(row * kHeadDim * 2 + ((chunk ^ (row & 7)) << 4));
}

// Attention of the new token over this block's split of one head's cache; the result goes to p.partial.
// Each warp streams tiles of keys and values and keeps its own running softmax. Tensor-core tiles are transposed: keys
// (then head dimensions) are the 16 rows, the query heads of the group the 8 columns.
// The new key and value come from p.qkv; the cache holds those of earlier steps.
template <int kHeadDim>
class Attention {
  public:
    __device__ __forceinline__ Attention(const Decode& p, const Splits& splits, int length, uint4* shared)
        : p_(p), splits_(splits), shared_(shared), kv_head_(blockIdx.x / splits.most), split_(blockIdx.x % splits.most),
          begin_(split_ * splits.keys), end_(min(begin_ + splits.keys, length)), length_(length),
          tiles_((end_ - begin_ + kTile - 1) / kTile), lane_(threadIdx.x % kWarp), warp_(threadIdx.x / kWarp) {
        key_ring_ = shared_address(shared) + warp_ * kDepth * 2 * kTileBytes;
        value_ring_ = key_ring_ + kDepth * kTileBytes;
    }

    __device__ __forceinline__ bool has_work() const { return kv_head_ < p_.kv_heads && split_ < splits_.count; }

    // Starts on the first tiles.
    __device__ __forceinline__ void prefetch(const DecodeLayer& layer) {
        const size_t cache = (static_cast<size_t>(kv_head_) * p_.max_length + begin_) * kHeadDim;
        keys_ = layer.keys + cache;
        values_ = layer.values + cache;
#pragma unroll
        for (int d = 0; d < kDepth; ++d) {
            fetch(keys_, key_ring_ + d * kTileBytes, warp_ + d * kWarps);
            fetch(values_, value_ring_ + d * kTileBytes, warp_ + d * kWarps);
        }
    }

    __device__ __forceinline__ void run(unsigned epoch) {
        const int group = p_.heads / p_.kv_heads;
        // Query fragments: column lane / 4 is a head of the group.
        uint32_t q[kSteps][2];
        const bool there = lane_ / 4 < group;
        const PairWord* query = p_.qkv + (kv_head_ * group + (there ? lane_ / 4 : 0)) * (kHeadDim / 2) + lane_ % 4 * 2;
#pragma unroll
        for (int k = 0; k < kSteps / 2; ++k) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                const uint2 v = await_two(query + k * 16 + i * 8, epoch);
                q[k][i] = there ? __byte_perm(v.x, v.y, 0x5410) : 0;
                q[k + kSteps / 2][i] = there ? __byte_perm(v.x, v.y, 0x7632) : 0;
            }
        }

        // This lane's heads are lane % 4 * 2 and the next.
        float acc[kSteps][4] = {};
        float top[2] = {kNone, kNone};
        float total[2] = {0, 0};
        int slot = 0;
        for (int tile = warp_; tile < tiles_; tile += kWarps) {
            const uint32_t key_tile = key_ring_ + slot * kTileBytes;
            const uint32_t value_tile = value_ring_ + slot * kTileBytes;
            slot = slot + 1 == kDepth ? 0 : slot + 1;
            const int new_row = length_ - 1 - begin_ - tile * kTile;
            const bool has_new = new_row >= 0 && new_row < kTile;
            copy_wait<2 * kDepth - 1>();
            if (has_new) place_new(key_tile, new_row, p_.heads + kv_head_, epoch);
            __syncwarp();
            float score[4] = {};
#pragma unroll
            for (int k = 0; k < kSteps; ++k) {
                uint32_t a[4];
                ldmatrix_x4(a, key_tile + swizzled<kHeadDim>(lane_ % 16, k * 2 + lane_ / 16));
                mma_16816(score, a, q[k][0], q[k][1]);
            }
            __syncwarp();
            fetch(keys_, key_tile, tile + kDepth * kWarps);
            const int key = begin_ + tile * kTile + lane_ / 4;
            if (key >= end_) score[0] = score[1] = kNone;
            if (key + 8 >= end_) score[2] = score[3] = kNone;
            float correction[2];
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                float tile_top = fmaxf(score[h], score[h + 2]);
                tile_top = fmaxf(tile_top, __shfl_xor_sync(kAllLanes, tile_top, 4));
                tile_top = fmaxf(tile_top, __shfl_xor_sync(kAllLanes, tile_top, 8));
                tile_top = fmaxf(tile_top, __shfl_xor_sync(kAllLanes, tile_top, 16));
                const float new_top = fmaxf(top[h], tile_top);
                correction[h] = exp2f((top[h] - new_top) * p_.scale_log2);
                top[h] = new_top;
                score[h] = exp2f((score[h] - new_top) * p_.scale_log2);
                score[h + 2] = exp2f((score[h + 2] - new_top) * p_.scale_log2);
                total[h] = total[h] * correction[h] + score[h] + score[h + 2];
            }
            const uint32_t b0 = transposed(pack(score[0], score[1]));
            const uint32_t b1 = transposed(pack(score[2], score[3]));
            copy_wait<2 * kDepth - 1>();
            if (has_new) place_new(value_tile, new_row, p_.heads + p_.kv_heads + kv_head_, epoch);
            __syncwarp();
#pragma unroll
            for (int n = 0; n < kSteps; ++n) {
                uint32_t a[4];
                ldmatrix_x4_trans(a, value_tile + swizzled<kHeadDim>(lane_ % 8 + lane_ / 16 * 8, n * 2 + lane_ / 8 % 2));
#pragma unroll
                for (int i = 0; i < 4; ++i) acc[n][i] *= correction[i % 2];
                mma_16816(acc[n], a, b0, b1);
            }
            __syncwarp();
            fetch(values_, value_tile, tile + kDepth * kWarps);
        }
#pragma unroll
        for (int h = 0; h < 2; ++h) {
#pragma unroll
            for (int offset = 4; offset < kWarp; offset *= 2) total[h] += __shfl_xor_sync(kAllLanes, total[h], offset);
        }
        merge_warps(acc, top, total, group, epoch);
    }

  private:
    static constexpr int kChunks = kHeadDim / 8;
    static constexpr int kSteps = kHeadDim / 16;
    static constexpr int kTileBytes = kTile * kHeadDim * 2;
    static constexpr int kDepth = 128 / kHeadDim;  // Tiles in flight, of keys and of values.
    static constexpr int kRecord = kHeadDim + 2;   // The unnormalised output, then the maximum and the sum.

    // Rows that aren't in the cache become zeros.
    __device__ __forceinline__ void fetch(const bf16* from, uint32_t to, int tile) {
        if (tile < tiles_) {
            const int rows = min(end_, length_ - 1) - begin_ - tile * kTile;
#pragma unroll
            for (int i = lane_; i < kTile * kChunks; i += kWarp) {
                const int row = i / kChunks;
                const int chunk = i % kChunks;
                const bool valid = row < rows;
                copy_async(to + swizzled<kHeadDim>(row, chunk),
                           from + (valid ? static_cast<size_t>(tile * kTile + row) * kHeadDim + chunk * 8 : 0), valid);
            }
        }
        copy_commit();
    }

    // The new token's key or value into its row of a tile.
    __device__ __forceinline__ void place_new(uint32_t tile, int row, int head, unsigned epoch) {
        const PairWord* words = p_.qkv + head * (kHeadDim / 2);
        __syncwarp();
        for (int i = lane_ * 2; i < kHeadDim / 2; i += 2 * kWarp) {
            const uint2 v = await_two(words + i, epoch);
            store_shared(tile + swizzled<kHeadDim>(row, i / 8) + i % 8 * 2, __byte_perm(v.x, v.y, 0x5410));
            const int second = i + kHeadDim / 2;
            store_shared(tile + swizzled<kHeadDim>(row, second / 8) + second % 8 * 2, __byte_perm(v.x, v.y, 0x7632));
        }
    }

    __device__ __forceinline__ static void store_shared(uint32_t address, uint32_t value) {
        asm volatile("st.shared.u32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
    }

    __device__ __forceinline__ void merge_warps(const float (&acc)[kSteps][4], const float (&top)[2],
                                                const float (&total)[2], int group, unsigned epoch) {
        __syncthreads();
        float* merge = reinterpret_cast<float*>(shared_);
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            float* mine = merge + (warp_ * kGroup + lane_ % 4 * 2 + h) * kRecord;
#pragma unroll
            for (int n = 0; n < kSteps; ++n) {
                mine[n * 16 + lane_ / 4] = acc[n][h];
                mine[n * 16 + 8 + lane_ / 4] = acc[n][h + 2];
            }
            if (lane_ < 4) {
                mine[kHeadDim] = top[h];
                mine[kHeadDim + 1] = total[h];
            }
        }
        __syncthreads();
        const int warps = min(kWarps, tiles_);
        FloatWord* record = p_.partial + static_cast<size_t>(kv_head_ * splits_.most + split_) * kGroup * kRecord;
        for (int i = threadIdx.x; i < group * kHeadDim; i += kThreads) {
            const int head = i / kHeadDim;
            const int d = i % kHeadDim;
            const float* from = merge + head * kRecord;
            float merged_top = kNone;
            for (int w = 0; w < warps; ++w) merged_top = fmaxf(merged_top, from[w * kGroup * kRecord + kHeadDim]);
            float value = 0, sum = 0;
            for (int w = 0; w < warps; ++w) {
                const float* one = from + w * kGroup * kRecord;
                const float factor = exp2f((one[kHeadDim] - merged_top) * p_.scale_log2);
                value += one[d] * factor;
                sum += one[kHeadDim + 1] * factor;
            }
            if (splits_.count == 1) {
                // Neighbouring lanes have neighbouring outputs.
                const float next = __shfl_down_sync(kAllLanes, value / sum, 1);
                if (d % 2 == 0) store_word(p_.attended + ((kv_head_ * group + head) * kHeadDim + d) / 2, pack(value / sum, next), epoch);
                continue;
            }
            FloatWord* to = record + head * kRecord;
            store_word(to + d, __float_as_uint(value), epoch);
            if (d == 0) {
                store_word(to + kHeadDim, __float_as_uint(merged_top), epoch);
                store_word(to + kHeadDim + 1, __float_as_uint(sum), epoch);
            }
        }
    }

    const Decode& p_;
    const Splits& splits_;
    uint4* shared_;
    const bf16 *keys_, *values_;
    int kv_head_, split_, begin_, end_, length_, tiles_, lane_, warp_;
    uint32_t key_ring_, value_ring_;
};

// The part of one split in outputs 2i and 2i + 1 of a head, unnormalised.
struct Part {
    float a, b, top, total;

    __device__ __forceinline__ void add(const Part& other, float scale_log2) {
        const float new_top = fmaxf(top, other.top);
        const float keep = exp2f((top - new_top) * scale_log2);
        const float factor = exp2f((other.top - new_top) * scale_log2);
        a = a * keep + other.a * factor;
        b = b * keep + other.b * factor;
        total = total * keep + other.total * factor;
        top = new_top;
    }
};

// Merges every `stride`th split from `first` on for outputs d and d + 1 of `head`.
template <int kHeadDim>
__device__ __forceinline__ Part merge_splits(const Decode& p, const Splits& splits, int head, int d, int first,
                                             int stride, unsigned epoch) {
    constexpr int kRecord = kHeadDim + 2;
    constexpr int kAhead = 4;
    const int group = p.heads / p.kv_heads;
    const FloatWord* from = p.partial + (static_cast<size_t>(head / group) * splits.most * kGroup + head % group) * kRecord;
    Part merged{0, 0, kNone, 0};
    for (int base = first; base < splits.count; base += stride * kAhead) {
        uint4 values[kAhead], ends[kAhead];
        while (true) {
            bool ready = true;
#pragma unroll
            for (int i = 0; i < kAhead; ++i) {
                const int s = min(base + i * stride, splits.count - 1);
                values[i] = load_words(from + static_cast<size_t>(s) * kGroup * kRecord + d);
                ends[i] = load_words(from + static_cast<size_t>(s) * kGroup * kRecord + kHeadDim);
            }
#pragma unroll
            for (int i = 0; i < kAhead; ++i)
                ready &= values[i].y == epoch && values[i].w == epoch && ends[i].y == epoch && ends[i].w == epoch;
            if (ready) break;
        }
#pragma unroll
        for (int i = 0; i < kAhead; ++i)
            if (base + i * stride < splits.count)
                merged.add({__uint_as_float(values[i].x), __uint_as_float(values[i].z), __uint_as_float(ends[i].x),
                            __uint_as_float(ends[i].z)}, p.scale_log2);
    }
    return merged;
}

// Many splits: the merge is shared out over the grid, eight lanes to two neighbouring outputs.
template <int kHeadDim>
__device__ __forceinline__ void merge_shared(const Decode& p, const Splits& splits, unsigned epoch) {
    constexpr int kLanes = 8;
    const int items = p.heads * kHeadDim / 2;
    // Neighbouring items go to different blocks, so that they spread over all multiprocessors.
    for (int base = 0; base < items; base += kThreads / kLanes * gridDim.x) {
        const int item = base + threadIdx.x / kLanes * gridDim.x + blockIdx.x;
        // Whole groups of lanes are idle beyond the items.
        if (item >= items) continue;
        const unsigned lanes = 0xffu << (threadIdx.x % kWarp / kLanes * kLanes);
        Part part = merge_splits<kHeadDim>(p, splits, item / (kHeadDim / 2), item % (kHeadDim / 2) * 2,
                                           threadIdx.x % kLanes, kLanes, epoch);
#pragma unroll
        for (int offset = 1; offset < kLanes; offset *= 2) {
            const Part other{__shfl_xor_sync(lanes, part.a, offset), __shfl_xor_sync(lanes, part.b, offset),
                             __shfl_xor_sync(lanes, part.top, offset), __shfl_xor_sync(lanes, part.total, offset)};
            part.add(other, p.scale_log2);
        }
        if (threadIdx.x % kLanes == 0) store_word(p.attended + item, pack(part.a / part.total, part.b / part.total), epoch);
    }
}

// What finishes a pair of rows of the query/key/value product.
struct QkvOperands {
    float bias_a, bias_b, cosine, sine;
};

template <int kHeadDim>
__device__ __forceinline__ QkvOperands qkv_operands(const Decode& p, const DecodeLayer& layer, int pair, int position) {
    constexpr int kHalf = kHeadDim / 2;
    const int head = pair / kHalf;
    const int i = pair % kHalf;
    const bf16* bias = layer.bias + head * kHeadDim + i;
    const bool rotates = head < p.heads + p.kv_heads;
    const size_t at = static_cast<size_t>(position) * kHalf + i;
    return {__bfloat162float(bias[0]), __bfloat162float(bias[kHalf]), rotates ? p.cosines[at] : 1.0f,
            rotates ? p.sines[at] : 0.0f};
}

// The best of the block, in every thread.
__device__ __forceinline__ Best block_best(Best best) {
    __shared__ Best bests[kWarps];
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
        const float v = __shfl_xor_sync(kAllLanes, best.value, offset);
        const unsigned i = __shfl_xor_sync(kAllLanes, best.index, offset);
        best.take(v, i);
    }
    if (threadIdx.x % kWarp == 0) bests[threadIdx.x / kWarp] = best;
    __syncthreads();
    best = bests[0];
#pragma unroll
    for (int w = 1; w < kWarps; ++w) best.take(bests[w].value, bests[w].index);
    __syncthreads();
    return best;
}

template <int kHeadDim>
__device__ __forceinline__ void decode_body(const Decode& p) {
    extern __shared__ uint4 shared[];
    constexpr int kHalf = kHeadDim / 2;
    // Shared memory: the rings, the layers' table, and the region of the staged vector and the sums, or of attention.
    auto* layers = reinterpret_cast<DecodeLayer*>(shared + kRing / 16);
    const int table_chunks = (p.layer_count * static_cast<int>(sizeof(DecodeLayer)) + 15) / 16;
    uint4* region = shared + kRing / 16 + table_chunks;
    for (int i = threadIdx.x; i < p.layer_count * static_cast<int>(sizeof(DecodeLayer) / 8); i += kThreads)
        reinterpret_cast<uint64_t*>(layers)[i] = reinterpret_cast<const uint64_t*>(p.layers)[i];
    __syncthreads();
    const int head_phase = p.layer_count * kProducts;
    const bool only_head = p.steps == 0;
    const int steps = only_head ? 1 : p.steps;
    Stream<kHeadDim> stream(p, layers, shared, only_head ? head_phase : 0, only_head ? 1 : steps * (head_phase + 1));
    Barrier barrier(p.state);
    const int first_position = __ldcg(&p.state->position);
    const int first_step = __ldcg(&p.state->step);
    unsigned epoch = __ldcg(&p.state->epoch);
    unsigned token = __ldcg(&p.state->token);
    const bool writes_phases = p.phases && blockIdx.x == 0 && threadIdx.x == 0;

    auto sums_of = [&](const Product& w) { return reinterpret_cast<float2*>(region + padded(w)); };
    auto plain = [](const bf16* x) {
        return [x](int i) { return __ldcg(reinterpret_cast<const uint2*>(x) + i); };
    };
    auto words = [&](const PairWord* x) { return [x, epoch](int i) { return await_two(x + i * 2, epoch); }; };

    for (int step = 0; step < steps; ++step) {
        const int position = first_position + step;
        const Splits splits(p, position + 1);
        const bf16* input = p.embedding + static_cast<size_t>(token) * p.hidden;
        int phase = 0;
        auto mark = [&] {
            if (writes_phases) p.phases[phase++] = clock_ns();
        };
        // The residual stream of the one pair of rows that this thread finishes in both residual products.
        uint32_t residual = 0;
        if (threadIdx.x < pairs_of_block(p.hidden / 2))
            residual = __ldg(reinterpret_cast<const uint32_t*>(input) + threadIdx.x * gridDim.x + blockIdx.x);
        auto onto_residual = [&](PairWord* x) {
            return [&, x](int pair, float a, float b) {
                residual = pack(low(residual) + rounded(a), high(residual) + rounded(b));
                store_word(x + pair, residual, epoch);
            };
        };

        for (int l = 0; l < (only_head ? 0 : p.layer_count); ++l) {
            const DecodeLayer& layer = layers[l];
            if (blockIdx.x == 0 && l + 1 < p.layer_count) {
                prefetch(layers[l + 1].norm1, p.hidden * 2);
                prefetch(layers[l + 1].bias, (p.heads + 2 * p.kv_heads) * kHeadDim * 2);
                prefetch(layers[l + 1].norm2, p.hidden * 2);
            }

            // Norm, query/key/value product, bias, rotary embedding; the new key and value also go to the cache.
            Product w = product_of<kHeadDim>(p, layers, l * kProducts);
            float scale = l == 0 ? stage_normed(w, layer.norm1, p.eps, region, plain(input))
                                 : stage_normed(w, layer.norm1, p.eps, region, words(p.x1));
            mark();
            ++epoch;
            // What this thread needs to finish its first pair, on its way while the product runs.
            const QkvOperands first = qkv_operands<kHeadDim>(p, layer, min(static_cast<int>(threadIdx.x * gridDim.x + blockIdx.x), w.pairs - 1), position);
            run_product(stream, w, region, sums_of(w), [&](int pair, float a, float b) {
                const QkvOperands o = pair == threadIdx.x * gridDim.x + blockIdx.x ? first : qkv_operands<kHeadDim>(p, layer, pair, position);
                const int head = pair / kHalf;
                const int i = pair % kHalf;
                a = rounded(a * scale + o.bias_a);
                b = rounded(b * scale + o.bias_b);
                const float rotated = a * o.cosine - b * o.sine;
                b = b * o.cosine + a * o.sine;
                a = rotated;
                store_word(p.qkv + pair, pack(a, b), epoch);
                if (head >= p.heads) {
                    const int kv_head = head - p.heads;
                    bf16* to = (kv_head < p.kv_heads ? layer.keys : layer.values) +
                               (static_cast<size_t>(kv_head % p.kv_heads) * p.max_length + position) * kHeadDim;
                    to[i] = __float2bfloat16_rn(a);
                    to[i + kHalf] = __float2bfloat16_rn(b);
                }
            });
            __syncthreads();  // Attention's tiles overwrite the sums.

            Attention<kHeadDim> attention(p, splits, position + 1, region);
            if (attention.has_work()) {
                attention.prefetch(layer);
                attention.run(epoch);
            }
            mark();
            if (splits.count > 1) merge_shared<kHeadDim>(p, splits, epoch);
            __syncthreads();

            // Output projection, onto the residual stream.
            w = product_of<kHeadDim>(p, layers, l * kProducts + 1);
            stage(w, region, words(p.attended));
            mark();
            run_product(stream, w, region, sums_of(w), onto_residual(p.x2));
            __syncthreads();

            // Norm, gate and up products, silu(gate) * up.
            w = product_of<kHeadDim>(p, layers, l * kProducts + 2);
            scale = stage_normed(w, layer.norm2, p.eps, region, words(p.x2));
            mark();
            run_product(stream, w, region, sums_of(w), [&](int pair, float a, float b) {
                const float v = rounded(silu(rounded(a * scale))) * rounded(b * scale);
                const uint32_t word = (pack(v, 0) & 0xffffu) | epoch << 16;
                asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(p.activated + pair), "r"(word) : "memory");
            });
            __syncthreads();

            // Down projection, onto the residual stream.
            w = product_of<kHeadDim>(p, layers, l * kProducts + 3);
            stage(w, region, [&](int i) { return await_four(p.activated + i * 4, epoch); });
            mark();
            run_product(stream, w, region, sums_of(w), onto_residual(p.x1));
            __syncthreads();
        }

        // Final norm, logits, and the greedy choice, which every block makes for itself.
        const Product w = product_of<kHeadDim>(p, layers, head_phase);
        const float scale = only_head ? stage_normed(w, p.final_norm, p.eps, region, plain(p.x))
                                      : stage_normed(w, p.final_norm, p.eps, region, words(p.x1));
        mark();
        Best best{-INFINITY, 0xffffffffu};
        run_product(stream, w, region, sums_of(w), [&](int pair, float a, float b) {
            a = rounded(a * scale);
            b = rounded(b * scale);
            reinterpret_cast<float2*>(p.logits)[pair] = make_float2(a, b);
            best.take(a, pair * 2);
            best.take(b, pair * 2 + 1);
        });
        best = block_best(best);
        if (threadIdx.x == 0) p.bests[blockIdx.x] = best;
        // The step's one barrier also makes the cache's new rows visible to all.
        barrier.wait();
        best = Best{-INFINITY, 0xffffffffu};
        for (int i = threadIdx.x; i < gridDim.x; i += kThreads) best.take(__ldcg(&p.bests[i].value), __ldcg(&p.bests[i].index));
        best = block_best(best);
        // With NaN logits nothing wins; any valid token keeps the loop running.
        token = best.index < p.vocabulary ? best.index : 0;
        if (blockIdx.x == 0 && threadIdx.x == 0 && first_step + step < p.capacity) {
            p.tokens[first_step + step] = token;
            p.times[first_step + step] = clock_ns();
        }
    }

    // Everyone has read the state and passed the barriers when all have arrived here: the last one writes it.
    if (threadIdx.x == 0) {
        __threadfence();
        const unsigned leavers = atomicAdd(&p.state->leavers, 1);
        if (leavers == gridDim.x - 1) {
            p.state->position = first_position + steps;
            p.state->step = first_step + steps;
            p.state->token = token;
            p.state->epoch = epoch;
            p.state->arrivals = 0;
            p.state->leavers = 0;
        }
    }
}

extern "C" __global__ void __launch_bounds__(kThreads, 1) decode_64(const __grid_constant__ Decode p) { decode_body<64>(p); }
extern "C" __global__ void __launch_bounds__(kThreads, 1) decode_128(const __grid_constant__ Decode p) { decode_body<128>(p); }
