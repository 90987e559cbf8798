//! The program's requests to a hub, configured by the variables of the hub's own clients.

use super::*;

#[test]
fn the_token_is_sent_trimmed_from_any_place_that_it_may_be_in() {
    for (name, variables) in [
        ("white space", &[("HF_TOKEN", " hf_secret\n")][..]),
        ("old name", &[("HF_TOKEN", ""), ("HUGGING_FACE_HUB_TOKEN", "hf_secret")]),
        ("file of a login", &[("HF_TOKEN", "")]),
    ] {
        let (hub, home) = (FakeHub::start(&support::tiny()), home());
        std::fs::write(home.path().join("token"), "hf_secret\r\n").unwrap();
        stdout(&score(&hub.endpoint, home.path(), "org/tiny", variables));
        let asked = hub.asked();
        let of_the_hub = asked.iter().filter(|asked| asked.path.starts_with("/org/"));
        for asked in of_the_hub {
            assert_eq!(asked.authorization.as_deref(), Some("Bearer hf_secret"), "{name}");
        }
    }
}

#[test]
fn no_token_is_sent_where_there_is_none_or_it_is_not_to_be_sent() {
    for variables in [
        &[("HF_TOKEN", " ")][..],
        &[("HF_TOKEN", "hf_secret"), ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")],
    ] {
        let (hub, home) = (FakeHub::start(&support::tiny()), home());
        stdout(&score(&hub.endpoint, home.path(), "org/tiny", variables));
        assert!(hub.asked().iter().all(|asked| asked.authorization.is_none()), "{variables:?}");
    }
}

#[test]
fn a_model_is_kept_where_the_hubs_own_clients_would_keep_it() {
    for (name, variables, folder) in [
        ("tilde", &[("HF_HOME", "~/hf")][..], "hf/hub"),
        ("empty", &[("HF_HOME", ""), ("HF_HUB_CACHE", "")], ".cache/huggingface/hub"),
        ("cache", &[("HF_HUB_CACHE", "~/models")], "models"),
    ] {
        let (hub, home) = (FakeHub::start(&support::tiny()), home());
        let user = [("HOME", home.path().to_str().unwrap())];
        let variables = [&user[..], variables].concat();
        stdout(&score(&hub.endpoint, home.path(), "org/tiny", &variables));
        let folder = home.path().join(folder).join("models--org--tiny");
        assert!(folder.is_dir(), "{name}: no {}", folder.display());
    }
}

#[test]
fn an_empty_endpoint_is_the_usual_hub_and_offline_has_many_words() {
    for variables in [
        [("HF_ENDPOINT", ""), ("HF_HUB_OFFLINE", "True")],
        [("HF_ENDPOINT", " "), ("TRANSFORMERS_OFFLINE", "yes")],
    ] {
        let home = home();
        lay_out_as_python_does(home.path());
        let output = score(NOWHERE, home.path(), "org/tiny", &variables);
        assert_eq!(loaded(&output)["revision"], COMMIT, "{variables:?}");
    }
}

#[test]
fn an_endpoint_that_is_no_url_is_refused_by_name_with_the_remedy() {
    for endpoint in ["localhost:8080", "huggingface.co", "ftp://hub.example", "https://"] {
        let home = home();
        let output = score(endpoint, home.path(), "org/tiny", &[]);
        assert_eq!(output.status.code(), Some(64), "{endpoint}: {}", stderr(&output));
        let line = format!(
            "error: HF_ENDPOINT: {endpoint} is not a URL; expected one such as \
             https://huggingface.co, or none for that hub"
        );
        assert_eq!(last_line(&output), line);
    }
}
