//! A program that a configuration names: a `command`, or a server's `start`.

use std::io::ErrorKind;
use std::path::Path;

use super::ADAPTERS;
use crate::child::{Environment, Launch, is_bare};

/// The program to start, with its arguments. A path, also one among the arguments, starts from `directory`, where the
/// program is started: that of the configuration file.
pub fn launch(command: &[String], directory: Option<&Path>, environment: Environment) -> Option<Launch> {
    let [program, args @ ..] = command else { return None };
    let launch = Launch::of(Path::new(program), environment).args(args);
    Some(match directory {
        Some(directory) => launch.starting_in(directory),
        None => launch,
    })
}

/// Why it can't be started, in one sentence, as far as that is certain.
pub fn lacking(command: &[String], directory: Option<&Path>) -> Option<String> {
    let launch = launch(command, directory, Environment::measured(None))?;
    let name = command.first()?;
    match launch.find() {
        Ok(_) => lacking_script(command, directory),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Some(format!("the program `{name}` can't be started: {error}"))
        }
        Err(_) if is_bare(Path::new(name)) => Some(format!("the program `{name}` isn't on the PATH")),
        Err(_) => Some(format!("the program `{name}` isn't there{}", looked_in(name, directory))),
    }
}

/// The script of an interpreter.
fn lacking_script(command: &[String], directory: Option<&Path>) -> Option<String> {
    const INTERPRETERS: [&str; 7] = ["python", "bash", "sh", "node", "perl", "ruby", "julia"];
    let [program, script, ..] = command else { return None };
    let name = Path::new(program).file_name()?.to_str()?;
    let of_interpreter = INTERPRETERS.contains(&name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'));
    let path = directory.unwrap_or(Path::new("")).join(script);
    if !of_interpreter || script.starts_with('-') || path.exists() {
        return None;
    }
    let ours = |file: &str| ADAPTERS.iter().any(|(name, _)| *name == file);
    let is_ours = Path::new(script).file_name().and_then(|file| file.to_str()).is_some_and(ours);
    let hint = if is_ours { "; `bench-diff init --adapters` writes the adapters" } else { "" };
    Some(format!("the script `{script}` isn't there{}{hint}", looked_in(script, directory)))
}

/// Where a path started, where that isn't the working directory.
fn looked_in(path: &str, directory: Option<&Path>) -> String {
    let relative = directory.filter(|_| Path::new(path).is_relative());
    relative.map(|directory| format!(", seen from {}", directory.display())).unwrap_or_default()
}
