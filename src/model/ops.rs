//! Fused CPU operations on slices and views; the SIMD instruction set is chosen at run time.
//!
//! Each operation works on rows of tokens, packed end to end, on one thread; `cpu/partition.rs`
//! divides rows and columns among threads. Each is tested against a reference implementation in
//! plain candle.

mod activation;
mod attention;
mod embedding;
mod exp;
mod kernel;
mod linear;
mod norm;
mod panel;
mod product;
mod quantized;
mod quantized_rows;
#[cfg(test)]
mod reference;

pub use self::activation::Activation;
pub use self::attention::Attention;
pub use self::attention::AttentionScratch;
pub use self::embedding::Embeddings;
pub use self::linear::Linear;
pub use self::linear::LinearInput;
pub use self::norm::LayerNorm;
pub use self::quantized_rows::QuantizedRows;
pub use self::quantized_rows::QuantizedView;
pub use self::quantized_rows::QuantizedViewMut;
pub use crate::model::parameters::Affine;
pub use crate::model::parameters::Norm;
pub use crate::model::raw::Format;
pub use crate::model::raw::Raw;
