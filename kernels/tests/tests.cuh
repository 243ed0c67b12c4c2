// A test runs kernels made of the primitives on small random data and compares with a reference on the host.
#pragma once

#include "../host.cuh"

#include <algorithm>
#include <cmath>
#include <random>
#include <tuple>

struct Test {
    const char* name;
    double bound;  // The greatest error that is right.
    void (*run)();
};

std::vector<Test>& all_tests();

// Of one case: what it is, and how wrong.
void measured(const std::string& what, double error);

struct Registered {
    Registered(const char* name, double bound, void (*run)()) { all_tests().push_back({name, bound, run}); }
};

// TEST(name, bound) { ... measured("case", error); ... }
#define TEST(name, bound)                                    \
    static void name();                                      \
    static const Registered name##_test(#name, bound, name); \
    static void name()

inline std::mt19937& random_source() {
    static std::mt19937 source(20260131);
    return source;
}

inline float random_float(float low, float high) {
    return std::uniform_real_distribution<float>(low, high)(random_source());
}

inline std::vector<float> random_floats(size_t count, float low, float high) {
    std::vector<float> values(count);
    for (float& value : values) value = random_float(low, high);
    return values;
}

inline std::vector<bf16> random_bf16(size_t count, float low = -1, float high = 1) {
    std::vector<bf16> values(count);
    for (bf16& value : values) value = __float2bfloat16(random_float(low, high));
    return values;
}

inline double number(bf16 value) { return __bfloat162float(value); }
inline double as_bf16(double value) { return __bfloat162float(__float2bfloat16(float(value))); }

// The two values of a word.
inline double low_of(uint32_t pair) { return number(reinterpret_cast<const bf16*>(&pair)[0]); }
inline double high_of(uint32_t pair) { return number(reinterpret_cast<const bf16*>(&pair)[1]); }
inline uint32_t pair_of(bf16 low, bf16 high) {
    return uint32_t(reinterpret_cast<uint16_t&>(low)) | uint32_t(reinterpret_cast<uint16_t&>(high)) << 16;
}

// The greatest of some errors; NaN is greater than all.
struct Worst {
    double error = 0;
    void add(double other) {
        if (!(other <= error)) error = std::isnan(other) ? INFINITY : other;
    }
    // Beside the size of what it should be, and 1 at least.
    void add(double got, double want) { add(std::abs(got - want) / std::max(1.0, std::abs(want))); }
};

// |got - want| / |want| of vectors.
inline double relative_distance(const std::vector<double>& got, const std::vector<double>& want) {
    double difference = 0, norm = 0;
    for (size_t i = 0; i < want.size(); ++i) {
        difference += (got[i] - want[i]) * (got[i] - want[i]);
        norm += want[i] * want[i];
    }
    return std::sqrt(difference / norm);
}

// Attention of one query over `count` keys and values that `key` and `value` find: softmax(q k / sqrt(n)) v.
template <typename Key, typename Value>
std::vector<double> attention_of(const bf16* query, int head_dim, int count, Key key, Value value) {
    std::vector<double> weights(count), out(head_dim);
    double greatest = -INFINITY, sum = 0;
    for (int j = 0; j < count; ++j) {
        for (int i = 0; i < head_dim; ++i) weights[j] += number(query[i]) * number(key(j)[i]);
        greatest = std::max(greatest, weights[j] /= std::sqrt(double(head_dim)));
    }
    for (double& weight : weights) sum += weight = std::exp(weight - greatest);
    for (int j = 0; j < count; ++j)
        for (int i = 0; i < head_dim; ++i) out[i] += weights[j] / sum * number(value(j)[i]);
    return out;
}

// All blocks wait for each other, so all must run at once.
template <typename... Parameters, typename... Arguments>
void launch_together(void (*kernel)(Parameters...), int blocks, int threads, size_t shared, Arguments... arguments) {
    allow_shared_bytes(kernel, shared);
    std::tuple<Parameters...> values(arguments...);
    std::apply(
        [&](auto&... each) {
            void* pointers[] = {(void*)&each...};
            CHECK(cudaLaunchCooperativeKernel((void*)kernel, dim3(blocks), dim3(threads), pointers, shared, nullptr));
        },
        values);
    CHECK(cudaDeviceSynchronize());
}
