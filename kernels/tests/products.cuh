// Products of the decode kernel, alone and one after the other in the ring.
#pragma once

#include "tests.cuh"

#include "../decode_product.cuh"
#include "../decode_upcoming.cuh"

// Room for a staged vector and its product's sums.
static const int kPlace = 16 << 10;

// `count` products from `phase` on, one after the other as in steps, each with `x`; both sums of a pair go to their
// rows. `Format`: of the layers' matrices, which `Stream` reads.
template <int kHeadDim, typename Format, typename Stream>
__global__ void DECODE_LAUNCH run_products(const __grid_constant__ DecodeParameters p, const bf16* x, float* out,
                                           int rows, int phase, int count) {
    extern __shared__ uint4 shared[];
    uint4* const at = shared + Format::kRing / 16;
    Mailbox places[] = {{0, at}, {1, at + kPlace / 16}};
    cluster::sync();
    Stream stream(p, p.layers, shared, blockIdx.x, phase, count);
    for (int i = 0; i < count; ++i) {
        const Product w = product_of<kHeadDim, Format>(p, p.layers, phase);
        Mailbox& staged = places[i % 2];
        float* to = out + static_cast<size_t>(i) * rows;
        auto finish = [&](int pair, float a, float b) {
            const int row = first_row(pair, w.distance);
            to[row] = a;
            to[row + w.distance] = b;
        };
        const bool head = phase == p.layer_count * kProducts;
        if (head) {
            stage<typename Format::Head>(w, staged, PlainValues{x});
            run_product<typename Format::Head>(stream, w, product_sizes()[kProducts].own, staged.place(), finish);
        } else {
            stage<Format>(w, staged, PlainValues{x});
            run_product<Format>(stream, w, product_sizes()[phase % kProducts].own, staged.place(), finish);
        }
        phase = head ? 0 : phase + 1;
        // In steps nobody has a next vector before all are done with this.
        cluster::sync();
    }
}

// What a matrix stands for, by rows.
struct Numbers {
    int rows, columns;
    std::vector<double> values;
};

// A model of two layers, whose matrices' numbers are known.
template <int kHeadDim>
struct ProductModel {
    static constexpr int kLayers = 2, kHeads = 6, kKvHeads = 2;
    const int hidden, intermediate, vocabulary = 1002, rows = 3000;
    std::vector<Numbers> matrices;  // By phase.
    DecodeParameters p = {};
    std::vector<bf16> x = random_bf16(std::max(kHeads * kHeadDim, intermediate));
    bf16* device_x = to_device(x);

    // `make(rows, columns, distance, numbers)` makes a layer's matrix on the device.
    template <typename Make>
    ProductModel(int hidden, int intermediate, Make make) : hidden(hidden), intermediate(intermediate) {
        auto add = [&](int rows, int columns, int distance) {
            matrices.push_back({rows, columns, {}});
            return make(rows, columns, distance, matrices.back().values);
        };
        std::vector<DecodeLayer> layers(kLayers);
        for (DecodeLayer& layer : layers) {
            layer.qkv = add((kHeads + 2 * kKvHeads) * kHeadDim, hidden, kHeadDim / 2);
            layer.output = add(hidden, kHeads * kHeadDim, 1);
            layer.gate_up = add(2 * intermediate, hidden, intermediate);
            layer.down = add(hidden, intermediate, 1);
        }
        const auto head = random_bf16(size_t(vocabulary) * hidden);
        p.head = to_device(head);
        matrices.push_back({vocabulary, hidden, {}});
        for (bf16 value : head) matrices.back().values.push_back(number(value));
        p.layers = to_device(layers);
        p.layer_count = kLayers, p.hidden = hidden, p.intermediate = intermediate, p.vocabulary = vocabulary;
        p.heads = kHeads, p.kv_heads = kKvHeads;
    }

    // The greatest error of `count` products, beside the sum of the products' sizes.
    template <typename Format, typename Stream>
    double error(int split, int phase, int count) {
        p.split_qkv = p.split_output = p.split_gate_up = p.split_down = p.split_head = split;
        float* out = device_array<float>(size_t(count) * rows);
        const size_t shared = Format::kRing + 2 * kPlace;
        auto kernel = run_products<kHeadDim, Format, Stream>;
        allow_shared_bytes(kernel, shared);
        kernel<<<2 * kCluster, kThreads, shared>>>(p, device_x, out, rows, phase, count);
        CHECK(cudaGetLastError());
        const auto got = to_host(out, size_t(count) * rows);
        CHECK(cudaFree(out));
        Worst worst;
        for (int i = 0; i < count; ++i) {
            const Numbers& matrix = matrices[(phase + i) % matrices.size()];
            for (int row = 0; row < matrix.rows; ++row) {
                double sum = 0, size = 0;
                for (int k = 0; k < matrix.columns; ++k) {
                    const double term = matrix.values[size_t(row) * matrix.columns + k] * number(x[k]);
                    sum += term;
                    size += std::abs(term);
                }
                worst.add(std::abs(got[size_t(i) * rows + row] - sum) / size);
            }
        }
        return worst.error;
    }

    // Each product alone at every split, or all one after the other.
    template <typename Format, typename Stream>
    void every_split(bool alone) {
        const int phases = int(matrices.size());
        for (int split = 1; split <= kWarps; split *= 2) {
            const std::string what = "heads of " + std::to_string(kHeadDim) + ", split " + std::to_string(split);
            if (!alone) measured(what, error<Format, Stream>(split, 0, 2 * phases + 3));
            for (int phase = 0; alone && phase < phases; ++phase)
                measured(what + ", product " + std::to_string(phase), error<Format, Stream>(split, phase, 1));
        }
    }
};
