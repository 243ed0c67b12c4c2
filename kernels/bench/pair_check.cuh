// Two cards beside one: the same tokens by nearly the same logits; and what they do when one of them is missing.
#pragma once

#include "pair.cuh"

// False if logits are further off than `bound` (of two that round, from each other), or a choice is worse than `gap` of
// their span.
inline bool check_pair(const NamedShape& shape, double bound, double gap) {
    const int context = option("context", 700), steps = option("steps", 40);
    if (option("kind", 0)) {
        fprintf(stderr, "pair-check has no halves of blocks\n");
        exit(2);
    }
    Model m(shape, context + steps + 64, 16, true);
    TwoCards two(shape, m.max_length);
    two.take(m);
    on_device(0);
    double worst = 0, worst_gap = 0, span = 0;
    int same = 0, compared = 0;
    auto compare = [&](unsigned one_chose, unsigned two_chose) {
        const auto want = to_host(m.logits, shape.vocabulary), got = two.logits();
        double difference = 0, norm = 0;
        for (size_t i = 0; i < want.size(); ++i) {
            difference += (got[i] - want[i]) * (got[i] - want[i]);
            norm += want[i] * want[i];
        }
        const auto [least, most] = std::minmax_element(want.begin(), want.end());
        span = *most - *least;
        // Not std::max, which forgets NaN.
        if (!(std::sqrt(difference / norm) <= worst)) worst = std::sqrt(difference / norm);
        if (!(*most - want[two_chose] <= worst_gap)) worst_gap = *most - want[two_chose];
        same += one_chose == two_chose, ++compared;
    };
    auto chosen = [](const Model& model, int count) { return to_host(model.tokens, count); };
    unsigned token = 1;
    for (int step = 0; step < steps; ++step) {
        m.set_state(context + step, token);
        two.set_state(context + step, token);
        m.decode(1), two.decode(1);
        CHECK(cudaStreamSynchronize(m.stream));
        two.synchronize();
        compare(chosen(m, 1)[0], chosen(two.cards[0], 1)[0]);
        token = chosen(m, 1)[0];
    }
    // The head alone, as after a prompt, twice.
    for (unsigned row : {17u, 4242u}) {
        m.set_state(context, 1);
        const bf16* x = m.embedding + size_t(row % shape.vocabulary) * shape.hidden;
        elementwise::begin_decode<<<1, 256, 0, m.stream>>>(x, m.x, m.state, context, 1, 0, shape.hidden);
        two.set_state(context, 1, x);
        m.decode(0), two.decode(0);
        CHECK(cudaStreamSynchronize(m.stream));
        two.synchronize();
        compare(chosen(m, 1)[0], chosen(two.cards[0], 1)[0]);
    }
    // Many steps of a launch are the same as many launches, on both cards.
    auto generated = [&](int per_launch) {
        two.set_state(context, 1);
        for (int i = 0; i < steps; i += per_launch) two.decode(per_launch);
        two.synchronize();
        return chosen(two.cards[0], steps);
    };
    const bool stepwise = generated(1) == generated(steps);
    const bool alike = chosen(two.cards[0], steps) == chosen(two.cards[1], steps);
    const bool failed = two.link->failed();
    // Nobody answers: the kernel ends, and says why.
    two.decode(3, 1);
    CHECK(cudaStreamSynchronize(two.cards[0].stream));
    const bool noticed = two.link->failed();
    const bool good = worst <= bound && worst_gap <= gap * span && stepwise && alike && !failed && noticed;
    printf(
        "pair-check %-5s on %s, %d blocks: relative L2 error of logits %.4f (bound %.4f); greedy choices equal %d/%d, "
        "worst gap of a differing one %.4f (bound %.4f); steps by one launch %s, both cards' tokens %s, in time %s, "
        "a missing card is noticed %s: %s\n",
        shape.name, two.one ? "one card" : "two cards", int(two.cards[0].plan.blocks), worst, bound, same, compared,
        worst_gap, gap * span, stepwise ? "the same" : "DIFFERENT", alike ? "the same" : "DIFFERENT",
        failed ? "NO" : "yes", noticed ? "yes" : "NO", good ? "ok" : "FAILED");
    return good;
}
