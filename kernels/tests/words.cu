// Words between blocks, the staged vector, and the norm on its way there.

#include "tests.cuh"

#include "../decode_step.cuh"

static const int kPlace = 16 << 10;

// What value `i` is in an epoch: whole numbers that bf16 has.
static __device__ float value_of(unsigned epoch, int i) { return static_cast<float>((epoch * 31 + i * 7) % 251); }

// Staged values that aren't this epoch's, and padding that isn't zero.
static __device__ unsigned wrong_values(const Product& w, const uint4* staged, unsigned epoch) {
    const bf16* values = reinterpret_cast<const bf16*>(staged);
    unsigned wrong = 0;
    for (int i = threadIdx.x; i < padded(w) * 8; i += kThreads)
        wrong += __bfloat162float(values[i]) != (i < w.chunks * 8 ? value_of(epoch, i) : 0.0f);
    return wrong;
}

// As layers do: a vector in pairs from all blocks to all, then one in single values, and so on.
__global__ void DECODE_LAUNCH exchange(PairWord* pairs, HalfWord* halves, int chunks, int split, unsigned first_epoch,
                                       int rounds, unsigned* wrong) {
    extern __shared__ uint4 shared[];
    Mailbox first(0, shared), second(1, shared + kPlace / 16);
    const Product w = {nullptr, 0, chunks, 1, split, Dense::step(split)};
    const int thread = threadIdx.x * gridDim.x + blockIdx.x, threads = kThreads * gridDim.x;
    cluster::sync();
    for (int round = 0; round < rounds; ++round) {
        const unsigned epoch = first_epoch + round;
        for (int i = thread; i < chunks * 4; i += threads)
            store_word(pairs + i, pack(value_of(epoch, 2 * i), value_of(epoch, 2 * i + 1)), epoch);
        stage<Dense>(w, first, PairWords{pairs, epoch});
        atomicAdd(wrong, wrong_values(w, first.place(), epoch));
        for (int i = thread; i < chunks * 8; i += threads) store_half(halves + i, pack(value_of(epoch, i), 0), epoch);
        stage<Dense>(w, second, HalfWords{halves, epoch});
        atomicAdd(wrong, wrong_values(w, second.place(), epoch));
    }
    cluster::sync();
}

TEST(words_reach_all_blocks_in_every_epoch, 0) {
    const Limits limits = limits_of(exchange, kThreads, kCluster);
    for (int chunks : {112, 133, 448}) {
        for (unsigned first_epoch : {1u, 65500u}) {  // The second passes what half a word holds.
            auto* pairs = device_array<PairWord>(chunks * 4);
            auto* halves = device_array<HalfWord>(chunks * 8);
            auto* wrong = device_array<unsigned>(1);
            // Every block must have a part of every vector.
            const int blocks = int(limits.blocks);
            launch_together(exchange, blocks, kThreads, 2 * kPlace, pairs, halves, chunks, 4, first_epoch, 200, wrong);
            measured(std::to_string(chunks) + " chunks from epoch " + std::to_string(first_epoch),
                     to_host(wrong, 1)[0]);
        }
    }
}

__global__ void DECODE_LAUNCH stage_one(const bf16* plain, const PairWord* words, unsigned epoch, const bf16* weight,
                                        int chunks, float epsilon, bf16* out, float* scale) {
    extern __shared__ uint4 shared[];
    const Product w = {nullptr, 0, chunks, 1, 1, Dense::step(1)};
    Mailbox staged(0, shared);
    cluster::sync();
    const float found = plain ? stage_normed<Dense>(w, weight, epsilon, staged, PlainValues{plain})
                              : stage_normed<Dense>(w, weight, epsilon, staged, PairWords{words, epoch});
    // What the last block has; all have the same.
    if (blockIdx.x == gridDim.x - 1) {
        for (int i = threadIdx.x; i < chunks * 8; i += kThreads) out[i] = reinterpret_cast<const bf16*>(shared)[i];
        if (threadIdx.x == 0) *scale = found;
    }
    cluster::sync();
}

// Half a unit in bf16's last place.
TEST(norm_of_a_staged_vector, 1.0 / 256) {
    const unsigned epoch = 70000;
    const float epsilon = 1e-6f;
    for (int hidden : {896, 1064, 3584}) {
        const auto x = random_bf16(hidden, -3, 3), weight = random_bf16(hidden, 0.5, 1.5);
        std::vector<PairWord> words(hidden / 2);
        for (int i = 0; i < hidden / 2; ++i) words[i] = {pair_of(x[2 * i], x[2 * i + 1]), epoch};
        double squares = 0;
        for (bf16 value : x) squares += number(value) * number(value);
        const double want_scale = 1 / std::sqrt(squares / hidden + epsilon);
        for (bool plain : {true, false}) {
            bf16* out = device_array<bf16>(hidden);
            float* scale = device_array<float>(1);
            allow_shared_bytes(stage_one, kPlace);
            stage_one<<<2 * kCluster, kThreads, kPlace>>>(plain ? to_device(x) : nullptr, to_device(words), epoch,
                                                          to_device(weight), hidden / 8, epsilon, out, scale);
            const auto got = to_host(out, hidden);
            const double got_scale = to_host(scale, 1)[0];
            Worst worst;
            worst.add(std::abs(got_scale / want_scale - 1) * 100);  // In fp32, so much closer.
            for (int i = 0; i < hidden; ++i) worst.add(number(got[i]), number(x[i]) * number(weight[i]));
            measured(std::to_string(hidden) + (plain ? " plain values" : " words"), worst.error);
        }
    }
}
