// The element-wise steps of a prompt's forward pass, over `tokens` rows at once. The products between them are cuBLAS.

#include "common.cuh"

constexpr int kThreads = ELEMENTWISE_THREADS;

// Marks a moment: one thread writes the device's global timer.
extern "C" __global__ void stamp(unsigned long long* time) { *time = clock_ns(); }

// One block a token: its embedding.
extern "C" __global__ void __launch_bounds__(kThreads)
    prefill_embed(const unsigned* tokens, const bf16* embedding, bf16* x, int hidden) {
    const uint4* from = reinterpret_cast<const uint4*>(embedding + static_cast<size_t>(tokens[blockIdx.x]) * hidden);
    uint4* to = reinterpret_cast<uint4*>(x + static_cast<size_t>(blockIdx.x) * hidden);
    for (int i = threadIdx.x; i < hidden / 8; i += kThreads) to[i] = from[i];
}

// One block a token: out = x / rms(x) * weight.
extern "C" __global__ void __launch_bounds__(kThreads)
    prefill_norm(const bf16* x, const bf16* weight, float eps, bf16* out, int hidden) {
    __shared__ float sums[kThreads / kWarp];
    const int chunks = hidden / 8;
    const uint4* from = reinterpret_cast<const uint4*>(x + static_cast<size_t>(blockIdx.x) * hidden);
    uint4* to = reinterpret_cast<uint4*>(out + static_cast<size_t>(blockIdx.x) * hidden);
    float sum = 0;
    for (int i = threadIdx.x; i < chunks; i += kThreads) sum = dot8(from[i], from[i], sum);
    sum = warp_sum(sum);
    if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = sum;
    __syncthreads();
    sum = 0;
#pragma unroll
    for (int w = 0; w < kThreads / kWarp; ++w) sum += sums[w];
    const float scale = rsqrtf(sum / hidden + eps);
    for (int i = threadIdx.x; i < chunks; i += kThreads) {
        const uint4 v = from[i];
        const uint4 g = __ldg(reinterpret_cast<const uint4*>(weight) + i);
        uint4 r;
        r.x = pack(low(v.x) * scale * low(g.x), high(v.x) * scale * high(g.x));
        r.y = pack(low(v.y) * scale * low(g.y), high(v.y) * scale * high(g.y));
        r.z = pack(low(v.z) * scale * low(g.z), high(v.z) * scale * high(g.z));
        r.w = pack(low(v.w) * scale * low(g.w), high(v.w) * scale * high(g.w));
        to[i] = r;
    }
}

// Bias and rotary embedding for queries and keys, bias for values; keys and values go to the cache.
// `qkv`: [tokens, (heads + 2 kv_heads) * head_dim]. `query`: [tokens, heads * head_dim].
// One block a token; the token's position is `start` + its row. Threads take pairs of neighbouring columns.
extern "C" __global__ void __launch_bounds__(kThreads)
    prefill_rope(const bf16* qkv, const bf16* bias, const float* cosines, const float* sines, bf16* query, bf16* keys,
                 bf16* values, int start, int heads, int kv_heads, int head_dim, int max_length) {
    const int half = head_dim / 2;
    const int pairs = half / 2;
    const int position = start + blockIdx.x;
    const bf16* row = qkv + static_cast<size_t>(blockIdx.x) * (heads + 2 * kv_heads) * head_dim;
    const float2* c_row = reinterpret_cast<const float2*>(cosines + static_cast<size_t>(position) * half);
    const float2* s_row = reinterpret_cast<const float2*>(sines + static_cast<size_t>(position) * half);
    for (int item = threadIdx.x; item < (heads + 2 * kv_heads) * pairs; item += kThreads) {
        const int head = item / pairs;
        const int i = item % pairs;
        const int at = head * head_dim + i * 2;
        const uint32_t v0 = *reinterpret_cast<const uint32_t*>(row + at);
        const uint32_t v1 = *reinterpret_cast<const uint32_t*>(row + at + half);
        const uint32_t b0 = *reinterpret_cast<const uint32_t*>(bias + at);
        const uint32_t b1 = *reinterpret_cast<const uint32_t*>(bias + at + half);
        const float x0 = rounded(low(v0) + low(b0)), y0 = rounded(high(v0) + high(b0));
        const float x1 = rounded(low(v1) + low(b1)), y1 = rounded(high(v1) + high(b1));
        bf16* to;
        float2 c = make_float2(1, 1), s = make_float2(0, 0);
        if (head < heads) {
            to = query + (static_cast<size_t>(blockIdx.x) * heads + head) * head_dim;
        } else if (head < heads + kv_heads) {
            to = keys + (static_cast<size_t>(head - heads) * max_length + position) * head_dim;
        } else {
            to = values + (static_cast<size_t>(head - heads - kv_heads) * max_length + position) * head_dim;
        }
        if (head < heads + kv_heads) {
            c = __ldg(c_row + i);
            s = __ldg(s_row + i);
        }
        reinterpret_cast<uint32_t*>(to)[i] = pack(x0 * c.x - x1 * s.x, y0 * c.y - y1 * s.y);
        reinterpret_cast<uint32_t*>(to + half)[i] = pack(x1 * c.x + x0 * s.x, y1 * c.y + y0 * s.y);
    }
}

