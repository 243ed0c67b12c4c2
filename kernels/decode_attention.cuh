// Attention of one new token: the cache is split over blocks, and what they find is merged.
#pragma once

#include "decode_parts.cuh"

// Offset in bytes of 16-byte piece `piece` of row `row`; the XOR keeps ldmatrix free of bank conflicts.
template <int kHeadDim>
__device__ __forceinline__ uint32_t swizzled(int row, int piece) {
    return static_cast<uint32_t>(row * kHeadDim * 2 + ((piece ^ (row & 7)) << 4));
}

// A running (online) softmax: the greatest score so far, and the sum of all scores' weights beside it.
struct Softmax {
    float max = kNone, sum = 0;

    // Two more scores in each of the lanes that share a head become their weights. The sum is of this lane alone.
    // Returns what all earlier weights must be multiplied with.
    __device__ __forceinline__ float step(float& a, float& b, float scale_log2) {
        float new_max = fmaxf(max, fmaxf(a, b));
#pragma unroll
        for (int offset = 4; offset < kWarp; offset *= 2)
            new_max = fmaxf(new_max, __shfl_xor_sync(kAllLanes, new_max, offset));
        const float correction = exp2f((max - new_max) * scale_log2);
        a = exp2f((a - new_max) * scale_log2);
        b = exp2f((b - new_max) * scale_log2);
        sum = sum * correction + a + b;
        max = new_max;
        return correction;
    }
};

// Attention of the new token over this block's split of one head's cache; the result goes to p.attended if there is
// only one team, else to p.parts.
//
// Some of the warps stream tiles of the cache, each with a online softmax of its own; the first tiles are asked for
// long before the query is there. Tensor-core tiles are transposed: keys (then dimensions) are the 16 rows, the query
// heads of the group the 8 columns. The new key and value come from p.qkv; the cache holds those of earlier steps.
template <int kHeadDim>
class Attention {
  public:
    // `received`: where the team's blocks tell each other what they found.
    __device__ __forceinline__ Attention(const DecodeParameters& p, const Splits& splits, int block, int length,
                                         uint4* tiles, Mailbox& received)
        : p_(p),
          splits_(splits),
          received_(received),
          tiles_(reinterpret_cast<unsigned char*>(tiles)),
          group_(p.heads / p.kv_heads) {
        const int team = block / splits.team;
        kv_head_ = team / splits.most;
        part_ = team % splits.most;
        begin_ = kv_head_ >= p.kv_heads ? length : min((part_ * splits.team + rank()) * splits.keys, length);
        end_ = min(begin_ + splits.keys, length);
        count_ = (end_ - begin_ + kTile - 1) / kTile;
        new_row_ = begin_ < end_ && end_ == length ? length - 1 - begin_ : -1;
        // Blocks of a team are of one cluster, whose blocks all wait for each other or none. (Where it has several
        // teams, each is of another head, which has as much work.)
        const int first = block / kCluster * kCluster / splits.team;
        has_work_ =
            splits.team == 1 ? begin_ < end_ : first / splits.most < p.kv_heads && first % splits.most < splits.count;
    }

    __device__ __forceinline__ bool has_work() const { return has_work_; }

    // Starts on the first tiles. `started`: batches of weights that this warp started on so far.
    __device__ __forceinline__ void prefetch(const DecodeLayer& layer, int started) {
        const int warp = threadIdx.x / kWarp;
        started_ = started;
        if (warp >= kAttentionWarps) return;
#pragma unroll 1
        for (int slot = 0; slot < kHeld; ++slot) {
            fetch(layer.keys, keys_at(warp, slot), warp + slot * kAttentionWarps);
            fetch(layer.values, values_at(warp, slot), warp + slot * kAttentionWarps);
        }
    }

    // Between `prefetch` and this only batches of weights were started on. Calls `ready` when the inputs are there.
    template <typename Ready>
    __device__ __forceinline__ void run(const DecodeLayer& layer, int started, unsigned epoch, Ready ready) {
        const int later = started - started_;
        if (count_ > 0) await_inputs(epoch);
        __syncthreads();
        ready();
        if (threadIdx.x / kWarp < min(count_, kAttentionWarps)) attend(layer, later);
        __syncthreads();
        merge_warps(epoch);
        if (splits_.team == 1) return;
        received_.wait((group_ * kPairs + splits_.team * group_) * static_cast<int>(sizeof(uint2)));
        merge_team(epoch);
    }

  private:
    // Of this block in its team. (Blocks of a cluster keep their order, whatever its number.)
    __device__ __forceinline__ int rank() const { return static_cast<int>(blockIdx.x) % splits_.team; }

