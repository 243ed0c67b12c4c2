// The matrix-vector products of a decode step, each fused with what comes before and after it.
//
// All weights are [out, in] row-major bf16 and are read once. A group of R rows belongs to `kSplit` warps of a block,
// which share its columns. Every warp streams its rows through its own ring in shared memory, kStages batches ahead and
// across groups; the ring is filled before the previous kernel ends, so that device memory stays busy in between.

#include "common.cuh"

constexpr int kMaxWarps = 20;
constexpr int kMaxThreads = kMaxWarps * kWarp;
// Batches of a ring.
#ifndef STAGES
#define STAGES 3
#endif
constexpr int kStages = STAGES;

// Copies the input vector to shared memory, padded with zeros to `padded` chunks of eight.
__device__ __forceinline__ void stage_vector(const bf16* x, int chunks, int padded, uint4* staged) {
    const uint4* source = reinterpret_cast<const uint4*>(x);
    for (int i = threadIdx.x; i < padded; i += blockDim.x)
        staged[i] = i < chunks ? __ldcg(source + i) : make_uint4(0, 0, 0, 0);
    __syncthreads();
}

// As `stage_vector`, times the norm's weight. Returns the factor 1 / rms, which the caller applies to the products:
// so the sum of squares and the products need only one barrier.
__device__ __forceinline__ float stage_normed(const bf16* x, const bf16* weight, float eps, int chunks, int padded,
                                              uint4* staged) {
    __shared__ float sums[kMaxWarps];
    const uint4* source = reinterpret_cast<const uint4*>(x);
    const uint4* scale = reinterpret_cast<const uint4*>(weight);
    float sum = 0;
    for (int i = threadIdx.x; i < padded; i += blockDim.x) {
        uint4 out = make_uint4(0, 0, 0, 0);
        if (i < chunks) {
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
    for (int w = 0; w < blockDim.x / kWarp; ++w) sum += sums[w];
    return rsqrtf(sum / (chunks * 8) + eps);
}

// Walks this block's row groups. `rows_of(group, rows)` names the rows of a group, `finish(group, sums)` runs in one
// lane of the group's first warp, and `stage(padded, staged)` fills the input vector once the previous kernel is done.
// Dynamic shared memory, which launching code must size alike: the rings (warps x kStages x R x U x 512 bytes), the
// padded vector, and for kSplit > 1 one float for each warp and row.
template <int R, int U, int kStages, int kSplit, typename Rows, typename Stage, typename Finish>
__device__ __forceinline__ void gemv(int groups, int chunks, Rows rows_of, Stage stage, Finish finish) {
    extern __shared__ uint4 shared[];
    constexpr int kStride = kWarp * kSplit;
    constexpr int kStep = kStride * U;
    constexpr int kBatch = R * U * kWarp;
    const int padded = (chunks + kStep - 1) / kStep * kStep;
    const int lane = threadIdx.x % kWarp;
    const int warp = threadIdx.x / kWarp;
    const int warps = blockDim.x / kWarp;
    const int per_round = gridDim.x * (warps / kSplit);
    const int first = (warp % kSplit) * kWarp + lane;
    const int first_group = (warp / kSplit) * gridDim.x + blockIdx.x;
    // A lane reads only what it copied itself: the ring needs no barrier.
    uint4* ring = shared + warp * kStages * kBatch + lane;
    uint4* staged = shared + warps * kStages * kBatch;

    int ahead_group = first_group;
    int ahead_at = 0;
    auto fetch = [&](int slot) {
        if (ahead_group < groups) {
            const uint4* rows[R];
            rows_of(ahead_group, rows);
#pragma unroll
            for (int u = 0; u < U; ++u) {
                const int at = ahead_at + first + u * kStride;
#pragma unroll
                for (int r = 0; r < R; ++r)
                    copy_async(shared_address(ring + slot * kBatch + (u * R + r) * kWarp), rows[r] + min(at, chunks - 1),
                               at < chunks);
            }
            ahead_at += kStep;
            if (ahead_at >= padded) {
                ahead_at = 0;
                ahead_group += per_round;
            }
        }
        copy_commit();
    };
#pragma unroll
    for (int s = 0; s < kStages; ++s) fetch(s);
    let_next_start();
    wait_for_previous();
    stage(padded, staged);

    int slot = 0;
    // All warps of a block run the same number of rounds, because the split's reduction has barriers.
    for (int base = 0; base < groups; base += per_round) {
        const int group = base + first_group;
        const bool active = group < groups;
        float acc[R] = {};
        if (active) {
            for (int at = 0; at < padded; at += kStep) {
                copy_wait<kStages - 1>();
                const uint4* batch = ring + slot * kBatch;
#pragma unroll
                for (int u = 0; u < U; ++u) {
                    const uint4 v = staged[at + first + u * kStride];
#pragma unroll
                    for (int r = 0; r < R; ++r) acc[r] = dot8(batch[(u * R + r) * kWarp], v, acc[r]);
                }
                fetch(slot);
                slot = slot + 1 == kStages ? 0 : slot + 1;
            }
        }
#pragma unroll
        for (int r = 0; r < R; ++r) acc[r] = warp_sum(acc[r]);
        if constexpr (kSplit > 1) {
            float* partial = reinterpret_cast<float*>(staged + padded);
            if (base > 0) __syncthreads();
            if (lane == 0) {
#pragma unroll
                for (int r = 0; r < R; ++r) partial[warp * R + r] = acc[r];
            }
            __syncthreads();
            if (warp % kSplit == 0) {
#pragma unroll
                for (int r = 0; r < R; ++r) {
                    acc[r] = 0;
#pragma unroll
                    for (int w = 0; w < kSplit; ++w) acc[r] += partial[(warp + w) * R + r];
                }
            }
        }
        if (active && lane == 0 && warp % kSplit == 0) finish(group, acc);
    }
}

// Norm, query/key/value product and bias, rotary embedding, and the new key and value into the cache.
// A group is the pair of rows (i, i + head_dim / 2) of one head: what the rotation mixes.
extern "C" __global__ void __launch_bounds__(kMaxThreads) decode_qkv(const bf16* x, const bf16* norm, float eps, const bf16* weight,
                                         const bf16* bias, const float* cosines, const float* sines, bf16* query,
                                         bf16* keys, bf16* values, const StepState* state, int hidden, int heads,
                                         int kv_heads, int head_dim, int max_length) {
    const int half = head_dim / 2;
    const int chunks = hidden / 8;
    const int groups = (heads + 2 * kv_heads) * half;
    float scale = 0;
    int position = 0;
    gemv<2, 2, kStages, 1>(
        groups, chunks,
        [&](int group, const uint4*(&rows)[2]) {
            const int row = group / half * head_dim + group % half;
            rows[0] = reinterpret_cast<const uint4*>(weight + static_cast<size_t>(row) * hidden);
            rows[1] = rows[0] + static_cast<size_t>(half) * chunks;
        },
        [&](int padded, uint4* staged) {
            position = __ldcg(&state->position);
            scale = stage_normed(x, norm, eps, chunks, padded, staged);
        },
        [&](int group, const float(&acc)[2]) {
            const int head = group / half;
            const int i = group % half;
            const bf16* b = bias + head * head_dim + i;
            const float a0 = rounded(acc[0] * scale + __bfloat162float(b[0]));
            const float a1 = rounded(acc[1] * scale + __bfloat162float(b[half]));
            if (head >= heads + kv_heads) {
                bf16* out = values + (static_cast<size_t>(head - heads - kv_heads) * max_length + position) * head_dim;
                out[i] = __float2bfloat16_rn(a0);
                out[i + half] = __float2bfloat16_rn(a1);
                return;
            }
            const float c = cosines[static_cast<size_t>(position) * half + i];
            const float s = sines[static_cast<size_t>(position) * half + i];
            bf16* out = head < heads
                            ? query + head * head_dim
                            : keys + (static_cast<size_t>(head - heads) * max_length + position) * head_dim;
            out[i] = __float2bfloat16_rn(a0 * c - a1 * s);
            out[i + half] = __float2bfloat16_rn(a1 * c + a0 * s);
        });
}

// x += weight * input: the output projection and the second half of the MLP. `x` is the residual stream.
template <int kSplit>
__device__ __forceinline__ void residual_body(const bf16* input, const bf16* weight, bf16* x, int rows_out, int columns) {
    const int chunks = columns / 8;
    gemv<1, 4, kStages, kSplit>(
        rows_out, chunks,
        [&](int group, const uint4*(&rows)[1]) {
            rows[0] = reinterpret_cast<const uint4*>(weight + static_cast<size_t>(group) * columns);
        },
        [&](int padded, uint4* staged) {
            stage_vector(input, chunks, padded, staged);
        },
        [&](int group, const float(&acc)[1]) {
            x[group] = __float2bfloat16_rn(load_fresh(x + group) + rounded(acc[0]));
        });
}

// One warp a row.
extern "C" __global__ void __launch_bounds__(kMaxThreads)
    decode_residual(const bf16* input, const bf16* weight, bf16* x, int rows_out, int columns) {
    residual_body<1>(input, weight, x, rows_out, columns);
}

// Two warps a row: where rows are few and long.
extern "C" __global__ void __launch_bounds__(kMaxThreads)
    decode_residual_split(const bf16* input, const bf16* weight, bf16* x, int rows_out, int columns) {
    residual_body<2>(input, weight, x, rows_out, columns);
}

// Norm, gate and up products, silu(gate) * up. `weight` is [gate; up]; a group is one row of each.
extern "C" __global__ void __launch_bounds__(kMaxThreads)
    decode_gate_up(const bf16* x, const bf16* norm, float eps, const bf16* weight, bf16* out, int hidden,
                   int intermediate) {
    const int chunks = hidden / 8;
    float scale = 0;
    gemv<2, 2, kStages, 1>(
        intermediate, chunks,
        [&](int group, const uint4*(&rows)[2]) {
            rows[0] = reinterpret_cast<const uint4*>(weight + static_cast<size_t>(group) * hidden);
            rows[1] = rows[0] + static_cast<size_t>(intermediate) * chunks;
        },
        [&](int padded, uint4* staged) {
            scale = stage_normed(x, norm, eps, chunks, padded, staged);
        },
        [&](int group, const float(&acc)[2]) {
            const float gate = rounded(acc[0] * scale);
            out[group] = __float2bfloat16_rn(rounded(silu(gate)) * rounded(acc[1] * scale));
        });
}

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

// The best of the block, in all threads of its first warp.
__device__ __forceinline__ Best block_best(Best best) {
    __shared__ Best bests[kMaxWarps];
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
        const float v = __shfl_xor_sync(kAllLanes, best.value, offset);
        const unsigned i = __shfl_xor_sync(kAllLanes, best.index, offset);
        best.take(v, i);
    }
    __syncthreads();
    if (threadIdx.x % kWarp == 0) bests[threadIdx.x / kWarp] = best;
    __syncthreads();
    best = bests[0];
    for (int w = 1; w < blockDim.x / kWarp; ++w) best.take(bests[w].value, bests[w].index);
    return best;
}

// Final norm, logits, and the greedy choice. The last block to finish picks the token, writes down which and when,
// looks up its embedding for the next step, and moves the position on.
// `bests`: one for each block. `times`: nanoseconds of the device's global timer, one for each step.
extern "C" __global__ void __launch_bounds__(kMaxThreads)
    decode_head(const bf16* x, const bf16* norm, float eps, const bf16* weight, const bf16* embedding, float* logits,
                Best* bests, StepState* state, bf16* next_x, unsigned* tokens, unsigned long long* times, int hidden,
                int vocabulary, int capacity) {
    __shared__ bool last;
    const int chunks = hidden / 8;
    float scale = 0;
    Best best{-INFINITY, 0xffffffffu};
    const int groups = (vocabulary + 1) / 2;
    gemv<2, 2, kStages, 1>(
        groups, chunks,
        [&](int group, const uint4*(&rows)[2]) {
            rows[0] = reinterpret_cast<const uint4*>(weight + static_cast<size_t>(group) * 2 * hidden);
            rows[1] = group * 2 + 1 < vocabulary ? rows[0] + chunks : rows[0];
        },
        [&](int padded, uint4* staged) { scale = stage_normed(x, norm, eps, chunks, padded, staged); },
        [&](int group, const float(&acc)[2]) {
#pragma unroll
            for (int r = 0; r < 2; ++r) {
                const unsigned row = group * 2 + r;
                if (row < vocabulary) {
                    const float logit = rounded(acc[r] * scale);
                    logits[row] = logit;
                    best.take(logit, row);
                }
            }
        });
    best = block_best(best);
    if (threadIdx.x == 0) {
        bests[blockIdx.x] = best;
        __threadfence();
        last = atomicAdd(&state->arrivals, 1) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last) return;
    __threadfence();
    best = Best{-INFINITY, 0xffffffffu};
    for (int i = threadIdx.x; i < gridDim.x; i += blockDim.x) best.take(__ldcg(&bests[i].value), __ldcg(&bests[i].index));
    best = block_best(best);
    // With NaN logits nothing wins; any valid token keeps the loop running.
    const unsigned token = best.index < vocabulary ? best.index : 0;
    const uint4* row = reinterpret_cast<const uint4*>(embedding + static_cast<size_t>(token) * hidden);
    for (int i = threadIdx.x; i < chunks; i += blockDim.x) reinterpret_cast<uint4*>(next_x)[i] = row[i];
    if (threadIdx.x == 0) {
        const int step = state->step;
        if (step < capacity) {
            tokens[step] = token;
            times[step] = clock_ns();
        }
        state->token = token;
        state->step = step + 1;
        state->position += 1;
        state->arrivals = 0;
    }
}
