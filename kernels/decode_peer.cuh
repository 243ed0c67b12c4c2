// One stream over two cards: what the two running kernels tell each other.
//
// Each card has half of the heads, of the gate's and the up projection's rows and of the vocabulary, so that of the
// output and the down product each has a part of every sum. Who finishes a pair of rows stores its part into the other
// card's memory, and waits for the other's part in its own. Both run as many blocks, so it's the same thread of the
// same block there that does the same. A value comes with its epoch in one word (decode_words.cuh).
//
// No part can be overwritten before it was read: the inboxes of the two products take turns, and a thread that has read
// the other's part of one product knows that its own of the product before was read. Of the best logits, of which a
// launch may bring nothing else, there are two inboxes by the epoch's parity.
//
// Nobody waits longer than the time limit: a thread that did says so, waits no more, and its card goes on with numbers
// that mean nothing, so that the kernel ends by itself.
#pragma once

#include "decode_grid.cuh"
#include "decode_words.cuh"

// Where the other card's inbox lies and where one's own. An inbox: [2 products][blocks][slots], then [2][blocks].
struct Peer {
    uint4* there;
    const uint4* here;
    unsigned* failed;          // Of this card: not 0 when the other didn't answer in time. It stays so.
    unsigned long long limit;  // Nanoseconds
    int slots;                 // Pairs that a block finishes of a residual product, at most
    int first_token;           // Of this card's part of the vocabulary
};
ASSERT_LAYOUT_Peer;

// A card that has the whole model.
struct Alone {
    // What a step's head adds to the epoch.
    static constexpr unsigned kHeadEpochs = 0;

    __device__ __forceinline__ float2 sum(int, int, float a, float b, unsigned) { return make_float2(a, b); }
    __device__ __forceinline__ Best best(const Best& mine, int, unsigned) { return mine; }
    __device__ __forceinline__ unsigned vocabulary(const DecodeParameters& p) const { return p.vocabulary; }
};

// One of two.
class Pair {
  public:
    // So that launches of the head alone differ.
    static constexpr unsigned kHeadEpochs = 1;

    __device__ __forceinline__ Pair(const Peer& peer) : peer_(peer), failed_(others_failed()) {}

    // Of both cards' parts of a pair of rows. `product`: 0 or 1. Two numbers have the same sum in either order, so both
    // cards have the same residual stream to the bit.
    __device__ __forceinline__ float2 sum(int product, int block, float a, float b, unsigned epoch) {
        const uint2 other = exchange((product * gridDim.x + block) * peer_.slots + threadIdx.x, __float_as_uint(a),
                                     __float_as_uint(b), epoch);
        return make_float2(a + __uint_as_float(other.x), b + __uint_as_float(other.y));
    }

    // The best of both cards, in every thread: from this card's, which every thread has.
    __device__ __forceinline__ Best best(Best mine, int block, unsigned epoch) {
        __shared__ Best of_both;
        if (threadIdx.x == 0) {
            // Where all logits are NaN, there is none.
            if (mine.index != 0xffffffffu) mine.index += peer_.first_token;
            const int behind = 2 * gridDim.x * peer_.slots;
            const uint2 other =
                exchange(behind + epoch % 2 * gridDim.x + block, __float_as_uint(mine.value), mine.index, epoch);
            mine.take(__uint_as_float(other.x), other.y);
            of_both = mine;
        }
        __syncthreads();
        return of_both;
    }

    __device__ __forceinline__ unsigned vocabulary(const DecodeParameters& p) const { return 2 * p.vocabulary; }

  private:
    // Who waits longer looks whether another thread gave up.
    static constexpr unsigned long long kSoon = 20000;

    // Two values to the other card, and two from it.
    __device__ __forceinline__ uint2 exchange(int place, uint32_t a, uint32_t b, unsigned epoch) {
        asm volatile("st.relaxed.sys.global.v4.u32 [%0], {%1, %3, %2, %3};" ::"l"(peer_.there + place), "r"(a), "r"(b),
                     "r"(epoch)
                     : "memory");
        uint4 words = load(place);
        for (unsigned long long begin = 0; !failed_ && !both_of(words, epoch); words = load(place)) {
            const unsigned long long now = clock_ns();
            if (begin == 0) begin = now;
            if (now - begin > kSoon) failed_ = others_failed();
            if (now - begin > peer_.limit) give_up();
        }
        return make_uint2(words.x, words.z);
    }

    __device__ __forceinline__ uint4 load(int place) const {
        uint4 v;
        asm volatile("ld.relaxed.sys.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                     : "l"(peer_.here + place)
                     : "memory");
        return v;
    }

    __device__ __forceinline__ bool others_failed() const {
        unsigned failed;
        asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(failed) : "l"(peer_.failed) : "memory");
        return failed != 0;
    }

    __device__ __forceinline__ void give_up() {
        failed_ = true;
        asm volatile("st.relaxed.sys.global.u32 [%0], 1;" ::"l"(peer_.failed) : "memory");
    }

    const Peer& peer_;
    bool failed_;
};
