// Decoding, as one persistent kernel: a block on every multiprocessor runs whole steps, layer by layer, together with
// all others. Launch cooperatively, at most one block for each multiprocessor.
//
// At batch 1 a step is bound by reading the weights once. Two things keep device memory busy all the time: weights
// stream ahead of the products (decode_stream.cuh), and blocks don't wait at barriers (decode_words.cuh).

#include "decode_attention.cuh"
#include "decode_stream.cuh"

// All blocks wait for all; what they wrote before is visible after.
class Barrier {
  public:
    __device__ __forceinline__ Barrier(StepState* state) : arrivals_(&state->arrivals) {}

    __device__ __forceinline__ void wait() {
        __syncthreads();
        if (threadIdx.x == 0) {
            target_ += gridDim.x;
            asm volatile("red.release.gpu.global.add.u32 [%0], 1;" ::"l"(arrivals_) : "memory");
            unsigned seen;
            do {
                asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(seen) : "l"(arrivals_) : "memory");
            } while (seen < target_);
        }
        __syncthreads();
    }

  private:
    unsigned* arrivals_;
    unsigned target_ = 0;
};

// This block's number: clusters count in the order of the multiprocessors they run on. Each launch begins with another
// part of the GPU, and which block lies where makes a difference of up to 1.5% in speed.
__device__ __forceinline__ int block_number(unsigned* multiprocessors, Barrier& barrier) {
    if (threadIdx.x == 0) {
        unsigned here;
        asm volatile("mov.u32 %0, %smid;" : "=r"(here));
        __stcg(multiprocessors + blockIdx.x, here);
    }
    barrier.wait();
    const int cluster = blockIdx.x / kCluster, clusters = gridDim.x / kCluster;
    const unsigned here = __ldcg(multiprocessors + cluster * kCluster);
    int before = 0;
    for (int i = threadIdx.x % kWarp; i < clusters; i += kWarp) {
        const unsigned there = __ldcg(multiprocessors + i * kCluster);
        before += there < here || (there == here && i < cluster);
    }
    return __reduce_add_sync(kAllLanes, before) * kCluster + blockIdx.x % kCluster;
}

// All of this block's pairs of a product. `finish(pair, a, b)` gets both sums of a pair, one pair a thread.
// Shared memory from `sums`: one float2 for each warp and round.
template <int kHeadDim, typename Finish>
__device__ __forceinline__ void run_product(Stream<kHeadDim>& stream, const Product& w, int block, const uint4* staged,
                                            float2* sums, Finish finish) {
    const int warp = threadIdx.x / kWarp;
    const int pairs_a_round = kWarps / w.split;
    const int mine = pairs_of_block(w.pairs, block);
    for (int slot = warp / w.split, at = warp; slot < mine; slot += pairs_a_round, at += kWarps) {
        float a = 0, b = 0;
        stream.multiply(w, staged, a, b);
        a = warp_sum(a);
        b = warp_sum(b);
        if (threadIdx.x % kWarp == 0) sums[at] = make_float2(a, b);
    }
    __syncthreads();
    for (int slot = threadIdx.x; slot < mine; slot += kThreads) {
        float2 sum = sums[slot * w.split];
        for (int i = 1; i < w.split; ++i) {
            const float2 more = sums[slot * w.split + i];
            sum.x += more.x;
            sum.y += more.y;
        }
        finish(slot * gridDim.x + block, sum.x, sum.y);
    }
}

// What finishes a pair of rows of the query/key/value product.
struct QkvOperands {
    float bias_a, bias_b, cosine, sine;
};

template <int kHeadDim>
__device__ __forceinline__ QkvOperands qkv_operands(const DecodeParameters& p, const DecodeLayer& layer, int pair,
                                                    int position) {
    constexpr int kHalf = kHeadDim / 2;
    const int head = pair / kHalf;
    const int i = pair % kHalf;
    const bf16* bias = layer.bias + head * kHeadDim + i;
    const bool rotates = head < p.heads + p.kv_heads;
    const size_t at = static_cast<size_t>(position) * kHalf + i;
    return {__bfloat162float(bias[0]), __bfloat162float(bias[kHalf]), rotates ? p.cosines[at] : 1.0f,
            rotates ? p.sines[at] : 0.0f};
}

// The best of the block, in every thread.
__device__ __forceinline__ Best block_best(Best best) {
    __shared__ Best bests[kWarps];
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
        const float v = __shfl_xor_sync(kAllLanes, best.value, offset);
        const unsigned i = __shfl_xor_sync(kAllLanes, best.index, offset);
        best.take(v, i);
    }
    if (threadIdx.x % kWarp == 0) bests[threadIdx.x / kWarp] = best;
    __syncthreads();
    best = bests[0];
