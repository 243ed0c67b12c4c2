// Decoding with weights in GGUF's blocks over two cards: the kernel of either.

#include "decode_blocks.cuh"
#include "decode_run.cuh"

extern "C" __global__ void DECODE_LAUNCH decode_blocks_pair_64(const __grid_constant__ DecodeParameters p,
                                                               const __grid_constant__ Peer peer) {
    decode_body<64, BlockRing<64>, BlockStream<64>>(p, Pair(peer));
}
extern "C" __global__ void DECODE_LAUNCH decode_blocks_pair_128(const __grid_constant__ DecodeParameters p,
                                                                const __grid_constant__ Peer peer) {
    decode_body<128, BlockRing<128>, BlockStream<128>>(p, Pair(peer));
}
extern "C" __global__ void DECODE_LAUNCH decode_short_blocks_pair_128(const __grid_constant__ DecodeParameters p,
                                                                      const __grid_constant__ Peer peer) {
    decode_body<128, BlockRing<128, true>, BlockStream<128, true>>(p, Pair(peer));
}
