// A random weight matrix of the harness, dense or packed.
#pragma once

#include "../packed.cuh"
#include "blocks.cuh"

namespace packing {
#include "../packed.cu"
}

// What packing begins with: see `pack_rows`.
struct Grouped {
    uint8_t* codes = nullptr;
    float* scales = nullptr;
    uint8_t* zeros = nullptr;

    void free() {
        for (void* p : {(void*)codes, (void*)scales, (void*)zeros}) CHECK(cudaFree(p));
        *this = {};
    }
};

// `count` weights of values up to `size`, or somewhat more.
inline Grouped random_grouped(int bits, size_t count, unsigned seed, float size) {
    const float middle = 1 << (bits - 1);
    const size_t groups = count / kGroupInputs;
    return {filled_array<uint8_t>(count * bits / 8,
                                  [=] __device__(size_t i) { return uint8_t(random_bits(i, seed) >> 32); }),
            filled_array<float>(groups,
                                [=] __device__(size_t i) {
                                    const float share = 0.7f + 0.6f * random_share(i, seed ^ 0x5555);
                                    return __half2float(__float2half(size / middle * share));
                                }),
            filled_array<uint8_t>(groups, [=] __device__(size_t i) {
                return uint8_t(middle * (0.8f + 0.4f * random_share(i, seed ^ 0xaaaa)) + 0.5f);
            })};
}

// Rows are `distance` apart from their pair's other.
struct Matrix {
    int bits, rows, inputs, distance;  // No bits: in blocks.
    void* weights;
    Grouped grouped;  // Where it's packed and was to be kept.
    std::vector<BlockRows> parts;

    Matrix(std::vector<BlockRows> parts, int inputs, int distance, unsigned seed)
        : bits(0), rows(0), inputs(inputs), distance(distance), parts(parts) {
        size_t bytes = 0;
        for (const BlockRows& part : parts) bytes += part.bytes(inputs), rows += part.rows;
        char* to = device_array<char>(bytes);
        weights = to;
        for (const BlockRows& part : parts) {
            part.fill(to, inputs, distance, seed++);
            to += part.bytes(inputs);
        }
    }

    Matrix(int bits, int rows, int inputs, int distance, unsigned seed, float size, bool keep)
        : bits(bits), rows(rows), inputs(inputs), distance(distance) {
        const size_t count = size_t(rows) * inputs;
        if (bits == 16) {
            weights = random_array(count, seed, -size, size);
            return;
        }
        grouped = random_grouped(bits, count, seed, size);
        const size_t bytes =
            size_t(rows) / 2 * (bits == 4 ? Packed<4>::pair_bytes(inputs / 8) : Packed<8>::pair_bytes(inputs / 8));
        weights = device_array<char>(bytes);
        pack();
        if (!keep) grouped.free();
    }

    void pack() {
        auto pack = bits == 4 ? packing::pack_int4 : packing::pack_int8;
        pack<<<grid(), packing::kThreads>>>(grouped.codes, grouped.scales, grouped.zeros, (uint4*)weights, inputs,
                                            kGroupInputs, 0, distance);
        CHECK(cudaGetLastError());
    }

    // Of `whole`, of which grouped weights were kept, half of the rows of each projection; perhaps from another card.
    void take_rows(const Matrix& whole, int rank, std::initializer_list<int> projections) {
        take(
            [&](char* to, const char* from, size_t row_bytes) {
                for (int count : projections) {
                    const size_t bytes = count / 2 * row_bytes;
                    CHECK(cudaMemcpy(to, from + rank * bytes, bytes, cudaMemcpyDefault));
                    to += bytes, from += 2 * bytes;
                }
            },
            whole);
    }

    // Half of the inputs of each row.
    void take_columns(const Matrix& whole, int rank) {
        take(
            [&](char* to, const char* from, size_t row_bytes) {
                const size_t half = row_bytes / 2;
                CHECK(cudaMemcpy2D(to, half, from + rank * half, row_bytes, half, rows, cudaMemcpyDefault));
            },
            whole);
    }

    // A thread for each 16 bytes of weights.
    dim3 grid() const {
        const int pieces = inputs * bits / 8 / 16;
        return dim3((pieces + packing::kThreads - 1) / packing::kThreads, rows);
    }

    // Row-major in bf16, in `scratch` where it isn't yet.
    const bf16* dense(bf16* scratch, cudaStream_t stream) const {
        if (bits == 16) return static_cast<const bf16*>(weights);
        if (bits == 0) return unpacked(scratch, stream);
        auto unpack = bits == 4 ? packing::unpack_int4 : packing::unpack_int8;
        unpack<<<grid(), packing::kThreads, 0, stream>>>((const uint4*)weights, (uint4*)scratch, inputs, 0, distance);
        CHECK(cudaGetLastError());
        return scratch;
    }

    const bf16* unpacked(bf16* scratch, cudaStream_t stream) const {
        char* from = static_cast<char*>(weights);
        bf16* to = scratch;
        for (const BlockRows& part : parts) {
            part.unpack(from, to, inputs, distance, stream);
            from += part.bytes(inputs);
            to += size_t(part.rows) * inputs;
        }
        return scratch;
    }

    // Bytes that a step reads.
    double bytes() const {
        double sum = 0;
        for (const BlockRows& part : parts) sum += part.bytes(inputs);
        const double weight = bits == 16 ? 2 : bits / 8.0 + 4.0 / kGroupInputs;
        return bits == 0 ? sum : weight * rows * inputs;
    }

    // `copy` takes from an array what is this matrix', by the bytes of a whole row.
    template <typename Copy>
    void take(Copy copy, const Matrix& whole) {
        const size_t count = whole.inputs, groups = count / kGroupInputs;
        if (bits == 16) return copy((char*)weights, (const char*)whole.weights, count * 2);
        grouped = {device_array<uint8_t>(size_t(rows) * inputs * bits / 8),
                   device_array<float>(size_t(rows) * inputs / kGroupInputs),
                   device_array<uint8_t>(size_t(rows) * inputs / kGroupInputs)};
        copy((char*)grouped.codes, (const char*)whole.grouped.codes, count * bits / 8);
        copy((char*)grouped.scales, (const char*)whole.grouped.scales, groups * 4);
        copy((char*)grouped.zeros, (const char*)whole.grouped.zeros, groups);
        pack();
        CHECK(cudaDeviceSynchronize());
        grouped.free();
    }

    // The same from what packing began with, by the formula.
    const bf16* formula(bf16* scratch) const {
        if (bits == 16) return static_cast<const bf16*>(weights);
        if (bits == 0) return unpacked(scratch, nullptr);
        const Grouped from = grouped;
        const int shift = bits;
        fill<<<1024, 256>>>(scratch, size_t(rows) * inputs, [=] __device__(size_t i) {
            const int code = shift == 8 ? from.codes[i] : from.codes[i / 2] >> i % 2 * 4 & 0xf;
            const size_t group = i / kGroupInputs;
            return __float2bfloat16_rn(from.scales[group] * (code - int(from.zeros[group])));
        });
        CHECK(cudaGetLastError());
        return scratch;
    }
};
