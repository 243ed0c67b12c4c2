// Two cards that decode one stream; or, with one=1, two halves of one card, which shows everything but the speed.
#pragma once

#include "model.cuh"

#include <memory>

namespace decoding {
#include "../decode_pair.cu"
#include "../decode_pair_blocks.cu"
#include "../decode_pair_packed.cu"
}  // namespace decoding

// What each card has of a model.
inline NamedShape half_of(NamedShape s) {
    if (s.kv_heads % 2 || s.heads % 2 || s.intermediate % 16 || s.vocabulary % 4) {
        fprintf(stderr, "%s can't be halved\n", s.name);
        exit(1);
    }
    s.heads /= 2, s.kv_heads /= 2, s.intermediate /= 2, s.vocabulary /= 2;
    s.tied = true;  // The embedding is another one: see `TwoCards`.
    return s;
}

inline void on_device(int device) { CHECK(cudaSetDevice(device)); }

// Each other's memory.
inline void reach(int here, int there) {
    int can = 0;
    CHECK(cudaDeviceCanAccessPeer(&can, here, there));
    if (!can) {
        fprintf(stderr, "GPU %d can't reach the memory of GPU %d\n", here, there);
        exit(1);
    }
    on_device(here);
    const cudaError_t status = cudaDeviceEnablePeerAccess(there, 0);
    if (status != cudaErrorPeerAccessAlreadyEnabled) CHECK(status);
    cudaGetLastError();  // So that nobody finds it later.
}

// What two cards tell each other, on both.
struct Link {
    bool one;
    int blocks, slots;
    decoding::Peer peers[2];

    Link(bool one, int blocks, int slots, int vocabulary, long limit_ms) : one(one), blocks(blocks), slots(slots) {
        uint4* inboxes[2];
        for (int rank : {0, 1}) {
            on_device(device(rank));
            inboxes[rank] = device_array<uint4>(size_t(2) * blocks * (slots + 1));
            peers[rank].failed = device_array<unsigned>(1);
        }
        if (!one) reach(0, 1), reach(1, 0);
        for (int rank : {0, 1}) {
            peers[rank].here = inboxes[rank], peers[rank].there = inboxes[1 - rank];
            peers[rank].limit = limit_ms * 1000000ull;
            peers[rank].slots = slots, peers[rank].first_token = rank * vocabulary;
        }
    }

    int device(int rank) const { return one ? 0 : rank; }

    bool failed() const { return to_host(peers[0].failed, 1)[0] || to_host(peers[1].failed, 1)[0]; }
};

struct TwoCards {
    NamedShape whole;
    bool one;
    std::vector<Model> cards;
    std::unique_ptr<Link> link;
    // The whole table, on each.
    bf16* embeddings[2];

    TwoCards(const NamedShape& shape, int max_length) : whole(shape), one(option("one", 0)) {
        const Limits limits = limits_of(decoding::decode_pair_64, decoding::kThreads, decoding::kCluster);
        const int blocks = int(limits.blocks) / (one ? 2 : 1) / decoding::kCluster * decoding::kCluster;
        const NamedShape half = half_of(shape);
        const auto before = g_options;
        g_options["blocks"] = blocks;
        cards.reserve(2);
        for (int rank : {0, 1}) {
            on_device(one ? 0 : rank);
            embeddings[rank] = random_array(size_t(shape.vocabulary) * shape.hidden, 1, -0.0346f, 0.0346f);
            cards.emplace_back(half, max_length, 16);
            cards[rank].d.embedding = embeddings[rank];
        }
        g_options = before;
        link.reset(new Link(one, int(cards[0].plan.blocks), int(cards[0].plan.slots), half.vocabulary,
                            option("limit_ms", 2000)));
        for (int rank : {0, 1}) CHECK((on_device(link->device(rank)), cudaDeviceSynchronize()));
    }

    void set_state(int position, unsigned token, const bf16* row = nullptr) {
        for (int rank : {0, 1}) {
            on_device(link->device(rank));
            Model& m = cards[rank];
            elementwise::begin_decode<<<1, 256, 0, m.stream>>>(row, m.x, m.state, position, token, 0, whole.hidden);
            CHECK(cudaStreamSynchronize(m.stream));
        }
        on_device(0);
    }

