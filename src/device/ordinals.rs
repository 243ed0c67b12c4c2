//! Which GPUs an engine opens, as CUDA numbers those that its process sees.

use serde::{Deserialize, Serialize};

/// CUDA's numbers, in order; none on a CPU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Words", into = "Words")]
pub struct Ordinals(Vec<u32>);

impl Ordinals {
    /// All that a process sees: 0, 1, ...
    pub fn first(count: usize) -> Self {
        (0..count as u32).collect()
    }

    /// In the order in which they are to be used.
    pub fn all(&self) -> &[u32] {
        &self.0
    }

    /// How many GPUs; 0 on a CPU.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The one of an engine that uses no other.
    pub fn one(&self) -> u32 {
        self.0.first().copied().unwrap_or(0)
    }
}

impl FromIterator<u32> for Ordinals {
    fn from_iter<I: IntoIterator<Item = u32>>(ordinals: I) -> Self {
        Self(ordinals.into_iter().collect())
    }
}

/// As a job carries them. Programs of before there were lists know `gpu` alone.
#[derive(Serialize, Deserialize)]
struct Words {
    #[serde(default)]
    gpu: u32,
    #[serde(default)]
    gpus: Option<Vec<u32>>,
}

impl From<Words> for Ordinals {
    fn from(Words { gpu, gpus }: Words) -> Self {
        Self(gpus.unwrap_or_else(|| vec![gpu]))
    }
}

impl From<Ordinals> for Words {
    fn from(ordinals: Ordinals) -> Self {
        Self { gpu: ordinals.one(), gpus: Some(ordinals.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_knows_one_gpu_still_understands() {
        let ordinals: Ordinals = [1, 3].into_iter().collect();
        let text = serde_json::to_string(&ordinals).unwrap();
        assert_eq!(text, r#"{"gpu":1,"gpus":[1,3]}"#);
        assert_eq!(serde_json::from_str::<Ordinals>(&text).unwrap(), ordinals);
        assert_eq!(serde_json::from_str::<Ordinals>(r#"{"gpu":2}"#).unwrap().all(), [2]);
    }
}
