//! The one room from which other programs are started: the measured one, git, builds.
//!
//! - A child's [`Environment`] is built from a short list of names for its kind. It is never ours with something removed,
//!   because nobody can guess the names of all secrets.
//! - A child and everything that it started end with us, however we end: it is started by a [guard](guard), which has
//!   nothing else to do.
//! - A child's output is bounded: [`Launch::output`] and [`Launch::log`] for one that ends by itself, [`Conversation`]
//!   for one that speaks in lines.
//! - Nobody of the same user but root can look into this process while children run ([`shield`]).

mod conversation;
mod find;
pub mod guard;
mod launch;
mod process;
mod shield;
mod stop;
mod variables;

pub use conversation::{Conversation, Message, Next, clean};
pub use find::beside_the_caller;
pub use launch::{Launch, Output};
pub use process::Process;
pub use shield::shield;
pub use stop::Stop;
pub use variables::Environment;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => sources(&path, found),
                false => found.push(path),
            }
        }
    }

    #[test]
    fn no_other_room_starts_programs() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut all = Vec::new();
        sources(&root, &mut all);
        let names_command =
            |line: &str| line.contains("Command::new(") || line.contains("process::") && line.contains("Command");
        // Tests may start what they like.
        let program = |text: String| text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
        let starts = |path: &PathBuf| program(std::fs::read_to_string(path).unwrap()).lines().any(names_command);
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            all.into_iter().filter(starts).partition(|path| path.starts_with(root.join("child")));
        assert!(!here.is_empty(), "the search finds what it looks for");
        assert_eq!(elsewhere, Vec::<PathBuf>::new());
    }
}