    static constexpr int kSteps = kHeadDim / 16;
    static constexpr int kPairs = kHeadDim / 2;        // Of a head's outputs.
    static constexpr int kTogether = DECODE_TOGETHER;  // Pairs that one block merges: what 32 bytes hold.
    static constexpr int kHeld = kSlots<kHeadDim>;
    static constexpr int kBytes = kTileBytes<kHeadDim>;
    // Where a warp's tiles were: for each head its outputs, then their maximum and sum. Four more than the outputs, so
    // that heads begin in different banks.
    static constexpr int kRecord = kHeadDim + 4;
    static_assert(kGroup * kRecord * 4 <= kHeld * 2 * kBytes);
    static_assert(kAttentionWarps <= kWarps);

    __device__ __forceinline__ unsigned char* tiles_of(int warp) const { return tiles_ + warp * kHeld * 2 * kBytes; }
    __device__ __forceinline__ uint32_t keys_at(int warp, int slot) const {
        return shared_address(tiles_of(warp)) + slot * 2 * kBytes;
    }
    __device__ __forceinline__ uint32_t values_at(int warp, int slot) const { return keys_at(warp, slot) + kBytes; }
    __device__ __forceinline__ float* record(int warp) const { return reinterpret_cast<float*>(tiles_of(warp)); }

    // A tile of keys or of values. Rows beyond the split become zeros, but for the new one, which `place_new` writes.
    __device__ __forceinline__ void fetch(const bf16* cache, uint32_t to, int tile) {
        if (tile < count_) {
            unsigned lane = threadIdx.x % kWarp;
            // Computed here each time: a compiler that keeps all addresses over layers has no registers for them.
            asm volatile("" : "+r"(lane));
            constexpr int kPieces = kHeadDim / 8, kRows = kWarp / kPieces;  // Of a row; and rows at a time.
            const int first = tile * kTile, piece = lane % kPieces, row = lane / kPieces;
            const int new_row = new_row_ - first, rows = end_ - begin_ - first;
            const bf16* from =
                cache + (static_cast<size_t>(kv_head_) * p_.max_length + begin_ + first + row) * kHeadDim + piece * 8;
#pragma unroll
            for (int i = 0; i < kTile; i += kRows)
                if (row + i != new_row)
                    copy_async_once(to + swizzled<kHeadDim>(row + i, piece), from + i * kHeadDim, row + i < rows);
        }
        copy_commit();
    }

    // Until all copies but the last `groups` are done, or some of those too.
    __device__ __forceinline__ static void wait_but(int groups) {
        if (groups >= 5)
            copy_wait<5>();
        else if (groups == 4)
            copy_wait<4>();
        else if (groups == 3)
            copy_wait<3>();
        else if (groups == 2)
            copy_wait<2>();
        else if (groups == 1)
            copy_wait<1>();
        else
            copy_wait<0>();
    }

    // This warp's tiles. `later`: copies that were started after the first tiles'.
    __device__ __forceinline__ void attend(const DecodeLayer& layer, int later) {
        const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
        // This lane's heads are lane % 4 * 2 and the next.
        float acc[kSteps][4] = {};
        Softmax softmax[2];
        wait_but(later);
        for (int tile = warp, turn = 0; tile < count_; tile += kAttentionWarps, ++turn) {
            const int slot = turn % kHeld, next = tile + kHeld * kAttentionWarps;
            const uint32_t keys = keys_at(warp, slot), values = values_at(warp, slot);
            if (turn >= kHeld) copy_wait<2 * kHeld - 1>();
            place_new(tile, keys, values);
            __syncwarp();
            float score[4] = {};
#pragma unroll
            for (int k = 0; k < kSteps; k += 2) {
                // Two steps' query fragments: column lane / 4 is a head of the group. (In registers they'd have no
                // room.)
                uint32_t q[4], a[4];
                ldmatrix_x4(q, queries() + swizzled<kHeadDim>(min(lane % 8, group_ - 1), k * 2 + lane / 8));
#pragma unroll
                for (int i = 0; i < 2; ++i) {
                    ldmatrix_x4(a, keys + swizzled<kHeadDim>(lane % 16, (k + i) * 2 + lane / 16));
                    mma_16816(score, a, q[i * 2], q[i * 2 + 1]);
                }
            }
            __syncwarp();
            fetch(layer.keys, keys, next);
            const int key = begin_ + tile * kTile + lane / 4;
            if (key >= end_) score[0] = score[1] = kNone;
            if (key + 8 >= end_) score[2] = score[3] = kNone;
            float correction[2];
#pragma unroll
            for (int h = 0; h < 2; ++h) correction[h] = softmax[h].step(score[h], score[h + 2], p_.scale_log2);
            const uint32_t b0 = transposed(pack(score[0], score[1])), b1 = transposed(pack(score[2], score[3]));
            if (turn >= kHeld) copy_wait<2 * kHeld - 1>();
            __syncwarp();
#pragma unroll
            for (int n = 0; n < kSteps; ++n) {
                uint32_t a[4];
                ldmatrix_x4_trans(a, values + swizzled<kHeadDim>(lane % 8 + lane / 16 * 8, n * 2 + lane / 8 % 2));
#pragma unroll
                for (int i = 0; i < 4; ++i) acc[n][i] *= correction[i % 2];
                mma_16816(acc[n], a, b0, b1);
            }
            __syncwarp();
            fetch(layer.values, values, next);
        }
        keep_record(acc, softmax);
    }

