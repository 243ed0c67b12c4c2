// Decoding with weights in GGUF's blocks.

#include "decode_blocks.cuh"
#include "decode_run.cuh"

extern "C" __global__ void DECODE_LAUNCH decode_blocks_64(const __grid_constant__ DecodeParameters p) {
    decode_body<64, BlockRing<64>, BlockStream<64>>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_blocks_128(const __grid_constant__ DecodeParameters p) {
    decode_body<128, BlockRing<128>, BlockStream<128>>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_short_blocks_128(const __grid_constant__ DecodeParameters p) {
    decode_body<128, BlockRing<128, true>, BlockStream<128, true>>(p);
}
