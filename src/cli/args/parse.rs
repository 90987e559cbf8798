//! Parsing of the arguments, lenient about environment variables: an empty variable counts as
//! unset, and booleans may be spelt in several ways.

use std::any::TypeId;
use std::ffi::OsStr;
use std::ffi::OsString;

use clap::CommandFactory;
use clap::FromArgMatches;
use clap::builder::BoolishValueParser;
use clap::builder::Resettable;

use crate::cli::args::Args;
use crate::cli::environment::Environment;

impl Args {
    /// Parses the arguments, which start with the name of the program, and the flags' environment
    /// variables.
    pub(in crate::cli) fn read(
        arguments: impl IntoIterator<Item = OsString>,
        environment: &Environment,
    ) -> Result<Self, clap::Error> {
        let mut command = with_lenient_env(Self::command(), environment);
        let mut matches = command.try_get_matches_from_mut(arguments)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|fault| fault.format(&mut command))
    }
}

/// Makes a command and its subcommands accept blank and renamed variables, and any usual spelling
/// of a boolean.
fn with_lenient_env(command: clap::Command, environment: &Environment) -> clap::Command {
    let command = command.mut_args(|arg| {
        let unset = arg.get_env().filter(|variable| !environment.is_set(variable));
        let former = unset.and_then(former_name).filter(|former| environment.is_set(former));
        let arg = match (former, unset.is_some_and(|variable| environment.is_blank(variable))) {
            (Some(former), _) => arg.env(former),
            (None, true) => arg.env(Resettable::Reset),
            (None, false) => arg,
        };
        if arg.get_value_parser().type_id() == TypeId::of::<bool>() {
            arg.value_parser(BoolishValueParser::new())
        } else {
            arg
        }
    });
    command.mut_subcommands(|command| with_lenient_env(command, environment))
}

/// Returns the former name of a renamed variable.
fn former_name(variable: &OsStr) -> Option<&'static str> {
    let renamed = RENAMED.iter().find(|(name, _)| *name == variable);
    renamed.map(|&(_, former)| former)
}

/// Variables and their former names, which are read if the current name is not set. Former names of
/// flags are aliases in the flags' definitions.
const RENAMED: &[(&str, &str)] = &[
    ("MODERATO_MAX_BATCH_TOKENS", "MODERATO_BATCH_TOKENS"),
    ("MODERATO_MAX_QUEUE_TOKENS", "MODERATO_QUEUE_TOKENS"),
    ("MODERATO_MAX_QUEUE_MS", "MODERATO_QUEUE_MS"),
    ("MODERATO_MAX_SPAN_TOKENS", "MODERATO_SPAN_TOKENS"),
    ("MODERATO_REQUEST_TIMEOUT_MS", "MODERATO_TIMEOUT_MS"),
    ("MODERATO_SHUTDOWN_TIMEOUT_MS", "MODERATO_GRACE_MS"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_sound() {
        with_lenient_env(Args::command(), &Environment::from([])).debug_assert();
    }
}
