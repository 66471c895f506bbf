//! How far a long job has come, on standard error: as a bar at a terminal, and not at all elsewhere.

use core::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The bar of one job over a file.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A job over so many bytes, where that is known.
    pub(crate) fn new(bytes: Option<u64>) -> Self {
        let (bar, template) = match bytes {
            Some(bytes) => (
                ProgressBar::new(bytes),
                "{bar:40} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left: {msg}",
            ),
            None => (
                ProgressBar::new_spinner(),
                "{spinner} {bytes}, {bytes_per_sec}: {msg}",
            ),
        };
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        bar.set_style(style);
        Self(bar)
    }

    /// So many bytes are done, which were so many of `what`.
    pub(crate) fn show(&self, bytes: u64, count: u64, what: &str) {
        // A message is made for every call, a bar drawn 20 times a second.
        if !self.0.is_hidden() {
            self.0.set_position(bytes);
            self.0.set_message(format!("{count} {what}"));
        }
    }

    /// Prints a line above the bar.
    pub(crate) fn say(&self, line: &str) {
        self.0.suspend(|| eprintln!("{line}"));
    }

    /// The job is over: the bar goes. Returns how long it took.
    pub(crate) fn finish(&self) -> Duration {
        self.0.finish_and_clear();
        self.0.elapsed()
    }
}
