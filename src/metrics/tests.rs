//! Tests that the rendered metrics match the catalogue.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use std::time::Duration;

use super::*;

fn used() -> Metrics {
    let metrics = Metrics::new();
    metrics.answered("/v1/score", "POST", 200, Duration::from_millis(3));
    metrics.failed("empty_text");
    let category = metrics.category("csam");
    category.judged(0.75, true);
    category.judged(0.03, false);
    metrics.acted("block");
    metrics.shadowed("compared", 1);
    metrics.shadow_category("csam").compared(0.1, (false, true));
    metrics.serving("m@1", "p@1");
    metrics.swapped("swapped", Duration::from_millis(300));
    metrics.ready(true);
    metrics.packed(2, 30, 60);
    metrics.forwarded(Duration::from_millis(2));
    metrics.waited(Duration::from_millis(1));
    metrics.tokenised(Duration::from_millis(1));
    metrics.scored(20, 1);
    metrics.abandoned();
    metrics.given_up("too_late");
    metrics.not_finite();
    metrics.keys_kept();
    metrics.tls_kept();
    metrics.connection_refused("tls_failed");
    drop(metrics.connection());
    metrics.audited();
    metrics.audit_dropped(2);
    metrics.audit_wrote(false);
    metrics
}

#[test]
fn what_is_recorded_is_rendered() {
    let metrics = used();
    let guard = metrics.queued(20);
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
    metrics.audit_wrote(true);
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
