// Random numbers of the harness, the same on every run.
#pragma once

#include "../host.cuh"

#include <cuda_fp16.h>

__device__ inline unsigned long long random_bits(size_t i, unsigned seed) {
    unsigned long long z = (i + 1) * 0x9E3779B97F4A7C15ull + seed * 0xD1B54A32D192ED03ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

// From 0 to 1.
__device__ inline float random_share(size_t i, unsigned seed) {
    return (random_bits(i, seed) >> 40) * (1.0f / 16777216.0f);
}

template <typename T, typename Make>
__global__ void fill(T* out, size_t count, Make make) {
    for (size_t i = blockIdx.x * static_cast<size_t>(blockDim.x) + threadIdx.x; i < count;
         i += static_cast<size_t>(gridDim.x) * blockDim.x)
        out[i] = make(i);
}

template <typename T, typename Make>
T* filled_array(size_t count, Make make) {
    T* p = device_array<T>(count);
    fill<<<1024, 256>>>(p, count, make);
    CHECK(cudaGetLastError());
    return p;
}

inline bf16* random_array(size_t count, unsigned seed, float low_value, float high_value) {
    return filled_array<bf16>(count, [=] __device__(size_t i) {
        return __float2bfloat16_rn(low_value + (high_value - low_value) * random_share(i, seed));
    });
}
