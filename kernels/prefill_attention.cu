// Causal flash attention for a chunk of a prompt, on the tensor cores of compute capability 8.0 and later.
//
// A block owns 64 query rows of one head, a warp 16 of them. Keys and values pass through shared memory in tiles of
// 64, two in flight; scores and the running (online) softmax stay in registers, so memory doesn't grow with the length.

#include "common.cuh"

constexpr int kThreads = PREFILL_THREADS;
constexpr int kWarps = kThreads / kWarp;
constexpr int kRows = kWarps * 16;
constexpr int kTile = PREFILL_TILE;
static_assert(kRows == PREFILL_TILE);
constexpr float kNone = -1e30f;

template <int kHeadDim>
__device__ __forceinline__ uint32_t swizzled(int row, int chunk) {
    return static_cast<uint32_t>(row * kHeadDim * 2 + ((chunk ^ (row & 7)) << 4));
}

// `query` and `out`: [tokens, heads * head_dim]. The first row is position `start`; keys of all earlier positions and
// of the chunk itself are in the cache. Grid: (heads, row tiles), the last rows first because they take longest.
template <int kHeadDim>
__device__ __forceinline__ void attention_body(const bf16* query, const bf16* keys, const bf16* values, bf16* out,
                                               int tokens, int start, int heads, int group, int max_length,
                                               float scale_log2) {
    constexpr int kChunks = kHeadDim / 8;
    constexpr int kTileBytes = kTile * kHeadDim * 2;
    static_assert(4 * kTileBytes == (kHeadDim == 64 ? PREFILL_BYTES_64 : PREFILL_BYTES_128));
    extern __shared__ uint4 shared[];
    const int lane = threadIdx.x % kWarp;
    const int warp = threadIdx.x / kWarp;
    const int head = blockIdx.x;
    const int first_row = (gridDim.y - 1 - blockIdx.y) * kRows;
    const size_t cache = static_cast<size_t>(head / group) * max_length * kHeadDim;
    const bf16* head_keys = keys + cache;
    const bf16* head_values = values + cache;
    const int end = start + min(first_row + kRows, tokens);  // Keys that any row of this block sees.
    const int tiles = (end + kTile - 1) / kTile;
    const uint32_t base = shared_address(shared);

    auto fetch = [&](int tile) {
        if (tile < tiles) {
            const uint32_t to = base + (tile & 1) * 2 * kTileBytes;
#pragma unroll
            for (int i = threadIdx.x; i < kTile * kChunks; i += kThreads) {
                const int row = i / kChunks;
                const int chunk = i % kChunks;
                const int key = tile * kTile + row;
                const size_t from = static_cast<size_t>(min(key, end - 1)) * kHeadDim + chunk * 8;
                copy_async(to + swizzled<kHeadDim>(row, chunk), head_keys + from, key < end);
                copy_async(to + kTileBytes + swizzled<kHeadDim>(row, chunk), head_values + from, key < end);
            }
        }
        copy_commit();
    };
    fetch(0);

    // This lane's two rows of the warp's tile.
    const int row0 = first_row + warp * 16 + lane / 4;
    const int row1 = row0 + 8;
    uint32_t q[kHeadDim / 16][4];
#pragma unroll
    for (int k = 0; k < kHeadDim / 16; ++k) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int row = i % 2 ? row1 : row0;
            const size_t at = (static_cast<size_t>(row) * heads + head) * kHeadDim + k * 16 + i / 2 * 8 + lane % 4 * 2;
            q[k][i] = row < tokens ? *reinterpret_cast<const uint32_t*>(query + at) : 0;
        }
    }

    float acc[kHeadDim / 8][4] = {};
    float top[2] = {kNone, kNone};
    float total[2] = {0, 0};
    for (int tile = 0; tile < tiles; ++tile) {
        fetch(tile + 1);
        copy_wait<1>();
        __syncthreads();
        const uint32_t key_tile = base + (tile & 1) * 2 * kTileBytes;
        const uint32_t value_tile = key_tile + kTileBytes;
        float score[kTile / 8][4] = {};
#pragma unroll
        for (int k = 0; k < kHeadDim / 16; ++k) {
#pragma unroll
            for (int n = 0; n < kTile / 16; ++n) {
                uint32_t b[4];
                ldmatrix_x4(
                    b, key_tile + swizzled<kHeadDim>(n * 16 + (lane & 7) + (lane >> 4) * 8, k * 2 + ((lane >> 3) & 1)));
                mma_16816(score[n * 2], q[k], b[0], b[1]);
                mma_16816(score[n * 2 + 1], q[k], b[2], b[3]);
            }
        }
        if ((tile + 1) * kTile > start + first_row + warp * 16) {
            const int key = tile * kTile + lane % 4 * 2;
#pragma unroll
            for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
                for (int i = 0; i < 4; ++i)
                    if (key + n * 8 + i % 2 > start + (i / 2 ? row1 : row0)) score[n][i] = kNone;
            }
        }
        float correction[2];
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            float tile_top = kNone;
#pragma unroll
            for (int n = 0; n < kTile / 8; ++n) tile_top = fmaxf(tile_top, fmaxf(score[n][h * 2], score[n][h * 2 + 1]));
            tile_top = fmaxf(tile_top, __shfl_xor_sync(kAllLanes, tile_top, 1));
            tile_top = fmaxf(tile_top, __shfl_xor_sync(kAllLanes, tile_top, 2));
            const float new_top = fmaxf(top[h], tile_top);
            correction[h] = exp2f((top[h] - new_top) * scale_log2);
            top[h] = new_top;
            float sum = 0;
