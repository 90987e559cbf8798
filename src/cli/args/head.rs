//! The argument for the activation of a model's head.

use std::str::FromStr;

use crate::score::Activation;

/// `[NAME=]ACTIVATION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct NamedActivation {
    pub(in crate::cli) name: Option<String>,
    pub(in crate::cli) activation: Activation,
}

impl FromStr for NamedActivation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, activation)) => {
                Ok(Self { name: Some(name.into()), activation: activation.parse()? })
            }
            None => Ok(Self { name: None, activation: text.parse()? }),
        }
    }
}
