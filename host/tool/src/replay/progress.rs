//! A bar on a terminal's stderr, and nothing anywhere else.

use std::io::Read;

use indicatif::{ProgressBar, ProgressBarIter, ProgressStyle};

pub(super) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of decisions that are replayed; how many there are may be unknown.
    pub(super) fn decisions(total: Option<u64>) -> Self {
        Self::styled(
            total,
            "{elapsed} [{bar:40}] {pos}/{len} decisions, {per_sec}, {eta} left",
            "{elapsed} {spinner} {pos} decisions, {per_sec}",
        )
    }

    /// Of a file that is checked.
    pub(super) fn bytes(total: u64) -> Self {
        let template = "{elapsed} [{bar:40}] {bytes}/{total_bytes} checked";
        Self::styled(Some(total), template, template)
    }

    /// A bar draws on stderr, and hides itself where that is no terminal.
    fn styled(total: Option<u64>, known: &str, unknown: &str) -> Self {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = if total.is_some() { known } else { unknown };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self { bar }
    }

    pub(super) fn add(&self, number: u64) {
        self.bar.inc(number);
    }

    pub(super) fn reading<R: Read>(&self, input: R) -> ProgressBarIter<R> {
        self.bar.wrap_read(input)
    }

    /// Takes the bar off the terminal: what was found comes next.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}
