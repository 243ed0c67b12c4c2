// Shapes that nobody tuned the kernels to, drawn within what the plan supports, with a prompt. The same for a seed on
// every run.
#pragma once

#include "model.cuh"

#include <random>

// What a model with these weights must have multiples of, as `check_shape` of decode_plan.rs says.
inline int row_multiple() {
    const long kind = option("kind", 0);
    if (kind == KIND_Q4_K || kind == KIND_Q6_K || option("better", 0)) return 256;
    return kind || option("bits", 16) != 16 ? 128 : 8;
}

// Sets options that the command line leaves open: weights, prompt, chunk and the number of steps.
inline NamedShape random_shape(unsigned seed, bool halves) {
    std::mt19937 source(seed);
    auto below = [&](int count) { return int(source() % count); };
    // Small ones as often as large ones.
    auto spread = [&](double low, double high) {
        return int(low * std::pow(high / low, (source() >> 8) / double(1 << 24)));
    };
    auto one_of = [&](std::initializer_list<int> values) { return values.begin()[below(int(values.size()))]; };
    auto draw = [](const char* name, long value) { g_options.emplace(name, value); };

    const int weights = below(6);
    if (weights == 1 || (halves && weights < 3)) draw("bits", one_of({4, 8}));
    if (!halves && weights == 2) draw("kind", one_of({KIND_Q8_0, KIND_Q4_0, KIND_Q4_K, KIND_Q6_K}));
    if (!halves && weights == 3) draw("kind", KIND_Q4_K), draw("better", KIND_Q6_K);
    const int of = row_multiple(), part = halves ? 2 : 1;

    NamedShape s = {"drawn"};
    s.head_dim = one_of({64, 128});
    const int group = 1 + below(8), most = std::max(part, 8192 / s.head_dim / group);
    s.kv_heads = std::max(1, std::min(spread(1, 33), most) / part) * part;
    s.heads = s.kv_heads * group;
    // A query vector may have to be a multiple of more than a head.
    while (s.heads * s.head_dim % (of * part)) s.heads += s.kv_heads;
    s.hidden = std::max(1, spread(256, 8192) / of) * of;
    s.intermediate = std::max(1, spread(256, 30000) / (of * part)) * of * part;
    s.layers = 1 + below(5);
    s.vocabulary = spread(500, 40000) / (2 * part) * 2 * part;
    s.tied = below(2);

    // Around lengths at which attention changes its way, too.
    const int edge = 128 * (1 + below(52)) - 2 + below(5), prompt = one_of({spread(1, 7000), spread(1, 7000), edge});
    if (halves) {
        draw("context", prompt);
        draw("steps", 5 + below(30));
    } else {
        draw("prompt", prompt);
        draw("generate", 1 + below(40));
        draw("chunk", spread(16, 9000));
    }
    printf("seed %u: hidden %d, intermediate %d, %d layers, %d heads of %d, %d key/value heads, vocabulary %d%s", seed,
           s.hidden, s.intermediate, s.layers, s.heads, s.head_dim, s.kv_heads, s.vocabulary, s.tied ? ", tied" : "");
    for (const auto& [name, value] : g_options) printf(", %s=%ld", name.c_str(), value);
    printf("\n");
    fflush(stdout);
    return s;
}
