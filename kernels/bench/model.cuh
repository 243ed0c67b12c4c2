// The harness's model: random weights of an exact shape, and the launches of a forward pass, as src/engine does them.
#pragma once

#include "matrix.cuh"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <utility>

namespace decoding {
#include "../decode.cu"
#include "../decode_packed.cu"
#include "../decode_blocks.cu"
#include "../decode_stamped.cu"
}  // namespace decoding
namespace elementwise {
#include "../prefill.cu"
}
namespace flash {
#include "../prefill_attention.cu"
}

namespace flash90 {
#include "../prefill_attention_90.cu"
}

// No cuBLAS headers are needed to build the harness.
extern "C" {
typedef struct cublasContext* cublasHandle_t;
int cublasCreate_v2(cublasHandle_t*);
int cublasSetStream_v2(cublasHandle_t, cudaStream_t);
int cublasSetWorkspace_v2(cublasHandle_t, void*, size_t);
int cublasGemmEx(cublasHandle_t, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int,
                 const void*, void*, int, int, int, int);
}

struct NamedShape {
    const char* name;
    int hidden, intermediate, layers, heads, kv_heads, head_dim, vocabulary;
    bool tied;

    Shape sizes() const {
        return {size_t(hidden),   size_t(intermediate), size_t(layers),    size_t(heads),
                size_t(kv_heads), size_t(head_dim),     size_t(vocabulary)};
    }
    int qkv_rows() const { return (heads + 2 * kv_heads) * head_dim; }
};

inline const NamedShape kShapes[] = {
    {"0.5B", 896, 4864, 24, 14, 2, 64, 151936, true},
    {"1.5B", 1536, 8960, 28, 12, 2, 128, 151936, true},
    {"3B", 2048, 11008, 36, 16, 2, 128, 151936, true},
    {"7B", 3584, 18944, 28, 28, 4, 128, 152064, false},
    {"7B-2", 3584, 18944, 2, 28, 4, 128, 152064, false},
    {"14B", 5120, 13824, 48, 40, 8, 128, 152064, false},
    {"32B", 5120, 27648, 64, 40, 8, 128, 152064, false},
    {"32B-2", 5120, 27648, 2, 40, 8, 128, 152064, false},
    {"72B", 8192, 29568, 80, 64, 8, 128, 152064, false},
    {"72B-2", 8192, 29568, 2, 64, 8, 128, 152064, false},
    // Llama-3.2-1B's shape.
    {"1B", 2048, 8192, 16, 32, 8, 64, 128256, true},
};

// Of the plan's rings (sizes.rs).
constexpr size_t kShortBlocks = 4, kShortDense = 5;

// Exit code: the plan refuses this shape, and says why.
constexpr int kRefused = 3;

// Settings to try, `name=value` on the command line.
inline std::map<std::string, long> g_options;
inline long option(const char* name, long otherwise) {
    auto it = g_options.find(name);
    return it == g_options.end() ? otherwise : it->second;
}

struct Layer {
    bf16 *norm1, *bias, *norm2, *keys, *values;
    Matrix qkv, o, gate_up, down;
    unsigned long long kinds;
};

struct Model {
    NamedShape shape;
    int bits, max_length, chunk;
    DecodePlan plan = {};
    bf16 *embedding, *head, *final_norm;
    void* packed_head = nullptr;
    double head_bytes = 0;
    std::vector<Layer> layers;
    float *cosines, *sines;
    // Decode.
    decoding::DecodeParameters d{};
    unsigned long long* phases;
    unsigned* stamps;
    bf16* x;
    float* logits;
    unsigned* tokens;
    unsigned long long* times;
    StepState* state;
    // Prefill.
    unsigned* prompt;
    bf16 *px, *pnormed, *pqkv, *pquery, *pattended, *pgate_up, *pactivated;
    bf16* scratch;  // For the largest matrix, where they are packed.
    cublasHandle_t blas;
    cudaStream_t stream;
    float eps = 1e-6f;

