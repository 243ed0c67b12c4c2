//! GitHub, played by a small stateful fake that can be told to fail: the comment, the check run, what a step writes.

#![allow(clippy::disallowed_methods, clippy::panic, clippy::unwrap_used, reason = "a test")]

mod again;
mod base;
mod children;
mod comment;
mod contradicting;
mod failed;
mod fake;
mod gate;
mod literal;
mod publish;
mod published;
mod reports;
mod samples;
mod secrets;
#[path = "../child/shims.rs"]
mod shims;
mod step;
mod sticky;
