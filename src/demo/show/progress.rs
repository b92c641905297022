//! Progress of a migration on a terminal: bars that move, or a line now and then where nobody watches.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{DecimalBytes, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::time::Instant;

/// Without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// `status.progress` of a migration, as far as it is shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    pub files_scanned: u64,
    pub files_migrated: u64,
    pub files_failed: u64,
    pub bytes_scanned: u64,
    pub bytes_migrated: u64,
    pub files_per_second: u64,
    pub bytes_per_second: u64,
}

impl Figures {
    pub fn of(status: &Value) -> Self {
        let figure = |name: &str| status["progress"][name].as_u64().unwrap_or(0);
        Self {
            files_scanned: figure("filesScanned"),
            files_migrated: figure("filesMigrated"),
            files_failed: figure("filesFailed"),
            bytes_scanned: figure("bytesScanned"),
            bytes_migrated: figure("bytesMigrated"),
            files_per_second: figure("filesPerSecond"),
            bytes_per_second: figure("bytesPerSecond"),
        }
    }

    /// Until everything that is known now has arrived; `None` when that cannot be said, or is at once.
    fn left(self) -> Option<Duration> {
        let bytes = self.bytes_scanned.saturating_sub(self.bytes_migrated);
        let seconds = bytes.checked_div(self.bytes_per_second).filter(|seconds| *seconds > 0)?;
        Some(Duration::from_secs(seconds))
    }
}

pub enum Progress {
    Bars { bars: MultiProgress, files: ProgressBar, bytes: ProgressBar },
    Lines { next: Instant },
}

impl Progress {
    pub fn begin() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { next: Instant::now() };
        }
        let bars = MultiProgress::new();
        let bar = |title: &'static str| {
            let style = ProgressStyle::with_template("  {prefix:<6} [{bar:36}] {msg}")
                .map(|style| style.progress_chars("=> "));
            let bar = bars.add(ProgressBar::new(0)).with_prefix(title);
            // An error can only be a template that is wrong for everybody.
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        };
        let (files, bytes) = (bar("files"), bar("bytes"));
        Self::Bars { bars, files, bytes }
    }

    pub fn show(&mut self, now: Figures) {
        let (files_text, bytes_text) = texts(now);
        match self {
            Self::Bars { files, bytes, .. } => {
                // A bar of length 0 would look full.
                files.set_length(now.files_scanned.max(1));
                files.set_position(now.files_migrated + now.files_failed);
                files.set_message(files_text);
                bytes.set_length(now.bytes_scanned.max(1));
                bytes.set_position(now.bytes_migrated);
                bytes.set_message(bytes_text);
            }
            Self::Lines { next } => {
                if Instant::now() >= *next {
                    println!("  {files_text}; {bytes_text}");
                    *next = Instant::now() + LINE_EVERY;
                }
            }
        }
    }

    /// The bars go; the caller says how it ended.
    pub fn end(self) {
        if let Self::Bars { bars, files, bytes } = self {
            files.finish_and_clear();
            bytes.finish_and_clear();
            // An error means that the terminal is gone.
            let _ = bars.clear();
        }
    }
}

fn texts(now: Figures) -> (String, String) {
    let mut files = format!("{} of {} files", now.files_migrated, now.files_scanned);
    if now.files_failed > 0 {
        files.push_str(&format!(", {} failed", now.files_failed));
    }
    files.push_str(&format!(", {}/s", now.files_per_second));
    let mut bytes = format!("{} of {}", DecimalBytes(now.bytes_migrated), DecimalBytes(now.bytes_scanned));
    bytes.push_str(&format!(", {}/s", DecimalBytes(now.bytes_per_second)));
    if let Some(left) = now.left() {
        bytes.push_str(&format!(", {} left", HumanDuration(left)));
    }
    (files, bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_status_and_says_how_long_it_takes() {
        let status = json!({"progress": {"filesScanned": 10, "filesMigrated": 4, "filesFailed": 1, "bytesScanned": 4000,
            "bytesMigrated": 1000, "filesPerSecond": 2, "bytesPerSecond": 1000}});
        let (files, bytes) = texts(Figures::of(&status));
        assert_eq!(files, "4 of 10 files, 1 failed, 2/s");
        assert_eq!(bytes, "1.00 kB of 4.00 kB, 1.00 kB/s, 3 seconds left");
        assert_eq!(Figures::of(&json!({})).left(), None);
    }
}
