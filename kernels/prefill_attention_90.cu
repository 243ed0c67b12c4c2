// Causal flash attention for a chunk of a prompt, for compute capability 9.0: asynchronous tensor-core products (wgmma)
// on tiles that the bulk copy engine brings in.
//
// A block owns 128 query rows of one head. One warpgroup only copies; the other two own 64 rows each. A consumer
// issues the next tile's scores, then the current tile's output product, and computes its softmax while they run.

#include "common.cuh"

#include <cuda.h>

#if !defined(__CUDA_ARCH__) || (__CUDA_ARCH__ >= 900 && __CUDA_ARCH__ < 1000)

constexpr int kGroupThreads = 128;
constexpr int kThreads = 3 * kGroupThreads;
static_assert(kThreads == PREFILL_90_THREADS);
constexpr int kRows = PREFILL_90_TILE;
constexpr int kGroupRows = 64;
constexpr int kTile = PREFILL_90_TILE;
constexpr int kStages = 2;
constexpr float kNone = -1e30f;
// Tiles lie in panels of 64 columns: 128 bytes a row, the widest swizzle.
constexpr int kPanel = 64;
constexpr int kPanelBytes = kTile * kPanel * 2;

__device__ __forceinline__ void barrier_init(uint32_t barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

__device__ __forceinline__ void barrier_expect(uint32_t barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

__device__ __forceinline__ void barrier_arrive(uint32_t barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

__device__ __forceinline__ void barrier_wait(uint32_t barrier, int parity) {
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra again;\n"
        "}" ::"r"(barrier),
        "r"(parity)
        : "memory");
}

__device__ __forceinline__ void copy_box(uint32_t to, const CUtensorMap* map, int x, int y, int z, uint32_t barrier) {
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], [%5];" ::
            "r"(to),
        "l"(map), "r"(x), "r"(y), "r"(z), "r"(barrier)
        : "memory");
}

// Describes a tile in shared memory: 128-byte swizzle, groups of eight rows 1024 bytes apart.
__device__ __forceinline__ uint64_t descriptor(uint32_t address, uint64_t leading_bytes) {
    return static_cast<uint64_t>((address & 0x3ffff) >> 4) | leading_bytes >> 4 << 16 | 1024ull >> 4 << 32 | 1ull << 62;
}

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// Keeps the compiler from touching accumulators before the wait above.
template <int kCount>
__device__ __forceinline__ void settle(float (&d)[kCount]) {
#pragma unroll
    for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(d[i])::"memory");
}

#define ACC8(d, i)                                                                                              \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), \
        "+f"(d[i + 7])

// d (+)= a b^T, 64 x 128 by 16: both from shared memory, rows contiguous.
__device__ __forceinline__ void scores_product(float (&d)[64], uint64_t a, uint64_t b, int accumulate) {
    asm volatile(
        "{\n"
        ".reg .pred p;\n"
        "setp.ne.b32 p, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
        "}, %64, %65, p, 1, 1, 0, 0;\n"
        "}"
        : ACC8(d, 0), ACC8(d, 8), ACC8(d, 16), ACC8(d, 24), ACC8(d, 32), ACC8(d, 40), ACC8(d, 48), ACC8(d, 56)
        : "l"(a), "l"(b), "r"(accumulate));
}

