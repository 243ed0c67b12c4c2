//! Why there is no `graph`.

use candle_core::DType;

use super::unfit::Unfit;
use crate::engine::candle::candle_error::message;

/// All but the last are no fault: another implementation may run the model.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    #[cfg(not(feature = "cuda"))]
    #[error("this build has no GPU kernels")]
    NoKernels,
    #[error("it computes in bf16, not in {0:?}")]
    Type(DType),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("{}", message(.0))]
    Device(candle_core::Error),
    /// Why two cards can't decode together.
    #[cfg(feature = "cuda")]
    #[error("{0}")]
    Apart(String),
    #[error("its kernels can't be loaded: {}", message(.0))]
    Unloadable(candle_core::Error),
    #[error("its kernel can't be launched: {}", message(.0))]
    Unlaunchable(candle_core::Error),
    /// Loading failed, as it would for any implementation.
    #[error("{}", message(.0))]
    Failed(#[from] candle_core::Error),
}