#pragma unroll
            for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
                for (int i = h * 2; i < h * 2 + 2; ++i) {
                    score[n][i] = exp2f((score[n][i] - new_top) * scale_log2);
                    sum += score[n][i];
                }
            }
            total[h] = total[h] * correction[h] + sum;
        }
#pragma unroll
        for (int n = 0; n < kHeadDim / 8; ++n) {
#pragma unroll
            for (int i = 0; i < 4; ++i) acc[n][i] *= correction[i / 2];
        }
#pragma unroll
        for (int k = 0; k < kTile / 16; ++k) {
            const uint32_t p[4] = {pack(score[k * 2][0], score[k * 2][1]), pack(score[k * 2][2], score[k * 2][3]),
                                   pack(score[k * 2 + 1][0], score[k * 2 + 1][1]),
                                   pack(score[k * 2 + 1][2], score[k * 2 + 1][3])};
#pragma unroll
            for (int n = 0; n < kHeadDim / 16; ++n) {
                uint32_t b[4];
                ldmatrix_x4_trans(b, value_tile + swizzled<kHeadDim>(k * 16 + (lane & 7) + ((lane >> 3) & 1) * 8,
                                                                     n * 2 + (lane >> 4)));
                mma_16816(acc[n * 2], p, b[0], b[1]);
                mma_16816(acc[n * 2 + 1], p, b[2], b[3]);
            }
        }
        __syncthreads();
    }
    copy_wait<0>();
#pragma unroll
    for (int h = 0; h < 2; ++h) {
        total[h] += __shfl_xor_sync(kAllLanes, total[h], 1);
        total[h] += __shfl_xor_sync(kAllLanes, total[h], 2);
        const int row = h ? row1 : row0;
        if (row >= tokens) continue;
        const float inverse = 1.0f / total[h];
        bf16* to = out + (static_cast<size_t>(row) * heads + head) * kHeadDim + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < kHeadDim / 8; ++n)
            *reinterpret_cast<uint32_t*>(to + n * 8) = pack(acc[n][h * 2] * inverse, acc[n][h * 2 + 1] * inverse);
    }
}

#define PREFILL_ATTENTION(head_dim)                                                                                  \
    extern "C" __global__ void __launch_bounds__(kThreads)                                                           \
        prefill_attention_##head_dim(const bf16* query, const bf16* keys, const bf16* values, bf16* out, int tokens, \
                                     int start, int heads, int group, int max_length, float scale_log2) {            \
        attention_body<head_dim>(query, keys, values, out, tokens, start, heads, group, max_length, scale_log2);     \
    }

PREFILL_ATTENTION(64)
PREFILL_ATTENTION(128)
