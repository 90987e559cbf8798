//! Parsing, with the habits of deployments: an empty variable is an unset one, and booleans in
//! variables are spelt in several ways.

use std::any::TypeId;
use std::ffi::OsString;

use clap::CommandFactory;
use clap::FromArgMatches;
use clap::builder::BoolishValueParser;
use clap::builder::Resettable;

use crate::cli::args::Args;
use crate::cli::environment::Environment;

impl Args {
    /// Reads the arguments, the name of the program first, and the variables of the flags.
    pub(in crate::cli) fn read(
        arguments: impl IntoIterator<Item = OsString>,
        environment: &Environment,
    ) -> Result<Self, clap::Error> {
        let mut command = lenient(Self::command(), environment);
        let mut matches = command.try_get_matches_from_mut(arguments)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|fault| fault.format(&mut command))
    }
}

/// The same command and its subcommands, for variables as people write them.
fn lenient(command: clap::Command, environment: &Environment) -> clap::Command {
    let command = command.mut_args(|arg| {
        let is_blank = arg.get_env().is_some_and(|variable| environment.is_blank(variable));
        let arg = if is_blank { arg.env(Resettable::Reset) } else { arg };
        if arg.get_value_parser().type_id() == TypeId::of::<bool>() {
            arg.value_parser(BoolishValueParser::new())
        } else {
            arg
        }
    });
    command.mut_subcommands(|command| lenient(command, environment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_sound() {
        lenient(Args::command(), &Environment::from([])).debug_assert();
    }
}