    __device__ __forceinline__ uint32_t queries() const { return shared_address(tiles_ + kTiles<kHeadDim>); }

    // The group's queries, and if it's in this split the new key and value, to shared memory: two words a thread.
    __device__ __forceinline__ void await_inputs(unsigned epoch) {
        const int own = group_ * kPairs / 2, all = new_row_ >= 0 ? own + kPairs : own;
        for (int i = threadIdx.x; i < all; i += kThreads) {
            // Behind the queries: the key, then the value.
            const int row = i < own ? i / (kPairs / 2) : kGroup + (i - own) / (kPairs / 2);
            const int head =
                row < kGroup ? kv_head_ * group_ + row : p_.heads + (row - kGroup) * p_.kv_heads + kv_head_;
            const int first = i % (kPairs / 2) * 2, second = first + kPairs;
            uint4 words;
            do {
                words = load_words(p_.qkv + head * kPairs + first);
            } while (!both_of(words, epoch));
            // A word has values j and j + head_dim / 2.
            store_shared(queries() + swizzled<kHeadDim>(row, first / 8) + first % 8 * 2,
                         __byte_perm(words.x, words.z, 0x5410));
            store_shared(queries() + swizzled<kHeadDim>(row, second / 8) + second % 8 * 2,
                         __byte_perm(words.x, words.z, 0x7632));
        }
    }

    // The new token's key and value into their row, if it's in this tile.
    __device__ __forceinline__ void place_new(int tile, uint32_t keys, uint32_t values) {
        if (new_row_ < tile * kTile || new_row_ >= (tile + 1) * kTile) return;
        constexpr int kPieces = kHeadDim / 8;
        const int lane = threadIdx.x % kWarp, piece = lane % kPieces, row = new_row_ % kTile;
        if (lane >= 2 * kPieces) return;
        const uint4 v = load_shared(queries() + swizzled<kHeadDim>(kGroup + lane / kPieces, piece));
        store_shared((lane < kPieces ? keys : values) + swizzled<kHeadDim>(row, piece), v);
    }

