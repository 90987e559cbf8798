//! The arguments for API keys.

use std::path::PathBuf;

use clap::Subcommand;
use clap::ValueEnum;

use crate::key::Name;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Access")]
pub(in crate::cli) struct AccessArgs {
    /// File of accepted keys, one line per key from moderato key new [default: no key needed]
    #[arg(long, env = "MODERATO_API_KEYS_FILE", value_name = "FILE")]
    pub(in crate::cli) api_keys_file: Option<PathBuf>,
    /// Routes that need no key where keys are used, separated by commas
    #[arg(long, env = "MODERATO_OPEN", value_name = "AREAS", value_delimiter = ',')]
    #[arg(default_value = "health")]
    pub(in crate::cli) open: Vec<OpenArea>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum OpenArea {
    /// /health, /health/*, /ping and /v2/health/*
    Health,
    /// /metrics, which otherwise needs a key with the role admin
    Metrics,
    /// /docs and /openapi.json
    Docs,
    /// Nothing
    None,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct KeyArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: KeyCommand,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Create a key: its line for the file goes to stdout, the key itself, only this once, to
    /// stderr
    New(NewKeyArgs),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct NewKeyArgs {
    /// Name of the key in the file and in logs
    pub(in crate::cli) name: Name,
    /// Role of the key
    #[arg(long, default_value = "client")]
    pub(in crate::cli) role: KeyRole,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum KeyRole {
    /// Scoring and documentation
    Client,
    /// The same, metrics and the admin routes
    Admin,
}
