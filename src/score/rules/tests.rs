#![expect(clippy::float_cmp, reason = "scores are handed on, not computed")]

use super::*;

/// Three categories: one with two labels and two scored clauses, one with a differently named label,
/// and one with a label of the same name. The label `extra` belongs to no category.
const TOML: &str = r#"
    id = "house"
    name = "House rules"
    version = "1"
    [[categories]]
    id = "harm"
    labels = ["weapons", "drugs"]
    title = "Harm"
    summary = ""
    threshold = 0.5
    action = "flag"
    clauses = [
        { id = "any", text = "No harm." },
        { id = "drugs", text = "No drugs.", label = "drugs" },
        { id = "sales", text = "No trade.", labels = ["drugs", "weapons"] },
    ]
    [[categories]]
    id = "leak"
    label = "privacy"
    title = "Leak"
    summary = ""
    threshold = 0.8
    action = "report"
    clauses = []
    [[categories]]
    id = "spam"
    label = "spam"
    title = "Spam"
    summary = ""
    threshold = 0.5
    action = "support"
    clauses = []
    [[namespaces]]
    id = "theirs"
    names = [
        { name = "any_of", relation = "partly", from = ["harm", "leak"] },
        { name = "all_of", relation = "partly", all_of = ["harm", "leak"] },
        { name = "label", relation = "partly", from = ["drugs"] },
        { name = "loose", relation = "partly", from = ["extra"] },
        { name = "own", relation = "partly", from = ["extra"], threshold = 0.3 },
        { name = "none", relation = "uncovered" },
        { name = "leaks", relation = "exact", from = ["leak"] },
    ]
    [[namespaces]]
    id = "others"
    models = ["other-*", "exact"]
    names = [
        { name = "gone", relation = "exact", from = ["x"], threshold = 0.0 },
        { name = "half", relation = "exact", all_of = ["drugs", "y"] },
        { name = "either", relation = "exact", from = ["drugs", "y"] },
    ]
"#;

const LABELS: [&str; 5] = ["extra", "privacy", "drugs", "weapons", "spam"];

fn mapping(toml: &str) -> Result<Mapping> {
    let policy = Policy::parse("policy.toml", toml.as_bytes())?;
    Mapping::new("policy.toml", policy, &LABELS.map(str::to_owned))
}

fn rules() -> Rules {
    Rules::new(Arc::new(mapping(TOML).unwrap()))
}

/// Returns scores with the given probabilities for `named` and 0.1 for all other labels.
fn scores(named: &[(&str, f32)]) -> LabelScores {
    let of = |label: &str| named.iter().find(|(name, _)| *name == label).map(|(_, score)| *score);
    let probabilities: Vec<f32> = LABELS.iter().map(|label| of(label).unwrap_or(0.1)).collect();
    let log_odds = probabilities.iter().map(|&p| f64::from(p / (1.0 - p)).ln()).collect();
    LabelScores { probabilities, log_odds }
}

fn violated(verdict: &Verdict) -> Vec<bool> {
    verdict.categories.iter().map(|category| category.judgement.violated).collect()
}

fn name(rules: &Rules, name: &str, scores: &LabelScores) -> Judgement {
    verdict_on_name(rules, "theirs", name, scores).0
}

/// Returns the judgement of a name and the indices of its categories.
fn verdict_on_name(
    rules: &Rules,
    namespace: &str,
    name: &str,
    scores: &LabelScores,
) -> (Judgement, Vec<usize>) {
    let namespace = rules.policy().namespace(namespace).unwrap();
    let verdicts = rules.judge_names(namespace, &rules.judge(scores), scores);
    let verdict = verdicts.into_iter().find(|verdict| verdict.name == name).unwrap();
    (verdict.judgement, verdict.categories)
}

#[test]
fn the_most_severe_violated_category_decides() {
    for (named, action) in [
        (&[("drugs", 0.49)][..], Action::Allow),
        (&[("drugs", 0.5)], Action::Flag), // equal counts as violated
        (&[("weapons", 0.5)], Action::Flag),
        (&[("drugs", 0.9), ("spam", 0.9)], Action::Support),
        (&[("drugs", 0.9), ("spam", 0.9), ("privacy", 0.8)], Action::Report),
    ] {
        let verdict = rules().judge(&scores(named));
        assert_eq!(verdict.action, action, "{named:?}");
        assert_eq!(verdict.flagged, action != Action::Allow, "{named:?}");
    }
}

