// Decoding, as one persistent kernel: a block on every multiprocessor runs whole steps, layer by layer, with a grid-wide
// barrier where the data flow needs one. Launch cooperatively, one block for each multiprocessor.
//
// At batch 1 a step is bound by reading the weights once. Which weights come next is known ahead, whatever the
// activations are, so every warp streams its rows through a ring in shared memory that runs ahead across barriers,
// layers and steps: device memory stays busy while the multiprocessors wait for each other.

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
// With more splits than this, one more barrier and a shared merge are cheaper than every block merging for itself.
constexpr int kMergedByAll = 4;
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

struct Decode {
    const DecodeLayer* layers;
    const bf16 *embedding, *head, *final_norm;
    const float *cosines, *sines;    // [position][head_dim / 2]
    bf16 *x, *query, *attended, *activated;
    float* partial;                  // Attention before merging: [key/value head][split][kGroup][head_dim + 2]
    float* logits;                   // [vocabulary], of the last step
    Best* bests;                     // [blocks]
    StepState* state;
    unsigned* tokens;                // [capacity], by step
    unsigned long long* times;       // [capacity], device nanoseconds
    unsigned long long* phases;      // Null, or device nanoseconds at every barrier of the last step
    int layer_count, hidden, intermediate, heads, kv_heads, vocabulary, max_length, capacity;
    int split_qkv, split_output, split_gate_up, split_down, split_head;  // Warps that share a row
    float eps, scale_log2;           // scale_log2: log2(e) / sqrt(head_dim)
    int steps;                       // Steps to run; 0: only the head, over `x` as it is
};

// One matrix-vector product. Its rows come in pairs, `distance` apart: pair g is row g / distance * 2 * distance +
// g % distance and the one `distance` below. That covers neighbours (1), what the rotary embedding mixes
// (head_dim / 2), and a row of the gate with its row of the up projection (intermediate size).
struct Product {
    const bf16* weight;
    int pairs, chunks, distance, split;
};

constexpr int kProducts = 4;  // Of a layer.

template <int kHeadDim>
__device__ __forceinline__ Product product_of(const Decode& p, int phase) {
    const int chunks = p.hidden / 8;
    if (phase == p.layer_count * kProducts) return {p.head, p.vocabulary / 2, chunks, 1, p.split_head};
    const DecodeLayer* layer = p.layers + phase / kProducts;
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
    __device__ __forceinline__ Stream(const Decode& p, uint4* ring, int phase, int left)
        : p_(p), ring_(ring + threadIdx.x / kWarp * kStages * kBatch + threadIdx.x % kWarp), phase_(phase), left_(left) {
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
            const Product w = product_of<kHeadDim>(p_, phase_);
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
        const int row = pair_ / distance_ * 2 * distance_ + pair_ % distance_;
        row_ = weight_ + static_cast<size_t>(row) * chunks_;
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
    uint4* ring_;  // A lane reads only what it copied itself, so the ring needs no barrier.
    int phase_, left_;
    int slot_ = 0;
    const uint4 *weight_, *row_;
    int pairs_, chunks_, distance_, stride_, offset_, per_round_, pair_, at_;
};

// All blocks wait for all; what they wrote before is visible after.
class Barrier {
  public:
    __device__ __forceinline__ Barrier(const Decode& p) : p_(p) {}

    __device__ __forceinline__ void wait() {
        __syncthreads();
        if (threadIdx.x == 0) {
            target_ += gridDim.x;
            unsigned* arrivals = &p_.state->arrivals;
            asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(arrivals) : "memory");
            unsigned seen;
            do {
                asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(arrivals) : "memory");
            } while (seen < target_);
            if (p_.phases && blockIdx.x == 0) p_.phases[count_++] = clock_ns();
        }
        __syncthreads();
    }

    __device__ __forceinline__ void restart_phases() { count_ = 0; }

  private:
    const Decode& p_;
    unsigned target_ = 0;
    int count_ = 0;
};

// Asks L2 for a vector that the next layer needs.
__device__ __forceinline__ void prefetch(const void* data, int bytes) {
    for (int at = threadIdx.x * 128; at < bytes; at += kThreads * 128)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(static_cast<const char*>(data) + at));
}

__device__ __forceinline__ int padded(const Product& w) {
    const int step = kWarp * w.split * kUnroll;
    return (w.chunks + step - 1) / step * step;
}

