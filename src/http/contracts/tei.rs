//! `POST /predict` and `GET /info`: the contract of text-embeddings-inference.
#![expect(unused_qualifications, reason = "utoipa's macros qualify names of this module")]

use std::fmt;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde::de::value::SeqAccessDeserializer;
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::ArrayBuilder;
use utoipa::openapi::OneOfBuilder;
use utoipa::openapi::RefOr;
use utoipa::openapi::Schema;

use crate::error::Error;
use crate::error::Result;
use crate::http::app::App;
use crate::http::auth::AccessRule;
use crate::http::auth::Area;
use crate::http::problem::Problem;
use crate::http::request::contract::Contract;
use crate::http::request::contract::add_schema;
use crate::http::request::error_format;
use crate::http::request::error_format::failures;
use crate::http::request::json_request::JsonRequest;
use crate::http::request::labels::Function;
use crate::http::request::labels::Label;
use crate::http::request::scoring::Scoring;
use crate::json::OrderedMap;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The contract.
pub(super) const CONTRACT: Contract = Contract {
    routes: &[(AccessRule::for_area(Area::Service), routes)],
    error_format: write_error,
    schemas: &[add_schema::<TeiError>],
};

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(predict)).routes(routes!(info))
}

/// The texts to classify. Other fields are ignored: texts are read whole and never truncated.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = TeiPredictRequest)]
pub(in crate::http) struct PredictRequest {
    inputs: Inputs,
    /// Whether to return logits instead of calibrated scores.
    raw_scores: Option<bool>,
}

/// A text; or texts, each in an array of its own.
#[derive(Debug)]
enum Inputs {
    One(Vec<String>),
    Many(Vec<Vec<String>>),
}

/// The labels of a text, from the highest score to the lowest; one array per text for several
/// texts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(in crate::http) enum Predictions {
    One(Vec<Label>),
    Many(Vec<Vec<Label>>),
}

/// The model that serves, and its limits.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Info {
    model_id: String,
    model_sha: Option<String>,
    model_dtype: &'static str,
    served_model_name: String,
    model_type: ModelType,
    max_input_length: usize,
    max_client_batch_size: usize,
    /// Always false: longer texts are read in windows.
    auto_truncate: bool,
    version: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
struct ModelType {
    classifier: Classifier,
}

#[derive(Debug, Serialize, ToSchema)]
struct Classifier {
    #[schema(value_type = std::collections::HashMap<String, String>)]
    id2label: OrderedMap<String>,
    #[schema(value_type = std::collections::HashMap<String, usize>)]
    label2id: OrderedMap<usize>,
}

/// Classifies one or more texts in the format of text-embeddings-inference.
#[utoipa::path(
    post, path = "/predict", request_body = PredictRequest,
    responses((status = 200, body = Predictions), TeiFailures),
)]
pub(in crate::http) async fn predict(
    State(app): State<App>,
    JsonRequest { body, options }: JsonRequest<PredictRequest>,
) -> Result<Json<Predictions>, Problem> {
    let scoring = Scoring::new(&app, &options, None)?;
    let is_one = matches!(body.inputs, Inputs::One(_));
    let is_raw = body.raw_scores.unwrap_or(false);
    let function = if is_raw { Function::Raw } else { Function::Calibrated };
    let judged = scoring.texts(body.inputs.into_texts()?).await?;
    let mut labels: Vec<_> = judged.iter().map(|judged| function.labels(judged)).collect();
    Ok(Json(match labels.pop() {
        Some(only) if is_one => Predictions::One(only),
        last => Predictions::Many(labels.into_iter().chain(last).collect()),
    }))
}

