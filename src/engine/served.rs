//! What became of many requests at once.

use std::time::Duration;

use super::{EngineError, Generation};

/// The answers to a closed loop of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    /// One for each request; their times count from their own request.
    pub answers: Vec<Generation>,
    /// From the first request to the end of the last answer.
    pub took: Duration,
}

impl Served {
    /// What is wrong with it, if something is: every answer counts, or none does.
    pub fn check(&self, generated_length: usize) -> Result<(), EngineError> {
        self.answers.iter().try_for_each(|answer| answer.check(generated_length))
    }

    /// The answers of all requests; where some failed, how many, and why the first did.
    pub fn gather(
        answers: impl IntoIterator<Item = Result<Generation, EngineError>>,
        took: Duration,
    ) -> Result<Self, EngineError> {
        let (mut good, mut failed) = (Vec::new(), Vec::new());
        answers
            .into_iter()
            .for_each(|answer| answer.map_or_else(|error| failed.push(error), |answer| good.push(answer)));
        let all = good.len() + failed.len();
        match (failed.len(), failed.into_iter().next()) {
            (count, Some(first)) => {
                Err(EngineError::Failed(format!("{count} of {all} requests failed, one because {first}")))
            }
            (_, None) => Ok(Self { answers: good, took }),
        }
    }
}
