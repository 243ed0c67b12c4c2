// The harness's model: random weights of an exact shape, and the launches of a forward pass, as src/engine does them.
#pragma once

#include "../common.cuh"

#include <cuda.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace decoding {
#include "../decode.cu"
}
namespace elementwise {
#include "../prefill.cu"
}
namespace flash {
#include "../prefill_attention.cu"
}

namespace flash90 {
#include "../prefill_attention_90.cu"
}

#define CHECK(call)                                                                          \
    do {                                                                                     \
        cudaError_t status_ = (call);                                                        \
        if (status_ != cudaSuccess) {                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorString(status_)); \
            exit(1);                                                                         \
        }                                                                                    \
    } while (0)

// No cuBLAS headers are needed to build the harness.
extern "C" {
typedef struct cublasContext* cublasHandle_t;
int cublasCreate_v2(cublasHandle_t*);
int cublasSetStream_v2(cublasHandle_t, cudaStream_t);
int cublasSetWorkspace_v2(cublasHandle_t, void*, size_t);
int cublasGemmEx(cublasHandle_t, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int,
                 const void*, void*, int, int, int, int);
}

struct Shape {
    const char* name;
    int hidden, intermediate, layers, heads, kv_heads, head_dim, vocabulary;
    bool tied;
    int qkv_rows() const { return (heads + 2 * kv_heads) * head_dim; }
};

inline const Shape kShapes[] = {
    {"0.5B", 896, 4864, 24, 14, 2, 64, 151936, true},    {"1.5B", 1536, 8960, 28, 12, 2, 128, 151936, true},
    {"3B", 2048, 11008, 36, 16, 2, 128, 151936, true},   {"7B", 3584, 18944, 28, 28, 4, 128, 152064, false},
    {"7B-2", 3584, 18944, 2, 28, 4, 128, 152064, false},
};

// Settings to try, `name=value` on the command line.
inline std::map<std::string, long> g_options;
inline long option(const char* name, long otherwise) {
    auto it = g_options.find(name);
    return it == g_options.end() ? otherwise : it->second;
}

__global__ void fill_random(bf16* out, size_t count, unsigned seed, float low_value, float high_value) {
    for (size_t i = blockIdx.x * static_cast<size_t>(blockDim.x) + threadIdx.x; i < count;
         i += static_cast<size_t>(gridDim.x) * blockDim.x) {
        unsigned long long z = (i + 1) * 0x9E3779B97F4A7C15ull + seed * 0xD1B54A32D192ED03ull;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
        z ^= z >> 31;
        out[i] = __float2bfloat16_rn(low_value + (high_value - low_value) * (z >> 40) * (1.0f / 16777216.0f));
    }
}

template <typename T>
T* device_array(size_t count) {
    T* p;
    CHECK(cudaMalloc(&p, count * sizeof(T)));
    return p;
}

inline bf16* random_array(size_t count, unsigned seed, float low_value, float high_value) {
    bf16* p = device_array<bf16>(count);
    fill_random<<<1024, 256>>>(p, count, seed, low_value, high_value);
    CHECK(cudaGetLastError());
    return p;
}

struct Layer {
    bf16 *norm1, *qkv, *bias, *o, *norm2, *gate_up, *down, *keys, *values;
};

struct Model {
    Shape shape;
    int max_length, chunk, sms, blocks;
    bf16 *embedding, *head, *final_norm;
    std::vector<Layer> layers;
    float *cosines, *sines;
    // Decode.
    decoding::Decode d{};
    unsigned long long* phases;
    bf16* x;
    float* logits;
    unsigned* tokens;
    unsigned long long* times;
    StepState* state;
    // Prefill.
    unsigned* prompt;
    bf16 *px, *pnormed, *pqkv, *pquery, *pattended, *pgate_up, *pactivated;
    cublasHandle_t blas;
    cudaStream_t stream;
    float eps = 1e-6f;

