// Decoding, as one persistent kernel: a block on every multiprocessor runs whole steps, layer by layer, together with
// all others. Launch cooperatively, at most one block for each multiprocessor.
//
// At batch 1 a step is bound by reading the weights once. Two things keep device memory busy all the time: weights
// stream ahead of the products (decode_stream.cuh), and blocks don't wait at barriers (decode_words.cuh).

#pragma once

#include "decode_step.cuh"

// Everyone has read the state and passed the barriers when all have arrived here: the last one writes it.
__device__ __forceinline__ void leave(StepState* state, int position, int step, unsigned token, unsigned epoch) {
    if (threadIdx.x != 0) return;
    __threadfence();
    const unsigned leavers = atomicAdd(&state->leavers, 1);
    if (leavers == gridDim.x - 1) {
        state->position = position;
        state->step = step;
        state->token = token;
        state->epoch = epoch;
        state->arrivals = 0;
        state->leavers = 0;
    }
}

// `Format`: of the layers' matrices, which a `Stream` reads. `Stamping`: Stamps in kernels whose blocks stamp.
template <int kHeadDim, typename Format, typename Stream, typename Stamping = NoStamps>
__device__ __forceinline__ void decode_body(const DecodeParameters& p) {
    extern __shared__ uint4 shared[];
    Places places = Places::of<kHeadDim, Format>(p, shared);
    places.copy_table(p);
    const int head_phase = p.layer_count * kProducts;
    const bool only_head = p.steps == 0;
    const int steps = only_head ? 1 : p.steps;
    // From here on all blocks run, and can write to the shared memory of their cluster's others.
    Barrier barrier(p.state);
    const int block = block_number(p.multiprocessors, barrier);
    Stream stream(p, places.layers, places.rings, block, only_head ? head_phase : 0,
                  only_head ? 1 : steps * (head_phase + 1));
    const int first_position = __ldcg(&p.state->position);
    const int first_step = __ldcg(&p.state->step);
    unsigned epoch = __ldcg(&p.state->epoch);
    unsigned token = __ldcg(&p.state->token);
    for (int step = 0; step < steps; ++step) {
        Step<kHeadDim, Format, Stream, Stamping> now(p, places, stream, block, step, first_position + step, token,
                                                     epoch);
        for (int layer = 0; layer < (only_head ? 0 : p.layer_count); ++layer) now.run_layer(layer);
        const Best mine = now.head(only_head ? p.x : nullptr);
        epoch = now.epoch();
        // The step's one barrier also makes the cache's new rows visible to all. Every block chooses for itself.
        const Best best = grid_best(mine, p.bests, block, barrier);
        // With NaN logits nothing wins; any valid token keeps the loop running.
        token = best.index < p.vocabulary ? best.index : 0;
        now.over();
        if (block == 0 && threadIdx.x == 0 && first_step + step < p.max_length) {
            p.tokens[first_step + step] = token;
            p.times[first_step + step] = clock_ns();
        }
    }
    leave(p.state, first_position + steps, first_step + steps, token, epoch);
}
