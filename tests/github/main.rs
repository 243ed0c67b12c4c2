//! GitHub, played by a small stateful fake that can be told to fail: the comment, the check run, what a step writes.

mod base;
mod comment;
mod failed;
mod fake;
mod literal;
mod publish;
mod reports;
mod secrets;
mod step;
mod sticky;
