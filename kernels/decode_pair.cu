// Decoding with dense weights over two cards: the kernel of either.

#include "decode_run.cuh"

extern "C" __global__ void DECODE_LAUNCH decode_pair_64(const __grid_constant__ DecodeParameters p,
                                                        const __grid_constant__ Peer peer) {
    decode_body<64, DenseRing<64>, DenseStream<64>>(p, Pair(peer));
}
extern "C" __global__ void DECODE_LAUNCH decode_pair_128(const __grid_constant__ DecodeParameters p,
                                                         const __grid_constant__ Peer peer) {
    decode_body<128, DenseRing<128>, DenseStream<128>>(p, Pair(peer));
}
extern "C" __global__ void DECODE_LAUNCH decode_short_pair_128(const __grid_constant__ DecodeParameters p,
                                                               const __grid_constant__ Peer peer) {
    decode_body<128, DenseRing<128, true>, DenseStream<128, true>>(p, Pair(peer));
}
