// How fast two cards tell each other something: inside of running kernels, and by copies.
#pragma once

#include "pair.cuh"

#include <chrono>

// Exchanges one after the other, each of two numbers of every thread; nanoseconds of one, of each block.
__global__ void exchange_chain(const __grid_constant__ decoding::Peer peer, unsigned first, int rounds, double* spent) {
    decoding::Pair pair(peer);
    float2 sum = {1, 2};
    unsigned long long begin = 0;
    for (int round = 0; round < rounds; ++round) {
        if (round == rounds / 4) begin = clock_ns();
        sum = pair.sum(round % 2, blockIdx.x, sum.x * 0.5f, sum.y * 0.5f, first + round);
    }
    if (threadIdx.x == 0)
        spent[blockIdx.x] = double(clock_ns() - begin) / (rounds - rounds / 4) + (sum.x == 77 ? 1 : 0);
}

inline void exchange_latency(bool one, int blocks, int threads) {
    Link link(one, blocks, threads, 1, option("limit_ms", 2000));
    const int rounds = 4000;
    cudaStream_t streams[2];
    double* spent[2];
    for (int rank : {0, 1}) {
        on_device(link.device(rank));
        CHECK(cudaStreamCreateWithFlags(&streams[rank], cudaStreamNonBlocking));
        spent[rank] = device_array<double>(blocks);
        CHECK(cudaDeviceSynchronize());
    }
    std::vector<double> all;
    for (int run = 0; run < 5; ++run) {
        for (int rank : {0, 1}) {
            on_device(link.device(rank));
            exchange_chain<<<blocks, threads, 0, streams[rank]>>>(link.peers[rank], 1 + run * rounds, rounds,
                                                                  spent[rank]);
            CHECK(cudaGetLastError());
        }
        for (int rank : {0, 1}) CHECK(cudaStreamSynchronize(streams[rank]));
        for (int rank : {0, 1})
            for (double each : to_host(spent[rank], blocks)) all.push_back(each);
    }
    std::sort(all.begin(), all.end());
    printf("exchange on %s, %3d blocks of %2d threads: %.2f us (%.2f to %.2f)%s\n", one ? "one card" : "two cards",
           blocks, threads, all[all.size() / 2] * 1e-3, all[0] * 1e-3, all.back() * 1e-3,
           link.failed() ? " FAILED" : "");
}

// Bytes a second of `work`, which moves `bytes`: the best of a few times.
template <typename Work>
double best_rate(double bytes, Work work) {
    double best = 0;
    for (int i = 0; i < 6; ++i) {
        for (int device : {0, 1}) CHECK((on_device(device), cudaDeviceSynchronize()));
        const auto begin = std::chrono::steady_clock::now();
        work();
        for (int device : {0, 1}) CHECK((on_device(device), cudaDeviceSynchronize()));
        best = std::max(best, bytes / std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
    return best;
}

__global__ void add_from(const uint4* from, size_t count, uint4* to) {
    for (size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x; i < count; i += size_t(gridDim.x) * blockDim.x) {
        uint4 v = to[i];
        const uint4 w = from[i];
        to[i] = make_uint4(v.x + w.x, v.y + w.y, v.z + w.z, v.w + w.w);
    }
}

// After a link was made.
inline void copy_bandwidth() {
    const size_t bytes = size_t(2) << 30;
    char *from[2], *to[2];
    cudaStream_t streams[2];
    for (int rank : {0, 1}) {
        on_device(rank);
        from[rank] = device_array<char>(bytes), to[rank] = device_array<char>(bytes);
        CHECK(cudaStreamCreateWithFlags(&streams[rank], cudaStreamNonBlocking));
    }
    auto copy = [&](int rank) {
        on_device(rank);
        CHECK(cudaMemcpyPeerAsync(to[1 - rank], 1 - rank, from[rank], rank, bytes, streams[rank]));
    };
    auto add = [&](int rank) {
        on_device(rank);
        add_from<<<132 * 8, 512, 0, streams[rank]>>>((const uint4*)from[1 - rank], bytes / 16, (uint4*)to[rank]);
        CHECK(cudaGetLastError());
    };
    printf(
        "copies between the cards: %.0f GB/s one way, %.0f both ways together; a kernel's reads of the other's memory "
        "%.0f and %.0f\n",
        best_rate(bytes, [&] { copy(0); }) * 1e-9, best_rate(2 * bytes, [&] { copy(0), copy(1); }) * 1e-9,
        best_rate(bytes, [&] { add(0); }) * 1e-9, best_rate(2 * bytes, [&] { add(0), add(1); }) * 1e-9);
}

inline void link_speeds() {
    const bool one = option("one", 0);
    if (!one) reach(0, 1), reach(1, 0);
    for (int blocks : {1, 56, 120})
        if (!one || blocks < 120)
            for (int threads : {1, 32}) exchange_latency(one, blocks, threads);
    if (!one) copy_bandwidth();
}
