// What two cards tell each other. Here one card is both, as two kernels that run at the same time.

#include "tests.cuh"

#include "../decode_peer.cuh"

static const int kBlocks = 48, kSlots = 40;

struct Ends {
    Peer peers[2];
    cudaStream_t streams[2];

    explicit Ends(unsigned long long limit) {
        uint4* inboxes[2];
        for (auto& inbox : inboxes) inbox = device_array<uint4>(2 * kBlocks * (kSlots + 1));
        for (int rank : {0, 1}) {
            peers[rank] = {inboxes[1 - rank], inboxes[rank], device_array<unsigned>(1), limit, kSlots, rank * 1000};
            CHECK(cudaStreamCreateWithFlags(&streams[rank], cudaStreamNonBlocking));
        }
        CHECK(cudaDeviceSynchronize());
    }

    unsigned failed(int rank) const { return to_host(peers[rank].failed, 1)[0]; }
};

static __device__ float value_of(int rank, unsigned epoch, int product, int block, int slot) {
    return float((rank * 17 + epoch * 31 + product * 5 + block * 3 + slot * 7) % 1021) - 500;
}

// As steps do: sums of both products, layer by layer, then the best. `wrong`: how many aren't those of both.
__global__ void exchange(const __grid_constant__ Peer peer, int rank, unsigned first, int rounds, unsigned* wrong) {
    Pair pair(peer);
    const int block = blockIdx.x, slot = threadIdx.x;
    unsigned mine = 0;
    for (int round = 0; round < rounds; ++round) {
        const unsigned epoch = first + round;
        for (int product = 0; slot < kSlots && product < 2; ++product) {
            const float a = value_of(rank, epoch, product, block, slot),
                        there = value_of(1 - rank, epoch, product, block, slot);
            const float2 sum = pair.sum(product, block, a, -2 * a, epoch);
            mine += sum.x != a + there || sum.y != -2 * (a + there);
        }
    }
    // Launches of the head alone come one after the other.
    for (int round = 0; round < rounds; ++round) {
        const unsigned epoch = first + rounds + round;
        // By turns the first is better, both are as good, and there is none at all; the last is the second's only.
        const float values[] = {float(1 - rank), 3, -INFINITY, rank ? 2 : -INFINITY};
        const unsigned wanted[] = {7, 7, 0xffffffffu, 1007};
        const float value = values[epoch % 4];
        const Best best = pair.best({value, value == -INFINITY ? 0xffffffffu : 7}, block, epoch);
        mine += best.index != wanted[epoch % 4];
        __syncthreads();
    }
    if (mine) atomicAdd(wrong, mine);
}

TEST(two_kernels_have_the_sums_and_the_best_of_both, 0) {
    for (unsigned first : {1u, 0xfffffff0u}) {  // The second passes what a word holds.
        Ends ends(10000000000ull);
        unsigned* wrong = device_array<unsigned>(1);
        for (int launch = 0; launch < 3; ++launch)
            for (int rank : {0, 1})
                exchange<<<kBlocks, 64, 0, ends.streams[rank]>>>(ends.peers[rank], rank, first + launch * 1000, 400,
                                                                 wrong);
        CHECK(cudaDeviceSynchronize());
        const std::string from = "from epoch " + std::to_string(first);
        measured(from, to_host(wrong, 1)[0]);
        measured(from + ", in time", ends.failed(0) + ends.failed(1));
    }
}

// The other never runs. (That this ends is what is tested: nothing else would end it.)
TEST(a_kernel_without_the_other_ends_and_says_so, 0) {
    Ends ends(20000000);
    unsigned* wrong = device_array<unsigned>(1);
    for (int launch = 0; launch < 20; ++launch)
        exchange<<<kBlocks, 64, 0, ends.streams[0]>>>(ends.peers[0], 0, 1 + launch * 1000, 400, wrong);
    CHECK(cudaDeviceSynchronize());
    measured("the one that waited", ends.failed(0) == 0);
    measured("the one that never ran", ends.failed(1));
}
