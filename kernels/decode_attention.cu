// Attention of one new token over the KV cache, for grouped queries (up to eight query heads a key/value head).
//
// The cache of one key/value head is split over blocks (gridDim.x splits, gridDim.y key/value heads); how many splits
// have work follows from the length, which is read on the device. Each warp streams tiles of 16 keys and values
// through its own shared-memory ring and keeps its own running softmax; warps merge at the end, and the last split of
// a head to finish merges the splits. The query heads of a group are the rows of the tensor-core tile.

#include "common.cuh"

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarp;
constexpr int kTile = 16;
constexpr int kGroup = 8;
// A split has at least this many keys: two tiles a warp.
constexpr int kMinimum = kWarps * kTile * 2;
constexpr float kNone = -1e30f;

// Offset in bytes of 16-byte chunk `chunk` of row `row`; the XOR keeps ldmatrix free of bank conflicts.
template <int kHeadDim>
__device__ __forceinline__ uint32_t swizzled(int row, int chunk) {
    return static_cast<uint32_t>(row * kHeadDim * 2 + ((chunk ^ (row & 7)) << 4));
}

template <int kHeadDim, int kStages>
__device__ __forceinline__ void attention_body(const bf16* query, const bf16* keys, const bf16* values, bf16* out,
                                               float* partial, unsigned* arrivals, const StepState* state, int group,
                                               int max_length, float scale_log2) {
    constexpr int kChunks = kHeadDim / 8;
    constexpr int kTileBytes = kTile * kHeadDim * 2;
    constexpr int kRecord = kHeadDim + 2;  // The unnormalised output, then the maximum and the sum.
    extern __shared__ uint4 shared[];
    __shared__ bool last;

    const int lane = threadIdx.x % kWarp;
    const int warp = threadIdx.x / kWarp;
    const int split = blockIdx.x;
    const int kv_head = blockIdx.y;
    const int first_head = kv_head * group;

    let_next_start();
    wait_for_previous();

    const int length = __ldcg(&state->position) + 1;
    int per_split = (length + gridDim.x - 1) / gridDim.x;
    per_split = max((per_split + kTile - 1) / kTile * kTile, kMinimum);
    const int splits = (length + per_split - 1) / per_split;
    if (split >= splits) return;
    const int begin = split * per_split;
    const int end = min(begin + per_split, length);
    const int tiles = (end - begin + kTile - 1) / kTile;

    const bf16* head_keys = keys + static_cast<size_t>(kv_head) * max_length * kHeadDim;
    const bf16* head_values = values + static_cast<size_t>(kv_head) * max_length * kHeadDim;
    const uint32_t ring = shared_address(shared) + warp * kStages * 2 * kTileBytes;

    auto fetch = [&](int tile, int stage) {
        if (tile < tiles) {
            const int key = begin + tile * kTile;
            const uint32_t to = ring + stage * 2 * kTileBytes;
#pragma unroll
            for (int i = lane; i < kTile * kChunks; i += kWarp) {
                const int row = i / kChunks;
                const int chunk = i % kChunks;
                const bool valid = key + row < end;
                const size_t from = static_cast<size_t>(valid ? key + row : begin) * kHeadDim + chunk * 8;
                copy_async(to + swizzled<kHeadDim>(row, chunk), head_keys + from, valid);
                copy_async(to + kTileBytes + swizzled<kHeadDim>(row, chunk), head_values + from, valid);
            }
        }
        copy_commit();
    };
#pragma unroll
    for (int s = 0; s < kStages - 1; ++s) fetch(warp + s * kWarps, s);

    // Query fragments: row lane / 4 is a query head of the group; the tile's rows 8 to 15 stay zero.
    uint32_t q[kHeadDim / 16][2];
    const int row = lane / 4;
#pragma unroll
    for (int k = 0; k < kHeadDim / 16; ++k) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            const int at = (first_head + row) * kHeadDim + k * 16 + i * 8 + lane % 4 * 2;
            q[k][i] = row < group ? __ldcg(reinterpret_cast<const unsigned*>(query + at)) : 0;
        }
    }

    float acc[kHeadDim / 8][4] = {};
    float running_max = kNone;
    float running_sum = 0;
    int stage = 0;
    for (int tile = warp; tile < tiles; tile += kWarps) {
        copy_wait<kStages - 2>();
        __syncwarp();
        fetch(tile + (kStages - 1) * kWarps, stage == 0 ? kStages - 1 : stage - 1);
        const uint32_t key_tile = ring + stage * 2 * kTileBytes;
        const uint32_t value_tile = key_tile + kTileBytes;
        stage = stage + 1 == kStages ? 0 : stage + 1;

        // Scores: 8 heads x 16 keys, in two column halves.
        float score[2][4] = {};
#pragma unroll
        for (int k = 0; k < kHeadDim / 16; ++k) {
            uint32_t b[4];
            // Matrices: keys 0-7 low half of k, keys 0-7 high half, keys 8-15 low, keys 8-15 high.
            ldmatrix_x4(b, key_tile + swizzled<kHeadDim>((lane & 7) + (lane >> 4) * 8, k * 2 + ((lane >> 3) & 1)));
            const uint32_t a[4] = {q[k][0], 0, q[k][1], 0};
            mma_16816(score[0], a, b[0], b[1]);
            mma_16816(score[1], a, b[2], b[3]);
        }
        const int key = begin + tile * kTile + lane % 4 * 2;
        float tile_max = kNone;
#pragma unroll
        for (int n = 0; n < 2; ++n) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                if (key + n * 8 + i >= end) score[n][i] = kNone;
                tile_max = fmaxf(tile_max, score[n][i]);
            }
        }
        tile_max = fmaxf(tile_max, __shfl_xor_sync(kAllLanes, tile_max, 1));
        tile_max = fmaxf(tile_max, __shfl_xor_sync(kAllLanes, tile_max, 2));
        const float new_max = fmaxf(running_max, tile_max);
        const float correction = exp2f((running_max - new_max) * scale_log2);
        running_max = new_max;
        float sum = 0;
