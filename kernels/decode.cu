// Decoding with dense weights.

#include "decode_run.cuh"

static_assert(Dense::kSlot == DENSE_SLOT_BYTES / 16);

extern "C" __global__ void DECODE_LAUNCH decode_64(const __grid_constant__ DecodeParameters p) {
    decode_body<64, Dense>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_128(const __grid_constant__ DecodeParameters p) {
    decode_body<128, Dense>(p);
}
