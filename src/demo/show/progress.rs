//! Progress of a migration on a terminal: bars that move, or a line now and then where nobody watches.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{DecimalBytes, HumanCount, HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::time::Instant;

/// Without a terminal: while it copies, and while it follows.
const LINE_EVERY: Duration = Duration::from_secs(5);
const LIVE_LINE_EVERY: Duration = Duration::from_secs(1);

/// `status.progress` and `status.lag` of a migration, as far as they are shown.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Figures {
    /// What is scanned has no end then: it is what has ever been seen.
    pub is_live: bool,
    pub files_scanned: u64,
    pub files_migrated: u64,
    pub files_failed: u64,
    pub bytes_scanned: u64,
    pub bytes_migrated: u64,
    pub files_per_second: u64,
    pub bytes_per_second: u64,
    /// `None` before the source has said where it is, and of a migration that follows nothing.
    pub lag: Option<Lag>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lag {
    pub transactions: u64,
    pub seconds: u64,
}

impl Figures {
    pub fn of(status: &Value) -> Self {
        let figure = |name: &str| status["progress"][name].as_u64().unwrap_or(0);
        Self {
            is_live: status["state"] == "Live",
            files_scanned: figure("filesScanned"),
            files_migrated: figure("filesMigrated"),
            files_failed: figure("filesFailed"),
            bytes_scanned: figure("bytesScanned"),
            bytes_migrated: figure("bytesMigrated"),
            files_per_second: figure("filesPerSecond"),
            bytes_per_second: figure("bytesPerSecond"),
            lag: status["lag"]["transactions"].as_u64().map(|transactions| Lag {
                transactions,
                seconds: status["lag"]["seconds"].as_u64().unwrap_or_default(),
            }),
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
    Bars { bars: MultiProgress, files: ProgressBar, bytes: ProgressBar, live: ProgressBar },
    Lines { next: Instant, every: Duration },
}

/// What is said of a migration at one moment.
struct Texts {
    files: String,
    bytes: String,
    live: String,
}

impl Progress {
    pub fn begin() -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { next: Instant::now(), every: LINE_EVERY };
        }
        let bars = MultiProgress::new();
        let bar = |title: &'static str, template: &str| {
            let style = ProgressStyle::with_template(template).map(|style| style.progress_chars("=> "));
            let bar = bars.add(ProgressBar::new(0)).with_prefix(title);
            // An error can only be a template that is wrong for everybody.
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar
        };
        let with_bar = "  {prefix:<6} [{bar:36}] {msg}";
        let (files, bytes) = (bar("files", with_bar), bar("bytes", with_bar));
        let live = bar("live", "  {prefix:<6} {msg}");
        Self::Bars { bars, files, bytes, live }
    }

    /// `changes` at the source so far, if somebody makes them.
    pub fn show(&mut self, now: Figures, changes: Option<u64>) {
        let texts = Texts::of(now, changes);
        match self {
            Self::Bars { files, bytes, live, .. } => {
                // A bar of length 0 would look full.
                files.set_length(if now.is_live { 1 } else { now.files_scanned.max(1) });
                files.set_position(now.files_migrated + now.files_failed);
                files.set_message(texts.files);
                bytes.set_length(if now.is_live { 1 } else { now.bytes_scanned.max(1) });
                bytes.set_position(now.bytes_migrated);
                bytes.set_message(texts.bytes);
                live.set_message(texts.live);
            }
            Self::Lines { next, every } => {
                if Instant::now() >= *next {
                    let parts = [texts.files, texts.bytes, texts.live];
                    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
                    println!("  {}", parts.join("; "));
                    *next = Instant::now() + *every;
                }
            }
        }
    }

    /// There is something new to see, and soon again.
    pub fn is_live(&mut self) {
        if let Self::Lines { next, every } = self {
            (*next, *every) = (Instant::now(), LIVE_LINE_EVERY);
        }
    }

    /// Prints something while bars are there.
    pub fn beside(&self, print: impl FnOnce()) {
        match self {
            Self::Bars { bars, .. } => bars.suspend(print),
            Self::Lines { .. } => print(),
        }
    }

    /// The bars go; the caller says how it ended.
    pub fn end(self) {
        if let Self::Bars { bars, files, bytes, live } = self {
            for bar in [files, bytes, live] {
                bar.finish_and_clear();
            }
            // An error means that the terminal is gone.
            let _ = bars.clear();
        }
    }
}

impl Texts {
    fn of(now: Figures, changes: Option<u64>) -> Self {
        let (mut files, bytes) = match now.is_live {
            true => (
                format!("{} files arrived", now.files_migrated),
                DecimalBytes(now.bytes_migrated).to_string(),
            ),
            false => (format!("{} of {} files", now.files_migrated, now.files_scanned), Self::bytes(now)),
        };
        if now.files_failed > 0 {
            files.push_str(&format!(", {} failed", now.files_failed));
        }
        if !now.is_live {
            files.push_str(&format!(", {}/s", now.files_per_second));
        }
        let changes = changes.map(|changes| format!("{} changes at the source", HumanCount(changes)));
        let lag = now
            .lag
            .map(|lag| format!("lag {} transactions, {} s", HumanCount(lag.transactions), lag.seconds));
        Self { files, bytes, live: changes.into_iter().chain(lag).collect::<Vec<_>>().join(", ") }
    }

    fn bytes(now: Figures) -> String {
        let mut bytes =
            format!("{} of {}", DecimalBytes(now.bytes_migrated), DecimalBytes(now.bytes_scanned));
        bytes.push_str(&format!(", {}/s", DecimalBytes(now.bytes_per_second)));
        if let Some(left) = now.left() {
            bytes.push_str(&format!(", {} left", HumanDuration(left)));
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_status_and_says_how_long_it_takes() {
        let mut status = json!({"state": "Running", "progress": {"filesScanned": 10, "filesMigrated": 4, "filesFailed": 1,
            "bytesScanned": 4000, "bytesMigrated": 1000, "filesPerSecond": 2, "bytesPerSecond": 1000}});
        let texts = Texts::of(Figures::of(&status), Some(5000));
        assert_eq!(texts.files, "4 of 10 files, 1 failed, 2/s");
        assert_eq!(texts.bytes, "1.00 kB of 4.00 kB, 1.00 kB/s, 3 seconds left");
        assert_eq!(texts.live, "5,000 changes at the source");

        status["state"] = json!("Live");
        status["lag"] = json!({"transactions": 1200, "seconds": 3, "watermark": 7});
        let texts = Texts::of(Figures::of(&status), Some(5000));
        assert_eq!((&*texts.files, &*texts.bytes), ("4 files arrived, 1 failed", "1.00 kB"));
        assert_eq!(texts.live, "5,000 changes at the source, lag 1,200 transactions, 3 s");
        assert_eq!(Texts::of(Figures::of(&status), None).live, "lag 1,200 transactions, 3 s");
        assert_eq!(Figures::of(&json!({})).left(), None);
    }
}
