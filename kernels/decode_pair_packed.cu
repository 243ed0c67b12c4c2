// Decoding with packed weights over two cards: the kernel of either.

#include "decode_packed.cuh"
#include "decode_run.cuh"

extern "C" __global__ void DECODE_LAUNCH decode_int4_pair_64(const __grid_constant__ DecodeParameters p,
                                                             const __grid_constant__ Peer peer) {
    decode_body<64, PackedRing<4, 64>, PackedStream<64, 4>>(p, Pair(peer));
}
extern "C" __global__ void DECODE_LAUNCH decode_int4_pair_128(const __grid_constant__ DecodeParameters p,
                                                              const __grid_constant__ Peer peer) {
    decode_body<128, PackedRing<4, 128>, PackedStream<128, 4>>(p, Pair(peer));
}
extern "C" __global__ void DECODE_LAUNCH decode_int8_pair_64(const __grid_constant__ DecodeParameters p,
                                                             const __grid_constant__ Peer peer) {
    decode_body<64, PackedRing<8, 64>, PackedStream<64, 8>>(p, Pair(peer));
}
extern "C" __global__ void DECODE_LAUNCH decode_int8_pair_128(const __grid_constant__ DecodeParameters p,
                                                              const __grid_constant__ Peer peer) {
    decode_body<128, PackedRing<8, 128>, PackedStream<128, 8>>(p, Pair(peer));
}
