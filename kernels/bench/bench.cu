// Checks the kernels against a plain fp32 forward pass and times them, on exact Qwen2.5 shapes with random weights.
//
//   bench check SHAPE [prompt=700] [chunk=256] [generate=40]
//       logits and greedy choices against the reference
//   bench decode SHAPE [context=1] [steps=512] [runs=3] [per_launch=32] [parts=0] [stamps=0] [dump=0] [stamped=0]
//       tokens/s; parts=1: time between barriers of the first block; stamps=1: waiting and work of the last block, by
//       another kernel, with dump=1 its stamps in stamps.u32; stamped=N: tokens/s of that kernel, of every N steps the
//       last one stamped
//   bench pair SHAPE [context=1] [steps=512] [runs=3] [per_launch=32] [one=0]
//       tokens/s of two cards that decode together; one=1: of two halves of one card
//   bench pair-check SHAPE [context=700] [steps=40] [one=0]
//       their logits and choices against one card's; what happens when one is missing. Halves of one card need it for
//       themselves: beside other processes they wait too long for each other
//   bench link SHAPE [one=0]
//       what an exchange between two cards takes, and how fast copies are (of no shape)
//   bench places SHAPE [places=12] [steps=512]
//       tokens/s with the exchanged values elsewhere in memory
//   bench prefill SHAPE [length=6144] [chunk=8192]
//       time to first token; parts by CUDA events
//
// SHAPE is 0.5B, 1.5B, 3B, 7B, 14B, 32B, 72B, 1B (Llama-3.2-1B), 7B-2, 32B-2 or 72B-2 (two layers), or random [seed=1]:
// any shape and prompt that the plan supports. bits=4 or bits=8: the layers' matrices are packed. kind=1, 2, 6 or 10
// (blocks.cuh): they are in GGUF's blocks, and so is the head.
// kernels/build compiles this. A check that finds something is exit code 1, a wrong command line 2, a shape that the
// plan refuses 3.

#include "link.cuh"
#include "pair_check.cuh"
#include "random_shape.cuh"
#include "reference.cuh"

static double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

static double milliseconds(Model& m, const std::function<void()>& work) {
    static cudaEvent_t begin = nullptr, end = nullptr;
    if (!begin) {
        CHECK(cudaEventCreate(&begin));
        CHECK(cudaEventCreate(&end));
    }
    CHECK(cudaEventRecord(begin, m.stream));
    work();
    CHECK(cudaEventRecord(end, m.stream));
    CHECK(cudaEventSynchronize(end));
    float ms;
    CHECK(cudaEventElapsedTime(&ms, begin, end));
    return ms;
}

static std::vector<unsigned> random_prompt(int n, int vocabulary) {
    std::vector<unsigned> ids(n);
    unsigned long long z = 88172645463325252ull;
    for (auto& id : ids) {
        z ^= z << 13, z ^= z >> 7, z ^= z << 17;
        id = z % vocabulary;
    }
    return ids;
}

// How far the logits may be from the reference's (relative L2 error), and how much worse than the reference's choice a
// differing one may be by its logits (of their span). The largest that were seen are 0.048 (7B in 8 bits; of the prompt
// 0.041, so that little of it is decoding's) and 0.019.
static const double kError = 0.06, kGap = 0.03;

