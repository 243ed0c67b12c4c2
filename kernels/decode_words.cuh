// How values pass from block to block without a barrier: every value is stored together with the number of the layer
// it belongs to (its epoch) in one word, and who needs it reads the word until the epoch is right.
//
// No value can be overwritten before all have read it, as long as every block computes a part of every product: who
// writes a product's output has seen parts of the product before from all blocks, which had read what is overwritten.
// The launching code sees to it (DecodePlan).
#pragma once

#include "decode_cluster.cuh"

// 16 bytes of words, as they are in L2 now.
__device__ __forceinline__ uint4 load_words(const void* words) {
    uint4 v;
    asm volatile("ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(words)
                 : "memory");
    return v;
}

// The same as one access: none of them is older than another. (PTX ISA 8.3, of CUDA 12.3.)
__device__ __forceinline__ uint4 load_at_once(const uint4* word) {
    unsigned long long low, high;
    asm volatile("{ .reg .b128 v; ld.relaxed.gpu.global.b128 v, [%2]; mov.b128 {%0, %1}, v; }"
                 : "=l"(low), "=l"(high)
                 : "l"(word)
                 : "memory");
    return make_uint4(low, low >> 32, high, high >> 32);
}

__device__ __forceinline__ void store_at_once(uint4* word, const uint4& v) {
    asm volatile("{ .reg .b128 v; mov.b128 v, {%1, %2}; st.relaxed.gpu.global.b128 [%0], v; }" ::"l"(word),
                 "l"(static_cast<unsigned long long>(v.y) << 32 | v.x),
                 "l"(static_cast<unsigned long long>(v.w) << 32 | v.z)
                 : "memory");
}

__device__ __forceinline__ void store_word(PairWord* word, uint32_t value, unsigned epoch) {
    asm volatile("st.relaxed.gpu.global.v2.u32 [%0], {%1, %2};" ::"l"(word), "r"(value), "r"(epoch) : "memory");
}

__device__ __forceinline__ void store_half(HalfWord* word, uint32_t value, unsigned epoch) {
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(word), "r"((value & 0xffffu) | epoch << 16) : "memory");
}

__device__ __forceinline__ bool both_of(const uint4& words, unsigned epoch) {
    return words.y == epoch && words.w == epoch;
}

// Where the input of a product comes from: values 4i to 4i + 3 of a vector are in what `load(i)` gives. kAtOnce of them
// are asked for together.
constexpr int kFew = kCluster > 1 ? 2 : 5;

struct PlainValues {
    using Raw = uint2;
    static constexpr int kAtOnce = 1;
    const bf16* from;

    __device__ __forceinline__ Raw load(int i) const { return __ldcg(reinterpret_cast<const uint2*>(from) + i); }
    __device__ __forceinline__ bool ready(const Raw&) const { return true; }
    __device__ __forceinline__ uint2 values(const Raw& raw) const { return raw; }
};

struct PairWords {
    using Raw = uint4;
    static constexpr int kAtOnce = kFew;
    const PairWord* from;
    unsigned epoch;

    __device__ __forceinline__ Raw load(int i) const { return load_words(from + i * 2); }
    __device__ __forceinline__ bool ready(const Raw& raw) const { return both_of(raw, epoch); }
    __device__ __forceinline__ uint2 values(const Raw& raw) const { return make_uint2(raw.x, raw.z); }
};

struct HalfWords {
    using Raw = uint4;
    static constexpr int kAtOnce = kFew;
    const HalfWord* from;
    unsigned epoch;

    __device__ __forceinline__ Raw load(int i) const { return load_words(from + i * 4); }
    __device__ __forceinline__ bool ready(const Raw& raw) const {
        const unsigned high_half = epoch << 16;
        return ((raw.x ^ high_half) | (raw.y ^ high_half) | (raw.z ^ high_half) | (raw.w ^ high_half)) >> 16 == 0;
    }
    __device__ __forceinline__ uint2 values(const Raw& raw) const {
        return make_uint2(__byte_perm(raw.x, raw.y, 0x5410), __byte_perm(raw.z, raw.w, 0x5410));
    }
};

