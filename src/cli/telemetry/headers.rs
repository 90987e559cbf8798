//! Headers of requests to the collector, such as an API key.

use tracing::warn;

use crate::cli::environment::Environment;

/// Reads comma-separated `NAME=VALUE` pairs from the variable for traces, else from the common one.
/// Values are percent-encoded. An invalid pair is skipped; its value may be a key, so only its
/// index is logged.
pub(super) fn read(environment: &Environment) -> Vec<(String, String)> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
    let chosen = names.into_iter().find_map(|name| Some((name, environment.text(name)?)));
    let Some((variable, pairs)) = chosen else {
        return Vec::new();
    };
    let pairs = pairs.split(',').enumerate().filter(|(_, pair)| !pair.trim().is_empty());
    let read = |(index, pair)| {
        let header = header(pair);
        if header.is_none() {
            warn!(variable, index, "a header for the collector is left out: expected NAME=VALUE");
        }
        header
    };
    pairs.filter_map(read).collect()
}

fn header(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim(), decode(value.trim())?);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_whole = !name.is_empty() && name.bytes().all(is_name);
    (is_whole && !value.contains(char::is_control)).then(|| (name.to_owned(), value))
}

/// Decodes percent-encoding; returns `None` if it is malformed or not UTF-8.
fn decode(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let code =
            part.get(..2).filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(code, 16).ok()?);
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_decoded_and_what_is_none_is_left_out() {
        for (text, expected) in [
            ("api-key=secret", &[("api-key", "secret")][..]),
            (" a = b , c=d=e,", &[("a", "b"), ("c", "d=e")]),
            ("authorization=Basic%20YWI%3D", &[("authorization", "Basic YWI=")]),
            ("a=%C3%A9", &[("a", "é")]),
            ("nonsense,=b,a b=c,a=%2,a=%+1,a=%0a,a=%FF,good=1", &[("good", "1")]),
            ("", &[]),
        ] {
            let environment = Environment::from([("OTEL_EXPORTER_OTLP_HEADERS", text)]);
            let headers = read(&environment);
            let headers: Vec<_> =
                headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(headers, expected, "{text}");
        }
    }

    #[test]
    fn the_headers_for_traces_win_unless_there_are_none() {
        for (own, expected) in [("a=own", "own"), ("", "common"), (" ", "common")] {
            let environment = Environment::from([
                ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", own),
                ("OTEL_EXPORTER_OTLP_HEADERS", "a=common"),
            ]);
            assert_eq!(read(&environment), [("a".to_owned(), expected.to_owned())], "{own:?}");
        }
    }
}
