//! A download on the terminal.

use hf_hub::progress::DownloadEvent;
use hf_hub::progress::FileProgress;
use hf_hub::progress::ProgressEvent;
use hf_hub::progress::ProgressHandler;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;

/// A bar on stderr; silent where that is no terminal.
pub(super) struct Bar(pub(super) ProgressBar);

impl Bar {
    pub(super) fn new(file: &str) -> Self {
        let style = ProgressStyle::with_template(
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} eta {eta}",
        );
        let bar = ProgressBar::no_length().with_message(file.to_owned());
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
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
            DownloadEvent::Complete => self.0.finish_and_clear(),
        }
    }
}
