// Decode attention: the online softmax, merging, finished pairs of the query/key/value product, and a whole layer's.

#include "tests.cuh"

#include "../decode_step.cuh"

// One warp: lanes with the same remainder by 4 share a head. Two scores a lane and step.
__global__ void online_softmax(const float2* scores, int steps, float scale_log2, float* max, float* sum,
                               float* outputs) {
    Softmax softmax;
    float output = 0;  // Of values that are 1 for the first score, 2 for the second.
    for (int i = 0; i < steps; ++i) {
        float2 s = scores[i * kWarp + threadIdx.x];
        const float correction = softmax.step(s.x, s.y, scale_log2);
        output = output * correction + s.x + 2 * s.y;
    }
    max[threadIdx.x] = softmax.max, sum[threadIdx.x] = softmax.sum, outputs[threadIdx.x] = output;
}

TEST(softmax_step_by_step, 1e-5) {
    for (int steps : {1, 2, 7, 100}) {
        std::vector<float2> scores(steps * kWarp);
        for (float2& s : scores) s = {random_float(-30, 30), random_float(-30, 30)};
        const double scale = 1.4426950408889634 / 8;
        float *max = device_array<float>(kWarp), *sum = device_array<float>(kWarp), *out = device_array<float>(kWarp);
        online_softmax<<<1, kWarp>>>(to_device(scores), steps, float(scale), max, sum, out);
        const auto got_max = to_host(max, kWarp), got_sum = to_host(sum, kWarp), got_out = to_host(out, kWarp);
        Worst worst;
        for (int lane = 0; lane < kWarp; ++lane) {
            double want_max = -INFINITY, want_sum = 0, want_out = 0;
            for (int i = 0; i < steps * kWarp; ++i)
                if (i % 4 == lane % 4) want_max = std::max({want_max, double(scores[i].x), double(scores[i].y)});
            for (int i = lane; i < steps * kWarp; i += kWarp) {
                const double a = std::exp2((scores[i].x - want_max) * scale),
                             b = std::exp2((scores[i].y - want_max) * scale);
                want_sum += a + b;
                want_out += a + 2 * b;
            }
            worst.add(got_max[lane], want_max);
            worst.add(got_sum[lane], want_sum);
            worst.add(got_out[lane], want_out);
        }
        measured(std::to_string(steps) + " steps", worst.error);
    }
}

// Two halves, each one after the other, then together.
__global__ void merge_all(const Merged* parts, int count, Merged* out) {
    Merged first, second;
    for (int i = 0; i < count; ++i) (i < count / 2 ? first : second).merge(parts[i]);
    first.merge(second);
    *out = first;
}

TEST(parts_merge_in_any_order, 1e-5) {
    for (int count : {1, 2, 3, 15, 120}) {
        std::vector<Merged> parts(count);
        for (Merged& part : parts) {
            part.a = random_float(-1, 1), part.b = random_float(-1, 1);
            part.max = random_float(-40, 40), part.sum = random_float(0.5, 3);
        }
        for (int order = 0; order < 5; ++order) {
            std::shuffle(parts.begin(), parts.end(), random_source());
            double a = 0, b = 0, sum = 0, max = -INFINITY;
            for (const Merged& part : parts) max = std::max(max, double(part.max));
            for (const Merged& part : parts) {
                const double weight = std::exp2(part.max - max);
                a += part.a * weight, b += part.b * weight, sum += part.sum * weight;
            }
            Merged* out = device_array<Merged>(1);
            merge_all<<<1, 1>>>(to_device(parts), count, out);
            const Merged got = to_host(out, 1)[0];
            Worst worst;
            worst.add(got.a / got.sum, a / sum);
            worst.add(got.b / got.sum, b / sum);
            worst.add(got.max, max);
            measured(std::to_string(count) + " parts, order " + std::to_string(order), worst.error);
        }
    }
}

template <int kHeadDim>
__global__ void finish_pairs(const __grid_constant__ DecodeParameters p, const float* a, const float* b, float scale,
                             int position, unsigned epoch) {
    const int pairs = (p.heads + 2 * p.kv_heads) * kHeadDim / 2;
    const DecodeLayer& layer = *p.layers;
    for (int pair = threadIdx.x; pair < pairs; pair += blockDim.x)
        finish_qkv<kHeadDim>(p, layer, pair, a[pair], b[pair], scale, qkv_operands<kHeadDim>(p, layer, pair, position),
                             position, epoch);
}

// Random angles' cosines and sines, [position][head_dim / 2].
static void random_angles(int count, std::vector<float>& cosines, std::vector<float>& sines) {
    for (int i = 0; i < count; ++i) {
        const float angle = random_float(-3, 3);
        cosines.push_back(std::cos(angle)), sines.push_back(std::sin(angle));
    }
}