// The input vector to shared memory, padded with zeros to whole batches.
__device__ __forceinline__ void stage(const bf16* x, const Product& w, uint4* staged) {
    const uint4* source = reinterpret_cast<const uint4*>(x);
    for (int i = threadIdx.x; i < padded(w); i += kThreads)
        staged[i] = i < w.chunks ? __ldcg(source + i) : make_uint4(0, 0, 0, 0);
    __syncthreads();
}

// As `stage`, times the norm's weight. Returns 1 / rms, which the caller applies to the products: so the sum of squares
// and the products need only one barrier.
__device__ __forceinline__ float stage_normed(const bf16* x, const bf16* weight, float eps, const Product& w,
                                              uint4* staged) {
    __shared__ float sums[kWarps];
    const uint4* source = reinterpret_cast<const uint4*>(x);
    const uint4* scale = reinterpret_cast<const uint4*>(weight);
    float sum = 0;
    for (int i = threadIdx.x; i < padded(w); i += kThreads) {
        uint4 out = make_uint4(0, 0, 0, 0);
        if (i < w.chunks) {
            const uint4 g = __ldg(scale + i);
            const uint4 v = __ldcg(source + i);
            sum = dot8(v, v, sum);
            out.x = pack(low(v.x) * low(g.x), high(v.x) * high(g.x));
            out.y = pack(low(v.y) * low(g.y), high(v.y) * high(g.y));
            out.z = pack(low(v.z) * low(g.z), high(v.z) * high(g.z));
            out.w = pack(low(v.w) * low(g.w), high(v.w) * high(g.w));
        }
        staged[i] = out;
    }
    sum = warp_sum(sum);
    if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = sum;
    __syncthreads();
    sum = 0;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) sum += sums[i];
    return rsqrtf(sum / (w.chunks * 8) + eps);
}

