// The decode kernels whose blocks stamp (decode_stamps.cuh): the others, with moments in between.

#include "decode_blocks.cuh"
#include "decode_packed.cuh"
#include "decode_run.cuh"

extern "C" __global__ void DECODE_LAUNCH decode_64_stamped(const __grid_constant__ DecodeParameters p) {
    decode_body<64, DenseRing<64>, DenseStream<64>, Stamps>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_128_stamped(const __grid_constant__ DecodeParameters p) {
    decode_body<128, DenseRing<128>, DenseStream<128>, Stamps>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_short_128_stamped(const __grid_constant__ DecodeParameters p) {
    decode_body<128, DenseRing<128, true>, DenseStream<128, true>, Stamps>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_int4_64_stamped(const __grid_constant__ DecodeParameters p) {
    decode_body<64, PackedRing<4, 64>, PackedStream<64, 4>, Stamps>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_int4_128_stamped(const __grid_constant__ DecodeParameters p) {
    decode_body<128, PackedRing<4, 128>, PackedStream<128, 4>, Stamps>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_int8_64_stamped(const __grid_constant__ DecodeParameters p) {
    decode_body<64, PackedRing<8, 64>, PackedStream<64, 8>, Stamps>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_int8_128_stamped(const __grid_constant__ DecodeParameters p) {
    decode_body<128, PackedRing<8, 128>, PackedStream<128, 8>, Stamps>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_blocks_64_stamped(const __grid_constant__ DecodeParameters p) {
    decode_body<64, BlockRing<64>, BlockStream<64>, Stamps>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_blocks_128_stamped(const __grid_constant__ DecodeParameters p) {
    decode_body<128, BlockRing<128>, BlockStream<128>, Stamps>(p);
}
extern "C" __global__ void DECODE_LAUNCH decode_short_blocks_128_stamped(const __grid_constant__ DecodeParameters p) {
    decode_body<128, BlockRing<128, true>, BlockStream<128, true>, Stamps>(p);
}