template <int kHeadDim>
static void check_finish(int heads, int kv_heads, int max_length, int position) {
    const int half = kHeadDim / 2, pairs = (heads + 2 * kv_heads) * half, cache = kv_heads * max_length * kHeadDim;
    const unsigned epoch = 4711;
    const float scale = 0.37f;
    const auto a = random_floats(pairs, -4, 4), b = random_floats(pairs, -4, 4);
    const auto bias = random_bf16(2 * pairs), old_keys = random_bf16(cache), old_values = random_bf16(cache);
    std::vector<float> cosines, sines;
    random_angles(max_length * half, cosines, sines);
    DecodeLayer layer = {};
    layer.bias = to_device(bias), layer.keys = to_device(old_keys), layer.values = to_device(old_values);
    DecodeParameters p = {};
    p.layers = to_device(std::vector<DecodeLayer>{layer});
    p.cosines = to_device(cosines), p.sines = to_device(sines), p.qkv = device_array<PairWord>(pairs);
    p.heads = heads, p.kv_heads = kv_heads, p.max_length = max_length;
    finish_pairs<kHeadDim><<<1, 256>>>(p, to_device(a), to_device(b), scale, position, epoch);
    const auto words = to_host(p.qkv, pairs);
    const auto keys = to_host(layer.keys, cache), values = to_host(layer.values, cache);

    auto want_keys = std::vector<double>(cache), want_values = std::vector<double>(cache);
    for (int i = 0; i < cache; ++i) want_keys[i] = number(old_keys[i]), want_values[i] = number(old_values[i]);
    Worst worst;
    for (int pair = 0; pair < pairs; ++pair) {
        const int head = pair / half, i = pair % half, at = position * half + i;
        const double x = as_bf16(a[pair] * scale + number(bias[head * kHeadDim + i]));
        const double y = as_bf16(b[pair] * scale + number(bias[head * kHeadDim + i + half]));
        const bool rotates = head < heads + kv_heads;
        const double c = rotates ? cosines[at] : 1, s = rotates ? sines[at] : 0;
        const double first = x * c - y * s, second = y * c + x * s;
        worst.add(low_of(words[pair].pair), first);
        worst.add(high_of(words[pair].pair), second);
        worst.add(words[pair].epoch == epoch ? 0 : INFINITY);
        if (head < heads) continue;
        auto& want = rotates ? want_keys : want_values;
        const int row = ((head - heads) % kv_heads * max_length + position) * kHeadDim;
        want[row + i] = first, want[row + i + half] = second;
    }
    // Also that nothing else was written.
    for (int i = 0; i < cache; ++i)
        worst.add(number(keys[i]), want_keys[i]), worst.add(number(values[i]), want_values[i]);
    measured("heads of " + std::to_string(kHeadDim) + " at " + std::to_string(position), worst.error);
}

// A value that lies between two numbers of bf16 may be rounded either way before it's rotated.
TEST(rotary_embedding_and_cache_write, 1.0 / 128) {
    for (int position : {0, 1, 18}) {
        check_finish<64>(14, 2, 19, position);
        check_finish<128>(28, 4, 19, position);
    }
}

// Attention of one layer and what the output product reads of it, from the last block.
template <int kHeadDim>
__global__ void DECODE_LAUNCH attend(const __grid_constant__ DecodeParameters p, int length, unsigned epoch,
                                     bf16* out) {
    extern __shared__ uint4 shared[];
    Places places = Places::of<kHeadDim, DenseRing<kHeadDim>>(p, shared);
    cluster::sync();
    const Splits splits = Splits::of<kHeadDim>(p, length);
    Attention<kHeadDim> attention(p, splits, blockIdx.x, length, places.tiles, places.team);
    if (attention.has_work()) {
        attention.prefetch(*p.layers, 0);
        attention.run(*p.layers, 0, epoch, [] {});
    }
    if (splits.count > kFewParts) merge_shared<kHeadDim>(p, splits, blockIdx.x, epoch);
    const Product w = {nullptr, 0, p.heads * kHeadDim / 8, 1, p.split_output, Dense::step(p.split_output)};
    if (splits.count > 1 && splits.count <= kFewParts)
        stage_parts<Dense>(w, places.second, FewParts<kHeadDim>{p, splits, epoch});
    else
        stage<Dense>(w, places.second, PairWords{p.attended, epoch});
    if (blockIdx.x == gridDim.x - 1)
        for (int i = threadIdx.x; i < w.chunks * 8; i += kThreads)
            out[i] = reinterpret_cast<const bf16*>(places.second.place())[i];
    cluster::sync();
}

