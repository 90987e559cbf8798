//! The progress of a download, on the terminal.

use std::sync::Arc;

use hf_hub::progress::DownloadEvent;
use hf_hub::progress::FileProgress;
use hf_hub::progress::ProgressEvent;
use hf_hub::progress::ProgressHandler;

use crate::progress_bar::ProgressBar;

/// The progress bar of one file.
pub(super) struct Bar(pub(super) Arc<ProgressBar>);

impl Bar {
    pub(super) fn new(file: &str) -> Self {
        let bar =
            ProgressBar::start("{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}");
        bar.set_message(|| file.to_owned());
        Self(Arc::new(bar))
    }

    fn advance(&self, files: &[FileProgress]) {
        for file in files {
            self.0.set_position(file.bytes_completed);
        }
    }
}

impl ProgressHandler for Bar {
    fn on_progress(&self, event: &ProgressEvent) {
        let ProgressEvent::Download(event) = event else { return };
        match event {
            DownloadEvent::Start { total_bytes, .. } => self.0.set_length(*total_bytes),
            DownloadEvent::Progress { files } => self.advance(files),
            DownloadEvent::AggregateProgress { bytes_completed, .. } => {
                self.0.set_position(*bytes_completed);
            }
            // The bar disappears when its last owner is dropped.
            DownloadEvent::Complete => {}
        }
    }
}
