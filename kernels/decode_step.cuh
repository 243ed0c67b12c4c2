// One decode step of one block: a layer's pieces in their order, then the head.
//
// Each piece says what it reads and writes in the memory that blocks share, and the epoch of those words: a layer's own
// epoch is one more than that of the layer before.
#pragma once

#include "decode_attention.cuh"
#include "decode_grid.cuh"
#include "decode_peer.cuh"
#include "decode_product.cuh"
#include "decode_stamps.cuh"
#include "decode_stream.cuh"

// What finishes a pair of rows of the query/key/value product.
struct QkvOperands {
    bf16 bias_a, bias_b;  // As they come, so that nobody waits for them before they're needed.
    float cosine, sine;
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
    return {bias[0], bias[kHalf], rotates ? p.cosines[at] : 1.0f, rotates ? p.sines[at] : 0.0f};
}

// A finished pair of the query/key/value product, from its sums: scaled by the norm, with its bias, rotated. Writes the
// pair's word, and to the cache where it's of a key or a value.
template <int kHeadDim>
__device__ __forceinline__ void finish_qkv(const DecodeParameters& p, const DecodeLayer& layer, int pair, float a,
                                           float b, float scale, const QkvOperands& o, int position, unsigned epoch) {
    constexpr int kHalf = kHeadDim / 2;
    const int head = pair / kHalf;
    const int i = pair % kHalf;
    a = rounded(a * scale + __bfloat162float(o.bias_a));
    b = rounded(b * scale + __bfloat162float(o.bias_b));
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
}

// A block's shared memory: the rings, the layers' table, attention's tiles, and the two places of a staged vector with
// its product's sums. What a team's blocks tell each other is behind the second's vector of the output product, which
// may come while they still read.
struct Places {
    uint4* rings;
    DecodeLayer* layers;
    uint4* tiles;
    Mailbox first, second, team;

    template <int kHeadDim, typename Format>
    __device__ __forceinline__ static Places of(const DecodeParameters& p, uint4* shared) {
        static_assert(Format::kRing % kLine == 0);
        uint4* table = shared + Format::kRing / 16;
        const int table_lines = (p.layer_count * static_cast<int>(sizeof(DecodeLayer)) + kLine - 1) / kLine;
        uint4* tiles = table + table_lines * kLine / 16;
        uint4* first = tiles + kAttentionBytes<kHeadDim> / 16;
        uint4* second = first + p.second_region;
        return {
            shared, reinterpret_cast<DecodeLayer*>(table), tiles, {0, first}, {1, second}, {2, second + p.team_region}};
    }

    __device__ __forceinline__ void copy_table(const DecodeParameters& p) const {
        for (int i = threadIdx.x; i < p.layer_count * static_cast<int>(sizeof(DecodeLayer) / 8); i += kThreads)
            reinterpret_cast<uint64_t*>(layers)[i] = reinterpret_cast<const uint64_t*>(p.layers)[i];
    }
};

// `Format`: of the layers' matrices. `Stamping`: NoStamps, or Stamps. `Link`: to the other card, if there is one.
template <int kHeadDim, typename Format, typename Stream, typename Stamping, typename Link>
class Step {
    using HeadFormat = typename Format::Head;

  public:
    // `number`: of the step in its launch. `epoch`: of the last layer that was ever computed.
    __device__ __forceinline__ Step(const DecodeParameters& p, Places& places, Stream& stream, const Link& link,
                                    int block, int number, int position, unsigned token, unsigned epoch)
        : p_(p),
          places_(places),
          stream_(stream),
          link_(link),
          block_(block),
          position_(position),
          splits_(Splits::of<kHeadDim>(p, position + 1)),
          attention_(p, splits_, block, position + 1, places.tiles, places.team),
          input_(p.embedding + static_cast<size_t>(token) * p.hidden),
          epoch_(epoch),
          stamps_(p, block, number) {
        const int own_pair = product_sizes()[kOutput].own.first + threadIdx.x;
        if (own_pair < product_sizes()[kOutput].own.end)
            residual_ = __ldg(reinterpret_cast<const uint32_t*>(input_) + own_pair);
    }

    __device__ __forceinline__ void run_layer(int index) {
        const DecodeLayer& layer = places_.layers[index];
        // One copy of the code for all products: a layer's instructions have to stay in the multiprocessor's cache.
#pragma unroll 1
        for (int product = 0; product < kProducts; ++product) {
            stamps_.stamp();
            const Product w = product_of<kHeadDim, Format>(p_, places_.layers, index * kProducts + product);
            // A layer ahead: the longest wait is that for the down product's input.
            if (product == kDown || (product == kQkv && index == 0)) ask_for_cache(product == kDown ? index + 1 : 0);
            // What this thread needs to finish its first pair, on its way while the input is.
            const Pairs pairs = product_sizes()[product].own;
            const int own_pair = pairs.first + threadIdx.x;
            QkvOperands own = {};
            if (product == kQkv && own_pair < pairs.end) own = qkv_operands<kHeadDim>(p_, layer, own_pair, position_);
            const float scale = await_input(w, layer, index, product);
            mark();
            stamps_.stamp();
            run_product<Format>(stream_, w, pairs, product % 2 ? places_.second.place() : places_.first.place(),
                                [&](int pair, float a, float b) {
                                    if (product == kQkv)
                                        publish_qkv(layer, pair, a, b, scale, own_pair, own);
                                    else if (product == kGateUp)
                                        publish_activated(pair, a, b, scale);
                                    else
                                        publish_residual(product == kOutput ? p_.x2 : p_.x1, product == kDown, pair, a,
                                                         b);
                                });
        }
    }

