// Decoding with packed weights.

#include "decode_packed.cuh"
#include "decode_run.cuh"

static_assert(PackedStream<4>::kSlot == INT4_SLOT_BYTES / 16 && PackedStream<8>::kSlot == INT8_SLOT_BYTES / 16);

extern "C" __global__ void DECODE_LAUNCH decode_int4_64(const __grid_constant__ DecodeParameters p) {
    decode_body<64, PackedStream<4>>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_int4_128(const __grid_constant__ DecodeParameters p) {
    decode_body<128, PackedStream<4>>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_int8_64(const __grid_constant__ DecodeParameters p) {
    decode_body<64, PackedStream<8>>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_int8_128(const __grid_constant__ DecodeParameters p) {
    decode_body<128, PackedStream<8>>(p);
}