// False if something is further off than that.
static bool check(const NamedShape& shape) {
    const int n = option("prompt", 700), generate = option("generate", 40);
    Model m(shape, n + generate + 64, option("chunk", 256), true);
    auto ids = random_prompt(n, shape.vocabulary);
    m.prefill(ids);
    std::vector<float> first(shape.vocabulary);
    CHECK(cudaMemcpyAsync(first.data(), m.logits, first.size() * 4, cudaMemcpyDeviceToHost, m.stream));
    CHECK(cudaStreamSynchronize(m.stream));
    for (int done = 0, steps = 1; done < generate; done += steps, steps = 7) {
        steps = std::min(steps, generate - done);
        m.decode(steps);
    }
    CHECK(cudaStreamSynchronize(m.stream));
    std::vector<unsigned> generated(generate + 1);
    CHECK(cudaMemcpy(generated.data(), m.tokens, generated.size() * 4, cudaMemcpyDeviceToHost));
    std::vector<float> last(shape.vocabulary);
    CHECK(cudaMemcpy(last.data(), m.logits, last.size() * 4, cudaMemcpyDeviceToHost));
    ids.insert(ids.end(), generated.begin(), generated.end() - 1);
    const auto expected = reference::forward(m, ids, generate + 1);
    auto error = [&](const float* got, const float* want) {
        double diff = 0, norm = 0;
        for (int i = 0; i < shape.vocabulary; ++i) {
            diff += (got[i] - want[i]) * (got[i] - want[i]);
            norm += want[i] * want[i];
        }
        return std::sqrt(diff / norm);
    };
    int same = 0;
    float worst = 0;
    for (int i = 0; i <= generate; ++i) {
        const float* row = expected.data() + size_t(i) * shape.vocabulary;
        const float top = *std::max_element(row, row + shape.vocabulary);
        same += row[generated[i]] == top;
        // Not std::max, which forgets NaN.
        if (!(top - row[generated[i]] <= worst)) worst = top - row[generated[i]];
    }
    const auto [least, most] = std::minmax_element(last.begin(), last.end());
    const size_t end = size_t(generate) * shape.vocabulary;
    const double span = *most - *least, prefill = error(first.data(), expected.data());
    const double decode = error(last.data(), expected.data() + end);
    // Written so that NaN fails too.
    const bool good = prefill <= kError && decode <= kError && worst <= kGap * span;
    printf(
        "check %-5s %d bits prompt %d chunk %d: relative L2 error of logits: prefill %.4f, after %d steps %.4f (bound %.4f); "
        "greedy choices equal %d/%d, worst gap of a differing one %.4f (bound %.4f): %s\n",
        shape.name, m.bits, n, m.chunk, prefill, generate, decode, kError, same, generate + 1, worst, kGap * span,
        good ? "ok" : "FAILED");
    if (!(prefill <= kError && decode <= kError)) {
        // Some sequences take rounding worse than others: whether this is one.
        double after_prompt = 0, after_steps = 0;
        for (unsigned seed = 1; seed <= 8; ++seed) {
            const auto rounded = reference::forward(m, ids, generate + 1, seed);
            after_prompt = std::max(after_prompt, error(&rounded[0], &expected[0]));
            after_steps = std::max(after_steps, error(&rounded[end], &expected[end]));
        }
        printf("check %-5s rounding alone leads up to %.4f and %.4f away there\n", shape.name, after_prompt,
               after_steps);
    }
    return good;
}

// Decodes with the exchanged values at several places in memory: how much that alone makes a difference.
static void places(const NamedShape& shape) {
    const int steps = option("steps", 512);
    const size_t stride = size_t(1) << 20;
    Model m(shape, 1 + steps + 128, 16);
    const int q = shape.heads * shape.head_dim, count = option("places", 12);
    char* base = device_array<char>(count * stride);
    CHECK(cudaMemset(base, 0, count * stride));
    m.set_state(1, 1);
    m.decode(8);
    for (int place = 0; place < count; ++place) {
        char* at = base + place * stride;
        auto take = [&](size_t bytes) { return std::exchange(at, at + (bytes + 511) / 512 * 512); };
        m.d.x1 = reinterpret_cast<decoding::PairWord*>(take(shape.hidden * 4));
        m.d.x2 = reinterpret_cast<decoding::PairWord*>(take(shape.hidden * 4));
        m.d.qkv = reinterpret_cast<decoding::PairWord*>(take(shape.qkv_rows() * 4));
        m.d.attended = reinterpret_cast<decoding::PairWord*>(take(q * 4));
        m.d.activated = reinterpret_cast<decoding::HalfWord*>(take(shape.intermediate * 4));
        m.d.parts = reinterpret_cast<uint4*>(take(m.plan.parts_bytes));
        m.d.bests = reinterpret_cast<decoding::Best*>(take(m.plan.blocks * sizeof(decoding::Best)));
        m.d.state = m.state = reinterpret_cast<StepState*>(take(sizeof(StepState)));
        std::vector<double> rates;
        for (int run = 0; run < 3; ++run) {
            m.set_state(1, 1);
            const double ms = milliseconds(m, [&] {
                for (int i = 0; i < steps; i += 32) m.decode(32);
            });
            rates.push_back(steps / ms * 1e3);
        }
        const auto [least, most] = std::minmax_element(rates.begin(), rates.end());
        printf("place %2d: %.1f (%.1f to %.1f)\n", place, median(rates), *least, *most);
    }
}