#pragma unroll
        for (int n = 0; n < 2; ++n) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                score[n][i] = exp2f((score[n][i] - new_max) * scale_log2);
                sum += score[n][i];
            }
        }
        running_sum = running_sum * correction + sum;
        const uint32_t p[4] = {pack(score[0][0], score[0][1]), 0, pack(score[1][0], score[1][1]), 0};
#pragma unroll
        for (int n = 0; n < kHeadDim / 16; ++n) {
            uint32_t b[4];
            // Matrices: keys 0-7 then 8-15 of columns 16n..16n+7, then the same of the next eight columns.
            ldmatrix_x4_trans(b, value_tile + swizzled<kHeadDim>((lane & 7) + ((lane >> 3) & 1) * 8, n * 2 + (lane >> 4)));
            acc[n * 2][0] *= correction;
            acc[n * 2][1] *= correction;
            acc[n * 2 + 1][0] *= correction;
            acc[n * 2 + 1][1] *= correction;
            mma_16816(acc[n * 2], p, b[0], b[1]);
            mma_16816(acc[n * 2 + 1], p, b[2], b[3]);
        }
    }
    copy_wait<0>();
    running_sum += __shfl_xor_sync(kAllLanes, running_sum, 1);
    running_sum += __shfl_xor_sync(kAllLanes, running_sum, 2);

    // Merge the warps. A record: kHeadDim outputs, maximum, sum.
    __syncthreads();
    float* merge = reinterpret_cast<float*>(shared);
    {
        float* mine = merge + (warp * kGroup + row) * kRecord;
#pragma unroll
        for (int n = 0; n < kHeadDim / 8; ++n)
            *reinterpret_cast<float2*>(mine + n * 8 + lane % 4 * 2) = make_float2(acc[n][0], acc[n][1]);
        if (lane % 4 == 0) {
            mine[kHeadDim] = running_max;
            mine[kHeadDim + 1] = running_sum;
        }
    }
    __syncthreads();
    const int warps = min(kWarps, tiles);
    float* record = partial + (static_cast<size_t>(kv_head) * gridDim.x + split) * kGroup * kRecord;
    for (int i = threadIdx.x; i < group * kHeadDim; i += kThreads) {
        const int head = i / kHeadDim;
        const int d = i % kHeadDim;
        float top = kNone;
        for (int w = 0; w < warps; ++w) top = fmaxf(top, merge[(w * kGroup + head) * kRecord + kHeadDim]);
        float value = 0, total = 0;
        for (int w = 0; w < warps; ++w) {
            const float* from = merge + (w * kGroup + head) * kRecord;
            const float factor = exp2f((from[kHeadDim] - top) * scale_log2);
            value += from[d] * factor;
            total += from[kHeadDim + 1] * factor;
        }
        if (splits == 1) {
            out[(first_head + head) * kHeadDim + d] = __float2bfloat16_rn(value / total);
        } else {
            float* to = record + head * kRecord;
            to[d] = value;
            if (d == 0) {
                to[kHeadDim] = top;
                to[kHeadDim + 1] = total;
            }
        }
    }
    if (splits == 1) return;

    // Merge the splits, in the block that finishes last.
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) last = atomicAdd(arrivals + kv_head, 1) == splits - 1;
    __syncthreads();
    if (!last) return;
    __threadfence();
    const float* records = partial + static_cast<size_t>(kv_head) * gridDim.x * kGroup * kRecord;
    float* factors = merge;                    // [group][splits]
    float* totals = merge + kGroup * gridDim.x;  // [group]
    if (warp < group) {
        float top = kNone;
        for (int s = lane; s < splits; s += kWarp)
            top = fmaxf(top, __ldcg(records + (s * kGroup + warp) * kRecord + kHeadDim));
#pragma unroll
        for (int offset = kWarp / 2; offset > 0; offset /= 2)
            top = fmaxf(top, __shfl_xor_sync(kAllLanes, top, offset));
        float total = 0;
        for (int s = lane; s < splits; s += kWarp) {
            const float* from = records + (s * kGroup + warp) * kRecord + kHeadDim;
            const float factor = exp2f((__ldcg(from) - top) * scale_log2);
            factors[warp * gridDim.x + s] = factor;
            total += __ldcg(from + 1) * factor;
        }
        total = warp_sum(total);
        if (lane == 0) totals[warp] = total;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < group * kHeadDim / 2; i += kThreads) {
        const int head = i / (kHeadDim / 2);
        const int d = i % (kHeadDim / 2) * 2;
        float2 value = make_float2(0, 0);
#pragma unroll 8
        for (int s = 0; s < splits; ++s) {
            const float2 v = __ldcg(reinterpret_cast<const float2*>(records + (s * kGroup + head) * kRecord + d));
            const float factor = factors[head * gridDim.x + s];
            value.x += v.x * factor;
            value.y += v.y * factor;
        }
        const float total = totals[head];
        *reinterpret_cast<uint32_t*>(out + (first_head + head) * kHeadDim + d) = pack(value.x / total, value.y / total);
    }
    if (threadIdx.x == 0) arrivals[kv_head] = 0;
}

#define DECODE_ATTENTION(head_dim, stages)                                                                            \
    extern "C" __global__ void __launch_bounds__(kThreads, 1) decode_attention_##head_dim(                            \
        const bf16* query, const bf16* keys, const bf16* values, bf16* out, float* partial, unsigned* arrivals,       \
        const StepState* state, int group, int max_length, float scale_log2) { \
        attention_body<head_dim, stages>(query, keys, values, out, partial, arrivals, state, group, max_length,       \
                                         scale_log2);                                               \
    }

DECODE_ATTENTION(64, 4)
DECODE_ATTENTION(128, 3)
