//! Weights in safetensors files: opens and checks the files, and hands out tensors by name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;

use safetensors::Dtype;
use safetensors::SafeTensors;
use safetensors::tensor::Metadata;
use safetensors::tensor::TensorInfo;
use serde::Deserialize;
use tracing::info;

use crate::error::Error;
use crate::error::Result;
use crate::model::checkpoint::NameError;
use crate::model::checkpoint::TensorNames;
use crate::model::family::Family;
use crate::model::raw::Format;
use crate::model::raw::Raw;
use crate::model::sha256;
use crate::model::source::Files;

/// The tensors of a model that have not been taken yet.
#[derive(Debug)]
pub(super) struct Weights {
    /// SHA-256 of all files in order of name, hexadecimal.
    pub(super) sha256: String,
    shards: Vec<Shard>,
    waiting: BTreeMap<String, Stored>, // not yet taken, by architecture name
}

/// Location of a tensor.
#[derive(Debug)]
struct Stored {
    shard: usize, // an index into shards
    name: String, // in that shard
}

/// One safetensors file.
struct Shard {
    file: String,
    bytes: Cow<'static, [u8]>,
    metadata: Metadata, // checked against the length of bytes
    data_start: usize,
}

impl Weights {
    /// Opens `model.safetensors`, or the shards listed in its index.
    pub(super) fn open(files: &Files, family: &Family) -> Result<Self> {
        let shards = match files.read(INDEX)? {
            Some(index) => Index::parse(&files.display(INDEX), &index)?.open(files)?,
            None => vec![Shard::open(files, SINGLE)?],
        };
        let mut shard_indices = BTreeMap::new();
        for (place, shard) in shards.iter().enumerate() {
            for name in shard.metadata.offset_keys() {
                if let Some(other) = shard_indices.insert(name.clone(), place) {
                    let found = format!("it in {} too", shards[other].file);
                    return Err(shard.fault(format!("tensor {name:?} in one file"), found));
                }
            }
        }
        let names = TensorNames::resolve(family, shard_indices.keys().cloned())
            .map_err(|fault| unusable(fault, family, &shards))?;
        log_renamed(&names, &shards);
        let stored =
            |(name, stored)| (name, Stored { shard: shard_indices[&stored], name: stored });
        let waiting = names.stored.into_iter().map(stored).collect();
        let sha256 = sha256::of_pieces(shards.iter().map(|shard| &*shard.bytes));
        Ok(Self { sha256, shards, waiting })
    }

    /// Returns the types of the stored tensors, joined by `+`; for example `F16`.
    pub(super) fn stored_dtype(&self) -> String {
        let dtypes = self.infos().map(|info| info.dtype.to_string());
        dtypes.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("+")
    }

    /// Returns the number of values in all tensors that have not been taken.
    pub(super) fn n_parameters(&self) -> usize {
        self.infos().map(|info| info.shape.iter().product::<usize>()).sum()
    }

    /// Returns the shape of a tensor, or `None` if it is missing.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        let stored = self.waiting.get(name)?;
        let info = self.shards[stored.shard].metadata.info(&stored.name);
        info.map(|info| info.shape.as_slice())
    }

    /// Takes a tensor as f32; fails if it is missing or has another shape.
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        Ok(self.take_raw(name, shape)?.to_f32())
    }

    /// Takes a tensor in its stored format; fails if it is missing or has another shape.
    pub(super) fn take_raw(&mut self, name: &str, shape: &[usize]) -> Result<Raw> {
        match self.waiting.remove(name) {
            Some(stored) => self.shards[stored.shard].tensor(&stored.name, shape),
            None => Err(Error::Artifact {
                file: files(&self.shards),
                expected: format!("tensor {name:?} of shape {shape:?}"),
                found: "no such tensor".into(),
            }),
        }
    }

    /// Finishes loading; fails if a tensor was not taken by the embeddings, the `n_layers` layers
    /// or the head.
    pub(super) fn finish(self, n_layers: usize) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = self.waiting.into_values().map(|stored| stored.name).collect();
        Err(Error::Artifact {
            file: files(&self.shards),
            expected: format!(
                "only tensors of the architecture in config.json, which has {n_layers} layers"
            ),
            found: unknown(&names),
        })
    }

    fn infos(&self) -> impl Iterator<Item = &TensorInfo> {
        let info = |stored: &Stored| self.shards[stored.shard].metadata.info(&stored.name);
        self.waiting.values().filter_map(info)
    }
}

