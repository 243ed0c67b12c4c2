//! Prints `sizes.h` for a compute capability, such as 90, to who compiles the kernels without cargo (kernels/build).

#[path = "../build/header.rs"]
mod header;
#[allow(dead_code, reason = "the engine uses the rest")]
#[path = "../src/engine/candle/qwen2/graph/layout.rs"]
mod layout;
#[allow(dead_code, reason = "the engine uses the rest")]
#[path = "../src/engine/candle/qwen2/graph/decode_plan.rs"]
mod decode_plan;
#[allow(dead_code, reason = "the engine uses the rest")]
#[path = "../src/engine/candle/qwen2/graph/sizes.rs"]
mod sizes;
#[allow(dead_code, reason = "the engine uses the rest")]
#[path = "../src/engine/candle/qwen2/graph/unfit.rs"]
mod unfit;

fn main() {
    let capability = std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("a compute capability, such as 90");
    print!("{}", header::header(capability));
}
