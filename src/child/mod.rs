//! The one room from which other programs are started: the measured one, git, builds.
//!
//! - A child's [`Environment`] is built from a short list of names for its kind. It is never ours with something removed,
//!   because nobody can guess the names of all secrets.
//! - A child and everything that it started end with us, however we end: it is started by a [guard](guard), which has
//!   nothing else to do.
//! - A child's output is bounded: [`Launch::output`] and [`Launch::log`] for one that ends by itself, [`Conversation`]
//!   for one that speaks in lines.
//! - Nobody of the same user but root can look into this process while children run ([`shield`]).

#![expect(
    clippy::disallowed_methods,
    reason = "the one room that starts programs, and says what they see of the environment"
)]

mod conversation;
mod find;
pub mod guard;
mod launch;
mod process;
mod shield;
mod shown;
mod stop;
mod variables;

pub use conversation::{Conversation, Garbage, Message, Next, clean};
pub use find::{beside_the_caller, is_bare};
pub use launch::Launch;
pub use shield::shield;
pub use stop::Stop;
pub use variables::Environment;