impl Shard {
    fn open(files: &Files, name: &str) -> Result<Self> {
        let file = files.display(name);
        let fault = |found: String| Error::Artifact {
            file: file.clone(),
            expected: "a safetensors file".into(),
            found,
        };
        let bytes = files.bytes(name)?.ok_or_else(|| fault("no such file".into()))?;
        let (header_len, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|cause| fault(cause.to_string()))?;
        // The header follows eight bytes that hold its length.
        let data_start = header_len + 8;
        Ok(Self { file, bytes, metadata, data_start })
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Raw> {
        let info = self.metadata.info(name).expect("a stored name is in its shard");
        if info.shape != shape {
            let found = format!("shape {:?}", info.shape);
            return Err(self.fault(format!("tensor {name:?} of shape {shape:?}"), found));
        }
        let format = match info.dtype {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::Bf16,
            other => {
                let expected = format!("tensor {name:?} of type F32, F16 or BF16");
                return Err(self.fault(expected, other.to_string()));
            }
        };
        let (start, end) = info.data_offsets;
        let place = self.data_start + start..self.data_start + end;
        let bytes = match &self.bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[place]),
            Cow::Owned(bytes) => Cow::Owned(bytes[place].to_vec()),
        };
        Ok(Raw { bytes, format })
    }

    fn fault(&self, expected: String, found: String) -> Error {
        Error::Artifact { file: self.file.clone(), expected, found }
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shard").field("file", &self.file).finish_non_exhaustive()
    }
}

/// `model.safetensors.index.json`: which file holds which tensor.
#[derive(Deserialize)]
pub(super) struct Index {
    weight_map: BTreeMap<String, String>, // values are plain file names; other keys are ignored
}

impl Index {
    /// Parses an index; `file` is named in errors.
    pub(super) fn parse(file: &str, json: &[u8]) -> Result<Self> {
        let fault = |expected: &str, found: String| Error::Artifact {
            file: file.into(),
            expected: expected.into(),
            found,
        };
        let index: Self = serde_json::from_slice(json)
            .map_err(|cause| fault("a map of tensors to files", cause.to_string()))?;
        // A name must not point outside the folder.
        for name in index.files() {
            if Path::new(name).file_name() != Some(name.as_ref()) {
                return Err(fault("names of files in the folder", format!("{name:?}")));
            }
        }
        Ok(index)
    }

    /// Returns the distinct file names, in order.
    pub(super) fn files(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// Opens the files and checks that each has the tensors listed in the index.
    fn open(&self, files: &Files) -> Result<Vec<Shard>> {
        let names = self.files();
        let shards: Vec<_> =
            names.iter().map(|name| Shard::open(files, name)).collect::<Result<_>>()?;
        for (tensor, name) in &self.weight_map {
            let place = names.iter().position(|other| other == name);
            let shard = &shards[place.expect("each named file was opened")];
            if shard.metadata.info(tensor).is_none() {
                let expected = format!("tensor {tensor:?}, as {INDEX} says");
                return Err(shard.fault(expected, "no such tensor".into()));
            }
        }
        Ok(shards)
    }
}

/// Returns the error for a checkpoint whose tensor names do not fit the architecture.
fn unusable(fault: NameError, family: &Family, shards: &[Shard]) -> Error {
    let (expected, found) = match fault {
        NameError::Ambiguous { name, stored: [one, other] } => {
            (format!("tensor {name:?} once"), format!("it as {one:?} and as {other:?}"))
        }
        NameError::Unknown(names) => (
            format!(
                "only tensors of the architecture in config.json ({})",
                family.parts.join(", ")
            ),
            unknown(&names),
        ),
    };
    Error::Artifact { file: files(shards), expected, found }
}

fn unknown(names: &[String]) -> String {
    let first = names.first().map_or("", String::as_str);
    format!("{} unknown, {first:?} the first", names.len())
}

/// Logs which tensors were renamed to their architecture names, and which are ignored.
fn log_renamed(names: &TensorNames, shards: &[Shard]) {
    let renamed: Vec<_> =
        names.renamed().map(|(name, stored)| format!("{stored} is {name}")).collect();
    if renamed.is_empty() && names.ignored.is_empty() {
        return;
    }
    let first = |names: &[String]| names.get(..MAX_LOGGED_NAMES).unwrap_or(names).join(", ");
    info!(
        file = files(shards),
        n_renamed = renamed.len(),
        renamed = first(&renamed),
        n_ignored = names.ignored.len(),
        ignored = first(&names.ignored),
        "some tensors of the checkpoint were renamed or left out"
    );
}

/// Returns the names of all files, for errors and logs.
fn files(shards: &[Shard]) -> String {
    shards.iter().map(|shard| shard.file.as_str()).collect::<Vec<_>>().join(", ")
}

/// Maximum number of names of each kind in the log.
const MAX_LOGGED_NAMES: usize = 3;

pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
