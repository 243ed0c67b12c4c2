// Decoding with dense weights.

#include "decode_run.cuh"

extern "C" __global__ void DECODE_LAUNCH decode_64(const __grid_constant__ DecodeParameters p) {
    decode_body<64, DenseRing<64>, DenseStream<64>>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_128(const __grid_constant__ DecodeParameters p) {
    decode_body<128, DenseRing<128>, DenseStream<128>>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_short_128(const __grid_constant__ DecodeParameters p) {
    decode_body<128, DenseRing<128, true>, DenseStream<128, true>>(p);
}