__global__ void read_all(const uint4* from, size_t count, unsigned* out) {
    unsigned sum = 0;
    for (size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x; i < count; i += size_t(gridDim.x) * blockDim.x) {
        const uint4 v = __ldcs(from + i);
        sum += v.x ^ v.y ^ v.z ^ v.w;
    }
    if (sum == 0x9e3779b9u) *out = sum;  // So that the reads are needed.
}

// Bytes a second of reading 2 GiB: the best of a few times.
static double read_bandwidth(Model& m) {
    const size_t bytes = size_t(2) << 30;
    char* from = device_array<char>(bytes + 16);
    double best = 0;
    for (int i = 0; i < 6; ++i) {
        const double ms = milliseconds(m, [&] {
            read_all<<<132 * 16, 512, 0, m.stream>>>(reinterpret_cast<uint4*>(from), bytes / 16,
                                                     reinterpret_cast<unsigned*>(from + bytes));
        });
        best = std::max(best, bytes / ms * 1e3);
    }
    CHECK(cudaFree(from));
    return best;
}

// One stamped step: for each place of a block's stamps the last of all blocks, and when the step before and this one
// were over, on the low half of the clock.
static std::vector<unsigned> last_stamps(Model& m, int context, unsigned& before, unsigned& over) {
    const int a_block = m.stamps_of_block();
    m.set_state(context, 1);
    m.decode(8, false, 8);
    CHECK(cudaStreamSynchronize(m.stream));
    std::vector<unsigned> all(size_t(a_block) * m.plan.blocks), last(a_block);
    unsigned long long times[8];
    CHECK(cudaMemcpy(all.data(), m.stamps, all.size() * 4, cudaMemcpyDeviceToHost));
    CHECK(cudaMemcpy(times, m.times, sizeof times, cudaMemcpyDeviceToHost));
    before = times[6], over = times[7];
    for (size_t i = 0; i < all.size(); ++i) {
        unsigned& most = last[i % a_block];
        if (i < size_t(a_block) || int(all[i] - most) > 0) most = all[i];
    }
    if (option("dump", 0)) {
        const unsigned head[] = {unsigned(m.plan.blocks), unsigned(m.shape.layers), before, over};
        FILE* file = fopen("stamps.u32", "wb");
        fwrite(head, 4, 4, file), fwrite(all.data(), 4, all.size(), file), fclose(file);
    }
    return last;
}

// Where a step's time goes: the last block's waiting for each input, and its work; medians of some steps, over layers.
static void stamped_parts(Model& m, int context, const std::vector<double>& bytes) {
    const char* names[] = {"qkv", "attention", "output", "gate_up", "down", "head", "choosing"};
    std::vector<double> waiting[7], work[7];
    for (int run = 0; run < 15; ++run) {
        double waits[7] = {}, works[7] = {};
        unsigned before, over;
        const auto last = last_stamps(m, context, before, over);
        unsigned at = before;
        // Of a layer: query/key/value's pair, then the output's begin, attention's pair, the output's end, ...
        auto take = [&](int part, int ready, int done) {
            waits[part] += int(last[ready] - at) * 1e-3, works[part] += int(last[done] - last[ready]) * 1e-3;
            at = last[done];
        };
        const int layers = m.shape.layers, a_layer = decoding::kLayerStamps;
        for (int layer = 0; layer < layers; ++layer) {
            const int i = layer * a_layer;
            take(0, i + 1, i + 2), take(1, i + 3, i + 4), take(2, i + 5, i + 6), take(3, i + 7, i + 8);
            take(4, i + 9, i + 10);
        }
        take(5, layers * a_layer + 1, layers * a_layer + 2);
        take(6, layers * a_layer + 3, layers * a_layer + 3);
        for (int i = 0; i < 7; ++i) waiting[i].push_back(waits[i]), work[i].push_back(works[i]);
    }
    for (int i = 0; i < 7; ++i) {
        const int count = i >= 5 ? 1 : m.shape.layers;
        const double us = median(work[i]) / count;
        printf("  %-10s %3d x %8.2f us waiting, %8.2f us work  %6.2f TB/s\n", names[i], count,
               median(waiting[i]) / count, us, i < 6 ? bytes[i] / us * 1e-6 : 0.0);
    }
}