// All of this block's pairs of a product. `finish(pair, a, b)` gets both sums of a pair, one pair a thread.
// Shared memory from `sums`: one float2 for each warp and round.
template <int kHeadDim, typename Finish>
__device__ __forceinline__ void run_product(Stream<kHeadDim>& stream, const Product& w, const uint4* staged,
                                            float2* sums, Finish finish) {
    const int warp = threadIdx.x / kWarp;
    const int pairs_a_round = kWarps / w.split;
    const int mine = (w.pairs - static_cast<int>(blockIdx.x) + static_cast<int>(gridDim.x) - 1) / static_cast<int>(gridDim.x);
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
template <int kHeadDim>
__device__ __forceinline__ void attend(const Decode& p, const DecodeLayer& layer, const Splits& splits, int length,
                                       uint4* shared) {
    constexpr int kChunks = kHeadDim / 8;
    constexpr int kSteps = kHeadDim / 16;
    constexpr int kTileBytes = kTile * kHeadDim * 2;
    constexpr int kDepth = 128 / kHeadDim;  // Tiles in flight, of keys and of values.
    constexpr int kRecord = kHeadDim + 2;   // The unnormalised output, then the maximum and the sum.
    const int kv_head = blockIdx.x / splits.most;
    const int split = blockIdx.x % splits.most;
    if (kv_head >= p.kv_heads || split >= splits.count) return;

    const int lane = threadIdx.x % kWarp;
    const int warp = threadIdx.x / kWarp;
    const int group = p.heads / p.kv_heads;
    const int begin = split * splits.keys;
    const int end = min(begin + splits.keys, length);
    const int tiles = (end - begin + kTile - 1) / kTile;
    const size_t cache = (static_cast<size_t>(kv_head) * p.max_length + begin) * kHeadDim;
    const bf16* keys = layer.keys + cache;
    const bf16* values = layer.values + cache;
    const uint32_t key_ring = shared_address(shared) + warp * kDepth * 2 * kTileBytes;
    const uint32_t value_ring = key_ring + kDepth * kTileBytes;

    auto fetch = [&](const bf16* from, uint32_t to, int tile) {
        if (tile < tiles) {
#pragma unroll
            for (int i = lane; i < kTile * kChunks; i += kWarp) {
                const int row = i / kChunks;
                const int chunk = i % kChunks;
                const bool valid = begin + tile * kTile + row < end;
                copy_async(to + swizzled<kHeadDim>(row, chunk),
                           from + (valid ? static_cast<size_t>(tile * kTile + row) * kHeadDim + chunk * 8 : 0), valid);
            }
        }
        copy_commit();
    };
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
        fetch(keys, key_ring + d * kTileBytes, warp + d * kWarps);
        fetch(values, value_ring + d * kTileBytes, warp + d * kWarps);
    }

    // Query fragments: column lane / 4 is a head of the group.
    uint32_t q[kSteps][2];
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            const int at = (kv_head * group + lane / 4) * kHeadDim + k * 16 + i * 8 + lane % 4 * 2;
            q[k][i] = lane / 4 < group ? __ldcg(reinterpret_cast<const unsigned*>(p.query + at)) : 0;
        }
    }

    // This lane's heads are lane % 4 * 2 and the next.
    float acc[kSteps][4] = {};
    float top[2] = {kNone, kNone};
    float total[2] = {0, 0};
    int slot = 0;
    for (int tile = warp; tile < tiles; tile += kWarps) {
        const uint32_t key_tile = key_ring + slot * kTileBytes;
        const uint32_t value_tile = value_ring + slot * kTileBytes;
        slot = slot + 1 == kDepth ? 0 : slot + 1;
        copy_wait<2 * kDepth - 1>();
        __syncwarp();
        float score[4] = {};
#pragma unroll
        for (int k = 0; k < kSteps; ++k) {
            uint32_t a[4];
            ldmatrix_x4(a, key_tile + swizzled<kHeadDim>(lane % 16, k * 2 + lane / 16));
            mma_16816(score, a, q[k][0], q[k][1]);
        }
        __syncwarp();
        fetch(keys, key_tile, tile + kDepth * kWarps);
        const int key = begin + tile * kTile + lane / 4;
        if (key >= end) score[0] = score[1] = kNone;
        if (key + 8 >= end) score[2] = score[3] = kNone;
        float correction[2];
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            float tile_top = fmaxf(score[h], score[h + 2]);
            tile_top = fmaxf(tile_top, __shfl_xor_sync(kAllLanes, tile_top, 4));
            tile_top = fmaxf(tile_top, __shfl_xor_sync(kAllLanes, tile_top, 8));
            tile_top = fmaxf(tile_top, __shfl_xor_sync(kAllLanes, tile_top, 16));
            const float new_top = fmaxf(top[h], tile_top);
            correction[h] = exp2f((top[h] - new_top) * p.scale_log2);
            top[h] = new_top;
            score[h] = exp2f((score[h] - new_top) * p.scale_log2);
            score[h + 2] = exp2f((score[h + 2] - new_top) * p.scale_log2);
            total[h] = total[h] * correction[h] + score[h] + score[h + 2];
        }
        const uint32_t b0 = transposed(pack(score[0], score[1]));
        const uint32_t b1 = transposed(pack(score[2], score[3]));
        copy_wait<2 * kDepth - 1>();
        __syncwarp();
#pragma unroll
        for (int n = 0; n < kSteps; ++n) {
            uint32_t a[4];
            ldmatrix_x4_trans(a, value_tile + swizzled<kHeadDim>(lane % 8 + lane / 16 * 8, n * 2 + lane / 8 % 2));
#pragma unroll
            for (int i = 0; i < 4; ++i) acc[n][i] *= correction[i % 2];
            mma_16816(acc[n], a, b0, b1);
        }
        __syncwarp();
        fetch(values, value_tile, tile + kDepth * kWarps);
    }
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
        for (int offset = 4; offset < kWarp; offset *= 2) total[h] += __shfl_xor_sync(kAllLanes, total[h], offset);
    }

    // Merge the warps.
    __syncthreads();
    float* merge = reinterpret_cast<float*>(shared);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
        float* mine = merge + (warp * kGroup + lane % 4 * 2 + h) * kRecord;
