// What all kernels share: bf16 packing, reductions, tensor-core and copy instructions, and the decode loop's scalars.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

#include "sizes.h"  // Made by build/header.rs.

using bf16 = __nv_bfloat16;

constexpr int kWarp = WARP;
constexpr unsigned kAllLanes = 0xffffffffu;

// The decode loop's scalars. They live on the device: the host only launches.
struct StepState {
    int position;       // Index in the KV cache of the token that the next step processes.
    unsigned token;     // That token.
    int step;           // Tokens generated since the request began.
    unsigned epoch;     // Layers that were ever computed: marks what blocks tell each other.
    unsigned arrivals;  // Of blocks, at the barriers of the running kernel; 0 in between.
    unsigned leavers;   // Blocks that are done with the running kernel; 0 in between.
};
ASSERT_LAYOUT_StepState;

__device__ __forceinline__ float low(uint32_t pair) { return __uint_as_float(pair << 16); }
__device__ __forceinline__ float high(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

__device__ __forceinline__ uint32_t pack(float a, float b) {
    __nv_bfloat162 v = __floats2bfloat162_rn(a, b);
    return reinterpret_cast<uint32_t&>(v);
}

// Rounds as storing to bf16 and loading again does.
__device__ __forceinline__ float rounded(float v) { return __bfloat162float(__float2bfloat16_rn(v)); }

__device__ __forceinline__ float warp_sum(float v) {
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(kAllLanes, v, offset);
    return v;
}

// acc + the dot product of eight pairs.
__device__ __forceinline__ float dot8(const uint4& a, const uint4& b, float acc) {
    acc = fmaf(low(a.x), low(b.x), acc);
    acc = fmaf(high(a.x), high(b.x), acc);
    acc = fmaf(low(a.y), low(b.y), acc);
    acc = fmaf(high(a.y), high(b.y), acc);
    acc = fmaf(low(a.z), low(b.z), acc);
    acc = fmaf(high(a.z), high(b.z), acc);
    acc = fmaf(low(a.w), low(b.w), acc);
    return fmaf(high(a.w), high(b.w), acc);
}

__device__ __forceinline__ float silu(float v) { return v / (1.0f + __expf(-v)); }

__device__ __forceinline__ unsigned long long clock_ns() {
    unsigned long long t;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(t));
    return t;
}

// Tensor-core primitives of compute capability 8.0: bf16 in, fp32 accumulation.
__device__ __forceinline__ uint32_t shared_address(const void* p) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

__device__ __forceinline__ void mma_16816(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], uint32_t address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], uint32_t address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address));
}

// The 8 x 8 matrix of a packed accumulator's half, transposed.
__device__ __forceinline__ uint32_t transposed(uint32_t v) {
    uint32_t r;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(r) : "r"(v));
    return r;
}

// 16 bytes to shared memory past L1; zeros where `valid` is false.
__device__ __forceinline__ void copy_async(uint32_t shared, const void* global, bool valid) {
    int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global), "r"(bytes) : "memory");
}

// The same of what is not read again soon: L2 drops it first. (The policy is computed once, outside of loops.)
__device__ __forceinline__ void copy_async_once(uint32_t shared, const void* global, bool valid) {
    const int bytes = valid ? 16 : 0;
    uint64_t policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    asm volatile("cp.async.cg.shared.global.L2::cache_hint [%0], [%1], 16, %2, %3;" ::"r"(shared), "l"(global),
                 "r"(bytes), "l"(policy)
                 : "memory");
}

// The same of 8 or 4 bytes.
template <int kBytes>
__device__ __forceinline__ void copy_async_once_narrow(uint32_t shared, const void* global, bool valid) {
    const int bytes = valid ? kBytes : 0;
    uint64_t policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    asm volatile("cp.async.ca.shared.global.L2::cache_hint [%0], [%1], %2, %3, %4;" ::"r"(shared), "l"(global),
                 "n"(kBytes), "r"(bytes), "l"(policy)
                 : "memory");
}

__device__ __forceinline__ void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int kPending>
__device__ __forceinline__ void copy_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}