static void decode(const NamedShape& shape) {
    const int context = option("context", 1), steps = option("steps", 512);
    Model m(shape, context + steps + 128, 16);
    const int per_launch = option("per_launch", 32);
    m.set_state(context, 1);
    m.decode(8);
    std::vector<double> rates;
    for (int run = 0; run < option("runs", 3); ++run) {
        m.set_state(context, 1);
        const double ms = milliseconds(m, [&] {
            for (int i = 0; i < steps; i += per_launch) m.decode(per_launch, false, option("stamped", 0));
        });
        rates.push_back(steps / ms * 1e3);
    }
    std::vector<unsigned long long> times(steps);
    CHECK(cudaMemcpy(times.data(), m.times, steps * 8, cudaMemcpyDeviceToHost));
    std::vector<double> gaps;
    for (int i = 1; i < steps; ++i) gaps.push_back((times[i] - times[i - 1]) * 1e-3);
    std::sort(gaps.begin(), gaps.end());
    const NamedShape& s = shape;
    double weights = m.head_bytes ? m.head_bytes : 2.0 * s.vocabulary * s.hidden;
    double qkv_bytes = 0, output_bytes = 0, gate_up_bytes = 0, down_bytes = 0;
    for (const Layer& l : m.layers) {
        qkv_bytes += l.qkv.bytes() / s.layers, output_bytes += l.o.bytes() / s.layers;
        gate_up_bytes += l.gate_up.bytes() / s.layers, down_bytes += l.down.bytes() / s.layers;
    }
    const double head_bytes = weights;
    weights += s.layers * (qkv_bytes + output_bytes + gate_up_bytes + down_bytes);
    const double cache = 2.0 * 2 * s.layers * s.kv_heads * s.head_dim * (context + steps / 2.0);
    const double rate = median(rates), bandwidth = read_bandwidth(m);
    printf(
        "decode %-5s %d bits context %d: %.1f tok/s (%.1f to %.1f), %.1f us a token (p1 %.1f p50 %.1f p99 %.1f), "
        "%.2f TB/s = %.1f%% of the %.2f that a read reaches\n",
        s.name, m.bits, context, rate, *std::min_element(rates.begin(), rates.end()),
        *std::max_element(rates.begin(), rates.end()), 1e6 / rate, gaps[gaps.size() / 100], gaps[gaps.size() / 2],
        gaps[gaps.size() * 99 / 100], (weights + cache) * rate / 1e12, (weights + cache) * rate / bandwidth * 100,
        bandwidth / 1e12);
    if (option("stamps", 0))
        stamped_parts(
            m, context,
            {qkv_bytes, 4.0 * s.kv_heads * s.head_dim * context, output_bytes, gate_up_bytes, down_bytes, head_bytes});
    if (!option("parts", 0)) return;
    // When the first block had each product's input, by the kernel's own clock, summed over layers; median of some
    // steps.
    const char* names[] = {"qkv+attn", "merge", "output", "gate_up", "down", "head"};
    const double bytes[] = {
        qkv_bytes + 4.0 * s.kv_heads * s.head_dim * context, 0, output_bytes, gate_up_bytes, down_bytes, head_bytes};
    std::vector<std::vector<double>> spent(6);
    for (int run = 0; run < 9; ++run) {
        m.set_state(context, 1);
        m.decode(2, true);
        CHECK(cudaStreamSynchronize(m.stream));
        std::vector<unsigned long long> at(s.layers * 5 + 1), end(2);
        CHECK(cudaMemcpy(at.data(), m.phases, at.size() * 8, cudaMemcpyDeviceToHost));
        CHECK(cudaMemcpy(end.data(), m.times, 16, cudaMemcpyDeviceToHost));
        double sums[6] = {};
        for (size_t i = 0; i + 1 < at.size(); ++i) sums[i % 5] += at[i + 1] - at[i];
        sums[5] = end[1] - at.back();
        for (int i = 0; i < 6; ++i) spent[i].push_back(sums[i] * 1e-3);
    }
    for (int i = 0; i < 6; ++i) {
        const int count = i == 5 ? 1 : s.layers;
        const double us = median(spent[i]) / count;
        printf("  %-10s %3d x %8.2f us  %6.2f TB/s\n", names[i], count, us, bytes[i] / us * 1e-6);
    }
}

