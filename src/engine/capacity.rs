//! What the models of one process share: room for what waits, and the cores.

use std::sync::Arc;

use crate::engine::EngineSettings;
use crate::engine::encoding::Encoding;
use crate::engine::pace::Pace;
use crate::engine::room::Room;
use crate::engine::turn::Turn;
use crate::error::Result;

/// How much a process takes on, whichever of its models it is for; a clone is the same one.
#[derive(Debug, Clone)]
pub struct Capacity {
    pub(super) settings: EngineSettings,
    pub(super) room: Room,
    pub(super) pace: Arc<Pace>,
    /// One batch at a time has all cores: two would only get in each other's way.
    pub(super) turn: Arc<Turn>,
    pub(super) encoding: Arc<Encoding>,
}

impl Capacity {
    /// Holds the settings against each other.
    pub fn new(settings: EngineSettings) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            settings,
            room: Room::new(settings.queue_tokens, settings.max_request_tokens),
            pace: Arc::default(),
            turn: Arc::default(),
            encoding: Arc::new(Encoding::new(settings.encode_threads)),
        })
    }

    /// The same, where the spans of a request may cost so much.
    #[must_use]
    pub fn with_span_tokens(mut self, span_tokens: usize) -> Self {
        self.settings.span_tokens = span_tokens;
        self
    }
}