    // Final norm and head: reads x1 of this epoch (or `only`), writes the logits. The best of this thread's.
    __device__ __forceinline__ Best head(const bf16* only) {
        const Product w = product_of<kHeadDim, Format>(p_, places_.layers, p_.layer_count * kProducts);
        stamps_.stamp();
        const float scale =
            only ? stage_normed<HeadFormat>(w, p_.final_norm, p_.epsilon, places_.first, PlainValues{only})
                 : stage_normed<HeadFormat>(w, p_.final_norm, p_.epsilon, places_.first, words(p_.x1));
        mark();
        stamps_.stamp();
        Best best{-INFINITY, 0xffffffffu};
        run_product<HeadFormat>(stream_, w, product_sizes()[kProducts].own, places_.first.place(),
                                [&](int pair, float a, float b) {
                                    a = rounded(a * scale);
                                    b = rounded(b * scale);
                                    reinterpret_cast<float2*>(p_.logits)[pair] = make_float2(a, b);
                                    best.take(a, pair * 2);
                                    best.take(b, pair * 2 + 1);
                                });
        stamps_.stamp();
        return best;
    }

    // The step's token is chosen.
    __device__ __forceinline__ void over() { stamps_.stamp(); }

    __device__ __forceinline__ unsigned epoch() const { return epoch_ + Link::kHeadEpochs; }

  private:
    // A layer's products: their numbers.
    static constexpr int kQkv = 0, kOutput = 1, kGateUp = 2, kDown = 3;

    // A layer's vectors, to L2.
    __device__ __forceinline__ void prefetch_vectors(int index) const {
        if (block_ != gridDim.x - 1 || index >= p_.layer_count) return;
        const DecodeLayer& layer = places_.layers[index];
        prefetch(layer.norm1, p_.hidden * 2);
        prefetch(layer.bias, (p_.heads + 2 * p_.kv_heads) * kHeadDim * 2);
        prefetch(layer.norm2, p_.hidden * 2);
    }

    // Of a layer whose attention is next.
    __device__ __forceinline__ void ask_for_cache(int index) {
        if (index < p_.layer_count && attention_.has_work())
            attention_.prefetch(places_.layers[index], stream_.started());
    }

    // A product's input to its place: the norm of the residual stream, what attention found, or what gate and up made.
    // Returns what the product is to be scaled by. The query/key/value product's begins the layer's epoch.
    __device__ __forceinline__ float await_input(const Product& w, const DecodeLayer& layer, int index, int product) {
        if (product == kOutput) {
            attend(layer);
            prefetch_vectors(index + 1);
            await_attended(w);
            return 1;
        }
        if (product == kDown) {
            stage<Format>(w, places_.second, HalfWords{p_.activated, epoch_});
            return 1;
        }
        const bool qkv = product == kQkv;
        const bf16* gain = qkv ? layer.norm1 : layer.norm2;
        const float scale = qkv && index == 0
                                ? stage_normed<Format>(w, gain, p_.epsilon, places_.first, PlainValues{input_})
                                : stage_normed<Format>(w, gain, p_.epsilon, places_.first, words(qkv ? p_.x1 : p_.x2));
        if (qkv) ++epoch_;
        return scale;
    }

    // Reads qkv and the cache, writes parts (where a head has several) and attended (but for a few parts, which
    // `output` merges itself).
    __device__ __forceinline__ void attend(const DecodeLayer& layer) {
        if (attention_.has_work())
            attention_.run(layer, stream_.started(), epoch_, [&] { stamps_.stamp(); });
        else
            stamps_.stamp();
        mark();
        stamps_.stamp();
        if (splits_.count > kFewParts) merge_shared<kHeadDim>(p_, splits_, block_, epoch_);
    }

    __device__ __forceinline__ void await_attended(const Product& w) {
        if (splits_.count > 1 && splits_.count <= kFewParts)
            stage_parts<Format>(w, places_.second, FewParts<kHeadDim>{p_, splits_, epoch_});
        else
            stage<Format>(w, places_.second, words(p_.attended));
    }

    // With its bias, rotated: writes qkv and the cache's new rows. `own`: of the first pair of this thread.
    __device__ __forceinline__ void publish_qkv(const DecodeLayer& layer, int pair, float a, float b, float scale,
                                                int own_pair, const QkvOperands& own) {
        const QkvOperands o = pair == own_pair ? own : qkv_operands<kHeadDim>(p_, layer, pair, position_);
        finish_qkv<kHeadDim>(p_, layer, pair, a, b, scale, o, position_, epoch_);
    }

    // silu(gate) * up: writes activated.
    __device__ __forceinline__ void publish_activated(int pair, float a, float b, float scale) {
        const float activated = rounded(silu(rounded(a * scale))) * rounded(b * scale);
        store_half(p_.activated + pair, pack(activated, 0), epoch_);
    }

    // Added to the residual stream.
    __device__ __forceinline__ void publish_residual(PairWord* x, int inbox, int pair, float a, float b) {
        const float2 sum = link_.sum(inbox, block_, a, b, epoch_);
        residual_ = pack(low(residual_) + rounded(sum.x), high(residual_) + rounded(sum.y));
        store_word(x + pair, residual_, epoch_);
    }

    __device__ __forceinline__ void mark() {
        if (p_.phases && block_ == 0 && threadIdx.x == 0) p_.phases[phase_++] = clock_ns();
    }
    __device__ __forceinline__ PairWords words(const PairWord* x) const { return PairWords{x, epoch_}; }

    const DecodeParameters& p_;
    Places& places_;
    Stream& stream_;
    Link link_;
    const int block_, position_;
    const Splits splits_;
    Attention<kHeadDim> attention_;
    const bf16* input_;
    unsigned epoch_;
    // The residual stream of the one pair of rows that this thread finishes in both residual products.
    uint32_t residual_ = 0;
    int phase_ = 0;
    Stamping stamps_;
};
