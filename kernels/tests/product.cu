// The streamed product: every split and distance, one product alone, and the ring running on across products.

#include "products.cuh"

#include "../decode_stream.cuh"

namespace {
bf16* dense(int rows, int columns, int, std::vector<double>& numbers) {
    const auto values = random_bf16(size_t(rows) * columns);
    for (bf16 value : values) numbers.push_back(number(value));
    return to_device(values);
}

// Sizes that divide by nothing they needn't: chunks beside whole batches, pairs beside whole rounds.
template <int kHeadDim>
void every_split(bool alone) {
    ProductModel<kHeadDim>(296, 440, dense).template every_split<DenseRing<kHeadDim>, DenseStream<kHeadDim>>(alone);
}
}  // namespace

TEST(product_alone_at_every_split_and_distance, 1e-5) {
    every_split<64>(true);
    every_split<128>(true);
}

TEST(products_one_after_the_other_in_the_ring, 1e-5) {
    every_split<64>(false);
    every_split<128>(false);
}

TEST(products_in_a_short_dense_ring, 1e-5) {
    ProductModel<128>(296, 440, dense).every_split<DenseRing<128, true>, DenseStream<128, true>>(false);
}
