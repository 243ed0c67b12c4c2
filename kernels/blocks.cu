// Brings GGUF's blocks into the layout of blocks.cuh, and back into a dense matrix for a prompt's products.

#include "blocks.cuh"
#include "packed.cuh"

constexpr int kBlockThreads = ELEMENTWISE_THREADS;

__device__ __forceinline__ unsigned half_at(const uint8_t* at) { return at[0] | at[1] << 8; }

// A block as files have it: its sizes, the integer of an input (not negative), and what scales the run that the input
// is in: what goes into the word and the super. ggml's block_q4_0, block_q8_0, block_q4_K and block_q6_K.
template <unsigned kKind>
struct FileBlock;

template <>
struct FileBlock<kQ4_0> {
    static constexpr int kInputs = 32, kBytes = 18;
    __device__ static unsigned code(const uint8_t* block, int i) { return block[2 + i % 16] >> i / 16 * 4 & 15; }
    __device__ static unsigned word(const uint8_t* block, int) { return half_at(block); }
    __device__ static unsigned super(const uint8_t*) { return 0; }
};

template <>
struct FileBlock<kQ8_0> {
    static constexpr int kInputs = 32, kBytes = 34;
    // 128 more.
    __device__ static unsigned code(const uint8_t* block, int i) { return block[2 + i] ^ 128; }
    __device__ static unsigned word(const uint8_t* block, int) { return half_at(block); }
    __device__ static unsigned super(const uint8_t*) { return 0; }
};

template <>
struct FileBlock<kQ4K> {
    static constexpr int kInputs = 256, kBytes = 144;
    __device__ static unsigned code(const uint8_t* block, int i) {
        return block[16 + i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15;
    }
    // Scale and minimum of 6 bits: those of the last four runs have their upper bits beside the first ones'.
    __device__ static unsigned word(const uint8_t* block, int i) {
        const uint8_t* packed = block + 4;
        const int run = i / 32;
        if (run < 4) return (packed[run] & 63) | (packed[run + 4] & 63) << 8;
        const unsigned scale = (packed[run + 4] & 15) | packed[run - 4] >> 6 << 4;
        return scale | (packed[run + 4] >> 4 | packed[run] >> 6 << 4) << 8;
    }
    __device__ static unsigned super(const uint8_t* block) { return half_at(block) | half_at(block + 2) << 16; }
};

template <>
struct FileBlock<kQ6K> {
    static constexpr int kInputs = 256, kBytes = 210;
    __device__ static unsigned code(const uint8_t* block, int i) {
        const int half = i / 128, quarter = i / 32 % 4, at = i % 32;
        const unsigned lower = block[half * 64 + quarter % 2 * 32 + at] >> quarter / 2 * 4 & 15;
        return lower | (block[128 + half * 32 + at] >> quarter * 2 & 3) << 4;
    }
    // Two scales of 8 bits with a sign, each 128 more.
    __device__ static unsigned word(const uint8_t* block, int i) {
        return (block[192 + i / 16] ^ 128) | (block[192 + i / 16 + 1] ^ 128) << 8;
    }
    __device__ static unsigned super(const uint8_t* block) { return half_at(block + 208); }
};

// A lane's place in a pair of rows: one thread for each 16 bytes of weights of one row.
template <unsigned kKind>
struct BlockPlace {
    static constexpr int kRuns = 1 << KindSizes::of(kKind).run_bits;
    char* pair;
    int chunks, at, lane, lanes, side;  // `at`: the batch's first chunk; `side`: 0 for the pair's first row.

    __device__ __forceinline__ BlockPlace(char* packed, int piece, int row, int chunks, int distance)
        : pair(packed +
               static_cast<size_t>(row / distance / 2 * distance + row % distance) * sizes().pair_bytes(chunks)),
          chunks(chunks),
          at(piece / kWarp * sizes().batch()),
          lane(piece % kWarp),
          lanes(min(static_cast<int>((chunks - at) >> sizes().run_bits), kWarp)),
          side(row / distance % 2) {}