#[test]
fn the_highest_label_of_a_category_counts_with_its_log_odds() {
    let judged = |named: &[(&str, f32)]| rules().judge(&scores(named)).categories[0].judgement;
    for (named, score) in [
        (&[("drugs", 0.7), ("weapons", 0.2)][..], 0.7_f32),
        (&[("drugs", 0.2), ("weapons", 0.7)], 0.7),
        (&[("extra", 0.9)], 0.1), // not a label of this category
    ] {
        let judgement = judged(named);
        assert_eq!(judgement.score, score, "{named:?}");
        let log_odds = f64::from(score / (1.0 - score)).ln();
        assert_eq!(judgement.log_odds, log_odds, "{named:?}");
    }
    let mut rounded = scores(&[("drugs", 1.0), ("weapons", 1.0)]);
    (rounded.log_odds[2], rounded.log_odds[3]) = (30.0, 40.0);
    assert_eq!(rules().judge(&rounded).categories[0].judgement.log_odds, 40.0);
}

#[test]
fn thresholds_of_a_request_merge_with_those_of_the_policy() {
    let own = [("harm".to_owned(), 0.9), ("leak".to_owned(), 1.0)];
    let rules = rules().with_thresholds(&own).unwrap();
    let verdict = rules.judge(&scores(&[("drugs", 0.8), ("privacy", 1.0), ("spam", 0.8)]));
    assert_eq!(violated(&verdict), [false, false, true]);
    assert_eq!(verdict.action, Action::Support);
    let rules = rules.with_threshold(0.05).unwrap();
    assert_eq!(violated(&rules.judge(&scores(&[]))), [true; 3]);
}

#[test]
fn only_the_categories_asked_for_are_judged() {
    let rules = rules().only(&["spam".into(), "harm".into()]).unwrap();
    let verdict = rules.judge(&scores(&[("privacy", 0.9)]));
    assert!(!verdict.flagged);
    let indices: Vec<_> = verdict.categories.iter().map(|entry| entry.category).collect();
    assert_eq!(indices, [0, 2]);
}

#[test]
fn every_violation_may_ask_for_the_same() {
    let rules = rules().with_action(Action::Block);
    assert_eq!(rules.judge(&scores(&[("drugs", 0.9)])).action, Action::Block);
    assert_eq!(rules.judge(&scores(&[])).action, Action::Allow);
}

