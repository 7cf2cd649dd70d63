//! A sign of life for work that takes more than a second, on a terminal only.
//!
//! It is drawn on standard error, one line that is cleared before anything else is written: drop it before the command's own
//! output, and before the program that was linked starts. Where standard error is no terminal nothing is ever written.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

/// How long work may take without a sign of life.
const SILENCE: Duration = Duration::from_secs(1);

/// Shows a spinner from one second on, until it is dropped.
pub(crate) struct Progress {
    done: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts waiting. `what` says what is going on: `linking 3 files`.
    pub(crate) fn start(what: String) -> Progress {
        if !is_wanted() {
            return Progress { done: None, thread: None };
        }
        let (done, waiting) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            if waiting.recv_timeout(SILENCE) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_elapsed(SILENCE);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.set_message(what);
            bar.enable_steady_tick(Duration::from_millis(120));
            // Woken when the sender is dropped.
            let _ = waiting.recv();
            bar.finish_and_clear();
        });
        Progress { done: Some(done), thread: Some(thread) }
    }
}

/// Whether somebody looks, at a terminal that can clear a line.
fn is_wanted() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