    Model(const Shape& s, int max_length, int chunk) : shape(s), max_length(max_length), chunk(chunk) {
        cudaDeviceProp properties;
        CHECK(cudaGetDeviceProperties(&properties, 0));
        sms = properties.multiProcessorCount;
        blocks = sms;
        if (decoding::kCluster > 1) {
            cudaLaunchConfig_t config = {};
            cudaLaunchAttribute attribute;
            attribute.id = cudaLaunchAttributeClusterDimension;
            attribute.val.clusterDim.x = decoding::kCluster,
            attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
            config.attrs = &attribute, config.numAttrs = 1;
            config.gridDim = dim3(decoding::kCluster), config.blockDim = dim3(decoding::kThreads),
            config.dynamicSmemBytes = 200000;
            int clusters = 0;
            CHECK(
                cudaFuncSetAttribute((void*)decoding::decode_64, cudaFuncAttributeMaxDynamicSharedMemorySize, 200000));
            if (decoding::kCluster > 8)
                CHECK(cudaFuncSetAttribute((void*)decoding::decode_64, cudaFuncAttributeNonPortableClusterSizeAllowed,
                                           1));
            CHECK(cudaOccupancyMaxActiveClusters(&clusters, decoding::decode_64, &config));
            blocks = clusters * decoding::kCluster;
        }
        CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        const float a = 0.0346f;
        const int q = s.heads * s.head_dim;
        embedding = random_array(size_t(s.vocabulary) * s.hidden, 1, -a, a);
        head = s.tied ? embedding : random_array(size_t(s.vocabulary) * s.hidden, 2, -a, a);
        final_norm = random_array(s.hidden, 3, 0.8f, 1.2f);
        for (int l = 0; l < s.layers; ++l) {
            const unsigned k = 10 * (l + 1);
            Layer layer;
            layer.norm1 = random_array(s.hidden, k, 0.8f, 1.2f);
            layer.qkv = random_array(size_t(s.qkv_rows()) * s.hidden, k + 1, -a, a);
            layer.bias = random_array(s.qkv_rows(), k + 2, -0.5f, 0.5f);
            layer.o = random_array(size_t(s.hidden) * q, k + 3, -a, a);
            layer.norm2 = random_array(s.hidden, k + 4, 0.8f, 1.2f);
            layer.gate_up = random_array(size_t(2) * s.intermediate * s.hidden, k + 5, -a, a);
            layer.down = random_array(size_t(s.hidden) * s.intermediate, k + 6, -a, a);
            const size_t cache = size_t(s.kv_heads) * max_length * s.head_dim;
            // A cache of random numbers, so that any length can be timed without filling it.
            layer.keys = random_array(cache, k + 7, -1, 1);
            layer.values = random_array(cache, k + 8, -1, 1);
            layers.push_back(layer);
        }
        const int half = s.head_dim / 2;
        std::vector<float> c(size_t(max_length) * half), n(size_t(max_length) * half);
        for (int p = 0; p < max_length; ++p)
            for (int i = 0; i < half; ++i) {
                const double angle = p * std::pow(1e6, -2.0 * i / s.head_dim);
                c[size_t(p) * half + i] = std::cos(angle);
                n[size_t(p) * half + i] = std::sin(angle);
            }
        cosines = device_array<float>(c.size());
        sines = device_array<float>(n.size());
        CHECK(cudaMemcpy(cosines, c.data(), c.size() * 4, cudaMemcpyHostToDevice));
        CHECK(cudaMemcpy(sines, n.data(), n.size() * 4, cudaMemcpyHostToDevice));
        x = device_array<bf16>(s.hidden);
        d.x = x;
        d.x1 = device_array<decoding::PairWord>(s.hidden / 2);
        d.x2 = device_array<decoding::PairWord>(s.hidden / 2);
        d.qkv = device_array<decoding::PairWord>(s.qkv_rows() / 2);
        d.attended = device_array<decoding::PairWord>(q / 2);
        d.activated = device_array<decoding::HalfWord>(s.intermediate);
        d.logits = logits = device_array<float>(s.vocabulary);
        const size_t parts = size_t(sms / s.kv_heads) * s.heads * (s.head_dim / 2 + 2);
        d.parts = device_array<decoding::PairWord>(parts);
        CHECK(cudaMemset(d.x1, 0, s.hidden * 4));
        CHECK(cudaMemset(d.x2, 0, s.hidden * 4));
        CHECK(cudaMemset(d.qkv, 0, s.qkv_rows() * 4));
        CHECK(cudaMemset(d.attended, 0, q * 4));
        CHECK(cudaMemset(d.activated, 0, s.intermediate * 4));
        CHECK(cudaMemset(d.parts, 0, parts * 8));
        d.bests = device_array<decoding::Best>(sms);
        d.multiprocessors = device_array<unsigned>(sms);
        d.tokens = tokens = device_array<unsigned>(max_length);
        d.times = times = device_array<unsigned long long>(max_length);
        d.state = state = device_array<StepState>(1);
        CHECK(cudaMemset(state, 0, sizeof(StepState)));
        phases = device_array<unsigned long long>(s.layers * 5 + 1);
        std::vector<decoding::DecodeLayer> table;
        for (const Layer& l : layers)
            table.push_back({l.norm1, l.qkv, l.bias, l.o, l.norm2, l.gate_up, l.down, l.keys, l.values});
        auto* device_table = device_array<decoding::DecodeLayer>(s.layers);
        CHECK(cudaMemcpy(device_table, table.data(), table.size() * sizeof table[0], cudaMemcpyHostToDevice));
        d.layers = device_table;
        d.embedding = embedding, d.head = head, d.final_norm = final_norm, d.cosines = cosines, d.sines = sines;
        d.layer_count = s.layers, d.hidden = s.hidden, d.intermediate = s.intermediate, d.heads = s.heads;
        d.kv_heads = s.kv_heads, d.vocabulary = s.vocabulary, d.max_length = max_length;
        d.eps = eps, d.scale_log2 = 1.4426950408889634f / std::sqrt(float(s.head_dim));
        d.split_qkv = best_split(s.qkv_rows() / 2, s.hidden);
        d.split_output = best_split(s.hidden / 2, q);
        d.split_gate_up = best_split(s.intermediate, s.hidden);
        d.split_down = best_split(s.hidden / 2, s.intermediate);
        d.split_head = best_split(s.vocabulary / 2, s.hidden);
        prompt = device_array<unsigned>(max_length);
        px = device_array<bf16>(size_t(chunk) * s.hidden);
        pnormed = device_array<bf16>(size_t(chunk) * s.hidden);
        pqkv = device_array<bf16>(size_t(chunk) * s.qkv_rows());
        pquery = device_array<bf16>(size_t(chunk) * q);
        pattended = device_array<bf16>(size_t(chunk) * q);
        pgate_up = device_array<bf16>(size_t(chunk) * 2 * s.intermediate);
        pactivated = device_array<bf16>(size_t(chunk) * s.intermediate);
        cublasCreate_v2(&blas);
        cublasSetStream_v2(blas, stream);
        cublasSetWorkspace_v2(blas, device_array<char>(64 << 20), 64 << 20);
        CHECK(cudaDeviceSynchronize());
    }