// `teams`: where the launch has them. GPUs without clusters have none.
template <int kHeadDim>
static void check_attention(const Shape& shape, const std::vector<int>& lengths, bool teams = true) {
    const int heads = int(shape.heads), kv_heads = int(shape.kv_heads), half = kHeadDim / 2;
    const int max_length = *std::max_element(lengths.begin(), lengths.end());
    const Limits limits = limits_of(attend<kHeadDim>, kThreads, kCluster);
    DecodePlan plan;
    DecodeParameters p;
    if (!plan_decode(COMPUTE_CAPABILITY, 16, 0, 0, &shape, &limits, max_length, 1e-6f, &plan, &p)) return;
    if (!teams) p.team = 1;
    const size_t cache = size_t(kv_heads) * max_length * kHeadDim;
    const auto keys = random_bf16(cache, -2, 2), values = random_bf16(cache);
    DecodeLayer layer = {};
    layer.keys = to_device(keys), layer.values = to_device(values);
    p.layers = to_device(std::vector<DecodeLayer>{layer});
    p.attended = device_array<PairWord>(heads * half);
    p.parts = reinterpret_cast<uint4*>(device_array<char>(plan.parts_bytes));
    unsigned epoch = 100;
    for (int length : lengths) {
        ++epoch;
        // The new token's queries, keys and values, as words of value i and i + head_dim / 2.
        const auto fresh = random_bf16(size_t(heads + 2 * kv_heads) * kHeadDim, -2, 2);
        std::vector<PairWord> words(fresh.size() / 2);
        for (size_t i = 0; i < words.size(); ++i) {
            const size_t at = i / half * kHeadDim + i % half;
            words[i] = {pair_of(fresh[at], fresh[at + half]), epoch};
        }
        p.qkv = to_device(words);
        bf16* out = device_array<bf16>(size_t(heads) * kHeadDim);
        launch_together(attend<kHeadDim>, int(plan.blocks), kThreads, plan.shared_bytes, p, length, epoch, out);
        const auto got = to_host(out, size_t(heads) * kHeadDim);
        Worst worst;
        for (int head = 0; head < heads; ++head) {
            const int kv = head / (heads / kv_heads);
            auto row = [&](const std::vector<bf16>& cached, int first, int j) {
                return j == length - 1 ? &fresh[size_t(first + kv) * kHeadDim]
                                       : &cached[(size_t(kv) * max_length + j) * kHeadDim];
            };
            const auto want = attention_of(
                &fresh[size_t(head) * kHeadDim], kHeadDim, length, [&](int j) { return row(keys, heads, j); },
                [&](int j) { return row(values, heads + kv_heads, j); });
            std::vector<double> found;
            for (int i = 0; i < kHeadDim; ++i) found.push_back(number(got[size_t(head) * kHeadDim + i]));
            worst.add(relative_distance(found, want));
        }
        measured(std::to_string(heads) + " heads of " + std::to_string(kHeadDim) + ", length " + std::to_string(length),
                 worst.error);
    }
}

// Weights and parts are rounded to bf16.
TEST(attention_of_one_token_at_many_lengths, 0.015) {
    // One block; some parts, merged by their readers; many, merged over the grid; teams of blocks, full and not.
    const std::vector<int> lengths = {1,    2,    15,   16,   17,   127,  128,  129,  384,  385,  700,  1024,
                                      1025, 1536, 2047, 2048, 2049, 4096, 4097, 6143, 6144, 6145, 9000, 12289};
    check_attention<64>({896, 4864, 1, 14, 2, 64, 151936}, lengths);
    check_attention<128>({1536, 8960, 1, 12, 2, 128, 151936}, lengths);
    check_attention<128>({3584, 18944, 1, 28, 4, 128, 152064}, lengths);
    check_attention<128>({2048, 11008, 1, 16, 2, 128, 151936}, {1, 129, 1025, 2048, 5000});
    check_attention<128>({5120, 27648, 1, 40, 8, 128, 152064}, {1, 129, 1919, 1921, 2048, 2049, 5000});
}

// Without teams, from the lengths on at which a head has more parts than its readers merge.
TEST(attention_of_one_token_without_teams, 0.015) {
    const std::vector<int> lengths = {1, 2048, 2049, 4097, 6144, 6145, 6273, 9000, 12289};
    check_attention<64>({896, 4864, 1, 14, 2, 64, 151936}, lengths, false);
    check_attention<128>({1536, 8960, 1, 12, 2, 128, 151936}, lengths, false);
    check_attention<128>({3584, 18944, 1, 28, 4, 128, 152064}, lengths, false);
}