// d += a b, 64 x 128 (or 64) by 16: a from registers, b from shared memory with its columns contiguous.
__device__ __forceinline__ void output_product(float (&d)[64], const uint32_t (&a)[4], uint64_t b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
        "}, {%64, %65, %66, %67}, %68, 1, 1, 1, 1;\n"
        : ACC8(d, 0), ACC8(d, 8), ACC8(d, 16), ACC8(d, 24), ACC8(d, 32), ACC8(d, 40), ACC8(d, 48), ACC8(d, 56)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

__device__ __forceinline__ void output_product(float (&d)[32], const uint32_t (&a)[4], uint64_t b) {
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
        "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
        "}, {%32, %33, %34, %35}, %36, 1, 1, 1, 1;\n"
        : ACC8(d, 0), ACC8(d, 8), ACC8(d, 16), ACC8(d, 24)
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

template <int kHeadDim>
struct Layout {
    static constexpr int kPanels = kHeadDim / kPanel;
    static constexpr int kTileBytes = kPanels * kPanelBytes;  // Of queries, keys or values: all have 128 rows.
    static constexpr int kQuery = 0;
    static constexpr int kKeys = kTileBytes;
    static constexpr int kValues = kKeys + kStages * kTileBytes;
    static constexpr int kBarriers = kValues + kStages * kTileBytes;
    // One of the queries, four a stage; and tiles lie at multiples of 1024 bytes.
    static constexpr int kBytes = kBarriers + (1 + 4 * kStages) * 8 + 1023;
    static_assert(kBytes <= (kHeadDim == 64 ? PREFILL_90_BYTES_64 : PREFILL_90_BYTES_128));
};

// One tile, panel by panel. Coordinates: column, then the two others of the tensor.
template <int kHeadDim>
__device__ __forceinline__ void copy_tile(uint32_t to, const CUtensorMap* map, int y, int z, uint32_t barrier) {
    barrier_expect(barrier, Layout<kHeadDim>::kTileBytes);
#pragma unroll
    for (int panel = 0; panel < Layout<kHeadDim>::kPanels; ++panel)
        copy_box(to + panel * kPanelBytes, map, panel * kPanel, y, z, barrier);
}

struct Barriers {
    uint32_t base;
    __device__ __forceinline__ uint32_t query() const { return base; }
    __device__ __forceinline__ uint32_t keys_full(int stage) const { return base + 8 + stage * 32; }
    __device__ __forceinline__ uint32_t keys_empty(int stage) const { return base + 16 + stage * 32; }
    __device__ __forceinline__ uint32_t values_full(int stage) const { return base + 24 + stage * 32; }
    __device__ __forceinline__ uint32_t values_empty(int stage) const { return base + 32 + stage * 32; }
};

// One consumer's running (online) softmax of its two rows.
struct Softmax {
    float max[2] = {kNone, kNone};
    float sum[2] = {0, 0};
    float correction[2];

    // Turns scores into weights. `limit` is the last key that the first of the two rows sees, within the tile.
    __device__ __forceinline__ void update(float (&s)[64], float scale_log2, int lane, int limit) {
        if (limit + 8 < kTile) {
#pragma unroll
            for (int i = 0; i < 64; ++i) {
                const int key = i / 4 * 8 + lane % 4 * 2 + i % 2;
                if (key > limit + (i / 2 % 2) * 8) s[i] = kNone;
            }
        } else if (limit < kTile - 1) {
#pragma unroll
            for (int i = 0; i < 64; ++i) {
                const int key = i / 4 * 8 + lane % 4 * 2 + i % 2;
                if (i / 2 % 2 == 0 && key > limit) s[i] = kNone;
            }
        }
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            float new_max = max[h];
#pragma unroll
            for (int i = 0; i < 64; i += 4) new_max = fmaxf(new_max, fmaxf(s[i + h * 2], s[i + h * 2 + 1]));
            new_max = fmaxf(new_max, __shfl_xor_sync(kAllLanes, new_max, 1));
            new_max = fmaxf(new_max, __shfl_xor_sync(kAllLanes, new_max, 2));
            correction[h] = exp2f((max[h] - new_max) * scale_log2);
            max[h] = new_max;
            const float base = new_max * scale_log2;
            float tile_sum = 0;
#pragma unroll
            for (int i = 0; i < 64; i += 4) {
#pragma unroll
                for (int j = h * 2; j < h * 2 + 2; ++j) {
                    s[i + j] = exp2f(fmaf(s[i + j], scale_log2, -base));
                    tile_sum += s[i + j];
                }
            }
            sum[h] = sum[h] * correction[h] + tile_sum;
        }
    }
};

template <int kHeadDim>
__device__ __forceinline__ void consume(uint32_t shared, const Barriers& barriers, bf16* out, int first_row, int tokens,
                                        int start, int tiles, int heads, int head, float scale_log2) {
    using L = Layout<kHeadDim>;
    const int group = threadIdx.x / kGroupThreads - 1;
    const int thread = threadIdx.x % kGroupThreads;
    const int lane = thread % kWarp;
    const int row = first_row + group * kGroupRows + thread / kWarp * 16 + lane / 4;
    const uint32_t query = shared + L::kQuery + group * kGroupRows * kPanel * 2;
    float s[64];
    float o[kHeadDim / 2] = {};
    uint32_t p[kTile / 16][4];
    Softmax softmax;

    auto issue_scores = [&](int tile) {
        const int stage = tile % kStages;
        barrier_wait(barriers.keys_full(stage), tile / kStages % 2);
        const uint32_t keys = shared + L::kKeys + stage * L::kTileBytes;
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < kHeadDim / 16; ++k) {
            const int at = k / 4 * kPanelBytes + k % 4 * 32;
            scores_product(s, descriptor(query + at, 16), descriptor(keys + at, 16), k > 0);
        }
        wgmma_commit();
    };
    auto issue_output = [&](int tile) {
        const int stage = tile % kStages;
        barrier_wait(barriers.values_full(stage), tile / kStages % 2);
        const uint32_t values = shared + L::kValues + stage * L::kTileBytes;
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < kTile / 16; ++k)
            output_product(o, p[k], descriptor(values + k * 16 * kPanel * 2, kPanelBytes));
        wgmma_commit();
    };
    auto release = [&](uint32_t barrier) {
        if (thread == 0) barrier_arrive(barrier);
    };
    auto weights = [&](int tile) { softmax.update(s, scale_log2, lane, start + row - tile * kTile); };
    auto pack_weights = [&] {
#pragma unroll
        for (int k = 0; k < kTile / 16; ++k) {
#pragma unroll
            for (int i = 0; i < 4; ++i) p[k][i] = pack(s[k * 8 + i * 2], s[k * 8 + i * 2 + 1]);
        }
    };

    barrier_wait(barriers.query(), 0);
    issue_scores(0);
    wgmma_wait<0>();
    settle(s);
    release(barriers.keys_empty(0));
    weights(0);
    pack_weights();
    for (int tile = 1; tile < tiles; ++tile) {
        issue_scores(tile);
        issue_output(tile - 1);
        wgmma_wait<1>();
        settle(s);
        release(barriers.keys_empty(tile % kStages));
        weights(tile);
        wgmma_wait<0>();
        settle(o);
        release(barriers.values_empty((tile - 1) % kStages));
#pragma unroll
        for (int i = 0; i < kHeadDim / 2; ++i) o[i] *= softmax.correction[i / 2 % 2];
        pack_weights();
    }
    issue_output(tiles - 1);
    wgmma_wait<0>();
    settle(o);

