//! Bodies generated from the published description: valid ones are accepted, and damaged ones are
//! refused without quoting their content.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use moderato::http::App;
use moderato::http::HttpSettings;
use moderato::http::Media;
use proptest::prelude::*;
use proptest::strategy::Union;
use proptest::test_runner::Config;
use proptest::test_runner::TestRunner;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;
use tokio::runtime::Runtime;

use super::operations::DESCRIPTION;
use super::operations::OPERATIONS;
use super::operations::Operation;
use super::request;
use super::send;
use crate::support;

#[test]
fn every_reference_in_the_description_leads_somewhere() {
    let text = DESCRIPTION.to_string();
    let references: Vec<_> = text.split("\"$ref\":\"#").skip(1).collect();
    assert!(references.len() > 50, "{}", references.len());
    for reference in references {
        let pointer = reference.split('"').next().unwrap();
        assert!(DESCRIPTION.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn every_operation_has_an_id_of_its_own() {
    let items = DESCRIPTION["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let ids: Vec<_> =
        operations.filter_map(|operation| operation["operationId"].as_str()).collect();
    let unique: BTreeSet<_> = ids.iter().collect();
    assert!(ids.len() > 20, "{ids:?}");
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
}

#[test]
fn a_body_that_fits_its_schema_is_taken() {
    let (runtime, app) = service();
    each_operation(|path, schema| {
        check(&body(schema), |body| {
            let answer = runtime.block_on(send(app.clone(), request(path, &body)));
            let is_told = INEXPRESSIBLE_RULES.iter().any(|(of, words)| {
                path.contains(of) && answer.status.is_client_error() && answer.text.contains(words)
            });
            let is_taken = answer.status == StatusCode::OK || is_told;
            prop_assert!(is_taken, "{} {} for {body}", answer.status, answer.text);
            Ok(())
        })
    });
}

#[test]
fn a_body_without_what_its_schema_requires_is_refused_by_the_name_of_it() {
    let (runtime, app) = service();
    each_operation(|path, schema| {
        let required = resolved(schema)["required"].clone();
        let required: Vec<String> = serde_json::from_value(required).unwrap_or_default();
        if required.is_empty() {
            return Ok(());
        }
        let without = (body(schema), prop::sample::select(required), any::<bool>());
        check(&without, |(mut body, field, is_null)| {
            let fields = body.as_object_mut().unwrap();
            fields.remove(&field);
            if is_null {
                fields.insert(field.clone(), Value::Null);
            }
            let answer = runtime.block_on(send(app.clone(), request(path, &body)));
            let is_named = answer.status.is_client_error() && answer.text.contains(&field);
            prop_assert!(is_named, "{} {} for {body}", answer.status, answer.text);
            Ok(())
        })
    });
}

#[test]
fn what_is_damaged_is_refused_without_being_quoted() {
    let (runtime, app) = service();
    each_operation(|path, schema| {
        let damaged = (body(schema), any::<prop::sample::Index>(), damage());
        check(&damaged, |(mut body, place, damage)| {
            let n_places = places(&mut body).len();
            *places(&mut body).swap_remove(place.index(n_places)) = damage;
            let answer = runtime.block_on(send(app.clone(), request(path, &body)));
            prop_assert!(!answer.status.is_server_error(), "{} for {body}", answer.text);
            if answer.status.is_client_error() {
                prop_assert!(!answer.text.contains("hidden"), "{} for {body}", answer.text);
            }
            Ok(())
        })
    });
}

/// Rules that a schema cannot express: the route and the error message.
const INEXPRESSIBLE_RULES: &[(&str, &str)] = &[
    ("/v2/models/", "shape"),
    ("/v2/models/", "datatype"),
    ("/v2/models/", "base64"),
    ("/v2/models/", "content_type"),
    ("/v1/score", "unknown"), // a category, a policy, a model
    ("/v1/score", "the threshold of"),
    ("/v1/score", "input is missing"),
    ("/v1/score", "must be left out beside"),
    ("/v1/score", "ignore_other_categories must be"),
    ("/classify", "must be left out beside"),
    ("/classify", "input is missing"),
    ("/v1/moderations", ".content must be"), // a part with a content is read as a message
    ("", "must have a text"),
    ("", "nothing that can be read"),
];

/// Runs a test for the path and the schema of every operation, and reports all that fail.
fn each_operation(test: impl Fn(&str, &Value) -> Result<(), String>) {
    let run = |operation: &Operation| {
        let path = operation.path("tiny-bert");
        let fault = test(&path, &operation.schema).err()?;
        Some(format!("{path}: {fault}"))
    };
    let faults: Vec<_> = OPERATIONS.iter().filter_map(run).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Errors quote 40 characters of a name, so that the end is never seen.
const HIDDEN: &str = "a whole text in place of a name, and then the hidden words";

fn check<S: Strategy>(
    strategy: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) -> Result<(), String> {
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(strategy, test).map_err(|fault| fault.to_string())
}

fn service() -> (Runtime, App) {
    let runtime = runtime();
    let settings = HttpSettings { media: Media::Ignored, ..support::HTTP };
    let app = runtime
        .block_on(async { support::app_with(support::tiny_model(), support::ENGINE, settings) });
    (runtime, app)
}

fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

/// Generates values of every JSON type.
fn damage() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        Value::Null,
        json!(true),
        json!(-1.5),
        json!(u64::MAX),
        json!(HIDDEN),
        json!([HIDDEN]),
        json!({"text": [HIDDEN]}),
    ])
}

/// Returns all leaves of a JSON value.
fn places(value: &mut Value) -> Vec<&mut Value> {
    let is_leaf = match value {
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => true,
    };
    if is_leaf {
        return vec![value];
    }
    match value {
        Value::Array(values) => values.iter_mut().flat_map(places).collect(),
        Value::Object(fields) => fields.values_mut().flat_map(places).collect(),
        _ => Vec::new(),
    }
}

fn body(schema: &Value) -> BoxedStrategy<Value> {
    fitting(schema, 0)
}

fn resolved(schema: &Value) -> &Value {
    match schema["$ref"].as_str() {
        Some(reference) => DESCRIPTION.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    }
}

/// Generates values that match a schema.
fn fitting(schema: &Value, depth: usize) -> BoxedStrategy<Value> {
    let schema = resolved(schema);
    if let Some(values) = schema["enum"].as_array() {
        return prop::sample::select(values.clone()).boxed();
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(alternatives) = schema[key].as_array() {
            // At depth, only the alternative that ends the recursion.
            let n_taken = if depth > MAX_DEPTH { 1 } else { alternatives.len() };
            let taken = alternatives.iter().take(n_taken);
            return Union::new(taken.map(|schema| fitting(schema, depth + 1))).boxed();
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        assert_eq!(parts.len(), 1, "{schema}");
        return fitting(&parts[0], depth);
    }
    match &schema["type"] {
        Value::Array(kinds) => {
            let of = |kind| fitting_kind(schema, kind, depth);
            Union::new(kinds.iter().map(|kind| of(kind.as_str().unwrap()))).boxed()
        }
        Value::String(kind) => fitting_kind(schema, kind, depth),
        _ => prop::sample::select(vec![Value::Null, json!("tea"), json!({"a": [1]})]).boxed(),
    }
}

fn fitting_kind(schema: &Value, kind: &str, depth: usize) -> BoxedStrategy<Value> {
    let bound = |key: &str| schema[key].as_u64();
    match kind {
        "null" => Just(Value::Null).boxed(),
        "boolean" => any::<bool>().prop_map(Value::from).boxed(),
        "integer" => {
            let least = bound("minimum").unwrap_or(0);
            let most = bound("maximum").unwrap_or(least + 1000);
            (least..=most).prop_map(Value::from).boxed()
        }
        "number" => {
            let least = schema["minimum"].as_f64().unwrap_or(-1000.0);
            let most = schema["maximum"].as_f64().unwrap_or(1000.0);
            (least..=most).prop_map(Value::from).boxed()
        }
        "string" => {
            let words = prop::sample::select(vec!["tea", "good morning", "", "\u{1f600}"]);
            prop_oneof![words.prop_map(Value::from), "\\PC{0,20}".prop_map(Value::from)].boxed()
        }
        "array" => {
            let least = usize::try_from(bound("minItems").unwrap_or(0)).unwrap();
            let most = bound("maxItems").map_or(least + 2, |most| usize::try_from(most).unwrap());
            let most = if depth > MAX_DEPTH { least } else { most };
            let item = fitting(&schema["items"], depth + 1);
            prop::collection::vec(item, least..=most).prop_map(Value::from).boxed()
        }
        "object" => fitting_object(schema, depth),
        other => panic!("no kind {other}: {schema}"),
    }
}

fn fitting_object(schema: &Value, depth: usize) -> BoxedStrategy<Value> {
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let is_required = |name: &String| {
        schema["required"].as_array().is_some_and(|names| names.contains(&json!(name)))
    };
    let mut fields: Vec<BoxedStrategy<Option<(String, Value)>>> = Vec::new();
    for (name, property) in properties {
        let name = name.clone();
        if is_required(&name) {
            let field = fitting(property, depth + 1);
            fields.push(field.prop_map(move |value| Some((name.clone(), value))).boxed());
        } else if depth <= MAX_DEPTH {
            let field = prop::option::of(fitting(property, depth + 1));
            fields.push(field.prop_map(move |value| Some((name.clone(), value?))).boxed());
        }
    }
    if schema["additionalProperties"].is_object() {
        // Labels of the tiny model.
        let name = prop::sample::select(vec!["spam", "leak"]).prop_map(str::to_owned);
        let value = fitting(&schema["additionalProperties"], depth + 1);
        fields.push(prop::option::of((name, value)).boxed());
    }
    fields.prop_map(|fields| Value::Object(fields.into_iter().flatten().collect())).boxed()
}

/// The depth beyond which optional fields are left out.
const MAX_DEPTH: usize = 8;
