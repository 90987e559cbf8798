//! `moderato key`: creates API keys.

use std::path::Path;

use crate::cli::ExitCode;
use crate::cli::args::KeyArgs;
use crate::cli::args::KeyCommand;
use crate::cli::args::KeyRole;
use crate::cli::args::NewKeyArgs;
use crate::cli::file_error;
use crate::cli::output;
use crate::cli::output::Output;
use crate::error::Error;
use crate::error::Result;
use crate::key::Role;
use crate::key::Secret;

pub(super) fn run(args: &KeyArgs) -> Result<ExitCode> {
    let KeyCommand::New(NewKeyArgs { name, role }) = &args.command;
    let mut random = [0; 32];
    getrandom::fill(&mut random)
        .map_err(|fault| Error::Config { name: "key", reason: fault.to_string() })?;
    let secret = Secret::from_random(random);
    let role = Role::from(*role);
    // Shown first: a line in the key file is useless if its key was never seen.
    show(&secret).map_err(|fault| file_error(Path::new("stderr"), "writing", fault))?;
    let mut output = Output::stdout();
    output.line(format_args!("{name} {role} {}", secret.hash()))?;
    output.flush()?;
    Ok(ExitCode::Success)
}

/// Prints the key to stderr, so that stdout can be appended to the key file as is; never logs it.
fn show(secret: &Secret) -> std::io::Result<()> {
    let text = format!("The key, which is shown only this once:\n{}\n", secret.reveal());
    output::stderr().write_all(text.as_bytes())
}

impl From<KeyRole> for Role {
    fn from(role: KeyRole) -> Self {
        match role {
            KeyRole::Client => Self::Client,
            KeyRole::Admin => Self::Admin,
        }
    }
}
