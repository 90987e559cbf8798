//! `moderato key`: makes keys.

use crate::cli::ExitCode;
use crate::cli::args::KeyArgs;
use crate::cli::args::KeyCommand;
use crate::cli::args::KeyRole;
use crate::cli::args::NewKeyArgs;
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
    let secret = Secret::of(random);
    let role = Role::from(*role);
    let mut output = Output::stdout();
    output.line(format_args!("{name} {role} {}", secret.hash()))?;
    output.flush()?;
    show(&secret);
    Ok(ExitCode::Success)
}

/// Beside the output, which so can be appended to the file as it is.
#[expect(clippy::print_stderr, reason = "it goes to the person who asked for it, and to no log")]
fn show(secret: &Secret) {
    eprintln!("The key, which is shown only this once:\n{}", secret.reveal());
}

impl From<KeyRole> for Role {
    fn from(role: KeyRole) -> Self {
        match role {
            KeyRole::Client => Self::Client,
            KeyRole::Admin => Self::Admin,
        }
    }
}
