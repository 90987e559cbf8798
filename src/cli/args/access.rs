//! The arguments about keys.

use std::path::PathBuf;

use clap::Subcommand;
use clap::ValueEnum;

use crate::key::Name;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Access")]
pub(in crate::cli) struct AccessArgs {
    /// Keys that may ask, a line each, as moderato key new prints it [default: anybody may ask]
    #[arg(long, env = "MODERATO_API_KEYS_FILE", value_name = "FILE")]
    pub(in crate::cli) api_keys_file: Option<PathBuf>,
    /// What needs no key where there are keys, separated by commas
    #[arg(long, env = "MODERATO_OPEN", value_name = "AREAS", value_delimiter = ',')]
    #[arg(default_value = "health")]
    pub(in crate::cli) open: Vec<OpenArea>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum OpenArea {
    /// /health/live, /health/ready and /v2/health
    Health,
    /// /metrics, which else needs a key with the role admin
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
    /// Make a key: its line for the file goes to stdout, the key itself, this once, to stderr
    New(NewKeyArgs),
}

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct NewKeyArgs {
    /// Stands for the key in the file and in logs
    pub(in crate::cli) name: Name,
    /// What it opens
    #[arg(long, default_value = "client")]
    pub(in crate::cli) role: KeyRole,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum KeyRole {
    /// Whatever scores and describes
    Client,
    /// That, and metrics
    Admin,
}
