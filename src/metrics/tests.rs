//! Tests that the rendered metrics match the catalogue.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use std::time::Duration;

use super::*;

fn used() -> Metrics {
    let metrics = Metrics::new();
    metrics.record_response("/v1/score", "POST", 200, Duration::from_millis(3));
    metrics.count_error("empty_text");
    let category = metrics.category("csam");
    category.record_score(0.75, true);
    category.record_score(0.03, false);
    metrics.count_action("block");
    metrics.count_shadowed("compared", 1);
    metrics.shadow_category("csam").record_comparison(0.1, (false, true));
    metrics.set_serving("m@1", "p@1");
    metrics.record_swap("swapped", Duration::from_millis(300));
    metrics.set_ready(true);
    metrics.record_batch(2, 30, 60);
    metrics.record_forward(Duration::from_millis(2));
    metrics.record_wait(Duration::from_millis(1));
    metrics.record_tokenization(Duration::from_millis(1));
    metrics.count_scored_text(20, 1);
    metrics.count_abandoned();
    metrics.count_given_up("too_late");
    metrics.count_non_finite();
    metrics.count_keys_reload_failure();
    metrics.count_tls_reload_failure();
    metrics.count_refused_connection("tls_failed");
    drop(metrics.track_connection());
    metrics.count_audit_line();
    metrics.count_dropped_audit_lines(2);
    metrics.record_audit_write(false);
    metrics
}

#[test]
fn what_is_recorded_is_rendered() {
    let metrics = used();
    let guard = metrics.track_queued(20);
    let text = metrics.render();
    for line in [
        "moderato_http_requests_total{route=\"/v1/score\",method=\"POST\",status=\"200\"} 1",
        "moderato_http_request_duration_seconds_count{route=\"/v1/score\"} 1",
        "moderato_errors_total{code=\"empty_text\"} 1",
        "moderato_texts_flagged_total{category=\"csam\"} 1",
        "moderato_texts_judged_total{category=\"csam\"} 2",
        "moderato_text_scores_bucket{category=\"csam\",le=\"0.05\"} 1",
        "moderato_text_scores_count{category=\"csam\"} 2",
        "moderato_texts_actions_total{action=\"block\"} 1",
        "moderato_shadow_texts_flagged_total{category=\"csam\",model=\"shadow\"} 1",
        "moderato_model_info{model=\"m@1\",policy=\"p@1\"} 1",
        "moderato_ready 1",
        "moderato_batch_tokens_sum 30",
        "moderato_batch_fill_ratio_sum 0.5",
        "moderato_engine_tokens_total 20",
        "moderato_text_windows_count 1",
        "moderato_queue_abandoned_total 1",
        "moderato_requests_given_up_total{reason=\"too_late\"} 1",
        "moderato_keys_reload_failures_total 1",
        "moderato_audit_failing 1",
        "moderato_audit_lines_dropped_total 2",
        "moderato_queue_tokens 20",
    ] {
        assert!(text.contains(line), "no {line} in\n{text}");
    }
    drop(guard);
    metrics.record_audit_write(true);
    assert!(metrics.render().contains("moderato_queue_tokens 0"));
    assert!(metrics.render().contains("moderato_audit_failing 0"));
}

/// Dashboards, alerts and the documentation are checked against the catalogue.
#[test]
#[cfg(target_os = "linux")]
fn the_catalogue_is_what_is_rendered_with_kinds_labels_and_help() {
    let text = used().render();
    let mut rendered = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            rendered.insert(name, (kind, BTreeSet::new()));
        } else if !line.starts_with('#')
            && let Some((series, _)) = line.rsplit_once(' ')
        {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let suffixes = ["", "_bucket", "_sum", "_count"];
            let of =
                |suffix: &&str| name.strip_suffix(*suffix).filter(|of| rendered.contains_key(of));
            let name = suffixes.iter().find_map(of).unwrap();
            let names = labels.split("\",").filter_map(|label| label.split_once("=\""));
            let names = names.map(|(name, _)| name).filter(|&name| name != "le");
            rendered.get_mut(name).unwrap().1.extend(names);
        }
    }
    for Instrument { name, kind, labels, help } in Metrics::instruments() {
        let (rendered_kind, rendered_labels) = rendered.remove(name).unwrap_or_else(|| {
            panic!("{name} is not rendered");
        });
        assert_eq!(rendered_kind, kind.name(), "{name}");
        assert_eq!(rendered_labels, labels.iter().copied().collect(), "{name}");
        assert!(text.contains(&format!("# HELP {name} {help}\n")), "{name}: {help}");
    }
    assert!(rendered.is_empty(), "not in the catalogue: {rendered:?}");
}
