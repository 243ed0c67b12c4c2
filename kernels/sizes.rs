//! Prints `sizes.h` for a compute capability, such as 90, to who compiles the kernels without cargo (kernels/build).

#[path = "../build/header.rs"]
mod header;

fn main() {
    let capability = std::env::args().nth(1).and_then(|text| text.parse().ok()).expect("a compute capability, such as 90");
    print!("{}", header::header(capability));
}