/// Describes the model that serves.
#[utoipa::path(get, path = "/info", responses((status = 200, body = Info), TeiFailures))]
pub(in crate::http) async fn info(State(app): State<App>) -> Result<Json<Info>, Problem> {
    let engine = app.engine()?;
    let (card, ids) = (engine.card().clone(), engine.policy().ids());
    let numbered = || ids.iter().cloned().enumerate();
    Ok(Json(Info {
        served_model_name: card.reference(),
        model_id: card.name,
        model_sha: card.revision,
        model_dtype: card.dtype,
        model_type: ModelType {
            classifier: Classifier {
                id2label: OrderedMap(
                    numbered().map(|(index, id)| (index.to_string(), id)).collect(),
                ),
                label2id: OrderedMap(numbered().map(|(index, id)| (id, index)).collect()),
            },
        },
        max_input_length: card.max_window_tokens,
        max_client_batch_size: app.settings().limits.max_texts,
        auto_truncate: false,
        version: env!("CARGO_PKG_VERSION"),
    }))
}

impl Inputs {
    fn into_texts(self) -> Result<Vec<String>> {
        match self {
            Self::One(texts) => Ok(vec![only("inputs", texts)?]),
            Self::Many(many) => {
                let text = |(index, texts)| only(&format!("inputs[{index}]"), texts);
                many.into_iter().enumerate().map(text).collect()
            }
        }
    }
}

/// Returns the only text of an array; two texts would be a pair, which is not supported.
fn only(param: &str, mut texts: Vec<String>) -> Result<String> {
    match (texts.pop(), texts.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Error::Unsupported { param: param.into(), reason: NO_PAIRS }),
        (None, _) => Err(Error::NoTexts),
    }
}

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputsVisitor)
    }
}

struct InputsVisitor;

impl<'de> Visitor<'de> for InputsVisitor {
    type Value = Inputs;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string, or an array of arrays of a string each")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Inputs, E> {
        Ok(Inputs::One(vec![text.to_owned()]))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Inputs, E> {
        Ok(Inputs::One(vec![text]))
    }

    /// An array that contains an array is a batch; any other array holds a single text.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Inputs, A::Error> {
        let (mut elements, mut is_batch) = (Vec::new(), false);
        while let Some(element) = seq.next_element()? {
            is_batch |= matches!(element, Element::Array(_));
            elements.push(element);
        }
        let texts = elements.into_iter().map(Element::into_texts);
        Ok(if is_batch {
            Inputs::Many(texts.collect())
        } else {
            Inputs::One(texts.flatten().collect())
        })
    }
}

/// An element of an array of inputs.
enum Element {
    Text(String),
    Array(Vec<String>),
}

impl Element {
    fn into_texts(self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text],
            Self::Array(texts) => texts,
        }
    }
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Element, E> {
        Ok(Element::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Element, E> {
        Ok(Element::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Element, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Element::Array)
    }
}

impl PartialSchema for Inputs {
    fn schema() -> RefOr<Schema> {
        let alone =
            || ArrayBuilder::new().items(String::schema()).min_items(Some(1)).max_items(Some(1));
        OneOfBuilder::new()
            .description(Some(
                "A text; or texts, each in an array of its own: `[[\"one\"], [\"two\"]]`. \
                 `[\"one\", \"two\"]` is a pair, which this model does not take.",
            ))
            .item(String::schema())
            .item(alone())
            .item(ArrayBuilder::new().items(alone()).min_items(Some(1)))
            .into()
    }
}

impl ToSchema for Inputs {}

const NO_PAIRS: &str =
    "this model takes no pairs of texts; for a batch write each text in an array of its own";

/// An error in the format of text-embeddings-inference.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct TeiError {
    error: String,
    /// `Validation`, `Overloaded`, `Backend` or `Unhealthy`.
    error_type: &'static str,
}

failures!(TeiFailures: TeiError);

/// Rewrites errors in the format of text-embeddings-inference.
///
/// text-embeddings-inference answers 429 when overloaded; 503 is kept because load balancers
/// understand it.
fn write_error(response: Response) -> Response {
    error_format::rewrite(response, |status, error| {
        let (status, error_type) = match status {
            StatusCode::BAD_REQUEST => (StatusCode::UNPROCESSABLE_ENTITY, "Validation"),
            StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
            | StatusCode::TOO_MANY_REQUESTS => (status, "Overloaded"),
            _ if status.is_server_error() => (status, "Backend"),
            _ => (status, "Validation"),
        };
        (status, Json(TeiError { error, error_type })).into_response()
    })
}
