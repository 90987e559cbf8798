//! A progress bar on stderr, drawn by a dedicated thread so that callers never block on a terminal.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::mpsc::Sender;
use std::time::Duration;

use indicatif::ProgressDrawTarget;
use indicatif::ProgressStyle;

/// A progress bar. Draws nothing if stderr is not a terminal; clears itself when dropped.
#[derive(Debug)]
pub struct ProgressBar {
    progress: Arc<Mutex<Progress>>,
    drawing: Option<DrawThread>,
}

#[derive(Debug, Clone, Default)]
struct Progress {
    position: u64,
    length: Option<u64>, // `None` while unknown
    message: String,
}

/// A handle to the drawing thread.
#[derive(Debug)]
struct DrawThread {
    stop: Option<Sender<()>>, // dropped to stop the thread
    ended: Mutex<Receiver<()>>,
}

impl ProgressBar {
    /// Starts a progress bar with a template of [`indicatif`].
    pub fn start(template: &'static str) -> Self {
        let target = std::io::stderr().is_terminal().then(ProgressDrawTarget::stderr);
        Self::on(target, template)
    }

    fn on(target: Option<ProgressDrawTarget>, template: &'static str) -> Self {
        let progress = Arc::new(Mutex::new(Progress::default()));
        let drawing = target.and_then(|target| {
            let (stop, stopped) = mpsc::channel();
            let (end, ended) = mpsc::channel();
            let progress = Arc::clone(&progress);
            let draw = move || draw(&progress, target, template, &stopped, end);
            // If the thread cannot be started there is no bar, which is not an error.
            let thread = std::thread::Builder::new().name("progress".into()).spawn(draw);
            thread.ok().map(|_| DrawThread { stop: Some(stop), ended: Mutex::new(ended) })
        });
        Self { progress, drawing }
    }

    /// Returns the current position.
    pub fn position(&self) -> u64 {
        self.lock().position
    }

    /// Returns the length, if it is known.
    pub fn length(&self) -> Option<u64> {
        self.lock().length
    }

    /// Sets the current position.
    pub fn set_position(&self, position: u64) {
        self.lock().position = position;
    }

    /// Sets the length, which is the final position.
    pub fn set_length(&self, length: u64) {
        self.lock().length = Some(length);
    }

    /// Sets the message; `message` is called only if the bar is drawn.
    pub fn set_message(&self, message: impl FnOnce() -> String) {
        if self.drawing.is_some() {
            self.lock().message = message();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for DrawThread {
    /// Clears the bar before anything else is printed; waits only briefly for a blocked terminal.
    fn drop(&mut self) {
        self.stop = None;
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = ended.recv_timeout(CLEAR_TIMEOUT);
    }
}

/// Draws until the sender of `stopped` is dropped, then drops `_end`.
fn draw(
    progress: &Mutex<Progress>,
    target: ProgressDrawTarget,
    template: &str,
    stopped: &Receiver<()>,
    _end: Sender<()>,
) {
    let bar = indicatif::ProgressBar::with_draw_target(None, target);
    let style = ProgressStyle::with_template(template);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let now = progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(length) = now.length {
            bar.set_length(length);
        }
        bar.set_message(now.message);
        bar.set_position(now.position);
        bar.tick();
    }
    bar.finish_and_clear();
}

/// Interval between two redraws, about as fast as the eye can follow.
const INTERVAL: Duration = Duration::from_millis(100);
/// Maximum time that dropping the bar waits for a blocked terminal.
const CLEAR_TIMEOUT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use indicatif::TermLike;

    use super::*;

    /// A terminal that reports each write and then blocks until the write is released.
    #[derive(Debug)]
    struct Terminal {
        given: Sender<String>,
        leave: Mutex<Receiver<()>>,
    }

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> std::io::Result<()> {
            let _ = self.given.send(text.to_owned());
            let _ = self.leave.lock().unwrap().recv();
            Ok(())
        }

        fn clear_line(&self) -> std::io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// Returns a bar on a terminal that blocks until the sender is dropped, and the writes to it.
    fn stuck() -> (ProgressBar, Sender<()>, Receiver<String>) {
        let (given, drawn) = mpsc::channel();
        let (unstick, leave) = mpsc::channel();
        let terminal = Box::new(Terminal { given, leave: Mutex::new(leave) });
        let target = ProgressDrawTarget::term_like_with_hz(terminal, 100);
        let bar = ProgressBar::on(Some(target), "{msg} {pos}/{len}");
        bar.set_length(7);
        (bar, unstick, drawn)
    }

    #[test]
    fn a_terminal_that_is_stuck_holds_nobody_up() {
        let (bar, unstick, drawn) = stuck();
        // From here on, the thread is blocked while drawing.
        let first = drawn.recv_timeout(PATIENCE).unwrap();
        bar.set_message(|| "texts".into());
        bar.set_position(5);
        assert_eq!((bar.position(), bar.length()), (5, Some(7)));
        drop(unstick);
        let mut shown = first;
        while !shown.contains("texts 5/7") {
            shown.push_str(&drawn.recv_timeout(PATIENCE).unwrap());
        }
    }

    #[test]
    fn the_end_does_not_wait_for_a_terminal_that_is_stuck() {
        let (bar, unstick, drawn) = stuck();
        drawn.recv_timeout(PATIENCE).unwrap();
        drop(bar); // returns
        drop(unstick);
    }

    #[test]
    fn what_is_not_shown_is_counted_all_the_same() {
        let bar = ProgressBar::on(None, "{pos}");
        bar.set_message(|| unreachable!("nobody would see it"));
        bar.set_position(3);
        assert_eq!((bar.position(), bar.length()), (3, None));
    }

    const PATIENCE: Duration = Duration::from_secs(30);
}