#pragma unroll
        for (int n = 0; n < kSteps; ++n) {
            mine[n * 16 + lane / 4] = acc[n][h];
            mine[n * 16 + 8 + lane / 4] = acc[n][h + 2];
        }
        if (lane < 4) {
            mine[kHeadDim] = top[h];
            mine[kHeadDim + 1] = total[h];
        }
    }
    __syncthreads();
    const int warps = min(kWarps, tiles);
    float* record = p.partial + static_cast<size_t>(kv_head * splits.most + split) * kGroup * kRecord;
    for (int i = threadIdx.x; i < group * kHeadDim; i += kThreads) {
        const int head = i / kHeadDim;
        const int d = i % kHeadDim;
        const float* from = merge + head * kRecord;
        float merged_top = kNone;
        for (int w = 0; w < warps; ++w) merged_top = fmaxf(merged_top, from[w * kGroup * kRecord + kHeadDim]);
        float value = 0, sum = 0;
        for (int w = 0; w < warps; ++w) {
            const float* one = from + w * kGroup * kRecord;
            const float factor = exp2f((one[kHeadDim] - merged_top) * p.scale_log2);
            value += one[d] * factor;
            sum += one[kHeadDim + 1] * factor;
        }
        float* to = record + head * kRecord;
        to[d] = value;
        if (d == 0) {
            to[kHeadDim] = merged_top;
            to[kHeadDim + 1] = sum;
        }
    }
}

// Few splits: every block merges them while it stages the attention's output as the next product's input.
template <int kHeadDim>
__device__ __forceinline__ void stage_merged(const Decode& p, const Splits& splits, const Product& w, uint4* staged) {
    constexpr int kRecord = kHeadDim + 2;
    const int group = p.heads / p.kv_heads;
    for (int i = threadIdx.x; i < padded(w); i += kThreads) {
        uint4 out = make_uint4(0, 0, 0, 0);
        if (i < w.chunks) {
            const int head = i * 8 / kHeadDim;
            const int d = i * 8 % kHeadDim;
            const float* from = p.partial + (static_cast<size_t>(head / group) * splits.most * kGroup + head % group) * kRecord;
            float tops[kMergedByAll], sums[kMergedByAll];
            float2 values[kMergedByAll][4];
            float top = kNone;
#pragma unroll
            for (int s = 0; s < kMergedByAll; ++s) {
                tops[s] = kNone;
                sums[s] = 0;
                const bool there = s < splits.count;
                const float* one = from + s * kGroup * kRecord;
#pragma unroll
                for (int j = 0; j < 4; ++j)
                    values[s][j] = there ? __ldcg(reinterpret_cast<const float2*>(one + d) + j) : make_float2(0, 0);
                if (there) {
                    tops[s] = __ldcg(one + kHeadDim);
                    sums[s] = __ldcg(one + kHeadDim + 1);
                }
            }
#pragma unroll
            for (int s = 0; s < kMergedByAll; ++s) top = fmaxf(top, tops[s]);
            float total = 0;
            float merged[8] = {};
#pragma unroll
            for (int s = 0; s < kMergedByAll; ++s) {
                const float factor = exp2f((tops[s] - top) * p.scale_log2);
                total += sums[s] * factor;
#pragma unroll
                for (int j = 0; j < 4; ++j) {
                    merged[j * 2] += values[s][j].x * factor;
                    merged[j * 2 + 1] += values[s][j].y * factor;
                }
            }
            const float scale = 1.0f / total;
            out.x = pack(merged[0] * scale, merged[1] * scale);
            out.y = pack(merged[2] * scale, merged[3] * scale);
            out.z = pack(merged[4] * scale, merged[5] * scale);
            out.w = pack(merged[6] * scale, merged[7] * scale);
        }
        staged[i] = out;
    }
    __syncthreads();
}

