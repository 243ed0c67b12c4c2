// The plainest forward pass: one thread an output, nothing fused. With fp32 activations it is what the kernels are
// checked with; with bf16 ones it tells how far rounding alone leads from that.
#pragma once

#include "model.cuh"

#include <optional>

namespace reference {

__global__ void embed(const unsigned* ids, const bf16* table, float* x, int hidden) {
    for (int i = threadIdx.x; i < hidden; i += blockDim.x)
        x[size_t(blockIdx.x) * hidden + i] = __bfloat162float(table[size_t(ids[blockIdx.x]) * hidden + i]);
}

__global__ void norm(const float* x, const bf16* weight, float eps, float* out, int hidden) {
    __shared__ float sum;
    if (threadIdx.x == 0) sum = 0;
    __syncthreads();
    float mine = 0;
    for (int i = threadIdx.x; i < hidden; i += blockDim.x)
        mine += x[size_t(blockIdx.x) * hidden + i] * x[size_t(blockIdx.x) * hidden + i];
    atomicAdd(&sum, mine);
    __syncthreads();
    const float scale = rsqrtf(sum / hidden + eps);
    for (int i = threadIdx.x; i < hidden; i += blockDim.x)
        out[size_t(blockIdx.x) * hidden + i] = x[size_t(blockIdx.x) * hidden + i] * scale * __bfloat162float(weight[i]);
}

// out[t, r] (+)= x[t, :] . w[r, :] + bias[r]; blocks of 16 x 16.
__global__ void product(const float* x, const bf16* w, const bf16* bias, float* out, int tokens, int rows, int columns,
                        bool add) {
    __shared__ float xs[16][17], ws[16][17];
    const int t = blockIdx.y * 16 + threadIdx.y, r = blockIdx.x * 16 + threadIdx.x;
    float acc = 0;
    for (int k = 0; k < columns; k += 16) {
        const int wr = blockIdx.x * 16 + threadIdx.y, c = k + threadIdx.x;
        xs[threadIdx.y][threadIdx.x] = t < tokens && c < columns ? x[size_t(t) * columns + c] : 0;
        ws[threadIdx.y][threadIdx.x] = wr < rows && c < columns ? __bfloat162float(w[size_t(wr) * columns + c]) : 0;
        __syncthreads();
        for (int i = 0; i < 16; ++i) acc += xs[threadIdx.y][i] * ws[threadIdx.x][i];
        __syncthreads();
    }
    if (t >= tokens || r >= rows) return;
    if (bias) acc += __bfloat162float(bias[r]);
    float* to = out + size_t(t) * rows + r;
    *to = add ? *to + acc : acc;
}

__global__ void rope(float* qkv, const float* cosines, const float* sines, int rotated_heads, int heads, int head_dim) {
    const int half = head_dim / 2;
    for (int i = threadIdx.x; i < rotated_heads * half; i += blockDim.x) {
        float* at = qkv + (size_t(blockIdx.x) * heads + i / half) * head_dim + i % half;
        const float c = cosines[size_t(blockIdx.x) * half + i % half], s = sines[size_t(blockIdx.x) * half + i % half];
        const float a = at[0], b = at[half];
        at[0] = a * c - b * s;
        at[half] = b * c + a * s;
    }
}

__global__ void attention(const float* qkv, float* out, int heads, int kv_heads, int head_dim) {
    extern __shared__ float scores[];
    __shared__ float sum, top;
    const int t = blockIdx.x, head = blockIdx.y, kv = head / (heads / kv_heads), all = heads + 2 * kv_heads;
    const float* q = qkv + (size_t(t) * all + head) * head_dim;
    for (int j = threadIdx.x; j <= t; j += blockDim.x) {
        const float* k = qkv + (size_t(j) * all + heads + kv) * head_dim;
        float acc = 0;
        for (int d = 0; d < head_dim; ++d) acc += q[d] * k[d];
        scores[j] = acc * rsqrtf(float(head_dim));
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        top = -1e30f;
        sum = 0;
        for (int j = 0; j <= t; ++j) top = fmaxf(top, scores[j]);
        for (int j = 0; j <= t; ++j) sum += scores[j] = expf(scores[j] - top);
    }
    __syncthreads();
    for (int d = threadIdx.x; d < head_dim; d += blockDim.x) {
        float acc = 0;
        for (int j = 0; j <= t; ++j) acc += scores[j] * qkv[(size_t(j) * all + heads + kv_heads + kv) * head_dim + d];
        out[(size_t(t) * heads + head) * head_dim + d] = acc / sum;
    }
}

__global__ void activate(const float* gate_up, float* out, int intermediate) {
    for (int i = threadIdx.x; i < intermediate; i += blockDim.x) {
        const float g = gate_up[size_t(blockIdx.x) * 2 * intermediate + i];
        out[size_t(blockIdx.x) * intermediate + i] =
            g / (1 + expf(-g)) * gate_up[size_t(blockIdx.x) * 2 * intermediate + intermediate + i];
    }
}

// Up or down, the likelier the closer.
__global__ void round_by_chance(float* values, size_t count, unsigned seed) {
    const size_t i = size_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= count) return;
    unsigned chance = unsigned(i) * 2654435761u ^ seed * 2246822519u;
    chance = (chance ^ chance >> 15) * 3266489917u;
    values[i] = __uint_as_float((__float_as_uint(values[i]) + (chance >> 16)) & 0xffff0000u);
}