    __device__ __forceinline__ static constexpr KindSizes sizes() { return KindSizes::of(kKind); }
    __device__ __forceinline__ uint4* codes() const {
        return reinterpret_cast<uint4*>(pair + at * sizes().code_bytes) + side * lanes + lane;
    }
    // Q6_K's.
    __device__ __forceinline__ uint2* upper() const {
        return reinterpret_cast<uint2*>(pair + at * sizes().code_bytes + lanes * 32) + side * lanes + lane;
    }
    __device__ __forceinline__ int run_input(int run) const {
        return (at + run_chunk(lane / 4, run, sizes().run_bits)) * 8;
    }
    // The input of a run that is a lane's `i`th of eight: of Q6_K four are of the first 16, and four of the others.
    __device__ __forceinline__ int input(int run, int i) const {
        return run_input(run) + (kKind == kQ6K ? i / 4 * 16 + lane % 4 * 4 + i % 4 : lane % 4 * 8 + i);
    }
    // This row's half of a word, and its part of a super.
    __device__ __forceinline__ uint16_t* word(int input) const {
        return reinterpret_cast<uint16_t*>(pair + sizes().words(chunks) + input / kRunInputs * 4) + side;
    }
    __device__ __forceinline__ char* super(int input) const {
        return pair + sizes().supers(chunks) + input / kSuperInputs * sizes().super_bytes +
               side * sizes().super_bytes / 2;
    }
};

// The input of a word's nibble.
__device__ __forceinline__ int input_of_nibble(int nibble) { return nibble % 4 * 2 + nibble / 4; }

// A projection's rows, [rows, inputs] in blocks, become rows `first` and following of `packed`, a matrix whose pairs
// are `distance` apart. gridDim.y is the number of rows.
template <unsigned kKind>
__device__ __forceinline__ void pack_block_rows(const uint8_t* blocks, char* packed, int inputs, int first,
                                                int distance) {
    using Block = FileBlock<kKind>;
    using Place = BlockPlace<kKind>;
    const int chunks = inputs / 8, piece = blockIdx.x * kBlockThreads + threadIdx.x;
    if (piece >= chunks / Place::kRuns) return;
    const Place place(packed, piece, first + blockIdx.y, chunks, distance);
    const uint8_t* row = blocks + static_cast<size_t>(blockIdx.y) * (inputs / Block::kInputs) * Block::kBytes;
    auto block_of = [&](int input) { return row + input / Block::kInputs * Block::kBytes; };
    uint32_t words[4] = {}, upper[2] = {};
#pragma unroll
    for (int run = 0; run < Place::kRuns; ++run) {
#pragma unroll
        for (int nibble = 0; nibble < 8; ++nibble) {
            const int i = input_of_nibble(nibble), input = place.input(run, i);
            const unsigned code = Block::code(block_of(input), input % Block::kInputs);
            words[run] |= (code & 15) << nibble * 4;
            if (kKind == kQ8_0) words[(Place::kRuns + run) % 4] |= code >> 4 << nibble * 4;
            if (kKind == kQ6K) upper[run / 2] |= code >> 4 << ((run % 2 * 4 + i / 2) * 2 + i % 2 * 16);
        }
        if (place.lane % 4 != 0) continue;
        const int input = place.run_input(run);
        *place.word(input) = Block::word(block_of(input), input % Block::kInputs);
        if (input % kSuperInputs) continue;
        if (kKind == kQ4K) *reinterpret_cast<uint32_t*>(place.super(input)) = Block::super(block_of(input));
        if (kKind == kQ6K) *reinterpret_cast<uint16_t*>(place.super(input)) = Block::super(block_of(input));
    }
    *place.codes() = make_uint4(words[0], words[1], words[2], words[3]);
    if (kKind == kQ6K) *place.upper() = make_uint2(upper[0], upper[1]);
}

// What the integers of a half of a run stand for: W = scale * integer - less.
struct Numbers32 {
    float scale, less;
};
template <unsigned kKind>
__device__ __forceinline__ Numbers32 numbers_of(const BlockPlace<kKind>& place, int input, int half) {
    const uint32_t word = *place.word(input);
    if constexpr (kKind == kQ4_0 || kKind == kQ8_0) {
        const float scale = halves(word).x;
        return {scale, scale * (kKind == kQ4_0 ? 8 : 128)};
    } else if constexpr (kKind == kQ4K) {
        const float2 super = halves(*reinterpret_cast<const uint32_t*>(place.super(input)));
        return {super.x * byte_of<0>(word), super.y * byte_of<1>(word)};
    } else {
        const float super = halves(*reinterpret_cast<const uint16_t*>(place.super(input))).x;
        const float scale = super * (half ? byte_of<1>(word, 128) : byte_of<0>(word, 128));
        return {scale, scale * 32};
    }
}

// Rows `first` and following in bf16, [rows, inputs]. gridDim.y is the number of rows.
template <unsigned kKind>
__device__ __forceinline__ void unpack_block_rows(char* packed, bf16* dense, int inputs, int first, int distance) {
    using Place = BlockPlace<kKind>;
    const int chunks = inputs / 8, piece = blockIdx.x * kBlockThreads + threadIdx.x;
    if (piece >= chunks / Place::kRuns) return;
    const Place place(packed, piece, first + blockIdx.y, chunks, distance);
    const uint4 all = *place.codes();
    const uint32_t words[4] = {all.x, all.y, all.z, all.w};
    const uint2 both = kKind == kQ6K ? *place.upper() : make_uint2(0, 0);
    bf16* to = dense + static_cast<size_t>(blockIdx.y) * inputs;
#pragma unroll
    for (int run = 0; run < Place::kRuns; ++run) {
        uint32_t out[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const Numbers32 numbers = numbers_of<kKind>(place, place.run_input(run), i / 2);
            uint32_t pair = nibbles(words[run] >> i * 4);
            if (kKind == kQ6K) pair = with_upper(pair, run < 2 ? both.x : both.y, run % 2 * 4 + i);
            float a = low(pair) - kNibbleOffset, b = high(pair) - kNibbleOffset;
            if (kKind == kQ8_0) {
                const uint32_t upper = nibbles(words[(Place::kRuns + run) % 4] >> i * 4);
                a = fmaf(16, low(upper) - kNibbleOffset, a);
                b = fmaf(16, high(upper) - kNibbleOffset, b);
            }
            out[i] = pack(fmaf(numbers.scale, a, -numbers.less), fmaf(numbers.scale, b, -numbers.less));
        }
        *reinterpret_cast<uint2*>(to + place.input(run, 0)) = make_uint2(out[0], out[1]);
        *reinterpret_cast<uint2*>(to + place.input(run, 4)) = make_uint2(out[2], out[3]);
    }
}

#define FOR_KIND(name, kind)                                                                    \
    extern "C" __global__ void __launch_bounds__(kBlockThreads)                                 \
        pack_##name(const uint8_t* blocks, char* packed, int inputs, int first, int distance) { \
        pack_block_rows<kind>(blocks, packed, inputs, first, distance);                         \
    }                                                                                           \
    extern "C" __global__ void __launch_bounds__(kBlockThreads)                                 \
        unpack_##name(char* packed, bf16* dense, int inputs, int first, int distance) {         \
        unpack_block_rows<kind>(packed, dense, inputs, first, distance);                        \
    }
FOR_KIND(q4_0, kQ4_0)
FOR_KIND(q8_0, kQ8_0)
FOR_KIND(q4_k, kQ4K)
FOR_KIND(q6_k, kQ6K)
