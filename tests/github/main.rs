//! GitHub, played by a small stateful fake that can be told to fail: the comment, the check run, what a step writes.

mod base;
mod children;
mod comment;
mod failed;
mod fake;
mod gate;
mod literal;
mod publish;
mod reports;
mod secrets;
#[path = "../child/shims.rs"]
mod shims;
mod step;
mod sticky;