#[test]
fn unknown_ids_and_impossible_thresholds_are_refused() {
    let error = rules().only(&["x".into()]).unwrap_err();
    assert_eq!(error.to_string(), r#"unknown categories "x"; known are "harm", "leak", "spam""#);
    // A label is not a category id.
    assert!(rules().with_thresholds(&[("drugs".into(), 0.5)]).is_err());
    for value in [-0.1, 1.1, f64::NAN] {
        let error = rules().with_thresholds(&[("harm".into(), value)]).unwrap_err();
        assert_eq!(error.code(), "invalid_threshold", "{value}");
    }
}

#[test]
fn clauses_with_a_label_are_scored_where_their_category_is_violated() {
    let clauses =
        |named: &[(&str, f32)]| rules().judge(&scores(named)).categories[0].clauses.clone();
    assert_eq!(
        clauses(&[("weapons", 0.9), ("drugs", 0.3)]),
        [ClauseScore { clause: 1, score: 0.3 }, ClauseScore { clause: 2, score: 0.9 }],
        "the highest of two labels counts"
    );
    assert_eq!(clauses(&[("weapons", 0.4), ("drugs", 0.3)]), []);
    assert_eq!(ClauseScore { clause: 1, score: 0.3 }.id(&rules().policy().categories[0]), "drugs");
}

#[test]
fn a_name_is_violated_by_any_or_only_by_all() {
    let rules = rules();
    for (named, any, all) in [
        (&[("drugs", 0.6), ("privacy", 0.7)][..], (0.7, true), (0.6, false)),
        (&[("drugs", 0.6), ("privacy", 0.9)], (0.9, true), (0.6, true)),
        (&[("drugs", 0.4), ("privacy", 0.7)], (0.7, false), (0.4, false)),
    ] {
        let scores = scores(named);
        for (asked, (score, violated)) in [("any_of", any), ("all_of", all)] {
            let found = name(&rules, asked, &scores);
            assert_eq!((found.score, found.violated), (score, violated), "{asked} {named:?}");
        }
    }
}

#[test]
fn a_label_in_a_name_has_its_own_threshold_or_that_of_its_category() {
    let rules = rules();
    let high = scores(&[("drugs", 0.6), ("extra", 0.99)]);
    assert!(name(&rules, "label", &high).violated, "as in the category with the label");
    assert!(!name(&rules, "loose", &high).violated, "the policy does not forbid it");
    assert_eq!(name(&rules, "loose", &high).score, 0.99);
    assert!(name(&rules, "own", &high).violated);
    assert!(!name(&rules, "own", &scores(&[("extra", 0.29)])).violated);
    let strict = rules.with_thresholds(&[("harm".into(), 0.7)]).unwrap();
    assert!(!name(&strict, "label", &high).violated, "the request's threshold");
}

#[test]
fn a_name_that_nothing_stands_for_scores_nothing() {
    let (rules, high) = (rules(), scores(&LABELS.map(|label| (label, 0.9))));
    for (namespace, name) in [("theirs", "none"), ("others", "gone"), ("others", "half")] {
        let (found, categories) = verdict_on_name(&rules, namespace, name, &high);
        assert_eq!((found.score, found.violated), (0.0, false), "{name}");
        assert_eq!(categories.is_empty(), name != "half", "{name}");
    }
    let (either, _) = verdict_on_name(&rules, "others", "either", &high);
    assert_eq!((either.score, either.violated), (0.9, true));
}

#[test]
fn a_name_has_the_judgement_and_the_categories_of_what_stands_for_it() {
    let rules = rules();
    let scores = scores(&[("drugs", 0.6), ("privacy", 0.85)]);
    for (name, score, categories) in [
        ("leaks", 0.85, &[1][..]),
        ("any_of", 0.85, &[0, 1]),
        ("label", 0.6, &[0]), // the category with that label
        ("loose", 0.1, &[]),
    ] {
        let (found, by) = verdict_on_name(&rules, "theirs", name, &scores);
        assert_eq!((found.score, by.as_slice()), (score, categories), "{name}");
    }
    let other = Rules::new(Arc::new(mapping(TOML).unwrap())).only(&["spam".into()]).unwrap();
    assert_eq!(verdict_on_name(&other, "theirs", "leaks", &scores).0.score, 0.0, "not judged");
}

#[test]
fn what_a_namespace_leaves_out_follows_from_categories_and_labels() {
    let mapping = mapping(TOML).unwrap();
    assert_eq!(mapping.uncovered(0), ["none"]);
    assert_eq!(mapping.uncovered(1), ["gone"]);
    assert_eq!(mapping.left_out(0), ["spam"]);
    assert_eq!(mapping.left_out(1), ["leak", "spam"], "a label of harm is named");
    assert_eq!(mapping.unused_labels(), Vec::<String>::new());
    let less =
        TOML.replace("\"extra\"", "\"x\"").replace("label = \"spam\"", "label = \"privacy\"");
    let mapping = self::mapping(&less).unwrap();
    assert_eq!(mapping.unused_labels(), ["extra", "spam"], "spam is a category of another label");
    let ignored = format!("ignored_labels = [\"extra\"]\n{less}");
    assert_eq!(self::mapping(&ignored).unwrap().unused_labels(), ["spam"]);
}

#[test]
fn labels_that_the_model_does_not_have_are_refused() {
    for (from, to, found) in [
        ("label = \"spam\"", "label = \"ham\"", "label \"ham\" of category \"spam\""),
        (
            "label = \"drugs\"",
            "label = \"x\"",
            "label \"x\" of clause \"drugs\" of category \"harm\"",
        ),
    ] {
        let error = mapping(&TOML.replace(from, to)).unwrap_err().to_string();
        let expected = "expected labels of the model (extra, privacy, drugs, weapons, spam)";
        assert!(error.contains(expected) && error.ends_with(found), "{error}");
    }
    let toml = TOML.replace("[\"harm\", \"leak\"] }", "[\"harm\", \"x\"] }");
    let toml = &toml[..toml.rfind("[[namespaces]]").unwrap()];
    let mapping = mapping(toml).unwrap();
    let unknown = [
        "\"x\" for \"any_of\" in namespace \"theirs\"",
        "\"x\" for \"all_of\" in namespace \"theirs\"",
    ];
    assert_eq!(mapping.unknown_sources(), unknown);
}