    // `keep`: what packed matrices were made of, too.
    Model(const NamedShape& s, int max_length, int chunk, bool keep = false)
        : shape(s), bits(option("bits", option("kind", 0) ? 0 : 16)), max_length(max_length), chunk(chunk) {
        Limits limits = limits_of(kernel_of(64, false), decoding::kThreads, decoding::kCluster);
        limits.blocks = std::min<size_t>(limits.blocks, option("blocks", limits.blocks));
        const Shape sizes = s.sizes();
        if (!plan_decode(COMPUTE_CAPABILITY, bits, option("kind", 0), option("better", 0), &sizes, &limits, max_length,
                         eps, &plan, &d))
            exit(kRefused);
        CHECK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        const float a = 0.0346f;
        const int q = s.heads * s.head_dim;
        embedding = random_array(size_t(s.vocabulary) * s.hidden, 1, -a, a);
        head = s.tied ? embedding : random_array(size_t(s.vocabulary) * s.hidden, 2, -a, a);
        final_norm = random_array(s.hidden, 3, 0.8f, 1.2f);
        for (int l = 0; l < s.layers; ++l) {
            const unsigned k = 10 * (l + 1);
            const size_t cache = size_t(s.kv_heads) * max_length * s.head_dim;
            const int eighth = s.layers / 8;
            const bool favoured = option("better", 0) && (l < eighth || l >= 7 * s.layers / 8 || (l - eighth) % 3 == 2);
            const unsigned kind = option("kind", 0), better = favoured ? option("better", 0) : kind;
            unsigned long long kinds = 0;
            for (unsigned each : {better, kind, kind, better, kind, kind}) kinds = kinds << 8 | each;
            auto matrix = [&](int rows, int inputs, int distance, unsigned seed) {
                if (kind && seed == 1) {
                    const int values = s.kv_heads * s.head_dim;
                    return Matrix({{kind, rows - values}, {better, values}}, inputs, distance, k + seed);
                }
                if (kind) return Matrix({{seed == 6 ? better : kind, rows}}, inputs, distance, k + seed);
                return Matrix(bits, rows, inputs, distance, k + seed, a, keep);
            };
            layers.push_back({random_array(s.hidden, k, 0.8f, 1.2f), random_array(s.qkv_rows(), k + 2, -0.5f, 0.5f),
                              random_array(s.hidden, k + 4, 0.8f, 1.2f),
                              // A cache of random numbers, so that any length can be timed without filling it.
                              random_array(cache, k + 7, -1, 1), random_array(cache, k + 8, -1, 1),
                              matrix(s.qkv_rows(), s.hidden, s.head_dim / 2, 1), matrix(s.hidden, q, 1, 3),
                              matrix(2 * s.intermediate, s.hidden, s.intermediate, 5),
                              matrix(s.hidden, s.intermediate, 1, 6), kinds});
        }
        if (option("kind", 0)) {
            d.head_kind = option("better", option("kind", 0));
            const Matrix packed({{unsigned(d.head_kind), s.vocabulary}}, s.hidden, 1, 2);
            // Of a tied model it is another matrix, too.
            head = device_array<bf16>(size_t(s.vocabulary) * s.hidden);
            packed.unpacked(head, nullptr);
            packed_head = packed.weights;
            head_bytes = packed.bytes();
        }
        size_t largest = 0;
        for (const Matrix* matrix : {&layers[0].qkv, &layers[0].o, &layers[0].gate_up, &layers[0].down})
            largest = std::max(largest, size_t(matrix->rows) * matrix->inputs);
        scratch = bits == 16 ? nullptr : device_array<bf16>(largest);
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
        d.parts = reinterpret_cast<uint4*>(device_array<char>(plan.parts_bytes));
        d.bests = device_array<decoding::Best>(plan.blocks);
        d.multiprocessors = device_array<unsigned>(plan.blocks);
        d.tokens = tokens = device_array<unsigned>(max_length);
        d.times = times = device_array<unsigned long long>(max_length);
        d.state = state = device_array<StepState>(1);
        phases = device_array<unsigned long long>(s.layers * 5 + 1);
        stamps = device_array<unsigned>(size_t(kStamped) * plan.blocks * stamps_of_block());
        std::vector<decoding::DecodeLayer> table;
        for (const Layer& l : layers)
            table.push_back({l.norm1, l.qkv.weights, l.bias, l.o.weights, l.norm2, l.gate_up.weights, l.down.weights,
                             l.keys, l.values, l.kinds});
        auto* device_table = device_array<decoding::DecodeLayer>(s.layers);
        CHECK(cudaMemcpy(device_table, table.data(), table.size() * sizeof table[0], cudaMemcpyHostToDevice));
        d.layers = device_table;
        d.embedding = embedding, d.head = packed_head ? static_cast<bf16*>(packed_head) : head,
        d.final_norm = final_norm, d.cosines = cosines, d.sines = sines;
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

    decltype(&decoding::decode_64) kernel_of(int head_dim, bool stamped) const {
#define KERNEL(name) (stamped ? decoding::name##_stamped : decoding::name)
        if (plan.ring == kShortBlocks) return KERNEL(decode_short_blocks_128);
        if (bits == 0) return head_dim == 64 ? KERNEL(decode_blocks_64) : KERNEL(decode_blocks_128);
        if (bits == 4) return head_dim == 64 ? KERNEL(decode_int4_64) : KERNEL(decode_int4_128);
        if (bits == 8) return head_dim == 64 ? KERNEL(decode_int8_64) : KERNEL(decode_int8_128);
        if (plan.ring == kShortDense) return KERNEL(decode_short_128);
        return head_dim == 64 ? KERNEL(decode_64) : KERNEL(decode_128);
#undef KERNEL
    }

    // Of a step of one block; and the most steps of a launch that are stamped.
    int stamps_of_block() const { return shape.layers * decoding::kLayerStamps + decoding::kHeadStamps; }
    static constexpr int kStamped = 32;

    // `steps` decode steps in one launch; 0: only the head. Stamps the last of every `stamped`; 0: none.
    void decode(int steps, bool timed = false, int stamped = 0) {
        auto kernel = kernel_of(shape.head_dim, stamped);
        allow_shared_bytes(kernel, plan.shared_bytes);
        decoding::DecodeParameters params = d;
        params.steps = steps;
        params.phases = timed ? phases : nullptr;
        params.stamps = stamps;
        params.stamps_every = stamped;
        void* args[] = {&params};
        CHECK(cudaLaunchCooperativeKernel((void*)kernel, dim3(plan.blocks), dim3(decoding::kThreads), args,
                                          plan.shared_bytes, stream));
    }

    // out[tokens, rows] (+)= in[tokens, columns] * weight[rows, columns]^T
    void product(const Matrix& weight, const bf16* in, bf16* out, int count, float beta) {
        const float one = 1;
        const int rows = weight.rows, columns = weight.inputs;
        const int status = cublasGemmEx(blas, 1, 0, rows, count, columns, &one, weight.dense(scratch, stream), 14,
                                        columns, in, 14, columns, &beta, out, 14, rows, 68, -1);
        if (status) {
            fprintf(stderr, "cublasGemmEx: %d\n", status);
            exit(1);
        }
    }
    void flash_attention(const Layer& w, int count, int start) {
        const float scale = 1.4426950408889634f / std::sqrt(float(shape.head_dim));
        const int group = shape.heads / shape.kv_heads;
        const uint64_t hd = shape.head_dim;
        if (option("wgmma", 1)) {
            const CUtensorMap q = tensor_map(pquery, hd, shape.heads, hd, chunk, hd * shape.heads, 1, PREFILL_90_TILE);
            const CUtensorMap k =
                tensor_map(w.keys, hd, max_length, hd, shape.kv_heads, hd * max_length, PREFILL_90_TILE, 1);
            const CUtensorMap v =
                tensor_map(w.values, hd, max_length, hd, shape.kv_heads, hd * max_length, PREFILL_90_TILE, 1);
            const size_t shared = hd == 64 ? PREFILL_90_BYTES_64 : PREFILL_90_BYTES_128;
            auto kernel = hd == 64 ? flash90::prefill_attention_90_64 : flash90::prefill_attention_90_128;
            allow_shared_bytes(kernel, shared);
            kernel<<<dim3(shape.heads, (count + PREFILL_90_TILE - 1) / PREFILL_90_TILE), PREFILL_90_THREADS, shared,
                     stream>>>(q, k, v, pattended, count, start, shape.heads, group, scale);
            CHECK(cudaGetLastError());
            return;
        }
        const dim3 grid(shape.heads, (count + PREFILL_TILE - 1) / PREFILL_TILE);
        const size_t shared = shape.head_dim == 64 ? PREFILL_BYTES_64 : PREFILL_BYTES_128;
        auto kernel = shape.head_dim == 64 ? flash::prefill_attention_64 : flash::prefill_attention_128;
        allow_shared_bytes(kernel, shared);
        kernel<<<grid, PREFILL_THREADS, shared, stream>>>(pquery, w.keys, w.values, pattended, count, start,
                                                          shape.heads, group, max_length, scale);
    }
    // One chunk of the prompt; `phase` is told of every part, for timing.
    void forward(int start, int count) {
        const NamedShape& s = shape;
        elementwise::prefill_embed<<<count, 256, 0, stream>>>(prompt + start, embedding, px, s.hidden);
        for (const Layer& w : layers) {
            elementwise::prefill_norm<<<count, 256, 0, stream>>>(px, w.norm1, eps, pnormed, s.hidden);
            product(w.qkv, pnormed, pqkv, count, 0);
            elementwise::prefill_rope<<<count, 256, 0, stream>>>(pqkv, w.bias, cosines, sines, pquery, w.keys, w.values,
                                                                 start, s.heads, s.kv_heads, s.head_dim, max_length);
            flash_attention(w, count, start);
            product(w.o, pattended, px, count, 1);
            elementwise::prefill_norm<<<count, 256, 0, stream>>>(px, w.norm2, eps, pnormed, s.hidden);
            product(w.gate_up, pnormed, pgate_up, count, 0);
            elementwise::prefill_silu<<<dim3((s.intermediate / 8 + 255) / 256, count), 256, 0, stream>>>(
                pgate_up, pactivated, s.intermediate);
            product(w.down, pactivated, px, count, 1);
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
