// GGUF's blocks: brought into their order and back, and multiplied.

#include "products.cuh"

#include "../decode_blocks.cuh"

#include <cuda_fp16.h>

namespace packing {
#include "../blocks.cu"
}

namespace {
uint16_t half_bits(float value) {
    const __half half = __float2half(value);
    return reinterpret_cast<const uint16_t&>(half);
}
double half_number(const uint8_t* at) {
    const uint16_t bits = at[0] | at[1] << 8;
    return __half2float(reinterpret_cast<const __half&>(bits));
}

// ggml's dequantize_row_q4_0 and so on, of one block.
struct FileFormat {
    unsigned kind;
    const char* name;
    int inputs, bytes;
    std::vector<int> halves;  // Where its numbers of 16 bits are.
    void (*numbers)(const uint8_t* block, double* to);
};

void of_q4_0(const uint8_t* block, double* to) {
    for (int i = 0; i < 16; ++i) {
        to[i] = half_number(block) * ((block[2 + i] & 15) - 8);
        to[i + 16] = half_number(block) * ((block[2 + i] >> 4) - 8);
    }
}
void of_q8_0(const uint8_t* block, double* to) {
    for (int i = 0; i < 32; ++i) to[i] = half_number(block) * int8_t(block[2 + i]);
}
void of_q4_k(const uint8_t* block, double* to) {
    const uint8_t* packed = block + 4;
    for (int run = 0; run < 8; ++run) {
        int scale, minimum;
        if (run < 4) {
            scale = packed[run] & 63, minimum = packed[run + 4] & 63;
        } else {
            scale = (packed[run + 4] & 15) | (packed[run - 4] >> 6) << 4;
            minimum = (packed[run + 4] >> 4) | (packed[run] >> 6) << 4;
        }
        for (int i = 0; i < 32; ++i) {
            const int code = block[16 + run / 2 * 32 + i] >> run % 2 * 4 & 15;
            to[run * 32 + i] = half_number(block) * scale * code - half_number(block + 2) * minimum;
        }
    }
}
void of_q6_k(const uint8_t* block, double* to) {
    for (int half = 0; half < 2; ++half) {
        const uint8_t *lower = block + half * 64, *upper = block + 128 + half * 32;
        for (int i = 0; i < 32; ++i) {
            const int codes[4] = {
                (lower[i] & 15) | (upper[i] & 3) << 4, (lower[i + 32] & 15) | (upper[i] >> 2 & 3) << 4,
                (lower[i] >> 4) | (upper[i] >> 4 & 3) << 4, (lower[i + 32] >> 4) | (upper[i] >> 6) << 4};
            for (int quarter = 0; quarter < 4; ++quarter) {
                const int at = half * 128 + quarter * 32 + i;
                to[at] = half_number(block + 208) * int8_t(block[192 + at / 16]) * (codes[quarter] - 32);
            }
        }
    }
}

const FileFormat kFormats[] = {
    {kQ4_0, "Q4_0", 32, 18, {0}, of_q4_0},
    {kQ8_0, "Q8_0", 32, 34, {0}, of_q8_0},
    {kQ4K, "Q4_K", 256, 144, {0, 2}, of_q4_k},
    {kQ6K, "Q6_K", 256, 210, {208}, of_q6_k},
};

// A thread for each 16 bytes of weights.
dim3 grid(const FileFormat& format, int rows, int inputs) {
    const int pieces = inputs / 8 >> KindSizes::of(format.kind).run_bits;
    return dim3((pieces + packing::kBlockThreads - 1) / packing::kBlockThreads, rows);
}

void pack(const FileFormat& format, const uint8_t* blocks, char* to, int rows, int inputs, int first, int distance) {
    auto kernel = format.kind == kQ4_0   ? packing::pack_q4_0
                  : format.kind == kQ8_0 ? packing::pack_q8_0
                  : format.kind == kQ4K  ? packing::pack_q4_k
                                         : packing::pack_q6_k;
    kernel<<<grid(format, rows, inputs), packing::kBlockThreads>>>(blocks, to, inputs, first, distance);
    CHECK(cudaGetLastError());
}

void unpack(const FileFormat& format, char* from, bf16* to, int rows, int inputs, int first, int distance) {
    auto kernel = format.kind == kQ4_0   ? packing::unpack_q4_0
                  : format.kind == kQ8_0 ? packing::unpack_q8_0
                  : format.kind == kQ4K  ? packing::unpack_q4_k
                                         : packing::unpack_q6_k;
    kernel<<<grid(format, rows, inputs), packing::kBlockThreads>>>(from, to, inputs, first, distance);
    CHECK(cudaGetLastError());
}

size_t packed_bytes(const FileFormat& format, int rows, int inputs) {
    return size_t(rows) / 2 * KindSizes::of(format.kind).pair_bytes(inputs / 8);
}

// Random blocks at `to`, with the numbers that they stand for. Two projections lie one below the other.
void pack_random(const FileFormat& format, char* to, int rows, int inputs, int distance, std::vector<double>& numbers) {
    const size_t count = size_t(rows) * inputs / format.inputs, begin = numbers.size();
    std::vector<uint8_t> blocks(count * format.bytes);
    for (auto& byte : blocks) byte = random_source()();
    numbers.resize(begin + size_t(rows) * inputs);
    for (size_t i = 0; i < count; ++i) {
        uint8_t* block = blocks.data() + i * format.bytes;
        for (int at : format.halves) {
            const uint16_t bits = half_bits(random_float(0.001f, 0.02f));
            block[at] = bits & 255, block[at + 1] = bits >> 8;
        }
        format.numbers(block, numbers.data() + begin + i * format.inputs);
    }
    const auto* on_device = to_device(blocks);
    const int above = rows / 3;
    pack(format, on_device, to, above, inputs, 0, distance);
    pack(format, on_device + size_t(above) * inputs / format.inputs * format.bytes, to, rows - above, inputs, above,
         distance);
}

// In bf16, some rows at a time, beside the greatest number.
double unpacking_error(const FileFormat& format, int rows, int inputs, int distance) {
    std::vector<double> numbers;
    char* from = device_array<char>(packed_bytes(format, rows, inputs));
    pack_random(format, from, rows, inputs, distance, numbers);
    bf16* to = device_array<bf16>(numbers.size());
    for (int first = 0; first < rows; first += 100)
        unpack(format, from, to + size_t(first) * inputs, std::min(100, rows - first), inputs, first, distance);
    const auto got = to_host(to, numbers.size());
    Worst worst;
    for (size_t i = 0; i < numbers.size(); ++i)
        worst.add(std::abs(number(got[i]) - numbers[i]) / std::max(1e-3, std::abs(numbers[i])));
    return worst.error;
}

// A model whose matrices have these kinds: of queries, keys, values, output, gate and up, down; then the head's.
template <int kHeadDim>
struct BlockModel : ProductModel<kHeadDim> {
    using Base = ProductModel<kHeadDim>;

