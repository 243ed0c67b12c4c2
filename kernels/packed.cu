// Brings weights into the packed layout (packed.cuh), and back into a dense matrix for a prompt's products.

#include "packed.cuh"

constexpr int kThreads = ELEMENTWISE_THREADS;

// A lane's place in a packed matrix: one thread for each 16 bytes of weights of one row.
template <int kBits>
struct Place {
    using Layout = Packed<kBits>;
    int lane, at;       // In the batch that begins with chunk `at`.
    size_t row, words;  // In 16 bytes: this lane's. In 4 bytes: the group's of this row.

    // `side`: 0 for the pair's first row.
    __device__ __forceinline__ Place(int piece, int pair, int side, int chunks)
        : lane(piece % kWarp), at(piece / kWarp * Layout::kBatch) {
        const int lanes = Layout::lanes(chunks - at);
        const size_t begin = static_cast<size_t>(pair) * Layout::pair_bytes(chunks);
        row = (begin + Layout::code_bytes(at)) / 16 + side * lanes + lane;
        words = (begin + Layout::code_bytes(chunks)) / 4 + (at * 8 / kGroupInputs + lane / Layout::kLanes) * 2 + side;
    }
};

// The eight inputs from `codes` on, four bits of each, in the order of a packed word.
template <int kBits>
__device__ __forceinline__ uint32_t packed_word(const uint8_t* codes, int plane) {
    uint32_t word = 0;
#pragma unroll
    for (int nibble = 0; nibble < 8; ++nibble) {
        const int input = nibble % 4 * 2 + nibble / 4;
        const uint32_t code = codes[input * kBits / 8] >> (kBits == 4 ? input % 2 * 4 : plane * 4) & 0xf;
        word |= code << nibble * 4;
    }
    return word;
}

// A projection's rows become rows `first` and following of `packed`, a matrix whose pairs are `distance` apart.
// `codes`: [rows, inputs * bits / 8], the low nibble first; `scales` and `zeros`: [rows, inputs / group], where a group
// is a multiple of kGroupInputs. gridDim.y is the number of rows.
template <int kBits>
__device__ __forceinline__ void pack_rows(const uint8_t* codes, const float* scales, const uint8_t* zeros,
                                          uint4* packed, int inputs, int group, int first, int distance) {
    using Layout = Packed<kBits>;
    const int chunks = inputs / 8, piece = blockIdx.x * kThreads + threadIdx.x, row = blockIdx.y;
    if (piece >= chunks / Layout::kRuns) return;
    const int side = (first + row) / distance % 2;
    const Place<kBits> place(piece, (first + row) / distance / 2 * distance + (first + row) % distance, side, chunks);
    uint32_t words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int chunk = place.at + Layout::chunk(place.lane, i % Layout::kRuns);
        words[i] = packed_word<kBits>(codes + (static_cast<size_t>(row) * chunks + chunk) * kBits, i / Layout::kRuns);
    }
    packed[place.row] = make_uint4(words[0], words[1], words[2], words[3]);
    if (place.lane % Layout::kLanes) return;
    const int input = (place.at + Layout::chunk(place.lane, 0)) * 8;
    const size_t from = static_cast<size_t>(row) * (inputs / group) + input / group;
    reinterpret_cast<uint32_t*>(packed)[place.words] = group_word(scales[from], zeros[from]);
}

extern "C" __global__ void __launch_bounds__(kThreads)
    pack_int4(const uint8_t* codes, const float* scales, const uint8_t* zeros, uint4* packed, int inputs, int group,
              int first, int distance) {
    pack_rows<4>(codes, scales, zeros, packed, inputs, group, first, distance);
}
extern "C" __global__ void __launch_bounds__(kThreads)
    pack_int8(const uint8_t* codes, const float* scales, const uint8_t* zeros, uint4* packed, int inputs, int group,
              int first, int distance) {
    pack_rows<8>(codes, scales, zeros, packed, inputs, group, first, distance);
}

// Rows `first` and following in bf16, [rows, inputs]. gridDim.y is the number of rows.
template <int kBits>
__device__ __forceinline__ void unpack_rows(const uint4* packed, uint4* dense, int inputs, int first, int distance) {
    using Layout = Packed<kBits>;
    const int chunks = inputs / 8, piece = blockIdx.x * kThreads + threadIdx.x, row = first + blockIdx.y;
    if (piece >= chunks / Layout::kRuns) return;
    const Place<kBits> place(piece, row / distance / 2 * distance + row % distance, row / distance % 2, chunks);
    const uint4 all = packed[place.row];
    const uint32_t words[4] = {all.x, all.y, all.z, all.w};
    const uint32_t word = reinterpret_cast<const uint32_t*>(packed)[place.words];
    const float scale = scale_of(word);
    const float offset = (kBits == 4 ? 1 : 17) * kNibbleOffset + zero_of(word);
    uint4* to = dense + static_cast<size_t>(blockIdx.y) * chunks + place.at;
#pragma unroll
    for (int run = 0; run < Layout::kRuns; ++run) {
        uint32_t out[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const uint32_t low_bits = nibbles(words[run] >> i * 4);
            float a = low(low_bits), b = high(low_bits);
            if constexpr (kBits == 8) {
                const uint32_t high_bits = nibbles(words[Layout::kRuns + run] >> i * 4);
                a = fmaf(16, low(high_bits), a);
                b = fmaf(16, high(high_bits), b);
            }
            out[i] = pack(scale * (a - offset), scale * (b - offset));
        }
        to[Layout::chunk(place.lane, run)] = make_uint4(out[0], out[1], out[2], out[3]);
    }
}

extern "C" __global__ void __launch_bounds__(kThreads)
    unpack_int4(const uint4* packed, uint4* dense, int inputs, int first, int distance) {
    unpack_rows<4>(packed, dense, inputs, first, distance);
}
extern "C" __global__ void __launch_bounds__(kThreads)
    unpack_int8(const uint4* packed, uint4* dense, int inputs, int first, int distance) {
    unpack_rows<8>(packed, dense, inputs, first, distance);
}
