//! The arguments, exactly as typed.

mod access;
mod connections;
mod head;
mod list;
mod listen;
mod observe;
mod parse;
mod source;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Parser;
use clap::Subcommand;
use clap::ValueEnum;

pub(super) use self::access::AccessArgs;
pub(super) use self::access::KeyArgs;
pub(super) use self::access::KeyCommand;
pub(super) use self::access::KeyRole;
pub(super) use self::access::NewKeyArgs;
pub(super) use self::access::OpenArea;
pub(super) use self::connections::ConnectionArgs;
pub(super) use self::head::NamedActivation;
pub(super) use self::listen::ListenAddress;
pub(super) use self::observe::AuditArgs;
pub(super) use self::observe::AuditFailure;
pub(super) use self::observe::TraceArgs;
pub(super) use self::source::NamedSource;
pub(super) use self::source::SourceArgs;
use crate::model::Dtype;
use crate::model::Placement;
use crate::model::replica_threads;

/// Scores text against every category of a usage policy.
#[derive(Debug, Parser)]
#[command(name = "moderato", version, max_term_width = 100)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) logging: LoggingArgs,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Serve scores over HTTP
    Serve(Box<ServeArgs>), // boxed: much larger than the others
    /// Score texts from the command line or from a file
    Score(ScoreArgs),
    /// Answer a file of requests in the format of OpenAI's Batch API
    Batch(BatchArgs),
    /// Measure the quality of the scores on labelled texts
    Evaluate(EvaluateArgs),
    /// Show the policy that serves by default
    Policy(PolicyArgs),
    /// Create keys for the --api-keys-file of serve
    Key(KeyArgs),
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Logging")]
pub(super) struct LoggingArgs {
    /// Level to log at, or levels by module [default: info for serve, warn otherwise]
    #[arg(long, global = true, env = "MODERATO_LOG", value_name = "FILTER")]
    pub(super) log: Option<String>,
    /// Format of the log, on stderr
    #[arg(long, global = true, env = "MODERATO_LOG_FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

#[derive(Debug, clap::Args)]
pub(super) struct ServeArgs {
    #[arg(long, env = "MODERATO_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    #[arg(
        help = "Address to listen on: HOST:PORT (port 0 picks a free port and logs it), :PORT for \
                all interfaces, unix:PATH[?mode=0660], or systemd:[NAME] for a socket from \
                systemd"
    )]
    pub(super) listen: ListenAddress,
    /// Address of the routes that swap the model; any but a local one needs keys and TLS
    #[arg(long, env = "MODERATO_ADMIN_LISTEN", value_name = "ADDRESS")]
    pub(super) admin_listen: Option<ListenAddress>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    /// Maximum extra tokens for finding the spans of a request
    #[arg(long, alias = "span-tokens", env = "MODERATO_MAX_SPAN_TOKENS")]
    #[arg(value_name = "N", default_value = "8192")]
    #[arg(help_heading = "Limits")]
    pub(super) max_span_tokens: usize,
    /// Ignore images, audio and video instead of refusing the request
    #[arg(long, env = "MODERATO_IGNORE_IMAGES")]
    pub(super) ignore_images: bool,
    /// Maximum bytes of a request body
    #[arg(long, env = "MODERATO_MAX_BODY_BYTES", value_name = "N", default_value = "2097152")]
    #[arg(help_heading = "Limits")]
    pub(super) max_body_bytes: NonZeroUsize,
    /// Maximum texts in a request
    #[arg(long, env = "MODERATO_MAX_TEXTS", value_name = "N", default_value = "256")]
    #[arg(help_heading = "Limits")]
    pub(super) max_texts: NonZeroUsize,
    /// Maximum tokens in the queue; beyond it, 503
    #[arg(long, alias = "queue-tokens", env = "MODERATO_MAX_QUEUE_TOKENS")]
    #[arg(value_name = "N", default_value = "131072")]
    #[arg(help_heading = "Limits")]
    pub(super) max_queue_tokens: NonZeroUsize,
    /// Maximum time to process the queue, by the model's throughput, in milliseconds; beyond it,
    /// 503
    #[arg(long, alias = "queue-ms", env = "MODERATO_MAX_QUEUE_MS")]
    #[arg(value_name = "MS", default_value_t = 1500)]
    #[arg(help_heading = "Limits", value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub(super) max_queue_ms: u64,
    /// Maximum time for a request, in milliseconds; the header x-request-timeout-ms may lower it
    #[arg(long, alias = "timeout-ms", env = "MODERATO_REQUEST_TIMEOUT_MS")]
    #[arg(value_name = "MS", default_value_t = 10_000)]
    #[arg(help_heading = "Limits", value_parser = clap::value_parser!(u64).range(1..=86_400_000))]
    pub(super) request_timeout_ms: u64,
    #[command(flatten)]
    pub(super) connections: ConnectionArgs,
    #[command(flatten)]
    pub(super) access: AccessArgs,
    #[command(flatten)]
    pub(super) audit: AuditArgs,
    #[command(flatten)]
    pub(super) traces: TraceArgs,
    /// On SIGTERM: time to keep serving while unready, in milliseconds
    #[arg(long, env = "MODERATO_DRAIN_DELAY_MS", value_name = "MS", default_value_t = 0)]
    #[arg(help_heading = "Shutdown", value_parser = clap::value_parser!(u64).range(0..=86_400_000))]
    pub(super) drain_delay_ms: u64,
    /// After that: maximum time to finish accepted requests, in milliseconds
    #[arg(long, alias = "grace-ms", env = "MODERATO_SHUTDOWN_TIMEOUT_MS")]
    #[arg(value_name = "MS", default_value_t = 25_000)]
    #[arg(help_heading = "Shutdown", value_parser = clap::value_parser!(u64).range(0..=86_400_000))]
    pub(super) shutdown_timeout_ms: u64,
}

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what to score").required(true).args(["texts", "input"]))]
pub(super) struct ScoreArgs {
    /// Texts to score
    #[arg(value_name = "TEXT")]
    pub(super) texts: Vec<OsString>,
    /// JSON Lines to score, each with a field "text"; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,
    /// File for the results, as JSON Lines; - is stdout [default: -]
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Field that takes the results as an object [default: results are added to the line's own
    /// fields]
    #[arg(long, env = "MODERATO_RESULT_KEY", value_name = "NAME", value_parser = result_key)]
    pub(super) result_key: Option<String>,
    /// Add clause scores to violated categories, for clauses that the model scores
    #[arg(long, env = "MODERATO_CLAUSES")]
    pub(super) clauses: bool,
    /// What to do with a line that cannot be scored
    #[arg(long, env = "MODERATO_ON_ERROR", default_value = "stop")]
    pub(super) on_error: OnError,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct BatchArgs {
    /// JSON Lines of requests, each with a unique id; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(super) input: PathBuf,
    /// File for the answers, as JSON Lines in the same order; - is stdout [default: -]
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Ignore images, audio and video instead of refusing the request
    #[arg(long, env = "MODERATO_IGNORE_IMAGES")]
    pub(super) ignore_images: bool,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnError {
    /// Write the results before it, then stop
    Stop,
    /// Report it on stderr and continue
    Skip,
}

#[derive(Debug, clap::Args)]
pub(super) struct EvaluateArgs {
    /// JSON Lines with "text" and "labels": {category: 1, 0, true, false or null}; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(super) input: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(super) json: bool,
    /// Skip texts with more windows than this
    #[arg(long, value_name = "N")]
    pub(super) max_windows: Option<usize>,
    #[command(flatten)]
    pub(super) model: ModelArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct PolicyArgs {
    /// Print JSON
    #[arg(long, conflicts_with = "toml")]
    pub(super) json: bool,
    /// Print TOML, to edit and pass to --policy
    #[arg(long)]
    pub(super) toml: bool,
    #[command(flatten)]
    pub(super) source: SourceArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Model")]
pub(super) struct ModelArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,
    /// Activation, sigmoid or softmax, instead of the one in config.json; with several models,
    /// NAME=ACTIVATION
    #[arg(long = "activation", env = "MODERATO_ACTIVATION", value_name = "ACTIVATION")]
    #[arg(value_delimiter = ',')]
    pub(super) activations: Vec<NamedActivation>,
    /// Device to compute on: cpu, cuda, cuda:N, metal or metal:N
    #[arg(long, env = "MODERATO_DEVICE", default_value = "cpu")]
    pub(super) device: Placement,
    /// Data type to compute in: f32 or int8 (CPU only; faster, scores differ a little)
    #[arg(long, env = "MODERATO_DTYPE", default_value = "f32")]
    pub(super) dtype: Dtype,
    /// Number of compute threads [default: the CPUs that the process may use]
    #[arg(long, env = "MODERATO_THREADS", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    /// Copies of the model that compute in parallel on the CPU; they share its weights in memory
    /// and
    /// divide the threads
    #[arg(long, env = "MODERATO_REPLICAS", value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) replicas: u16,
    /// Maximum tokens in a batch [default: 256 per thread of a replica, 16384 on a GPU]
    #[arg(long, alias = "batch-tokens", env = "MODERATO_MAX_BATCH_TOKENS", value_name = "N")]
    pub(super) max_batch_tokens: Option<NonZeroUsize>,
    /// Tokens that neighbouring windows of a long text share
    #[arg(long, env = "MODERATO_OVERLAP", value_name = "N", default_value_t = 64)]
    pub(super) overlap: usize,
    /// Score obfuscated texts (zero-width characters, look-alikes, l33t, s p a c e d) normalised
    /// too
    #[arg(long, env = "MODERATO_NORMALISE", value_name = "BOOL", default_value_t = true)]
    #[arg(action = clap::ArgAction::Set)]
    pub(super) normalise: bool,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
pub(super) struct LimitArgs {
    /// Maximum characters in a text
    #[arg(long, env = "MODERATO_MAX_CHARS", value_name = "N", default_value = "100000")]
    pub(super) max_chars: NonZeroUsize,
    /// Maximum tokens in a request, over all windows of its texts
    #[arg(long, env = "MODERATO_MAX_REQUEST_TOKENS", value_name = "N", default_value = "32768")]
    pub(super) max_request_tokens: NonZeroUsize,
}

/// Parses the name of a result field; refuses `text`, which every line has.
fn result_key(name: &str) -> Result<String, &'static str> {
    match name {
        "" => Err("a field needs a name"),
        "text" => Err("that is the field of the text itself"),
        name => Ok(name.into()),
    }
}

impl Command {
    /// Returns the log level to use if none is given.
    pub(super) fn default_log(&self) -> &'static str {
        match self {
            Self::Serve(_) => "info",
            Self::Score(_)
            | Self::Batch(_)
            | Self::Evaluate(_)
            | Self::Policy(_)
            | Self::Key(_) => "warn",
        }
    }

    /// Returns the number of runtime threads.
    pub(super) fn threads(&self) -> usize {
        match self {
            Self::Serve(args) => args.model.threads(),
            Self::Score(args) => args.model.threads(),
            Self::Batch(args) => args.model.threads(),
            Self::Evaluate(args) => args.model.threads(),
            Self::Policy(_) | Self::Key(_) => 1,
        }
    }
}

impl ModelArgs {
    /// Returns the number of compute threads: `--threads`, else the CPUs that the affinity mask and
    /// the cgroup's quota allow.
    pub(super) fn threads(&self) -> usize {
        match self.threads {
            Some(threads) => threads.into(),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// Returns the maximum tokens in a batch: `--max-batch-tokens`, else enough to keep every
    /// thread busy and the wait for a batch short.
    pub(super) fn batch_tokens(&self) -> usize {
        match (self.max_batch_tokens, self.device) {
            (Some(batch_tokens), _) => batch_tokens.get(),
            // On two cores, 1024 per thread gave 5 % more texts per second, and at 70 % of that
            // load a third more latency.
            (None, Placement::Cpu) => 256 * replica_threads(self.threads(), self.replicas.into()),
            (None, Placement::Cuda(_) | Placement::Metal(_)) => 16_384,
        }
    }
}
