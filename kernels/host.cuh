// What the programs share that run the kernels without the engine: kernels/tests and kernels/bench.
#pragma once

#include "common.cuh"

#include <cuda.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#define CHECK(call)                                                                          \
    do {                                                                                     \
        cudaError_t status_ = (call);                                                        \
        if (status_ != cudaSuccess) {                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, cudaGetErrorString(status_)); \
            exit(1);                                                                         \
        }                                                                                    \
    } while (0)

// As decode_plan.rs of src/engine/candle/qwen2/graph has them.
struct Shape {
    size_t hidden, intermediate, layers, heads, kv_heads, head_dim, vocabulary;
};
ASSERT_LAYOUT_Shape;

struct Limits {
    size_t blocks, shared_bytes;
    bool cooperative;
};
ASSERT_LAYOUT_Limits;

struct DecodePlan {
    size_t blocks, ring, shared_bytes, second_region, team_region, team, parts_bytes;
    size_t split_qkv, split_output, split_gate_up, split_down, split_head;
    size_t slots, inbox_bytes;
};
ASSERT_LAYOUT_DecodePlan;

// kernels/plan.rs: the engine's own plan. `bits`: of a layer's weights; 16 are bf16, and 0 says that matrices are in
// blocks. `parameters` is the kernel's DecodeParameters, without its addresses.
extern "C" bool plan_decode(unsigned capability, unsigned bits, unsigned kind, unsigned better, const Shape* shape,
                            const Limits* limits, size_t max_length, float epsilon, DecodePlan* plan, void* parameters);

template <typename T>
T* device_array(size_t count) {
    T* p;
    CHECK(cudaMalloc(&p, count * sizeof(T)));
    CHECK(cudaMemset(p, 0, count * sizeof(T)));
    return p;
}

template <typename T>
T* to_device(const std::vector<T>& values) {
    T* p = device_array<T>(values.size());
    CHECK(cudaMemcpy(p, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice));
    return p;
}

template <typename T>
std::vector<T> to_host(const T* p, size_t count) {
    std::vector<T> values(count);
    CHECK(cudaMemcpy(values.data(), p, count * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
}

// More than 48 KiB of shared memory a block has to be asked for.
template <typename Kernel>
void allow_shared_bytes(Kernel kernel, size_t bytes) {
    CHECK(cudaFuncSetAttribute((void*)kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(bytes)));
}

// Blocks of `kernel`, of whole clusters of its own, that run at once, one on a multiprocessor; and what else the plan
// asks of the device.
template <typename Kernel>
Limits limits_of(Kernel kernel, int threads, int cluster) {
    cudaDeviceProp properties;
    CHECK(cudaGetDeviceProperties(&properties, 0));
    Limits limits = {size_t(properties.multiProcessorCount), properties.sharedMemPerBlockOptin,
                     properties.cooperativeLaunch != 0};
    if (cluster == 1) return limits;
    cudaLaunchAttribute attribute;
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim = {unsigned(cluster), 1, 1};
    cudaLaunchConfig_t config = {};
    config.attrs = &attribute;
    config.numAttrs = 1;
    config.gridDim = dim3(cluster);
    config.blockDim = dim3(threads);
    // More than half, so that no second block has room.
    config.dynamicSmemBytes = limits.shared_bytes / 2 + 2048;
    allow_shared_bytes(kernel, config.dynamicSmemBytes);
    int clusters = 0;
    CHECK(cudaOccupancyMaxActiveClusters(&clusters, kernel, &config));
    limits.blocks = size_t(clusters) * cluster;
    return limits;
}

// Describes a bf16 tensor to the bulk copy engine: rows of `columns` values in two more dimensions, read in boxes of
// 64 x y x z. (By the driver's own address, so that nothing has to be linked with it.)
inline CUtensorMap tensor_map(const bf16* data, uint64_t columns, uint64_t ys, uint64_t y_stride, uint64_t zs,
                              uint64_t z_stride, uint32_t y_box, uint32_t z_box) {
    static decltype(&cuTensorMapEncodeTiled) encode = nullptr;
    if (!encode) {
        cudaDriverEntryPointQueryResult found;
        CHECK(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", (void**)&encode, 12000, cudaEnableDefault,
                                               &found));
    }
    CUtensorMap map;
    const cuuint64_t sizes[] = {columns, ys, zs}, strides[] = {y_stride * 2, z_stride * 2};
    const cuuint32_t box[] = {64, y_box, z_box}, steps[] = {1, 1, 1};
    const CUresult status = encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3, (void*)data, sizes, strides, box, steps,
                                   CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                   CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    if (status) {
        fprintf(stderr, "cuTensorMapEncodeTiled: %d\n", status);
        exit(1);
    }
    return map;
}