static void decode_pair(const NamedShape& shape) {
    const int context = option("context", 1), steps = option("steps", 512), per_launch = option("per_launch", 32);
    TwoCards two(shape, context + steps + 128);
    two.set_state(context, 1);
    two.decode(8);
    two.synchronize();
    std::vector<double> rates;
    for (int run = 0; run < option("runs", 3); ++run) {
        two.set_state(context, 1);
        const double ms = milliseconds(two.cards[0], [&] {
            for (int i = 0; i < steps; i += per_launch) two.decode(per_launch);
        });
        two.synchronize();
        rates.push_back(steps / ms * 1e3);
    }
    const NamedShape& s = shape;
    double bytes = 2.0 * s.vocabulary * s.hidden + 4.0 * s.layers * s.kv_heads * s.head_dim * (context + steps / 2.0);
    for (const Model& card : two.cards)
        for (const Layer& l : card.layers) bytes += l.qkv.bytes() + l.o.bytes() + l.gate_up.bytes() + l.down.bytes();
    const double rate = median(rates), bandwidth = (two.one ? 1 : 2) * read_bandwidth(two.cards[0]);
    printf(
        "pair %-5s on %s, context %d: %.1f tok/s (%.1f to %.1f), %.1f us a token, %.2f TB/s = %.1f%% of the %.2f that "
        "reads reach%s\n",
        s.name, two.one ? "one card" : "two cards", context, rate, *std::min_element(rates.begin(), rates.end()),
        *std::max_element(rates.begin(), rates.end()), 1e6 / rate, bytes * rate / 1e12, bytes * rate / bandwidth * 100,
        bandwidth / 1e12, two.link->failed() ? "; A CARD DID NOT ANSWER" : "");
}

