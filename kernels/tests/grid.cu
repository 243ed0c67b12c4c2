// What all blocks do together: numbering, waiting, choosing; and that the plan knows the kernel's static memory.

#include "tests.cuh"

#include "../decode.cu"
#include "../decode_pair.cu"

#include <set>

__global__ void DECODE_LAUNCH number_blocks(StepState* state, unsigned* multiprocessors, int* numbers) {
    Barrier barrier(state);
    const int number = block_number(multiprocessors, barrier);
    if (threadIdx.x == 0) numbers[blockIdx.x] = number;
}

// Blocks with a number that another has, in a torn cluster, or out of the multiprocessors' order.
static int misnumbered(const std::vector<int>& numbers, const std::vector<unsigned>& multiprocessors) {
    const int blocks = int(numbers.size());
    int wrong = blocks - int(std::set<int>(numbers.begin(), numbers.end()).size());
    std::vector<unsigned> order(blocks);
    for (int i = 0; i < blocks; ++i) {
        if (numbers[i] < 0 || numbers[i] >= blocks) return blocks;
        wrong += numbers[i] % kCluster != i % kCluster ||
                 numbers[i] / kCluster != numbers[i / kCluster * kCluster] / kCluster;
        order[numbers[i]] = multiprocessors[i];
    }
    for (int i = kCluster; i < blocks; i += kCluster) wrong += order[i] < order[i - kCluster];
    return wrong;
}

TEST(blocks_are_numbered_by_multiprocessor, 0) {
    const int blocks = int(limits_of(number_blocks, kThreads, kCluster).blocks);
    for (int run = 0; run < 20; ++run) {
        auto* state = device_array<StepState>(1);
        auto* multiprocessors = device_array<unsigned>(blocks);
        auto* numbers = device_array<int>(blocks);
        launch_together(number_blocks, blocks, kThreads, 0, state, multiprocessors, numbers);
        measured("run " + std::to_string(run), misnumbered(to_host(numbers, blocks), to_host(multiprocessors, blocks)));
    }
}

__global__ void DECODE_LAUNCH choose(StepState* state, const float* values, int count, Best* bests, unsigned* chosen) {
    Barrier barrier(state);
    Best best{-INFINITY, 0xffffffffu};
    for (int i = threadIdx.x * gridDim.x + blockIdx.x; i < count; i += kThreads * gridDim.x) best.take(values[i], i);
    best = grid_best(best, bests, blockIdx.x, barrier);
    if (threadIdx.x == 0) chosen[blockIdx.x] = best.index;
}

TEST(all_blocks_choose_the_first_of_the_greatest, 0) {
    const int blocks = int(limits_of(choose, kThreads, kCluster).blocks), count = 151936;
    auto check = [&](const std::string& what, const std::vector<float>& values, unsigned want) {
        auto* chosen = device_array<unsigned>(blocks);
        launch_together(choose, blocks, kThreads, 0, device_array<StepState>(1), to_device(values), count,
                        device_array<Best>(blocks), chosen);
        const auto got = to_host(chosen, blocks);
        measured(what, double(blocks - std::count(got.begin(), got.end(), want)));
    };
    auto values = random_floats(count, -1, 1);
    check("random", values, unsigned(std::max_element(values.begin(), values.end()) - values.begin()));
    values[777] = values[90001] = values[151935] = 2;
    check("equals", values, 777);
    check("all equal", std::vector<float>(count, -5), 0);
    check(
        "the last",
        [&] {
            values.assign(count, -1), values.back() = 0;
            return values;
        }(),
        count - 1);
    check("NaN", std::vector<float>(count, NAN), 0xffffffffu);
}

// What the driver counts beside a kernel's own static memory is found with one whose is known.
static const int kKnown = 256;
__global__ void with_known_memory(int value, int* out) {
    extern __shared__ uint4 shared[];
    __shared__ volatile int known[kKnown / 4];
    known[threadIdx.x] = value;
    shared[threadIdx.x].x = value;
    __syncthreads();
    out[threadIdx.x] = known[threadIdx.x ^ 1] + static_cast<int>(shared[threadIdx.x ^ 1].x);
}

template <typename Kernel>
static double static_bytes(Kernel kernel) {
    cudaFuncAttributes attributes;
    CHECK(cudaFuncGetAttributes(&attributes, kernel));
    return double(attributes.sharedSizeBytes);
}

// A kernel's own.
template <typename Kernel>
static double static_bytes_of(Kernel kernel) {
    return static_bytes(kernel) - (static_bytes(with_known_memory) - kKnown);
}

TEST(static_memory_is_what_the_plan_leaves_for_it, DECODE_STATIC_BYTES) {
    measured("decode_64", static_bytes_of(decode_64));
    measured("decode_128", static_bytes_of(decode_128));
    measured("decode_short_128", static_bytes_of(decode_short_128));
    measured("decode_pair_64", static_bytes_of(decode_pair_64));
    measured("decode_pair_128", static_bytes_of(decode_pair_128));
    measured("decode_short_pair_128", static_bytes_of(decode_short_pair_128));
}

// Where static memory ends.
TEST(rings_begin_at_a_line, 0) {
    measured("decode_64", std::fmod(static_bytes_of(decode_64), kLine));
    measured("decode_128", std::fmod(static_bytes_of(decode_128), kLine));
    measured("decode_short_128", std::fmod(static_bytes_of(decode_short_128), kLine));
    measured("decode_pair_64", std::fmod(static_bytes_of(decode_pair_64), kLine));
    measured("decode_pair_128", std::fmod(static_bytes_of(decode_pair_128), kLine));
    measured("decode_short_pair_128", std::fmod(static_bytes_of(decode_short_pair_128), kLine));
}