// Calls `take(i, raw)` for this block's share of the i below `count`, one i a thread at a time, when it is ready.
template <typename Source, typename Take>
__device__ __forceinline__ void gather(const Source& source, int count, Take take) {
    constexpr int kAtOnce = Source::kAtOnce;
    constexpr int kStride = kCluster * kWarps * kWarp;
    const int first = (cluster::rank() + threadIdx.x / kWarp * kCluster) * kWarp;
    typename Source::Raw raw[kAtOnce];
#pragma unroll 1
    for (int base = first; base < count; base += kStride * kAtOnce) {
        const int at = base + threadIdx.x % kWarp;
        // One after the other would cost a trip to L2 for each.
        auto all_ready = [&] {
            bool ready = true;
#pragma unroll
            for (int k = 0; k < kAtOnce; ++k)
                if (k == 0 || base + k * kStride < count) raw[k] = source.load(min(at + k * kStride, count - 1));
#pragma unroll
            for (int k = 0; k < kAtOnce; ++k)
                if (k == 0 || base + k * kStride < count) ready &= source.ready(raw[k]);
            return __all_sync(kAllLanes, ready);
        };
        while (!all_ready()) {}
#pragma unroll
        for (int k = 0; k < kAtOnce; ++k)
            if (at + k * kStride < count) take(at + k * kStride, raw[k]);
    }
}

// Asks L2 for a vector that the next layer needs.
__device__ __forceinline__ void prefetch(const void* data, int bytes) {
#pragma unroll 1
    for (int at = threadIdx.x * 128; at < bytes; at += kThreads * 128)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(static_cast<const char*>(data) + at));
}

// Chunks of the staged vector: whole batches.
__device__ __forceinline__ int padded(const Product& w) { return (w.chunks + w.step - 1) & -w.step; }

// Behind it the sums of each kSumChunks chunks of its values, if the format needs them.
__device__ __forceinline__ float* group_sums(const Product& w, uint4* staged) {
    return reinterpret_cast<float*>(staged + padded(w));
}

// And behind those.
template <typename Format>
__device__ __forceinline__ float2* behind_vector(const Product& w, uint4* staged) {
    const int groups = Format::kGroupSums ? padded(w) / Format::kSumChunks : 0;
    return reinterpret_cast<float2*>(staged + padded(w) + groups / 4);
}

template <typename Format>
__device__ __forceinline__ void pad(const Product& w, uint4* staged) {
#pragma unroll 1
    for (int i = w.chunks + threadIdx.x; i < padded(w); i += kThreads) {
        staged[i] = make_uint4(0, 0, 0, 0);
        if (Format::kGroupSums && i % Format::kSumChunks == 0) group_sums(w, staged)[i / Format::kSumChunks] = 0;
    }
}

__device__ __forceinline__ float sum_of(const uint2& values) {
    return low(values.x) + high(values.x) + (low(values.y) + high(values.y));
}

// What lanes have all (the first `kLanes` of some), for all blocks of the cluster.
template <int kLanes>
__device__ __forceinline__ void tell_sum(const Mailbox& staged, float* to, float sum) {
#pragma unroll
    for (int first = 0; first < kCluster; first += kLanes) {
        const int rank = first + threadIdx.x % kLanes;
        if (rank < kCluster) staged.send(to, rank, sum);
    }
}

// Lanes that have four values each of those that are summed.
template <typename Format>
constexpr int kSumLanes = Format::kSumChunks * 2;