static void prefill(const NamedShape& shape) {
    const int length = option("length", 6144);
    Model m(shape, length + 64, option("chunk", 8192));
    const auto ids = random_prompt(length, shape.vocabulary);
    m.prefill(ids);
    CHECK(cudaStreamSynchronize(m.stream));
    std::vector<double> all;
    for (int i = 0; i < (length > 10000 ? 3 : 7); ++i) all.push_back(milliseconds(m, [&] { m.prefill(ids); }));
    const NamedShape& s = shape;
    const double linear =
        2.0 * length * s.layers *
        (double(s.qkv_rows()) * s.hidden + double(s.hidden) * s.heads * s.head_dim + 3.0 * s.hidden * s.intermediate);
    const double scores = 2.0 * length * length * s.layers * s.heads * s.head_dim;
    const double ms = median(all);
    printf("prefill %-5s %d bits %d in chunks of %d: %.2f ms (%.2f to %.2f), %.0f TFLOP/s\n", s.name, m.bits, length,
           m.chunk, ms, *std::min_element(all.begin(), all.end()), *std::max_element(all.begin(), all.end()),
           (linear + scores) / ms * 1e-9);
    // Each part alone, over all layers, for the last full chunk.
    const int count = std::min(m.chunk, length), start = (length - count);
    auto part = [&](const char* name, double flops, const std::function<void(const Layer&)>& work) {
        std::vector<double> all;
        for (int i = 0; i < 4; ++i)
            all.push_back(milliseconds(m, [&] {
                for (const Layer& w : m.layers) work(w);
            }));
        const double ms = median(all) / s.layers;
        printf("  %-10s %8.3f ms a layer  %6.0f TFLOP/s\n", name, ms, flops / ms * 1e-9);
    };
    const int q = s.heads * s.head_dim;
    part("norm", 0, [&](const Layer& w) {
        elementwise::prefill_norm<<<count, 256, 0, m.stream>>>(m.px, w.norm1, m.eps, m.pnormed, s.hidden);
    });
    part("qkv", 2.0 * count * s.qkv_rows() * s.hidden,
         [&](const Layer& w) { m.product(w.qkv, m.pnormed, m.pqkv, count, 0); });
    part("rope", 0, [&](const Layer& w) {
        elementwise::prefill_rope<<<count, 256, 0, m.stream>>>(m.pqkv, w.bias, m.cosines, m.sines, m.pquery, w.keys,
                                                               w.values, start, s.heads, s.kv_heads, s.head_dim,
                                                               m.max_length);
    });
    part("attention", 4.0 * q * (double(count) * start + double(count) * count / 2),
         [&](const Layer& w) { m.flash_attention(w, count, start); });
    part("output", 2.0 * count * s.hidden * q,
         [&](const Layer& w) { m.product(w.o, m.pattended, m.pnormed, count, 0); });
    part("gate_up", 4.0 * count * s.intermediate * s.hidden,
         [&](const Layer& w) { m.product(w.gate_up, m.pnormed, m.pgate_up, count, 0); });
    part("silu", 0, [&](const Layer&) {
        elementwise::prefill_silu<<<dim3((s.intermediate / 8 + 255) / 256, count), 256, 0, m.stream>>>(
            m.pgate_up, m.pactivated, s.intermediate);
    });
    part("down", 2.0 * count * s.intermediate * s.hidden,
         [&](const Layer& w) { m.product(w.down, m.pactivated, m.pnormed, count, 0); });
    CHECK(cudaDeviceSynchronize());
}

// Null: it has no such name. `halves`: two cards must be able to share it.
static const NamedShape* shape_of(const char* name, bool halves) {
    static NamedShape drawn;
    if (!strcmp(name, "random")) {
        drawn = random_shape(unsigned(option("seed", 1)), halves);
        return &drawn;
    }
    const auto found = std::find_if(std::begin(kShapes), std::end(kShapes),
                                    [&](const NamedShape& shape) { return !strcmp(shape.name, name); });
    return found == std::end(kShapes) ? nullptr : found;
}

static int usage(const char* what, const char* found) {
    fprintf(
        stderr,
        "%s%s\nusage: bench check|decode|pair|pair-check|link|places|prefill 0.5B|1.5B|3B|7B|14B|32B|72B|1B|7B-2|32B-2|72B-2|random [name=value ...]\n",
        what, found);
    return 2;
}

int main(int argc, char** argv) {
    if (argc < 3) return usage("a command and a shape are needed", "");
    for (int i = 3; i < argc; ++i) {
        const char* equals = strchr(argv[i], '=');
        if (!equals) return usage("expected name=value, found ", argv[i]);
        g_options[std::string(argv[i], equals - argv[i])] = atol(equals + 1);
    }
    const std::string command = argv[1];
    const NamedShape* shape = shape_of(argv[2], command.rfind("pair", 0) == 0);
    if (!shape) return usage("no shape ", argv[2]);
    if (command == "check") return check(*shape) ? 0 : 1;
    if (command == "decode") return decode(*shape), 0;
    if (command == "pair") return decode_pair(*shape), 0;
    if (command == "pair-check") return check_pair(*shape, 1.5 * kError, kGap) ? 0 : 1;
    if (command == "link") return link_speeds(), 0;
    if (command == "places") return places(*shape), 0;
    if (command == "prefill") return prefill(*shape), 0;
    return usage("no command ", argv[1]);
}
