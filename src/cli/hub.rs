//! Settings for the hub, from the environment variables that the hub's own clients read.

use std::path::PathBuf;

use tracing::warn;

use crate::cli::environment::Environment;
use crate::model::HubSettings;
use crate::model::Token;
use crate::text_file;

/// Reads the variables, with the precedence of the Python client, `huggingface_hub`.
pub(super) fn settings(environment: &Environment) -> HubSettings {
    let text = |name| environment.text(name);
    HubSettings {
        offline: text("HF_HUB_OFFLINE")
            .or_else(|| text("TRANSFORMERS_OFFLINE"))
            .is_some_and(Environment::is_true),
        endpoint: text("HF_ENDPOINT").map(str::to_owned),
        token: token(environment),
        cache: Some(cache(environment)),
    }
}

/// Returns the access token: from the environment, or else from the file that the hub's login
/// command writes.
fn token(environment: &Environment) -> Option<Token> {
    let text = |name| environment.text(name);
    if text("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some_and(Environment::is_true) {
        return None;
    }
    if let Some(token) = text("HF_TOKEN").or_else(|| text("HUGGING_FACE_HUB_TOKEN")) {
        return Some(Token::new(token));
    }
    let file = environment.path("HF_TOKEN_PATH").unwrap_or_else(|| home(environment).join("token"));
    if matches!(file.try_exists(), Ok(false)) {
        return None;
    }
    let fault = match text_file::read(&file).map(String::from_utf8) {
        Ok(Ok(token)) => {
            return Some(token.trim()).filter(|token| !token.is_empty()).map(Token::new);
        }
        Ok(Err(_)) => "it is not UTF-8".to_owned(),
        Err(fault) => fault.chain(),
    };
    warn!(file = %file.display(), "the token of the hub cannot be read, and none is sent: {fault}");
    None
}

/// Returns the folder in which repositories are cached.
fn cache(environment: &Environment) -> PathBuf {
    environment
        .path("HF_HUB_CACHE")
        .or_else(|| environment.path("HUGGINGFACE_HUB_CACHE"))
        .unwrap_or_else(|| home(environment).join("hub"))
}

/// Returns the home folder of the hub's clients.
fn home(environment: &Environment) -> PathBuf {
    environment.path("HF_HOME").unwrap_or_else(|| {
        let caches = environment.path("XDG_CACHE_HOME");
        let caches = caches.or_else(|| environment.home().map(|home| home.join(".cache")));
        // A process without a home folder, as in some containers, has no lasting storage anyway.
        caches.unwrap_or_else(std::env::temp_dir).join("huggingface")
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_cache_is_in_the_same_folder_as_that_of_the_python_client() {
        type Variables<'a> = [(&'a str, &'a str); 5];
        let mut variables: Variables<'_> = [
            ("HOME", "/home/ann"),
            ("XDG_CACHE_HOME", ""),
            ("HF_HOME", ""),
            ("HUGGINGFACE_HUB_CACHE", ""),
            ("HF_HUB_CACHE", ""),
        ];
        // Each variable takes precedence over those before it.
        let steps = [
            ("HOME", "/home/ann", "/home/ann/.cache/huggingface/hub"),
            ("XDG_CACHE_HOME", "~/caches", "/home/ann/caches/huggingface/hub"),
            ("HF_HOME", "~/hf", "/home/ann/hf/hub"),
            ("HUGGINGFACE_HUB_CACHE", "/old", "/old"),
            ("HF_HUB_CACHE", "~", "/home/ann"),
        ];
        for (step, (name, value, expected)) in steps.into_iter().enumerate() {
            variables[step] = (name, value);
            let settings = settings(&Environment::from(variables));
            assert_eq!(settings.cache.as_deref(), Some(Path::new(expected)), "{name}");
        }
    }

    #[test]
    fn the_token_comes_from_a_variable_or_else_from_the_token_file() {
        let folder = tempfile::tempdir().unwrap();
        let (home, other) = (folder.path(), folder.path().join("other"));
        std::fs::write(home.join("token"), "hf_file\n").unwrap();
        std::fs::write(&other, " hf_other ").unwrap();
        let (home, other) = (home.to_str().unwrap(), other.to_str().unwrap());
        for (variables, expected) in [
            ([("HF_TOKEN", " hf_one\n"), ("HUGGING_FACE_HUB_TOKEN", "hf_two")], Some("hf_one")),
            ([("HF_TOKEN", " "), ("HUGGING_FACE_HUB_TOKEN", "hf_two\r\n")], Some("hf_two")),
            ([("HF_TOKEN", ""), ("HUGGING_FACE_HUB_TOKEN", "")], Some("hf_file")),
            ([("HF_TOKEN", ""), ("HF_TOKEN_PATH", other)], Some("hf_other")),
            ([("HF_TOKEN", ""), ("HF_TOKEN_PATH", "/nowhere/token")], None),
            ([("HF_TOKEN", "hf_one"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "True")], None),
            ([("HF_TOKEN", "hf_one"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "0")], Some("hf_one")),
        ] {
            let [one, two] = variables;
            let settings = settings(&Environment::from([("HF_HOME", home), one, two]));
            let token = settings.token.as_ref().map(Token::reveal);
            assert_eq!(token, expected, "{variables:?}");
            assert!(!format!("{settings:?}").contains("hf_"), "{settings:?}");
        }
    }

    #[test]
    fn a_token_file_may_have_a_byte_order_mark_and_is_ignored_unless_it_is_utf_8() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        for (bytes, expected) in [
            (&b"\xef\xbb\xbfhf_one\r\n"[..], Some("hf_one")),
            (b"\xef\xbb\xbf \n", None),
            (b"\xff\xfeh\0f\0_\0", None),
            (b"hf_\xff", None),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let variables = [("HF_TOKEN_PATH", file.to_str().unwrap())];
            let settings = settings(&Environment::from(variables));
            assert_eq!(settings.token.as_ref().map(Token::reveal), expected, "{bytes:?}");
        }
    }

    #[test]
    fn either_variable_turns_offline_mode_on_in_any_spelling_of_true() {
        for (hub, transformers, expected) in [
            ("1", "", true),
            ("True", "", true),
            (" yes ", "", true),
            ("on", "0", true),
            ("", "1", true),
            ("0", "1", false),
            ("no", "", false),
            ("", "", false),
        ] {
            let variables = [("HF_HUB_OFFLINE", hub), ("TRANSFORMERS_OFFLINE", transformers)];
            let settings = settings(&Environment::from(variables));
            assert_eq!(settings.offline, expected, "{variables:?}");
        }
    }
}
