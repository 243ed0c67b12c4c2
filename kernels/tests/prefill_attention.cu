// Flash attention of a prompt's rows: both kernels, where the GPU has both.

#include "tests.cuh"

namespace portable {
#include "../prefill_attention.cu"
}
namespace hopper {
#include "../prefill_attention_90.cu"
}

namespace {
struct Case {
    int heads, kv_heads, head_dim, tokens, start;
};

// Keys and values of all positions are in the cache; `chunk` rows have room in `query` and `out`.
struct Prompt {
    Case c;
    int chunk, max_length;
    std::vector<bf16> query, keys, values;
    bf16 *device_query, *device_keys, *device_values, *out;

    explicit Prompt(const Case& c)
        : c(c),
          chunk(c.tokens + 3),
          max_length(c.start + c.tokens + 5),
          query(random_bf16(size_t(chunk) * c.heads * c.head_dim, -2, 2)),
          keys(random_bf16(size_t(c.kv_heads) * max_length * c.head_dim, -2, 2)),
          values(random_bf16(keys.size())),
          device_query(to_device(query)),
          device_keys(to_device(keys)),
          device_values(to_device(values)),
          out(device_array<bf16>(query.size())) {}

    float scale_log2() const { return 1.4426950408889634f / std::sqrt(float(c.head_dim)); }

    void run_portable() {
        auto kernel = c.head_dim == 64 ? portable::prefill_attention_64 : portable::prefill_attention_128;
        const size_t shared = c.head_dim == 64 ? PREFILL_BYTES_64 : PREFILL_BYTES_128;
        allow_shared_bytes(kernel, shared);
        const dim3 grid(c.heads, (c.tokens + PREFILL_TILE - 1) / PREFILL_TILE);
        kernel<<<grid, PREFILL_THREADS, shared>>>(device_query, device_keys, device_values, out, c.tokens, c.start,
                                                  c.heads, c.heads / c.kv_heads, max_length, scale_log2());
        CHECK(cudaGetLastError());
    }

    void run_hopper() {
        const uint64_t n = c.head_dim;
        const CUtensorMap q = tensor_map(device_query, n, c.heads, n, chunk, n * c.heads, 1, PREFILL_90_TILE);
        auto cached = [&](const bf16* data) {
            return tensor_map(data, n, max_length, n, c.kv_heads, n * max_length, PREFILL_90_TILE, 1);
        };
        auto kernel = n == 64 ? hopper::prefill_attention_90_64 : hopper::prefill_attention_90_128;
        const size_t shared = n == 64 ? PREFILL_90_BYTES_64 : PREFILL_90_BYTES_128;
        allow_shared_bytes(kernel, shared);
        const dim3 grid(c.heads, (c.tokens + PREFILL_90_TILE - 1) / PREFILL_90_TILE);
        kernel<<<grid, PREFILL_90_THREADS, shared>>>(q, cached(device_keys), cached(device_values), out, c.tokens,
                                                     c.start, c.heads, c.heads / c.kv_heads, scale_log2());
        CHECK(cudaGetLastError());
    }

    // The row that is furthest off; rows beyond the tokens must stay zero.
    double error() const {
        const auto got = to_host(out, query.size());
        Worst worst;
        for (int row = 0; row < chunk; ++row) {
            for (int head = 0; head < c.heads; ++head) {
                const size_t at = (size_t(row) * c.heads + head) * c.head_dim;
                std::vector<double> found(c.head_dim);
                for (int i = 0; i < c.head_dim; ++i) found[i] = number(got[at + i]);
                if (row >= c.tokens) {
                    for (double value : found) worst.add(value == 0 ? 0 : INFINITY);
                    continue;
                }
                const size_t cache = size_t(head / (c.heads / c.kv_heads)) * max_length;
                worst.add(relative_distance(found, attention_of(
                                                       &query[at], c.head_dim, c.start + row + 1,
                                                       [&](int j) { return &keys[(cache + j) * c.head_dim]; },
                                                       [&](int j) { return &values[(cache + j) * c.head_dim]; })));
            }
        }
        return worst.error;
    }
};

void check_all(void (Prompt::*run)()) {
    for (const auto& [heads, kv_heads, head_dim] : {std::tuple(14, 2, 64), std::tuple(6, 2, 128)}) {
        for (const auto& [tokens, start] :
             {std::pair(1, 0), std::pair(63, 0), std::pair(64, 0), std::pair(65, 0), std::pair(129, 0),
              std::pair(300, 0), std::pair(1, 200), std::pair(130, 70), std::pair(100, 500)}) {
            Prompt prompt({heads, kv_heads, head_dim, tokens, start});
            (prompt.*run)();
            measured("heads of " + std::to_string(head_dim) + ", " + std::to_string(tokens) + " tokens behind " +
                         std::to_string(start),
                     prompt.error());
        }
    }
}
}  // namespace

// Weights are rounded to bf16.
TEST(prompt_attention_on_every_gpu, 0.015) { check_all(&Prompt::run_portable); }

#if COMPUTE_CAPABILITY == 90
TEST(prompt_attention_of_9_0, 0.015) { check_all(&Prompt::run_hopper); }
#endif
