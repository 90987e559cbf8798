//! The fused operations of the CPU, on slices and views; SIMD is chosen at run time.
//!
//! Each works on rows of tokens, packed end to end, and on one thread; `cpu.rs` divides the rows
//! or the columns among threads. Each has a twin in plain candle that it is tested against.

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
#[cfg(test)]
mod twins;

pub(super) use self::activation::Activation;
pub(super) use self::attention::Attention;
pub(super) use self::attention::AttentionScratch;
pub(super) use self::embedding::Embeddings;
pub(super) use self::linear::Input;
pub(super) use self::linear::Linear;
pub(super) use self::norm::LayerNorm;
pub(super) use self::quantized::QuantizedRows;
