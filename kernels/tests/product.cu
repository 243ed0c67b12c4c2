// The streamed product: every split and distance, one product alone, and the ring running on across products.

#include "tests.cuh"

#include "../decode_step.cuh"

// Room for a staged vector and its product's sums.
static const int kPlace = 16 << 10;

// `count` products from `phase` on, one after the other as in steps, each with `x`; both sums of a pair go to their
// rows.
template <int kHeadDim>
__global__ void DECODE_LAUNCH run_products(const __grid_constant__ DecodeParameters p, const bf16* x, float* out,
                                           int rows, int phase, int count) {
    extern __shared__ uint4 shared[];
    cluster::sync();
    Stream<kHeadDim> stream(p, p.layers, shared, blockIdx.x, phase, count);
    for (int i = 0; i < count; ++i) {
        const Product w = product_of<kHeadDim>(p, p.layers, phase);
        uint4* staged = shared + (kRing + i % 2 * kPlace) / 16;
        stage(w, staged, PlainValues{x});
        float* to = out + static_cast<size_t>(i) * rows;
        run_product(stream, w, blockIdx.x, staged, reinterpret_cast<float2*>(staged + padded(w)),
                    [&](int pair, float a, float b) {
                        const int row = first_row(pair, w.distance);
                        to[row] = a;
                        to[row + w.distance] = b;
                    });
        phase = phase == p.layer_count * kProducts ? 0 : phase + 1;
    }
    cluster::sync();
}

namespace {
struct Matrix {
    int rows, columns;
    std::vector<bf16> values;
    bf16* device;

    Matrix(int rows, int columns)
        : rows(rows), columns(columns), values(random_bf16(size_t(rows) * columns)), device(to_device(values)) {}
};

// Sizes that divide by nothing they needn't: chunks beside whole batches, pairs beside whole rounds.
template <int kHeadDim>
struct Model {
    static constexpr int kLayers = 2, kHeads = 6, kKvHeads = 2;
    const int hidden = 296, intermediate = 440, vocabulary = 1002, rows = 2048;
    std::vector<Matrix> matrices;  // By phase.
    DecodeParameters p = {};
    std::vector<bf16> x = random_bf16(std::max(kHeads * kHeadDim, 440));
    bf16* device_x = to_device(x);

    Model() {
        std::vector<DecodeLayer> layers(kLayers);
        for (DecodeLayer& layer : layers) {
            layer.qkv = add((kHeads + 2 * kKvHeads) * kHeadDim, hidden);
            layer.output = add(hidden, kHeads * kHeadDim);
            layer.gate_up = add(2 * intermediate, hidden);
            layer.down = add(hidden, intermediate);
        }
        p.head = add(vocabulary, hidden);
        p.layers = to_device(layers);
        p.layer_count = kLayers, p.hidden = hidden, p.intermediate = intermediate, p.vocabulary = vocabulary;
        p.heads = kHeads, p.kv_heads = kKvHeads;
    }

    const bf16* add(int rows, int columns) {
        matrices.emplace_back(rows, columns);
        return matrices.back().device;
    }

    // The greatest error of `count` products, beside the sum of the products' sizes.
    double error(int split, int phase, int count) {
        p.split_qkv = p.split_output = p.split_gate_up = p.split_down = p.split_head = split;
        float* out = device_array<float>(size_t(count) * rows);
        const size_t shared = kRing + 2 * kPlace;
        allow_shared_bytes(run_products<kHeadDim>, shared);
        run_products<kHeadDim><<<2 * kCluster, kThreads, shared>>>(p, device_x, out, rows, phase, count);
        const auto got = to_host(out, size_t(count) * rows);
        CHECK(cudaFree(out));
        Worst worst;
        for (int i = 0; i < count; ++i) {
            const Matrix& matrix = matrices[(phase + i) % matrices.size()];
            for (int row = 0; row < matrix.rows; ++row) {
                double sum = 0, size = 0;
                for (int k = 0; k < matrix.columns; ++k) {
                    const double term = number(matrix.values[size_t(row) * matrix.columns + k]) * number(x[k]);
                    sum += term;
                    size += std::abs(term);
                }
                worst.add(std::abs(got[size_t(i) * rows + row] - sum) / size);
            }
        }
        return worst.error;
    }
};

template <int kHeadDim>
void every_split(bool alone) {
    Model<kHeadDim> model;
    const int phases = int(model.matrices.size());
    for (int split = 1; split <= kWarps; split *= 2) {
        const std::string what = "heads of " + std::to_string(kHeadDim) + ", split " + std::to_string(split);
        if (!alone) measured(what, model.error(split, 0, 2 * phases + 3));
        for (int phase = 0; alone && phase < phases; ++phase)
            measured(what + ", product " + std::to_string(phase), model.error(split, phase, 1));
    }
}
}  // namespace

TEST(product_alone_at_every_split_and_distance, 1e-5) {
    every_split<64>(true);
    every_split<128>(true);
}

TEST(products_one_after_the_other_in_the_ring, 1e-5) {
    every_split<64>(false);
    every_split<128>(false);
}
