//! Weights in safetensors files: found, checked and handed out by name.

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
use crate::model::checkpoint::NameFault;
use crate::model::checkpoint::TensorNames;
use crate::model::family::Family;
use crate::model::raw::Format;
use crate::model::raw::Raw;
use crate::model::sha256;
use crate::model::source::Files;

/// The tensors of a model, until each is taken.
#[derive(Debug)]
pub(super) struct Weights {
    /// Of all bytes, in order of file name; hexadecimal.
    pub(super) sha256: String,
    shards: Vec<Shard>,
    waiting: BTreeMap<String, Stored>, // not yet taken, by the name of the architecture
}

/// Where a tensor is.
#[derive(Debug)]
struct Stored {
    shard: usize, // an index into shards
    name: String, // in that file
}

/// One safetensors file.
struct Shard {
    file: String,
    bytes: Cow<'static, [u8]>,
    metadata: Metadata, // agrees with the length of bytes
    data_start: usize,
}

impl Weights {
    /// Opens `model.safetensors`, or the files that its index names.
    pub(super) fn open(files: &Files, family: &Family) -> Result<Self> {
        let shards = match files.read(INDEX)? {
            Some(index) => Index::parse(&files.display(INDEX), &index)?.open(files)?,
            None => vec![Shard::open(files, SINGLE)?],
        };
        let mut places = BTreeMap::new();
        for (place, shard) in shards.iter().enumerate() {
            for name in shard.metadata.offset_keys() {
                if let Some(other) = places.insert(name.clone(), place) {
                    let found = format!("it in {} too", shards[other].file);
                    return Err(shard.fault(format!("tensor {name:?} in one file"), found));
                }
            }
        }
        let names = TensorNames::resolve(family, places.keys().cloned())
            .map_err(|fault| unusable(fault, family, &shards))?;
        tell(&names, &shards);
        let stored = |(name, stored)| (name, Stored { shard: places[&stored], name: stored });
        let waiting = names.stored.into_iter().map(stored).collect();
        let sha256 = sha256::of_pieces(shards.iter().map(|shard| &*shard.bytes));
        Ok(Self { sha256, shards, waiting })
    }

    /// The types of the stored tensors, `F16` say.
    pub(super) fn stored_dtype(&self) -> String {
        let dtypes = self.infos().map(|info| info.dtype.to_string());
        dtypes.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("+")
    }

    /// Numbers in all stored tensors.
    pub(super) fn n_parameters(&self) -> usize {
        self.infos().map(|info| info.shape.iter().product::<usize>()).sum()
    }

    /// The shape of a tensor, if it is there.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        let stored = self.waiting.get(name)?;
        let info = self.shards[stored.shard].metadata.info(&stored.name);
        info.map(|info| info.shape.as_slice())
    }

    /// Hands out a tensor in f32; it must be there, in this shape.
    pub(super) fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        Ok(self.take_raw(name, shape)?.to_f32())
    }

    /// Hands out a tensor as it is stored; it must be there, in this shape.
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

    /// Ends the loading: every tensor must have been taken by the embeddings, so many layers and
    /// the head.
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
        // Eight bytes hold the length of the header that follows.
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
    weight_map: BTreeMap<String, String>, // its files are plain names; other keys do not matter
}

impl Index {
    /// Reads an index; `file` is named in errors.
    pub(super) fn parse(file: &str, json: &[u8]) -> Result<Self> {
        let fault = |expected: &str, found: String| Error::Artifact {
            file: file.into(),
            expected: expected.into(),
            found,
        };
        let index: Self = serde_json::from_slice(json)
            .map_err(|cause| fault("a map of tensors to files", cause.to_string()))?;
        // A name must not lead out of the folder.
        for name in index.files() {
            if Path::new(name).file_name() != Some(name.as_ref()) {
                return Err(fault("names of files in the folder", format!("{name:?}")));
            }
        }
        Ok(index)
    }

    /// The files, each once, in order of name.
    pub(super) fn files(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// Opens the files and holds them against the index.
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

/// The refusal of a checkpoint with names that do not fit the architecture.
fn unusable(fault: NameFault, family: &Family, shards: &[Shard]) -> Error {
    let (expected, found) = match fault {
        NameFault::Ambiguous { name, stored: [one, other] } => {
            (format!("tensor {name:?} once"), format!("it as {one:?} and as {other:?}"))
        }
        NameFault::Unknown(names) => (
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

/// Says which tensors have other names than in the architecture, and which are not used.
fn tell(names: &TensorNames, shards: &[Shard]) {
    let renamed: Vec<_> =
        names.renamed().map(|(name, stored)| format!("{stored} is {name}")).collect();
    if renamed.is_empty() && names.ignored.is_empty() {
        return;
    }
    let first = |names: &[String]| names.get(..N_TOLD).unwrap_or(names).join(", ");
    info!(
        file = files(shards),
        n_renamed = renamed.len(),
        renamed = first(&renamed),
        n_ignored = names.ignored.len(),
        ignored = first(&names.ignored),
        "some tensors of the checkpoint were renamed or left out"
    );
}

/// The names of all files, for an error.
fn files(shards: &[Shard]) -> String {
    shards.iter().map(|shard| shard.file.as_str()).collect::<Vec<_>>().join(", ")
}

/// How many names the log shows of each kind.
const N_TOLD: usize = 3;

pub(super) const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
