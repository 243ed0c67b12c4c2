// Random weights of the harness in GGUF's blocks: `kind` is that of most matrices, `better` of those that Q4_K_M gives
// more bits. 1: Q8_0, 2: Q4_0, 6: Q4_K, 10: Q6_K (sizes.rs).
#pragma once

#include "../blocks.cuh"
#include "../packed.cuh"
#include "random.cuh"

namespace packing {
#include "../blocks.cu"
}

struct BlockKind {
    int inputs, bytes;
    // Where a block has numbers of 16 bits, and which: with these, values have a standard deviation of 0.02.
    int places[2];
    float numbers[2];
    decltype(&packing::pack_q4_0) pack;
    decltype(&packing::unpack_q4_0) unpack;

    static BlockKind of(unsigned kind) {
        switch (kind) {
            case KIND_Q4_0:
                return {32, 18, {0, -1}, {4.31e-3f, 0}, packing::pack_q4_0, packing::unpack_q4_0};
            case KIND_Q8_0:
                return {32, 34, {0, -1}, {2.706e-4f, 0}, packing::pack_q8_0, packing::unpack_q8_0};
            case KIND_Q4_K:
                return {256, 144, {0, 2}, {7.74e-5f, 7.5f * 7.74e-5f}, packing::pack_q4_k, packing::unpack_q4_k};
            default:
                return {256, 210, {208, -1}, {1.464e-5f, 0}, packing::pack_q6_k, packing::unpack_q6_k};
        }
    }
};

// Rows of one kind.
struct BlockRows {
    unsigned kind;
    int rows;

    size_t bytes(int inputs) const { return size_t(rows) / 2 * KindSizes::of(kind).pair_bytes(inputs / 8); }

    // `most` rows at a time.
    template <typename Work>
    void each_launch(int inputs, int most, Work work) const {
        const int pieces = inputs / 8 >> KindSizes::of(kind).run_bits;
        for (int first = 0; first < rows; first += most) {
            const int count = rows - first < most ? rows - first : most;
            work(first, dim3((pieces + packing::kBlockThreads - 1) / packing::kBlockThreads, count));
            CHECK(cudaGetLastError());
        }
    }

    void fill(char* to, int inputs, int distance, unsigned seed) const {
        const BlockKind known = BlockKind::of(kind);
        const size_t row_bytes = size_t(inputs) / known.inputs * known.bytes;
        uint8_t* blocks = filled_array<uint8_t>(rows * row_bytes, [=] __device__(size_t i) {
            const int at = i % known.bytes;
            for (int place = 0; place < 2; ++place)
                if (known.places[place] >= 0 && at / 2 == known.places[place] / 2)
                    return uint8_t(__half_as_ushort(__float2half(known.numbers[place])) >> at % 2 * 8);
            return uint8_t(random_bits(i, seed) >> 32);
        });
        each_launch(inputs, 32768, [&](int first, dim3 grid) {
            known.pack<<<grid, packing::kBlockThreads>>>(blocks + first * row_bytes, to, inputs, first, distance);
        });
        CHECK(cudaFree(blocks));
    }

    void unpack(char* from, bf16* to, int inputs, int distance, cudaStream_t stream) const {
        each_launch(inputs, 32768, [&](int first, dim3 grid) {
            BlockKind::of(kind).unpack<<<grid, packing::kBlockThreads, 0, stream>>>(from, to + size_t(first) * inputs,
                                                                                    inputs, first, distance);
        });
    }
};