// out = silu(gate) * up. `gate_up`: [tokens, 2 * intermediate], gate first. gridDim.y is the number of tokens.
extern "C" __global__ void __launch_bounds__(kThreads) prefill_silu(const bf16* gate_up, bf16* out, int intermediate) {
    const int i = blockIdx.x * kThreads + threadIdx.x;
    const int chunks = intermediate / 8;
    if (i >= chunks) return;
    const uint4* row = reinterpret_cast<const uint4*>(gate_up + static_cast<size_t>(blockIdx.y) * 2 * intermediate);
    const uint4 g = row[i];
    const uint4 u = row[i + chunks];
    uint4 r;
    r.x = pack(rounded(silu(low(g.x))) * low(u.x), rounded(silu(high(g.x))) * high(u.x));
    r.y = pack(rounded(silu(low(g.y))) * low(u.y), rounded(silu(high(g.y))) * high(u.y));
    r.z = pack(rounded(silu(low(g.z))) * low(u.z), rounded(silu(high(g.z))) * high(u.z));
    r.w = pack(rounded(silu(low(g.w))) * low(u.w), rounded(silu(high(g.w))) * high(u.w));
    reinterpret_cast<uint4*>(out + static_cast<size_t>(blockIdx.y) * intermediate)[i] = r;
}

// x += first + second: what each of two cards has of a residual product, one of them in the other card's memory.
// gridDim.y is the number of tokens.
extern "C" __global__ void __launch_bounds__(kThreads)
    prefill_sum(bf16* x, const bf16* first, const bf16* second, int hidden) {
    const int i = blockIdx.x * kThreads + threadIdx.x;
    if (i >= hidden / 8) return;
    const size_t row = static_cast<size_t>(blockIdx.y) * hidden / 8;
    const uint4 a = reinterpret_cast<const uint4*>(first)[row + i], b = reinterpret_cast<const uint4*>(second)[row + i];
    uint4 v = reinterpret_cast<uint4*>(x)[row + i];
    auto sum = [](uint32_t x, uint32_t a, uint32_t b) {
        return pack(low(x) + (low(a) + low(b)), high(x) + (high(a) + high(b)));
    };
    v = make_uint4(sum(v.x, a.x, b.x), sum(v.y, a.y, b.y), sum(v.z, a.z, b.z), sum(v.w, a.w, b.w));
    reinterpret_cast<uint4*>(x)[row + i] = v;
}

// Hands over to decoding: the last row of the residual stream (where `row` isn't null) and the loop's scalars.
extern "C" __global__ void __launch_bounds__(kThreads)
    begin_decode(const bf16* row, bf16* x, StepState* state, int position, unsigned token, int step, int hidden) {
    if (row)
        for (int i = threadIdx.x; i < hidden; i += kThreads) x[i] = row[i];
    if (threadIdx.x == 0) {
        state->position = position;
        state->token = token;
        state->step = step;
    }
}