#pragma unroll
    for (int h = 0; h < 2; ++h) {
        float total = softmax.sum[h];
        total += __shfl_xor_sync(kAllLanes, total, 1);
        total += __shfl_xor_sync(kAllLanes, total, 2);
        if (row + h * 8 >= tokens) continue;
        const float inverse = 1.0f / total;
        bf16* to = out + (static_cast<size_t>(row + h * 8) * heads + head) * kHeadDim + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < kHeadDim / 8; ++n)
            *reinterpret_cast<uint32_t*>(to + n * 8) = pack(o[n * 4 + h * 2] * inverse, o[n * 4 + h * 2 + 1] * inverse);
    }
}

// `query`: [tokens][heads][head_dim], columns innermost; `keys`, `values`: [key/value head][position][head_dim].
// The first row is position `start`. Grid: (heads, row tiles), the last rows first because they take longest.
template <int kHeadDim>
__device__ __forceinline__ void attention_body(const CUtensorMap* query, const CUtensorMap* keys,
                                               const CUtensorMap* values, bf16* out, int tokens, int start, int heads,
                                               int group, float scale_log2) {
    using L = Layout<kHeadDim>;
    extern __shared__ uint8_t raw[];
    // The swizzle needs panels at multiples of 1024 bytes.
    const uint32_t shared = (shared_address(raw) + 1023) / 1024 * 1024;
    const Barriers barriers{shared + L::kBarriers};
    const int head = blockIdx.x;
    const int first_row = (gridDim.y - 1 - blockIdx.y) * kRows;
    const int end = start + min(first_row + kRows, tokens);
    const int tiles = (end + kTile - 1) / kTile;
    if (threadIdx.x == 0) {
        barrier_init(barriers.query(), 1);
        for (int stage = 0; stage < kStages; ++stage) {
            barrier_init(barriers.keys_full(stage), 1);
            barrier_init(barriers.keys_empty(stage), 2);
            barrier_init(barriers.values_full(stage), 1);
            barrier_init(barriers.values_empty(stage), 2);
        }
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    if (threadIdx.x < kGroupThreads) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
        if (threadIdx.x == 0) {
            copy_tile<kHeadDim>(shared + L::kQuery, query, head, first_row, barriers.query());
            for (int tile = 0; tile < tiles; ++tile) {
                const int stage = tile % kStages;
                const int parity = (tile / kStages + 1) % 2;
                barrier_wait(barriers.keys_empty(stage), parity);
                copy_tile<kHeadDim>(shared + L::kKeys + stage * L::kTileBytes, keys, tile * kTile, head / group,
                                    barriers.keys_full(stage));
                barrier_wait(barriers.values_empty(stage), parity);
                copy_tile<kHeadDim>(shared + L::kValues + stage * L::kTileBytes, values, tile * kTile, head / group,
                                    barriers.values_full(stage));
            }
        }
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
        consume<kHeadDim>(shared, barriers, out, first_row, tokens, start, tiles, heads, head, scale_log2);
    }
}

#define PREFILL_ATTENTION_90(head_dim)                                                                      \
    extern "C" __global__ void __launch_bounds__(kThreads, 1) prefill_attention_90_##head_dim(              \
        const __grid_constant__ CUtensorMap query, const __grid_constant__ CUtensorMap keys,                \
        const __grid_constant__ CUtensorMap values, bf16* out, int tokens, int start, int heads, int group, \
        float scale_log2) {                                                                                 \
        attention_body<head_dim>(&query, &keys, &values, out, tokens, start, heads, group, scale_log2);     \
    }

PREFILL_ATTENTION_90(64)
PREFILL_ATTENTION_90(128)

#endif
