//! Parsing of `--log`: a level, or levels by module.

use tracing_subscriber::EnvFilter;

use crate::error::Error;
use crate::error::Result;

/// Parses directives separated by commas, each `LEVEL` or `MODULE=LEVEL`. Without a plain `LEVEL`,
/// the other modules log at the default level.
///
/// `EnvFilter` takes an unknown word for a module name and disables modules without a directive;
/// here an unknown word is refused, so that a typo cannot hide errors.
pub(super) fn parse(text: &str, default: &str) -> Result<EnvFilter> {
    let typed = text.split(',').map(str::trim).filter(|directive| !directive.is_empty());
    let mut directives: Vec<_> = typed.map(directive).collect::<Result<_>>()?;
    if directives.is_empty() {
        return Err(refuse(format!("{text:?} names no level; expected {EXPECTED}")));
    }
    if directives.iter().all(|directive| directive.contains('=')) {
        directives.push(default.to_owned());
    }
    EnvFilter::try_new(directives.join(",")).map_err(|fault| refuse(fault.to_string()))
}

/// Returns the directive with its level in the spelling of `tracing`.
fn directive(typed: &str) -> Result<String> {
    let (module, word) = match typed.rsplit_once('=') {
        Some((module, word)) => (Some(module.trim_end()), word),
        None => (None, typed),
    };
    let Some(level) = level(word) else {
        return Err(refuse(format!("unknown level {word:?}; expected {EXPECTED}")));
    };
    match module {
        Some(module) if !is_module(module) => {
            Err(refuse(format!("{module:?} is not a module; expected {EXPECTED}")))
        }
        Some(module) => Ok(format!("{module}={level}")),
        None => Ok(level.into()),
    }
}

fn is_module(path: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    path.split("::").all(|name| !name.is_empty() && name.bytes().all(is_letter))
}

/// Returns the level that a word names, in the usual spellings of loggers and of syslog.
fn level(word: &str) -> Option<&'static str> {
    let level = match word.trim().to_ascii_lowercase().as_str() {
        "off" | "none" | "silent" | "quiet" => "off",
        "error" | "err" | "critical" | "crit" | "fatal" | "alert" | "emerg" | "panic" => "error",
        "warn" | "warning" => "warn",
        "info" | "information" | "notice" | "default" => "info",
        "debug" | "verbose" => "debug",
        "trace" | "all" => "trace",
        _ => return None,
    };
    Some(level)
}

fn refuse(reason: String) -> Error {
    Error::Config { name: "log", reason }
}

const EXPECTED: &str = "off, error, warn, info, debug or trace, or MODULE=LEVEL for a module alone, \
                        separated by commas";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_taken_in_their_usual_spellings() {
        for (typed, filter) in [
            ("warning", "warn"),
            ("WARN", "warn"),
            ("Critical", "error"),
            ("fatal", "error"),
            ("err", "error"),
            ("verbose", "debug"),
            ("notice", "info"),
            ("none", "off"),
            ("hyper=debug", "hyper=debug,warn"),
            ("moderato::http=off", "moderato::http=off,warn"),
            ("hyper=debug,off", "hyper=debug,off"),
            (" info , hyper = Warning ", "hyper=warn,info"),
            (
                "warning,moderato::http::telemetry::request_log=critical",
                "moderato::http::telemetry::request_log=error,warn",
            ),
        ] {
            assert_eq!(parse(typed, "warn").unwrap().to_string(), filter, "{typed}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused_and_named() {
        for (typed, named) in [
            ("loud", "unknown level \"loud\""),
            ("info,hyper", "unknown level \"hyper\""),
            ("moderato=loud", "unknown level \"loud\""),
            ("moderato=", "unknown level \"\""),
            (",", "names no level"),
            ("=(", "unknown level \"(\""),
            ("=info", "\"\" is not a module"),
            ("moderato-x=info", "\"moderato-x\" is not a module"),
            ("moderato::http:observe=info", "\"moderato::http:observe\" is not a module"),
            ("a b=warn", "\"a b\" is not a module"),
            ("[x]=warn", "\"[x]\" is not a module"),
        ] {
            let fault = parse(typed, "warn").unwrap_err();
            assert!(matches!(fault, Error::Config { name: "log", .. }), "{fault}");
            assert!(fault.to_string().contains(named), "{typed}: {fault}");
        }
    }
}
