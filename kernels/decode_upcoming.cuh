// The products still to come, one after the other: which one a stream of weights opens next, and how large it is.
#pragma once

#include "decode.cuh"

// What is the same in all layers. In a table, because finding it out anew costs every warp as many instructions as a
// batch of weights, and small models have only a few batches a product.
struct alignas(16) ProductSizes {
    Pairs own;  // Of this block.
    int distance;
    unsigned short chunks;
    unsigned char split_log2;  // Of the warps that share a row.
    unsigned char matrix;      // Where a layer has the matrix's address, in bytes.
};
static_assert(sizeof(ProductSizes) == 16);

// Of a layer's products and of the head.
__device__ __forceinline__ ProductSizes* product_sizes() {
    __shared__ ProductSizes sizes[kProducts + 1];
    return sizes;
}

// `Format`: of the layers' matrices.
template <int kHeadDim, typename Format>
class Upcoming {
  public:
    // `left`: products still to come, that of `phase` included. All threads of the block construct one.
    __device__ __forceinline__ Upcoming(const DecodeParameters& p, const DecodeLayer* layers, int block, int phase,
                                        int left)
        : p_(p), layers_(layers), phase_(phase), left_(left) {
        const int matrices[] = {offsetof(DecodeLayer, qkv), offsetof(DecodeLayer, output),
                                offsetof(DecodeLayer, gate_up), offsetof(DecodeLayer, down), 0};
#pragma unroll
        for (int i = 0; i <= kProducts; ++i) {
            if (threadIdx.x != i) continue;
            const Product w = product_of<kHeadDim, Format>(p, layers, i < kProducts ? i : head());
            product_sizes()[i] = {pairs_of_block(w.pairs, block), w.distance, static_cast<unsigned short>(w.chunks),
                                  static_cast<unsigned char>(log2_of(w.split)),
                                  static_cast<unsigned char>(matrices[i])};
        }
        __syncthreads();
    }

    __device__ __forceinline__ int left() const { return left_; }
    __device__ __forceinline__ bool at_head() const { return phase_ == head(); }

    __device__ __forceinline__ void advance() {
        --left_;
        phase_ = at_head() ? 0 : phase_ + 1;
    }

    __device__ __forceinline__ ProductSizes sizes() const {
        return product_sizes()[at_head() ? kProducts : phase_ % kProducts];
    }

    __device__ __forceinline__ const void* weight(const ProductSizes& sizes) const {
        if (at_head()) return p_.head;
        const auto* layer = reinterpret_cast<const char*>(layers_ + phase_ / kProducts);
        return *reinterpret_cast<const void* const*>(layer + sizes.matrix);
    }

    // Its pairs end with this block's.
    __device__ __forceinline__ Product product() const {
        const ProductSizes at = sizes();
        const int split = 1 << at.split_log2;
        return {weight(at),
                at.own.end,
                at.chunks,
                at.distance,
                split,
                Format::step(split),
                parts_of<kHeadDim, Format>(p_, layers_, phase_)};
    }

  private:
    __device__ __forceinline__ unsigned head() const { return p_.layer_count * kProducts; }

    const DecodeParameters& p_;
    const DecodeLayer* layers_;
    unsigned phase_;
    int left_;
};