#pragma unroll
    for (int w = 1; w < kWarps; ++w) best.take(bests[w].value, bests[w].index);
    __syncthreads();
    return best;
}

template <int kHeadDim>
__device__ __forceinline__ void decode_body(const DecodeParameters& p) {
    extern __shared__ uint4 shared[];
    constexpr int kHalf = kHeadDim / 2;
    // Shared memory: the rings, the layers' table, attention's tiles, and the two places of a staged vector with its
    // product's sums. What attention's blocks tell each other is in the second.
    auto* layers = reinterpret_cast<DecodeLayer*>(shared + kRing / 16);
    const int table_chunks = (p.layer_count * static_cast<int>(sizeof(DecodeLayer)) + 15) / 16;
    uint4* tiles = shared + kRing / 16 + table_chunks;
    uint4* first = tiles + kAttentionBytes<kHeadDim> / 16;
    uint4* second = first + p.second_region;
    for (int i = threadIdx.x; i < p.layer_count * static_cast<int>(sizeof(DecodeLayer) / 8); i += kThreads)
        reinterpret_cast<uint64_t*>(layers)[i] = reinterpret_cast<const uint64_t*>(p.layers)[i];
    const int head_phase = p.layer_count * kProducts;
    const bool only_head = p.steps == 0;
    const int steps = only_head ? 1 : p.steps;
    // From here on all blocks run, and can write to the shared memory of their cluster's others.
    Barrier barrier(p.state);
    const int block = block_number(p.multiprocessors, barrier);
    Stream<kHeadDim> stream(p, layers, shared, block, only_head ? head_phase : 0,
                            only_head ? 1 : steps * (head_phase + 1));
    const int first_position = __ldcg(&p.state->position);
    const int first_step = __ldcg(&p.state->step);
    unsigned epoch = __ldcg(&p.state->epoch);
    unsigned token = __ldcg(&p.state->token);
    const bool writes_phases = p.phases && block == 0 && threadIdx.x == 0;

    auto sums_of = [](uint4* staged, const Product& w) { return reinterpret_cast<float2*>(staged + padded(w)); };
    auto words = [&](const PairWord* x) { return PairWords{x, epoch}; };

    for (int step = 0; step < steps; ++step) {
        const int position = first_position + step;
        const Splits splits = Splits::of<kHeadDim>(p, position + 1);
        Attention<kHeadDim> attention(p, splits, block, position + 1, tiles, second);
        const bf16* input = p.embedding + static_cast<size_t>(token) * p.hidden;
        int phase = 0;
        auto mark = [&] {
            if (writes_phases) p.phases[phase++] = clock_ns();
        };
        // The residual stream of the one pair of rows that this thread finishes in both residual products.
        uint32_t residual = 0;
        if (threadIdx.x < pairs_of_block(p.hidden / 2, block))
            residual = __ldg(reinterpret_cast<const uint32_t*>(input) + threadIdx.x * gridDim.x + block);
        auto onto_residual = [&](PairWord* x) {
            return [&, x](int pair, float a, float b) {
                residual = pack(low(residual) + rounded(a), high(residual) + rounded(b));
                store_word(x + pair, residual, epoch);
            };
        };

        for (int l = 0; l < (only_head ? 0 : p.layer_count); ++l) {
            const DecodeLayer& layer = layers[l];
            if (block == 0 && l + 1 < p.layer_count) {
                prefetch(layers[l + 1].norm1, p.hidden * 2);
                prefetch(layers[l + 1].bias, (p.heads + 2 * p.kv_heads) * kHeadDim * 2);
                prefetch(layers[l + 1].norm2, p.hidden * 2);
            }

            if (attention.has_work()) attention.prefetch(layer, stream.started());

            // Norm, query/key/value product, bias, rotary embedding; the new key and value also go to the cache.
            Product w = product_of<kHeadDim>(p, layers, l * kProducts);
            float scale = l == 0 ? stage_normed(w, layer.norm1, p.epsilon, first, PlainValues{input})
                                 : stage_normed(w, layer.norm1, p.epsilon, first, words(p.x1));
            mark();
            ++epoch;
            // What this thread needs to finish its first pair, on its way while the product runs.
            const QkvOperands own = qkv_operands<kHeadDim>(
                p, layer, min(static_cast<int>(threadIdx.x * gridDim.x + block), w.pairs - 1), position);
            run_product(stream, w, block, first, sums_of(first, w), [&](int pair, float a, float b) {
                const QkvOperands o =
                    pair == threadIdx.x * gridDim.x + block ? own : qkv_operands<kHeadDim>(p, layer, pair, position);
                const int head = pair / kHalf;
                const int i = pair % kHalf;
                a = rounded(a * scale + o.bias_a);
                b = rounded(b * scale + o.bias_b);
                const float rotated = a * o.cosine - b * o.sine;
                b = b * o.cosine + a * o.sine;
                a = rotated;
                store_word(p.qkv + pair, pack(a, b), epoch);
                if (head >= p.heads) {
                    const int kv_head = head - p.heads;
                    bf16* to = (kv_head < p.kv_heads ? layer.keys : layer.values) +
                               (static_cast<size_t>(kv_head % p.kv_heads) * p.max_length + position) * kHeadDim;
                    to[i] = __float2bfloat16_rn(a);
                    to[i + kHalf] = __float2bfloat16_rn(b);
                }
            });
            if (attention.has_work()) attention.run(layer, stream.started(), epoch);
            mark();
            if (splits.count > kFewParts) merge_shared<kHeadDim>(p, splits, block, epoch);

            // Output projection, onto the residual stream.
            w = product_of<kHeadDim>(p, layers, l * kProducts + 1);
            if (splits.count > 1 && splits.count <= kFewParts)
                stage_parts(w, second, FewParts<kHeadDim>{p, splits, epoch});
            else
                stage(w, second, words(p.attended));
            mark();
            run_product(stream, w, block, second, sums_of(second, w), onto_residual(p.x2));

            // Norm, gate and up products, silu(gate) * up.
            w = product_of<kHeadDim>(p, layers, l * kProducts + 2);
            scale = stage_normed(w, layer.norm2, p.epsilon, first, words(p.x2));
            mark();
            run_product(stream, w, block, first, sums_of(first, w), [&](int pair, float a, float b) {
                store_half(p.activated + pair, pack(rounded(silu(rounded(a * scale))) * rounded(b * scale), 0), epoch);
            });
            // Down projection, onto the residual stream.
            w = product_of<kHeadDim>(p, layers, l * kProducts + 3);
            stage(w, second, HalfWords{p.activated, epoch});
            mark();
            run_product(stream, w, block, second, sums_of(second, w), onto_residual(p.x1));
        }

        // Final norm, logits, and the greedy choice, which every block makes for itself.
        const Product w = product_of<kHeadDim>(p, layers, head_phase);
        const float scale = only_head ? stage_normed(w, p.final_norm, p.epsilon, first, PlainValues{p.x})
                                      : stage_normed(w, p.final_norm, p.epsilon, first, words(p.x1));
        mark();
        Best best{-INFINITY, 0xffffffffu};
        run_product(stream, w, block, first, sums_of(first, w), [&](int pair, float a, float b) {
            a = rounded(a * scale);
            b = rounded(b * scale);
            reinterpret_cast<float2*>(p.logits)[pair] = make_float2(a, b);
            best.take(a, pair * 2);
            best.take(b, pair * 2 + 1);
        });
        best = block_best(best);
        if (threadIdx.x == 0) p.bests[block] = best;
        // The step's one barrier also makes the cache's new rows visible to all.
        barrier.wait();
        best = Best{-INFINITY, 0xffffffffu};
        for (int i = threadIdx.x; i < gridDim.x; i += kThreads)
            best.take(__ldcg(&p.bests[i].value), __ldcg(&p.bests[i].index));
        best = block_best(best);
        // With NaN logits nothing wins; any valid token keeps the loop running.
        token = best.index < p.vocabulary ? best.index : 0;
        if (block == 0 && threadIdx.x == 0 && first_step + step < p.max_length) {
            p.tokens[first_step + step] = token;
            p.times[first_step + step] = clock_ns();
        }
    }

    // Everyone has read the state and passed the barriers when all have arrived here: the last one writes it.
    if (threadIdx.x == 0) {
        __threadfence();
        const unsigned leavers = atomicAdd(&p.state->leavers, 1);
        if (leavers == gridDim.x - 1) {
            p.state->position = first_position + steps;
            p.state->step = first_step + steps;
            p.state->token = token;
            p.state->epoch = epoch;
            p.state->arrivals = 0;
            p.state->leavers = 0;
        }
    }
}

#if DECODE_CLUSTER > 1
#define DECODE_LAUNCH __launch_bounds__(kThreads, 1) __cluster_dims__(kCluster, 1, 1)
#else
#define DECODE_LAUNCH __launch_bounds__(kThreads, 1)
#endif
extern "C" __global__ void DECODE_LAUNCH decode_64(const __grid_constant__ DecodeParameters p) { decode_body<64>(p); }
extern "C" __global__ void DECODE_LAUNCH decode_128(const __grid_constant__ DecodeParameters p) { decode_body<128>(p); }