// Logits of the last `last` positions. Activations are fp32, or rounded to bf16 with a seed.
inline std::vector<float> forward(const Model& m, const std::vector<unsigned>& ids, int last,
                                  std::optional<unsigned> rounding = {}) {
    const NamedShape& s = m.shape;
    const int n = ids.size();
    unsigned* tokens = device_array<unsigned>(n);
    CHECK(cudaMemcpy(tokens, ids.data(), n * 4, cudaMemcpyHostToDevice));
    float* x = device_array<float>(size_t(n) * s.hidden);
    float* normed = device_array<float>(size_t(n) * s.hidden);
    float* qkv = device_array<float>(size_t(n) * s.qkv_rows());
    float* attended = device_array<float>(size_t(n) * s.heads * s.head_dim);
    float* gate_up = device_array<float>(size_t(n) * 2 * s.intermediate);
    float* act = device_array<float>(size_t(n) * s.intermediate);
    float* logits = device_array<float>(size_t(last) * s.vocabulary);
    auto dense_times = [&](const float* in, const bf16* w, const bf16* bias, float* out, int count, int rows,
                           int columns, bool add) {
        product<<<dim3((rows + 15) / 16, (count + 15) / 16), dim3(16, 16)>>>(in, w, bias, out, count, rows, columns,
                                                                             add);
    };
    unsigned roundings = 0;
    auto leave = [&](float* values, int columns) {
        if (!rounding) return;
        const size_t count = size_t(n) * columns;
        round_by_chance<<<(count + 255) / 256, 256>>>(values, count, *rounding * 1000 + ++roundings);
    };
    auto times = [&](const float* in, const Matrix& w, const bf16* bias, float* out, bool add) {
        dense_times(in, w.formula(m.scratch), bias, out, n, w.rows, w.inputs, add);
        leave(out, w.rows);
    };
    auto normalize = [&](const bf16* weight) {
        norm<<<n, 256>>>(x, weight, m.eps, normed, s.hidden);
        leave(normed, s.hidden);
    };
    CHECK(cudaFuncSetAttribute((void*)attention, cudaFuncAttributeMaxDynamicSharedMemorySize, 96 << 10));
    embed<<<n, 256>>>(tokens, m.embedding, x, s.hidden);
    for (const Layer& w : m.layers) {
        normalize(w.norm1);
        times(normed, w.qkv, w.bias, qkv, false);
        rope<<<n, 256>>>(qkv, m.cosines, m.sines, s.heads + s.kv_heads, s.heads + 2 * s.kv_heads, s.head_dim);
        leave(qkv, s.qkv_rows());
        attention<<<dim3(n, s.heads), 128, n * 4>>>(qkv, attended, s.heads, s.kv_heads, s.head_dim);
        leave(attended, s.heads * s.head_dim);
        times(attended, w.o, nullptr, x, true);
        normalize(w.norm2);
        times(normed, w.gate_up, nullptr, gate_up, false);
        activate<<<n, 256>>>(gate_up, act, s.intermediate);
        leave(act, s.intermediate);
        times(act, w.down, nullptr, x, true);
    }
    normalize(m.final_norm);
    dense_times(normed + size_t(n - last) * s.hidden, m.head, nullptr, logits, last, s.vocabulary, s.hidden, false);
    std::vector<float> out(size_t(last) * s.vocabulary);
    CHECK(cudaMemcpy(out.data(), logits, out.size() * 4, cudaMemcpyDeviceToHost));
    for (void* p : {(void*)tokens, (void*)x, (void*)normed, (void*)qkv, (void*)attended, (void*)gate_up, (void*)act,
                    (void*)logits})
        CHECK(cudaFree(p));
    return out;
}

}  // namespace reference