    BlockModel(int hidden, int intermediate, std::vector<int> kinds, bool dense_head)
        : Base(hidden, intermediate, [&](int rows, int inputs, int distance, std::vector<double>& numbers) {
              const int key = Base::kKvHeads * kHeadDim, index = calls_++ % 4;
              if (kHeadDim == 64) kinds[3] %= 2;  // Its rows are no multiple of 256.
              const std::vector<int> parts =
                  index == 0 ? std::vector<int>{rows - 2 * key, key, key} : std::vector<int>{rows};
              size_t bytes = 0;
              const int* kind = &kinds[index == 0 ? 0 : index + 2];
              for (size_t i = 0; i < parts.size(); ++i) bytes += packed_bytes(kFormats[kind[i]], parts[i], inputs);
              char* matrix = device_array<char>(bytes);
              char* to = matrix;
              for (size_t i = 0; i < parts.size(); ++i) {
                  pack_random(kFormats[kind[i]], to, parts[i], inputs, distance, numbers);
                  to += packed_bytes(kFormats[kind[i]], parts[i], inputs);
              }
              return reinterpret_cast<uint4*>(matrix);
          }) {
        auto layers = to_host(const_cast<DecodeLayer*>(this->p.layers), Base::kLayers);
        for (DecodeLayer& layer : layers)
            for (int i = 0; i < 6; ++i)
                layer.kinds |= static_cast<unsigned long long>(kFormats[kinds[i]].kind) << 8 * i;
        this->p.layers = to_device(layers);
        if (dense_head) return;
        const FileFormat& format = kFormats[kinds[6]];
        char* head = device_array<char>(packed_bytes(format, this->vocabulary, hidden));
        this->matrices.back().values.clear();
        pack_random(format, head, this->vocabulary, hidden, 1, this->matrices.back().values);
        this->p.head = reinterpret_cast<const bf16*>(head);
        this->p.head_kind = format.kind;
    }

    static inline int calls_ = 0;
};

template <int kHeadDim, bool kShort = false>
void every_split_of(int hidden, int intermediate, const std::vector<int>& kinds, bool dense_head, bool alone) {
    BlockModel<kHeadDim> model(hidden, intermediate, kinds, dense_head);
    model.template every_split<BlockRing<kHeadDim, kShort>, BlockStream<kHeadDim, kShort>>(alone);
}

template <int kHeadDim>
void every_kind(bool alone) {
    for (int kind = 0; kind < 4; ++kind) {
        const bool super = kFormats[kind].inputs == 256;
        every_split_of<kHeadDim>(super ? 512 : 384, super ? 1280 : 1408, std::vector<int>(7, kind), kind == 0, alone);
    }
}
}  // namespace

TEST(blocks_are_those_of_the_files, 4e-3) {
    for (const FileFormat& format : kFormats)
        for (int inputs : {256, 768, 1024, 3584})
            for (int distance : {1, 64, 130})
                measured(std::string(format.name) + ", " + std::to_string(inputs) + " inputs",
                         unpacking_error(format, distance == 64 ? 256 : 260, inputs, distance));
}

TEST(product_of_blocks_alone_at_every_split_and_distance, 1e-5) {
    every_kind<64>(true);
    every_kind<128>(true);
}

TEST(products_of_blocks_one_after_the_other_in_the_ring, 1e-5) {
    every_kind<64>(false);
    every_kind<128>(false);
}

TEST(products_of_blocks_in_a_short_ring, 1e-5) {
    every_split_of<128, true>(768, 1280, {2, 2, 3, 2, 2, 3, 3}, false, false);
    every_split_of<128, true>(384, 1408, std::vector<int>(7, 1), false, false);
}

TEST(products_of_mixed_blocks, 1e-5) {
    const std::vector<std::vector<int>> mixtures = {{2, 2, 3, 2, 2, 3, 3},
                                                    {3, 2, 2, 3, 2, 2, 1},
                                                    {0, 1, 0, 1, 0, 1, 3},
                                                    {1, 0, 3, 0, 1, 0, 0},
                                                    {1, 2, 0, 3, 1, 2, 2}};
    for (const auto& kinds : mixtures) {
        every_split_of<64>(512, 1280, kinds, false, false);
        every_split_of<128>(768, 1280, kinds, true, true);
    }
}