    void set_state(int position, unsigned token) {
        elementwise::begin_decode<<<1, 256, 0, stream>>>(nullptr, x, state, position, token, 0, shape.hidden);
        CHECK(cudaStreamSynchronize(stream));
    }

    // How many warps share a row: what gives the fewest batches to the busiest warp.
    int best_split(int pairs, int columns) const {
        const int mine = (pairs + blocks - 1) / blocks;
        auto batches = [&](int split) {
            const int rounds = (mine * split + decoding::kWarps - 1) / decoding::kWarps;
            return rounds * ((columns / 8 + 32 * split - 1) / (32 * split));
        };
        int fewest = batches(1), best = 1;
        for (int split = 2; split <= decoding::kWarps; split *= 2) fewest = std::min(fewest, batches(split));
        while (batches(best) * 50 > fewest * 51) best *= 2;
        return best;
    }
    size_t region(int pairs, int columns, int split) const {
        const int mine = (pairs + blocks - 1) / blocks;
        const int rounds = (mine * split + decoding::kWarps - 1) / decoding::kWarps;
        const int step = 32 * split;
        return size_t((columns / 8 + step - 1) / step * step) * 16 + size_t(rounds) * decoding::kWarps * 8;
    }
    // `steps` decode steps in one launch; 0: only the head.
    void decode(int steps, bool timed = false) {
        const Shape& s = shape;
        const int q = s.heads * s.head_dim;
        const size_t first = std::max({region(s.qkv_rows() / 2, s.hidden, d.split_qkv),
                                       region(s.intermediate, s.hidden, d.split_gate_up),
                                       region(s.vocabulary / 2, s.hidden, d.split_head)});
        const size_t received = size_t(decoding::kGroup) * (s.head_dim * 4 + decoding::kCluster * 8);
        const size_t second = std::max(
            {region(s.hidden / 2, q, d.split_output), region(s.hidden / 2, s.intermediate, d.split_down), received});
        const size_t tiles = s.head_dim == 64 ? decoding::kAttentionBytes<64> : decoding::kAttentionBytes<128>;
        const size_t shared =
            decoding::kRing + (s.layers * sizeof(decoding::DecodeLayer) + 15) / 16 * 16 + tiles + first + second;
        d.second_region = first / 16;
        for (d.team = decoding::kCluster; blocks / d.team < s.kv_heads; d.team /= 2) {}
        auto kernel = s.head_dim == 64 ? decoding::decode_64 : decoding::decode_128;
        CHECK(cudaFuncSetAttribute((void*)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
        if (decoding::kCluster > 8)
            CHECK(cudaFuncSetAttribute((void*)kernel, cudaFuncAttributeNonPortableClusterSizeAllowed, 1));
        decoding::Decode params = d;
        params.steps = steps;
        params.phases = timed ? phases : nullptr;
        void* args[] = {&params};
        CHECK(cudaLaunchCooperativeKernel((void*)kernel, dim3(blocks), dim3(decoding::kThreads), args, shared, stream));
    }

    // out[tokens, rows] (+)= in[tokens, columns] * weight[rows, columns]^T
    void product(const bf16* weight, const bf16* in, bf16* out, int rows, int columns, int count, float beta) {
        const float one = 1;
        const int status = cublasGemmEx(blas, 1, 0, rows, count, columns, &one, weight, 14, columns, in, 14, columns,
                                        &beta, out, 14, rows, 68, -1);
        if (status) {
            fprintf(stderr, "cublasGemmEx: %d\n", status);
            exit(1);
        }
    }
    // A tensor of rows of head_dim values in two more dimensions, read in boxes of 64 x y x z.
    CUtensorMap tensor_map(const bf16* data, uint64_t ys, uint64_t y_stride, uint64_t zs, uint64_t z_stride,
                           uint32_t y_box, uint32_t z_box) const {
        CUtensorMap map;
        const cuuint64_t sizes[] = {cuuint64_t(shape.head_dim), ys, zs};
        const cuuint64_t strides[] = {y_stride * 2, z_stride * 2};
        const cuuint32_t box[] = {64, y_box, z_box}, steps[] = {1, 1, 1};
        const CUresult status =
            cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, (void*)data, sizes, strides, box, steps,
                                   CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                   CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
        if (status) {
            fprintf(stderr, "cuTensorMapEncodeTiled: %d\n", status);
            exit(1);
        }
        return map;
    }
    void flash_attention(const Layer& w, int count, int start) {
        const float scale = 1.4426950408889634f / std::sqrt(float(shape.head_dim));
        const int group = shape.heads / shape.kv_heads;
        const uint64_t hd = shape.head_dim;
        if (option("wgmma", 1)) {
            const CUtensorMap q = tensor_map(pquery, shape.heads, hd, chunk, hd * shape.heads, 1, 128);
            const CUtensorMap k = tensor_map(w.keys, max_length, hd, shape.kv_heads, hd * max_length, 128, 1);
            const CUtensorMap v = tensor_map(w.values, max_length, hd, shape.kv_heads, hd * max_length, 128, 1);
            const size_t shared = 5 * 128 * hd * 2 + 128 + 1024;
            auto kernel = hd == 64 ? flash90::prefill_attention_90_64 : flash90::prefill_attention_90_128;
            CHECK(cudaFuncSetAttribute((void*)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
            kernel<<<dim3(shape.heads, (count + 127) / 128), 384, shared, stream>>>(q, k, v, pattended, count, start,
                                                                                    shape.heads, group, scale);
            CHECK(cudaGetLastError());
            return;
        }
        const dim3 grid(shape.heads, (count + 63) / 64);
        const size_t shared = size_t(64) * shape.head_dim * 2 * 4;
        auto kernel = shape.head_dim == 64 ? flash::prefill_attention_64 : flash::prefill_attention_128;
        CHECK(cudaFuncSetAttribute((void*)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
        kernel<<<grid, 128, shared, stream>>>(pquery, w.keys, w.values, pattended, count, start, shape.heads, group,
                                              max_length, scale);
    }
    // One chunk of the prompt; `phase` is told of every part, for timing.
    void forward(int start, int count) {
        const Shape& s = shape;
        const int q = s.heads * s.head_dim;
        elementwise::prefill_embed<<<count, 256, 0, stream>>>(prompt + start, embedding, px, s.hidden);
        for (const Layer& w : layers) {
            elementwise::prefill_norm<<<count, 256, 0, stream>>>(px, w.norm1, eps, pnormed, s.hidden);
            product(w.qkv, pnormed, pqkv, s.qkv_rows(), s.hidden, count, 0);
            elementwise::prefill_rope<<<count, 256, 0, stream>>>(pqkv, w.bias, cosines, sines, pquery, w.keys, w.values,
                                                                 start, s.heads, s.kv_heads, s.head_dim, max_length);
            flash_attention(w, count, start);
            product(w.o, pattended, px, s.hidden, q, count, 1);
            elementwise::prefill_norm<<<count, 256, 0, stream>>>(px, w.norm2, eps, pnormed, s.hidden);
            product(w.gate_up, pnormed, pgate_up, 2 * s.intermediate, s.hidden, count, 0);
            elementwise::prefill_silu<<<dim3((s.intermediate / 8 + 255) / 256, count), 256, 0, stream>>>(
                pgate_up, pactivated, s.intermediate);
            product(w.down, pactivated, px, s.hidden, s.intermediate, count, 1);
        }
        CHECK(cudaGetLastError());
    }
    // The whole prompt; afterwards the state is ready for `step`, and the first token is chosen.
    void prefill(const std::vector<unsigned>& ids) {
        const int n = ids.size();
        CHECK(cudaMemcpyAsync(prompt, ids.data(), n * 4, cudaMemcpyHostToDevice, stream));
        int start = 0, count = 0;
        for (; start < n; start += count) {
            count = std::min(chunk, n - start);
            forward(start, count);
        }
        elementwise::begin_decode<<<1, 256, 0, stream>>>(px + size_t(count - 1) * shape.hidden, x, state, n - 1, 0, 0,
                                                         shape.hidden);
        decode(0);
    }
};
