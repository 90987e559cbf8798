//! The devices and number types that a model can run with.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

use crate::error::Error;
use crate::error::Result;

/// A device that a model can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU, by device number; only in binaries built with the feature `cuda`.
    Cuda(usize),
    /// An Apple GPU, by device number; only in binaries built with the feature `metal`.
    Metal(usize),
}

impl Placement {
    pub(super) fn open(self) -> Result<Device> {
        let device = match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(ordinal) => Device::new_cuda(ordinal),
            Self::Metal(ordinal) => Device::new_metal(ordinal),
        };
        device.map_err(|fault| {
            let reason = format!("{self} cannot be used: {fault}");
            Error::Config { name: "device", reason: first_line(&reason) }
        })
    }
}

/// Number type that the matrix products of the layers are computed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// 32-bit floating point.
    F32,
    /// 8-bit integers: weights are quantised on loading with one scale per output, activations with
    /// one scale per token. Everything except the matrix products stays in f32.
    Int8,
}

impl Dtype {
    /// Returns the name of the type, as accepted by `--dtype`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

impl FromStr for Dtype {
    type Err = String;

    /// Parses `f32` or `int8`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "int8" => Ok(Self::Int8),
            _ => Err(format!("expected f32 or int8, found {text:?}")),
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Placement {
    type Err = String;

    /// Parses `cpu`, `cuda`, `cuda:N`, `metal` or `metal:N`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, ordinal) = text.split_once(':').unwrap_or((text, "0"));
        match (kind, ordinal.parse()) {
            ("cpu", Ok(0)) => Ok(Self::Cpu),
            ("cuda", Ok(ordinal)) => Ok(Self::Cuda(ordinal)),
            ("metal", Ok(ordinal)) => Ok(Self::Metal(ordinal)),
            _ => Err(format!("expected cpu, cuda, cuda:N, metal or metal:N, found {text:?}")),
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => formatter.write_str("cpu"),
            Self::Cuda(ordinal) => write!(formatter, "cuda:{ordinal}"),
            Self::Metal(ordinal) => write!(formatter, "metal:{ordinal}"),
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().into()
}