template <typename Format>
__device__ __forceinline__ float lanes_sum(float v) {
#pragma unroll
    for (int offset = kSumLanes<Format> / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(kAllLanes, v, offset);
    return v;
}

// Values 4i to 4i + 3 for all blocks of the cluster. A warp has those of a group, or of some.
template <typename Format>
__device__ __forceinline__ void tell(const Product& w, const Mailbox& staged, int i, const uint2& values) {
    // Neighbours have a chunk together, and each tells it to half of the blocks.
    const unsigned lane = threadIdx.x % kWarp, both = 3u << (lane & ~1u);
    const uint2 other = {__shfl_xor_sync(both, values.x, 1), __shfl_xor_sync(both, values.y, 1)};
    const bool odd = lane % 2;
    const uint4 chunk = {odd ? other.x : values.x, odd ? other.y : values.y, odd ? values.x : other.x,
                         odd ? values.y : other.y};
#pragma unroll
    for (unsigned r = lane % 2; r < kCluster; r += 2)
        staged.send(staged.place() + i / 2, (cluster::rank() + r) % kCluster, chunk);
    if constexpr (Format::kGroupSums) {
        constexpr int kLanes = kSumLanes<Format>;
        tell_sum<kLanes>(staged, group_sums(w, staged.place()) + i / kLanes, lanes_sum<Format>(sum_of(values)));
    }
}

// Bytes of a vector that `tell` sends to each block.
template <typename Format>
__device__ __forceinline__ int told_bytes(const Product& w) {
    return w.chunks * 16 + (Format::kGroupSums ? w.chunks / Format::kSumChunks * 4 : 0);
}

// The sums of a vector that is there.
template <typename Format>
__device__ __forceinline__ void sum_groups(const Product& w, uint4* staged) {
    if constexpr (Format::kGroupSums) {
        for (int i = threadIdx.x; i < w.chunks * 2; i += kThreads) {
            const float sum = lanes_sum<Format>(sum_of(reinterpret_cast<const uint2*>(staged)[i]));
            if (threadIdx.x % kSumLanes<Format> == 0) group_sums(w, staged)[i / kSumLanes<Format>] = sum;
        }
        __syncthreads();
    }
}

// The input vector to shared memory, padded with zeros. Vectors alternate between two places: while some blocks of the
// cluster already write the next one, others still read the one before. `Format`: of the matrix.
template <typename Format, typename Source>
__device__ __forceinline__ void stage(const Product& w, Mailbox& staged, const Source& source) {
    pad<Format>(w, staged.place());
    gather(source, w.chunks * 2,
           [&](int i, const typename Source::Raw& raw) { tell<Format>(w, staged, i, source.values(raw)); });
    staged.wait(told_bytes<Format>(w));
}

// A source and the gain of a norm, on its way at the same time.
template <typename Source>
struct WithGain {
    struct Raw {
        typename Source::Raw raw;
        uint2 gain;
    };
    static constexpr int kAtOnce = Source::kAtOnce;
    Source source;
    const bf16* weight;

    __device__ __forceinline__ Raw load(int i) const {
        return {source.load(i), __ldg(reinterpret_cast<const uint2*>(weight) + i)};
    }
    __device__ __forceinline__ bool ready(const Raw& raw) const { return source.ready(raw.raw); }
};

// Each warp's sum of squares.
__device__ __forceinline__ float* square_sums() {
    __shared__ float sums[kCluster * kWarps];
    return sums;
}

// As `stage`, times the norm's weight. Returns 1 / rms, which the caller applies to the products: so the sum of squares
// and the products need only one barrier.
template <typename Format, typename Source>
__device__ __forceinline__ float stage_normed(const Product& w, const bf16* weight, float eps, Mailbox& staged,
                                              const Source& source) {
    float* sums = square_sums();
    float sum = 0;
    pad<Format>(w, staged.place());
    const WithGain<Source> normed{source, weight};
    gather(normed, w.chunks * 2, [&](int i, const typename WithGain<Source>::Raw& raw) {
        const uint2 v = source.values(raw.raw), g = raw.gain;
        const float v0 = low(v.x), v1 = high(v.x), v2 = low(v.y), v3 = high(v.y);
        sum += v0 * v0 + v1 * v1 + v2 * v2 + v3 * v3;
        tell<Format>(w, staged, i,
                     make_uint2(pack(v0 * low(g.x), v1 * high(g.x)), pack(v2 * low(g.y), v3 * high(g.y))));
    });
    tell_sum<kWarp>(staged, sums + cluster::rank() * kWarps + threadIdx.x / kWarp, warp_sum(sum));
    staged.wait(told_bytes<Format>(w) + kCluster * kWarps * 4);
    sum = 0;
    for (int i = threadIdx.x % kWarp; i < kCluster * kWarps; i += kWarp) sum += sums[i];
    return rsqrtf(warp_sum(sum) / (w.chunks * 8) + eps);
}
