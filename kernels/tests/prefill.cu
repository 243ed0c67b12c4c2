// The element-wise kernels of a prompt's pass.

#include "tests.cuh"

#include "../prefill.cu"

static const int kTokens = 5;

TEST(prompt_embedding, 0) {
    const int hidden = 1064, vocabulary = 50;
    const auto table = random_bf16(vocabulary * hidden);
    const std::vector<unsigned> tokens = {0, 49, 7, 7, 31};
    bf16* out = device_array<bf16>(kTokens * hidden);
    prefill_embed<<<kTokens, kThreads>>>(to_device(tokens), to_device(table), out, hidden);
    const auto got = to_host(out, kTokens * hidden);
    Worst worst;
    for (int i = 0; i < kTokens * hidden; ++i)
        worst.add(number(got[i]), number(table[tokens[i / hidden] * hidden + i % hidden]));
    measured("5 tokens", worst.error);
}

TEST(prompt_norm, 1.0 / 256) {
    for (int hidden : {896, 1064, 3584}) {
        const auto x = random_bf16(kTokens * hidden, -3, 3), weight = random_bf16(hidden, 0.5, 1.5);
        bf16* out = device_array<bf16>(kTokens * hidden);
        prefill_norm<<<kTokens, kThreads>>>(to_device(x), to_device(weight), 1e-6f, out, hidden);
        const auto got = to_host(out, kTokens * hidden);
        Worst worst;
        for (int token = 0; token < kTokens; ++token) {
            double squares = 0;
            for (int i = 0; i < hidden; ++i) squares += std::pow(number(x[token * hidden + i]), 2);
            const double scale = 1 / std::sqrt(squares / hidden + 1e-6);
            for (int i = 0; i < hidden; ++i)
                worst.add(number(got[token * hidden + i]), number(x[token * hidden + i]) * scale * number(weight[i]));
        }
        measured(std::to_string(hidden), worst.error);
    }
}

// A value that lies between two numbers of bf16 may be rounded either way before it's multiplied.
TEST(prompt_silu, 1.0 / 64) {
    for (int intermediate : {440, 4864}) {
        const auto x = random_bf16(kTokens * 2 * intermediate, -6, 6);
        bf16* out = device_array<bf16>(kTokens * intermediate);
        prefill_silu<<<dim3((intermediate / 8 + kThreads - 1) / kThreads, kTokens), kThreads>>>(to_device(x), out,
                                                                                                intermediate);
        const auto got = to_host(out, kTokens * intermediate);
        Worst worst;
        for (int i = 0; i < kTokens * intermediate; ++i) {
            const size_t at = size_t(i / intermediate) * 2 * intermediate + i % intermediate;
            const double gate = number(x[at]), up = number(x[at + intermediate]);
            worst.add(number(got[i]), as_bf16(gate / (1 + std::exp(-gate))) * up);
        }
        measured(std::to_string(intermediate), worst.error);
    }
}

static void check_rope(int heads, int kv_heads, int head_dim, int start, int max_length) {
    const int all = heads + 2 * kv_heads, half = head_dim / 2, cache = kv_heads * max_length * head_dim;
    const auto qkv = random_bf16(size_t(kTokens) * all * head_dim, -3, 3), bias = random_bf16(all * head_dim);
    std::vector<float> cosines, sines;
    for (int i = 0; i < max_length * half; ++i) {
        const float angle = random_float(-3, 3);
        cosines.push_back(std::cos(angle)), sines.push_back(std::sin(angle));
    }
    const auto old = random_bf16(cache);
    bf16 *query = device_array<bf16>(size_t(kTokens) * heads * head_dim), *keys = to_device(old),
         *values = to_device(old);
    prefill_rope<<<kTokens, kThreads>>>(to_device(qkv), to_device(bias), to_device(cosines), to_device(sines), query,
                                        keys, values, start, heads, kv_heads, head_dim, max_length);
    const auto got_query = to_host(query, size_t(kTokens) * heads * head_dim);
    const auto got_keys = to_host(keys, cache), got_values = to_host(values, cache);
    Worst worst;
    int untouched = 0;
    for (int token = 0; token < kTokens; ++token) {
        for (int i = 0; i < all * half; ++i) {
            const int head = i / half, j = i % half, position = start + token;
            const bf16* row = &qkv[(size_t(token) * all + head) * head_dim];
            const double x = as_bf16(number(row[j]) + number(bias[head * head_dim + j]));
            const double y = as_bf16(number(row[j + half]) + number(bias[head * head_dim + j + half]));
            const bool rotates = head < heads + kv_heads;
            const double c = rotates ? cosines[position * half + j] : 1, s = rotates ? sines[position * half + j] : 0;
            const bf16* got =
                head < heads
                    ? &got_query[(size_t(token) * heads + head) * head_dim]
                    : &(rotates ? got_keys
                                : got_values)[size_t((head - heads) % kv_heads * max_length + position) * head_dim];
            worst.add(number(got[j]), x * c - y * s);
            worst.add(number(got[j + half]), y * c + x * s);
        }
    }
    for (int i = 0; i < cache; ++i) {
        const int position = i / head_dim % max_length;
        if (position >= start && position < start + kTokens) continue;
        ++untouched;
        worst.add(number(got_keys[i]), number(old[i])), worst.add(number(got_values[i]), number(old[i]));
    }
    measured("heads of " + std::to_string(head_dim) + " from " + std::to_string(start),
             untouched ? worst.error : INFINITY);
}

TEST(prompt_rotary_embedding_and_cache_write, 1.0 / 128) {
    for (int start : {0, 3, 6}) {
        check_rope(14, 2, 64, start, 11);
        check_rope(28, 4, 128, start, 11);
    }
}

TEST(decoding_begins_where_the_prompt_ended, 0) {
    const int hidden = 1064;
    const auto row = random_bf16(hidden);
    bf16* x = device_array<bf16>(hidden);
    StepState before = {1, 2, 3, 4, 0, 0};
    auto* state = to_device(std::vector<StepState>{before});
    begin_decode<<<1, kThreads>>>(to_device(row), x, state, 17, 99, 5, hidden);
    const auto got = to_host(x, hidden);
    const StepState now = to_host(state, 1)[0];
    Worst worst;
    for (int i = 0; i < hidden; ++i) worst.add(number(got[i]), number(row[i]));
    // The epoch goes on: old words must not look new.
    const bool good = now.position == 17 && now.token == 99 && now.step == 5 && now.epoch == 4;
    measured("state", good ? worst.error : INFINITY);
}