// Many splits: the merge is shared out over the grid, eight lanes to two neighbouring outputs.
template <int kHeadDim>
__device__ __forceinline__ void merge_shared(const Decode& p, const Splits& splits) {
    constexpr int kRecord = kHeadDim + 2;
    constexpr int kLanes = 8;
    const int group = p.heads / p.kv_heads;
    const int items = p.heads * kHeadDim / 2;
    const int part = threadIdx.x % kLanes;
    // Neighbouring items go to different blocks, so that they spread over all multiprocessors.
    for (int base = 0; base < items; base += kThreads / kLanes * gridDim.x) {
        const int item = base + threadIdx.x / kLanes * gridDim.x + blockIdx.x;
        const bool active = item < items;
        const int head = active ? item / (kHeadDim / 2) : 0;
        const int d = item % (kHeadDim / 2) * 2;
        const float* from = p.partial + (static_cast<size_t>(head / group) * splits.most * kGroup + head % group) * kRecord;
        float top = kNone, total = 0;
        float2 value = make_float2(0, 0);
        for (int s = part; s < splits.count; s += kLanes) {
            const float* one = from + static_cast<size_t>(s) * kGroup * kRecord;
            const float one_top = __ldcg(one + kHeadDim);
            const float one_total = __ldcg(one + kHeadDim + 1);
            const float2 v = __ldcg(reinterpret_cast<const float2*>(one + d));
            const float new_top = fmaxf(top, one_top);
            const float keep = exp2f((top - new_top) * p.scale_log2);
            const float factor = exp2f((one_top - new_top) * p.scale_log2);
            value.x = value.x * keep + v.x * factor;
            value.y = value.y * keep + v.y * factor;
            total = total * keep + one_total * factor;
            top = new_top;
        }
        float all_top = top;
#pragma unroll
        for (int offset = 1; offset < kLanes; offset *= 2)
            all_top = fmaxf(all_top, __shfl_xor_sync(kAllLanes, all_top, offset));
        const float factor = exp2f((top - all_top) * p.scale_log2);
        value.x *= factor;
        value.y *= factor;
        total *= factor;
#pragma unroll
        for (int offset = 1; offset < kLanes; offset *= 2) {
            value.x += __shfl_xor_sync(kAllLanes, value.x, offset);
            value.y += __shfl_xor_sync(kAllLanes, value.y, offset);
            total += __shfl_xor_sync(kAllLanes, total, offset);
        }
        if (active && part == 0)
            *reinterpret_cast<uint32_t*>(p.attended + head * kHeadDim + d) = pack(value.x / total, value.y / total);
    }
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
    uint4* region = shared + kRing / 16;  // The staged vector and the sums, or attention's tiles.
    const int head_phase = p.layer_count * kProducts;
    const bool only_head = p.steps == 0;
    const int steps = only_head ? 1 : p.steps;
    Stream<kHeadDim> stream(p, shared, only_head ? head_phase : 0, only_head ? 1 : steps * (head_phase + 1));
    Barrier barrier(p);
    const int first_position = __ldcg(&p.state->position);
    const int first_step = __ldcg(&p.state->step);
    unsigned token = __ldcg(&p.state->token);
    const bf16* source = only_head ? p.x : p.embedding + static_cast<size_t>(token) * p.hidden;

    for (int step = 0; step < steps; ++step) {
        const int position = first_position + step;
        const Splits splits(p, position + 1);
        barrier.restart_phases();
        for (int l = 0; l < (only_head ? 0 : p.layer_count); ++l) {
            const DecodeLayer& layer = p.layers[l];
            if (blockIdx.x == 0 && l + 1 < p.layer_count) {
                prefetch(p.layers[l + 1].norm1, p.hidden * 2);
                prefetch(p.layers[l + 1].bias, (p.heads + 2 * p.kv_heads) * kHeadDim * 2);
                prefetch(p.layers[l + 1].norm2, p.hidden * 2);
            }

            // Norm, query/key/value product, bias, rotary embedding; the new key and value go to the cache.
            Product w = product_of<kHeadDim>(p, l * kProducts);
            float scale = stage_normed(l == 0 ? source : p.x, layer.norm1, p.eps, w, region);
            if (l == 0 && blockIdx.x == 0)
                for (int i = threadIdx.x; i < p.hidden / 8; i += kThreads)
                    reinterpret_cast<uint4*>(p.x)[i] = reinterpret_cast<const uint4*>(source)[i];
            run_product(stream, w, region, reinterpret_cast<float2*>(region + padded(w)), [&](int pair, float a, float b) {
                const int head = pair / kHalf;
                const int i = pair % kHalf;
                const bf16* bias = layer.bias + head * kHeadDim + i;
                a = rounded(a * scale + __bfloat162float(bias[0]));
                b = rounded(b * scale + __bfloat162float(bias[kHalf]));
                bf16* to;
                if (head < p.heads + p.kv_heads) {
                    const float c = p.cosines[static_cast<size_t>(position) * kHalf + i];
                    const float s = p.sines[static_cast<size_t>(position) * kHalf + i];
                    const float rotated = a * c - b * s;
                    b = b * c + a * s;
                    a = rotated;
                    to = head < p.heads ? p.query + head * kHeadDim
                                        : layer.keys + (static_cast<size_t>(head - p.heads) * p.max_length + position) * kHeadDim;
                } else {
                    to = layer.values + (static_cast<size_t>(head - p.heads - p.kv_heads) * p.max_length + position) * kHeadDim;
                }
                to[i] = __float2bfloat16_rn(a);
                to[i + kHalf] = __float2bfloat16_rn(b);
            });
            barrier.wait();

            attend<kHeadDim>(p, layer, splits, position + 1, region);
            barrier.wait();

            // Output projection, onto the residual stream.
            w = product_of<kHeadDim>(p, l * kProducts + 1);
            if (splits.count <= kMergedByAll) {
                stage_merged<kHeadDim>(p, splits, w, region);
            } else {
                merge_shared<kHeadDim>(p, splits);
                barrier.wait();
                stage(p.attended, w, region);
            }
            auto onto_residual = [&](int pair, float a, float b) {
                uint32_t* to = reinterpret_cast<uint32_t*>(p.x) + pair;
                const uint32_t x = __ldcg(to);
                *to = pack(low(x) + rounded(a), high(x) + rounded(b));
            };
            run_product(stream, w, region, reinterpret_cast<float2*>(region + padded(w)), onto_residual);
            barrier.wait();

            // Norm, gate and up products, silu(gate) * up.
            w = product_of<kHeadDim>(p, l * kProducts + 2);
            scale = stage_normed(p.x, layer.norm2, p.eps, w, region);
            run_product(stream, w, region, reinterpret_cast<float2*>(region + padded(w)), [&](int pair, float a, float b) {
                p.activated[pair] = __float2bfloat16_rn(rounded(silu(rounded(a * scale))) * rounded(b * scale));
            });
            barrier.wait();

            // Down projection, onto the residual stream.
            w = product_of<kHeadDim>(p, l * kProducts + 3);
            stage(p.activated, w, region);
            run_product(stream, w, region, reinterpret_cast<float2*>(region + padded(w)), onto_residual);
            barrier.wait();
        }

        // Final norm, logits, and the greedy choice, which every block makes for itself.
        const Product w = product_of<kHeadDim>(p, head_phase);
        const float scale = stage_normed(p.x, p.final_norm, p.eps, w, region);
        Best best{-INFINITY, 0xffffffffu};
        run_product(stream, w, region, reinterpret_cast<float2*>(region + padded(w)), [&](int pair, float a, float b) {
            a = rounded(a * scale);
            b = rounded(b * scale);
            reinterpret_cast<float2*>(p.logits)[pair] = make_float2(a, b);
            best.take(a, pair * 2);
            best.take(b, pair * 2 + 1);
        });
        best = block_best(best);
        if (threadIdx.x == 0) p.bests[blockIdx.x] = best;
        barrier.wait();
        best = Best{-INFINITY, 0xffffffffu};
        for (int i = threadIdx.x; i < gridDim.x; i += kThreads) best.take(__ldcg(&p.bests[i].value), __ldcg(&p.bests[i].index));
        best = block_best(best);
        // With NaN logits nothing wins; any valid token keeps the loop running.
        token = best.index < p.vocabulary ? best.index : 0;
        source = p.embedding + static_cast<size_t>(token) * p.hidden;
        if (blockIdx.x == 0 && threadIdx.x == 0 && first_step + step < p.capacity) {
            p.tokens[first_step + step] = token;
            p.times[first_step + step] = clock_ns();
        }
    }

    // Everyone has read the state and passed the barriers when all have arrived here: the last one resets the count.
    if (threadIdx.x == 0) {
        __threadfence();
        const unsigned leavers = atomicAdd(&p.state->leavers, 1);
        if (leavers == gridDim.x - 1) {
            p.state->position = first_position + steps;
            p.state->step = first_step + steps;
            p.state->token = token;
            p.state->arrivals = 0;
            p.state->leavers = 0;
        }
    }
}

extern "C" __global__ void __launch_bounds__(kThreads, 1) decode_64(const __grid_constant__ Decode p) { decode_body<64>(p); }
extern "C" __global__ void __launch_bounds__(kThreads, 1) decode_128(const __grid_constant__ Decode p) { decode_body<128>(p); }
