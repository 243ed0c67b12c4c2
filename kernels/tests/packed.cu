// Packed weights: brought into their order and back, and multiplied.

#include "products.cuh"

#include "../decode_packed.cuh"

#include <cuda_fp16.h>

namespace packing {
#include "../packed.cu"
}

namespace {
// A thread for each 16 bytes of weights.
dim3 grid(int rows, int inputs, int bits) {
    const int pieces = inputs * bits / 8 / 16;
    return dim3((pieces + packing::kThreads - 1) / packing::kThreads, rows);
}

// Integers with the numbers that they stand for. Two projections lie one below the other.
template <int kBits>
uint4* packed(int rows, int inputs, int distance, int group, std::vector<double>& numbers) {
    const int groups = inputs / group;
    std::vector<uint8_t> codes(size_t(rows) * inputs * kBits / 8), zeros(size_t(rows) * groups);
    for (auto& code : codes) code = random_source()();
    for (auto& zero : zeros) zero = random_source()() % (kBits == 4 ? 17 : 256);
    std::vector<float> scales(zeros.size());
    for (auto& scale : scales) scale = __half2float(__float2half(random_float(0.001f, 0.02f)));
    for (size_t i = 0; i < size_t(rows) * inputs; ++i) {
        const int code = kBits == 8 ? codes[i] : codes[i / 2] >> i % 2 * 4 & 15;
        numbers.push_back(double(scales[i / group]) * (code - zeros[i / group]));
    }
    auto* to = reinterpret_cast<uint4*>(device_array<char>(size_t(rows) / 2 * Packed<kBits>::pair_bytes(inputs / 8)));
    const auto *device_codes = to_device(codes), *device_zeros = to_device(zeros);
    const auto* device_scales = to_device(scales);
    auto pack = kBits == 4 ? packing::pack_int4 : packing::pack_int8;
    const int above = rows / 3;
    pack<<<grid(above, inputs, kBits), packing::kThreads>>>(device_codes, device_scales, device_zeros, to, inputs,
                                                            group, 0, distance);
    pack<<<grid(rows - above, inputs, kBits), packing::kThreads>>>(
        device_codes + size_t(above) * inputs * kBits / 8, device_scales + above * groups,
        device_zeros + above * groups, to, inputs, group, above, distance);
    CHECK(cudaGetLastError());
    return to;
}

// In bf16, some rows at a time.
template <int kBits>
double unpacking_error(int rows, int inputs, int distance, int group) {
    std::vector<double> numbers;
    uint4* from = packed<kBits>(rows, inputs, distance, group, numbers);
    bf16* to = device_array<bf16>(numbers.size());
    auto unpack = kBits == 4 ? packing::unpack_int4 : packing::unpack_int8;
    for (int first = 0; first < rows; first += 100) {
        const int count = std::min(100, rows - first);
        unpack<<<grid(count, inputs, kBits), packing::kThreads>>>(
            from, reinterpret_cast<uint4*>(to + size_t(first) * inputs), inputs, first, distance);
    }
    CHECK(cudaGetLastError());
    const auto got = to_host(to, numbers.size());
    Worst worst;
    for (size_t i = 0; i < numbers.size(); ++i) worst.add(std::abs(number(got[i]) - as_bf16(numbers[i])));
    return worst.error;
}

template <int kBits, int kHeadDim>
void every_split(bool alone) {
    auto make = [](int rows, int inputs, int distance, std::vector<double>& numbers) {
        return packed<kBits>(rows, inputs, distance, kGroupInputs, numbers);
    };
    ProductModel<kHeadDim> model(384, 1408, make);
    model.template every_split<PackedRing<kBits, kHeadDim>, PackedStream<kHeadDim, kBits>>(alone);
}
}  // namespace

TEST(packed_weights_are_those_of_the_formula, 0) {
    for (int inputs : {128, 384, 1024, 1408}) {
        const std::string what = std::to_string(inputs) + " inputs";
        for (int distance : {1, 64, 130}) {
            measured(what + ", 4 bits", unpacking_error<4>(260, inputs, distance == 64 ? 1 : distance, 128));
            measured(what + ", 8 bits", unpacking_error<8>(260, inputs, distance == 64 ? 1 : distance, 128));
            measured(what + ", heads", unpacking_error<4>(256, inputs, 64, inputs));
        }
    }
}

TEST(packed_product_alone_at_every_split_and_distance, 1e-5) {
    every_split<4, 64>(true);
    every_split<4, 128>(true);
    every_split<8, 64>(true);
    every_split<8, 128>(true);
}

TEST(packed_products_one_after_the_other_in_the_ring, 1e-5) {
    every_split<4, 64>(false);
    every_split<4, 128>(false);
    every_split<8, 64>(false);
    every_split<8, 128>(false);
}
