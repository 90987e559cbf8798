//! `moderato policy`: shows the policy that texts are judged by.

use crate::cli::ExitCode;
use crate::cli::args::PolicyArgs;
use crate::cli::args::SourceArgs;
use crate::cli::heads::heads;
use crate::cli::output::Output;
use crate::error::Error;
use crate::error::Result;
use crate::model::HubSettings;
use crate::model::PolicyFile;
use crate::policy::Policy;
use crate::policy::Threshold;

pub(super) fn run(args: &PolicyArgs, hub: HubSettings) -> Result<ExitCode> {
    let own = read(&args.source, hub)?;
    let mut output = Output::stdout();
    if args.json {
        output.json(&own.policy)?;
    } else if args.toml {
        let toml = toml::to_string_pretty(&own.policy)
            .map_err(|fault| Error::Config { name: "policy", reason: fault.to_string() })?;
        output.line(toml.trim_end())?;
    } else {
        show(&own.policy, &mut output)?;
    }
    output.flush()?;
    Ok(ExitCode::Success)
}

/// Returns the operator's policy, the model's own, or one made from the labels of the model.
fn read(args: &SourceArgs, hub: HubSettings) -> Result<PolicyFile> {
    if let Some(path) = args.policies().first() {
        return PolicyFile::open(path);
    }
    let (source, models) = (args.only()?, args.models());
    let heads = heads(&models, &[], &args.benign_labels)?;
    PolicyFile::from_model(&source, &heads.into_values().next().unwrap_or_default(), hub)
}

fn show(policy: &Policy, output: &mut Output) -> Result<()> {
    output.line(format_args!("{}, {} ({})", policy.name, policy.version, policy.reference()))?;
    if !policy.ignored_labels.is_empty() {
        output.line(format_args!("ignored labels: {}", policy.ignored_labels.join(", ")))?;
    }
    for category in &policy.categories {
        output.line("")?;
        output.line(format_args!("{}: {}", category.id, category.title))?;
        if !category.summary.is_empty() {
            output.line(format_args!("  {}", category.summary))?;
        }
        if category.threshold == Threshold::OFF {
            output.line("  disabled: a threshold of 1")?;
        } else {
            let threshold = category.threshold.value();
            output
                .line(format_args!("  {} at scores of {threshold} and above", category.action))?;
        }
        if category.labels != [category.id.as_str()] {
            output.line(format_args!("  labels: {}", category.labels.join(", ")))?;
        }
        for clause in &category.clauses {
            let labels = match clause.labels.as_slice() {
                [] => String::new(),
                [label] => format!(" (label {label})"),
                labels => format!(" (labels {})", labels.join(", ")),
            };
            output.line(format_args!("  - {}{labels}: {}", clause.id, clause.text))?;
        }
    }
    Ok(())
}