    __device__ __forceinline__ static uint4 load_shared(uint32_t address) {
        uint4 v;
        asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                     : "r"(address)
                     : "memory");
        return v;
    }
    __device__ __forceinline__ static void store_shared(uint32_t address, uint32_t v) {
        asm volatile("st.shared.u32 [%0], %1;" ::"r"(address), "r"(v) : "memory");
    }
    __device__ __forceinline__ static void store_shared(uint32_t address, const uint4& v) {
        asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
                     : "memory");
    }

    // What this warp found, where its tiles were.
    __device__ __forceinline__ void keep_record(const float (&acc)[kSteps][4], Softmax (&softmax)[2]) {
        const int lane = threadIdx.x % kWarp;
#pragma unroll
        for (int h = 0; h < 2; ++h) {
#pragma unroll
            for (int offset = 4; offset < kWarp; offset *= 2)
                softmax[h].sum += __shfl_xor_sync(kAllLanes, softmax[h].sum, offset);
            float* mine = record(threadIdx.x / kWarp) + (lane % 4 * 2 + h) * kRecord;
#pragma unroll
            for (int n = 0; n < kSteps; ++n) {
                mine[n * 16 + lane / 4] = acc[n][h];
                mine[n * 16 + 8 + lane / 4] = acc[n][h + 2];
            }
            if (lane < 4) *reinterpret_cast<float2*>(mine + kHeadDim) = make_float2(softmax[h].max, softmax[h].sum);
        }
    }

    // The warps' records become the block's, two neighbouring outputs a thread. A block without a team publishes them;
    // in a team every block gets a share of them, and all get the maximum and the sum.
    __device__ __forceinline__ void merge_warps(unsigned epoch) {
        const int busy = min(count_, kAttentionWarps);
        for (int i = threadIdx.x; i < group_ * kPairs; i += kThreads) {
            const int head = i / kPairs;
            float2 ends[kAttentionWarps], values[kAttentionWarps];
            float top = kNone;
#pragma unroll
            for (int w = 0; w < kAttentionWarps; ++w) {
                const float* from = record(w) + head * kRecord;
                ends[w] = w < busy ? *reinterpret_cast<const float2*>(from + kHeadDim) : make_float2(kNone, 0);
                values[w] = w < busy ? *reinterpret_cast<const float2*>(from + i % kPairs * 2) : make_float2(0, 0);
            }
#pragma unroll
            for (int w = 0; w < kAttentionWarps; ++w) top = fmaxf(top, ends[w].x);
            float a = 0, b = 0, sum = 0;
#pragma unroll
            for (int w = 0; w < kAttentionWarps; ++w) {
                const float factor = exp2f((ends[w].x - top) * p_.scale_log2);
                a += values[w].x * factor;
                b += values[w].y * factor;
                sum += ends[w].y * factor;
            }
            if (splits_.team == 1) {
                publish(i, a, b, top, sum, epoch, 1, true);
            } else {
                tell_team(i, a, b, top, sum);
            }
        }
    }

    // Pair i of the outputs goes to the block that merges it: four neighbours to the first, four to the next, and so
    // on.
    __device__ __forceinline__ void tell_team(int i, float a, float b, float top, float sum) {
        const int team = cluster::rank() - rank(), round = i / kTogether / splits_.team;
        uint2* to = received() + (round * splits_.team + rank()) * kTogether + i % kTogether;
        received_.send(to, team + i / kTogether % splits_.team, make_uint2(__float_as_uint(a), __float_as_uint(b)));
        if (i % kPairs < splits_.team)
            received_.send(team_ends() + rank() * kGroup + i / kPairs, team + i % kPairs,
                           make_uint2(__float_as_uint(top), __float_as_uint(sum)));
    }

    __device__ __forceinline__ uint2* received() const { return reinterpret_cast<uint2*>(received_.place()); }
    // Maxima and sums of the team's blocks.
    __device__ __forceinline__ uint2* team_ends() const { return received() + group_ * kPairs; }

    // This block's share of the outputs: a lane for each block of the team and two neighbouring outputs.
    __device__ __forceinline__ void merge_team(unsigned epoch) {
        const int from = threadIdx.x % splits_.team, pair = threadIdx.x / splits_.team;
        const int i = (pair / kTogether * splits_.team + rank()) * kTogether + pair % kTogether;
        const bool there = i < group_ * kPairs;
        const uint2 end = team_ends()[from * kGroup + (there ? i / kPairs : 0)];
        const uint2 value =
            received()[there ? (pair / kTogether * splits_.team + from) * kTogether + pair % kTogether : 0];
        const float top = __uint_as_float(end.x);
        float merged_top = top;
        for (int offset = 1; offset < splits_.team; offset *= 2)
            merged_top = fmaxf(merged_top, __shfl_xor_sync(kAllLanes, merged_top, offset));
        const float factor = exp2f((top - merged_top) * p_.scale_log2);
        float a = __uint_as_float(value.x) * factor, b = __uint_as_float(value.y) * factor,
              sum = __uint_as_float(end.y) * factor;
        for (int offset = 1; offset < splits_.team; offset *= 2) {
            a += __shfl_xor_sync(kAllLanes, a, offset);
            b += __shfl_xor_sync(kAllLanes, b, offset);
            sum += __shfl_xor_sync(kAllLanes, sum, offset);
        }
        publish(i, a, b, merged_top, sum, epoch, splits_.team, there && from == 0 && kv_head_ < p_.kv_heads);
    }

    // Outputs 2i and 2i + 1 of the group's heads, not yet divided by the sum of their weights. All lanes call it, those
    // with the next outputs being `next` lanes further; only `mine` are this thread's to publish.
    __device__ __forceinline__ void publish(int i, float a, float b, float top, float sum, unsigned epoch, int next,
                                            bool mine) {
        const int head = kv_head_ * group_ + i / kPairs;
        const uint32_t own = pack(__fdividef(a, sum), __fdividef(b, sum));
        if (splits_.count == 1) {
            if (mine) store_word(p_.attended + head * kPairs + i % kPairs, own, epoch);
            return;
        }
        const uint32_t other = __shfl_xor_sync(kAllLanes, own, next);
        if (mine && i % 2 == 0)
            store_at_once(part_words<kHeadDim>(p_, splits_, head, part_) + i % kPairs / 2,
                          make_uint4(own, other, __float_as_uint(top * p_.scale_log2 + __log2f(sum)), epoch));
    }

    const DecodeParameters& p_;
    const Splits splits_;
    Mailbox& received_;
    unsigned char* tiles_;
    int group_, kv_head_, part_, begin_, end_, count_;
    int new_row_;  // Of the split; -1 where it has none.
    int started_ = 0;
    bool has_work_;
};
