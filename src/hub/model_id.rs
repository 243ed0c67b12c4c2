//! `owner/name`, as both hubs spell it.

use std::fmt;

use super::HubError;

/// A model's id: two names of the letters that hubs allow, so that it can stand in an address and in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelId {
    /// Whose it is.
    pub owner: String,
    /// Its name there.
    pub name: String,
}

impl ModelId {
    /// For a directory, which has one model, whatever that is called.
    pub fn of_directory(name: &str) -> Self {
        Self { owner: String::new(), name: name.to_owned() }
    }

    /// An error for what is no such id.
    pub fn parse(text: &str) -> Result<Self, HubError> {
        match text.split_once('/') {
            Some((owner, name)) if is_name(owner) && is_name(name) => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ if text.ends_with(".gguf") => Err(HubError::new(format!("{text:?}: there is no such file"))),
            _ => Err(HubError::new(format!(
                "{text:?} is neither a directory nor a model's id on the hub, such as Qwen/Qwen2.5-0.5B-Instruct"
            ))),
        }
    }
}

fn is_name(part: &str) -> bool {
    !part.is_empty()
        && part.len() <= 100
        && !part.starts_with('.')
        && !part.contains("..")
        && part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}