    // The ranks below `ranks` alone, so that they wait for nobody.
    void decode(int steps, int ranks = 2) {
        const auto kernel = this->kernel();
        for (int rank = 0; rank < ranks; ++rank) {
            on_device(link->device(rank));
            Model& m = cards[rank];
            allow_shared_bytes(kernel, m.plan.shared_bytes);
            decoding::DecodeParameters params = m.d;
            params.steps = steps;
            void* args[] = {&params, &link->peers[rank]};
            const dim3 grid(m.plan.blocks), block(decoding::kThreads);
            // Two cooperative launches may not share a card, though there is room for both.
            CHECK(one ? cudaLaunchKernel((void*)kernel, grid, block, args, m.plan.shared_bytes, m.stream)
                      : cudaLaunchCooperativeKernel((void*)kernel, grid, block, args, m.plan.shared_bytes, m.stream));
        }
        on_device(0);
    }

    void synchronize() {
        for (int rank : {0, 1}) {
            on_device(link->device(rank));
            CHECK(cudaStreamSynchronize(cards[rank].stream));
        }
        on_device(0);
    }

    std::vector<float> logits() const {
        std::vector<float> all;
        for (const Model& m : cards) {
            const auto half = to_host(m.logits, m.shape.vocabulary);
            all.insert(all.end(), half.begin(), half.end());
        }
        return all;
    }

    decltype(&decoding::decode_pair_64) kernel() const {
        const bool small = whole.head_dim == 64;
        const size_t ring = cards[0].plan.ring;
        if (ring == kShortBlocks) return decoding::decode_short_blocks_pair_128;
        if (ring == kShortDense) return decoding::decode_short_pair_128;
        switch (cards[0].bits) {
            case 0:
                return small ? decoding::decode_blocks_pair_64 : decoding::decode_blocks_pair_128;
            case 4:
                return small ? decoding::decode_int4_pair_64 : decoding::decode_int4_pair_128;
            case 8:
                return small ? decoding::decode_int8_pair_64 : decoding::decode_int8_pair_128;
            default:
                return small ? decoding::decode_pair_64 : decoding::decode_pair_128;
        }
    }

    // Halves of what `m` has, which is on the first card; not of blocks.
    void take(const Model& m) {
        for (int rank : {0, 1}) {
            on_device(link->device(rank));
            const Halves from{rank};
            Model& to = cards[rank];
            const size_t hidden = whole.hidden, q = whole.heads * whole.head_dim, inner = whole.intermediate;
            const size_t kv = whole.kv_heads * whole.head_dim, cache = kv * m.max_length;
            from.rows(embeddings[rank], m.embedding, whole.vocabulary * hidden, 1, true);
            const int query = int(q), keys = int(kv), half = int(inner);
            from.rows(to.head, m.head, whole.vocabulary * hidden, 1);
            from.rows(to.final_norm, m.final_norm, hidden, 1, true);
            for (size_t l = 0; l < to.layers.size(); ++l) {
                const Layer& source = m.layers[l];
                Layer& place = to.layers[l];
                from.rows(place.norm1, source.norm1, hidden, 1, true);
                from.rows(place.norm2, source.norm2, hidden, 1, true);
                from.projections(place.bias, source.bias, {q, kv, kv}, 1);
                place.qkv.take_rows(source.qkv, rank, {query, keys, keys});
                place.gate_up.take_rows(source.gate_up, rank, {half, half});
                place.o.take_columns(source.o, rank);
                place.down.take_columns(source.down, rank);
                from.rows(place.keys, source.keys, cache, 1);
                from.rows(place.values, source.values, cache, 1);
            }
            CHECK(cudaDeviceSynchronize());
        }
    }

  private:
    struct Halves {
        int rank;
        // Half of `count` rows, or all.
        void rows(bf16* to, const bf16* from, size_t count, size_t width, bool all = false) const {
            const size_t values = count * width / (all ? 1 : 2);
            CHECK(cudaMemcpy(to, from + (all ? 0 : rank * values), values * 2, cudaMemcpyDefault));
        }
        void projections(bf16* to, const bf16* from, std::initializer_list<size_t> counts, size_t width) const {
            for (size_t count : counts) {
                rows(to, from, count, width);
                to += count * width / 2, from += count * width;
            }
        }
    };
};
