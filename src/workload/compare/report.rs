//! What a comparison found, as text for a terminal.

use std::fmt;

/// Differences that are kept with their path; the others are counted.
const KEPT: usize = 100;
/// Differences that are printed.
const PRINTED: usize = 20;

#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub source: String,
    pub target: String,
    /// At the source, without its root.
    pub directories: u64,
    pub files: u64,
    pub bytes: u64,
    /// All of them.
    pub difference_count: u64,
    /// At most 100 of them, in order of paths.
    pub differences: Vec<Difference>,
}

#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Below both roots.
    pub path: String,
    pub what: What,
}

#[derive(Clone, Debug, Eq, PartialEq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    OnlyAtSource(&'static str),
    OnlyAtTarget(&'static str),
    Kind {
        source: &'static str,
        target: &'static str,
    },
    Size {
        source: u64,
        target: u64,
    },
    /// Same size, other bytes.
    Content,
    Permissions {
        source: u16,
        target: u16,
    },
}

impl Report {
    pub fn new(source: String, target: String) -> Self {
        Self {
            source,
            target,
            directories: 0,
            files: 0,
            bytes: 0,
            difference_count: 0,
            differences: Vec::new(),
        }
    }

    pub fn equal(&self) -> bool {
        self.difference_count == 0
    }

    pub(super) fn add(&mut self, path: String, what: What) {
        self.difference_count += 1;
        if self.differences.len() < KEPT {
            self.differences.push(Difference { path, what });
        }
    }

    /// Contents are compared in no particular order.
    pub(super) fn sort(&mut self) {
        self.differences.sort_by(|one, other| one.path.cmp(&other.path));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "source  {}", self.source)?;
        writeln!(f, "target  {}", self.target)?;
        let (directories, files) = (plural(self.directories, "directory"), plural(self.files, "file"));
        writeln!(f, "read    {directories}, {files}, {} on both sides", size(self.bytes))?;
        if self.equal() {
            return write!(f, "result  equal: names, kinds, sizes, SHA-256 of contents, permissions");
        }
        write!(f, "result  {}", plural(self.difference_count, "difference"))?;
        for difference in self.differences.iter().take(PRINTED) {
            write!(f, "\n  {difference}")?;
        }
        let unprinted = self.difference_count.saturating_sub(PRINTED as u64);
        if unprinted > 0 {
            write!(f, "\n  and {} more", grouped(unprinted))?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names come from outside: control characters in them must not reach the terminal.
        write!(f, "{}: ", self.path.escape_debug())?;
        match &self.what {
            What::OnlyAtSource(kind) => write!(f, "the {kind} is missing at the target"),
            What::OnlyAtTarget(kind) => write!(f, "the {kind} is only at the target"),
            What::Kind { source, target } => write!(f, "{source} at the source, {target} at the target"),
            What::Size { source, target } => {
                write!(f, "{} bytes at the source, {} at the target", grouped(*source), grouped(*target))
            }
            What::Content => write!(f, "the contents differ"),
            What::Permissions { source, target } => {
                write!(f, "permissions {source:04o} at the source, {target:04o} at the target")
            }
        }
    }
}

fn plural(count: u64, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}ies", grouped(count)),
        (_, None) => format!("{} {noun}s", grouped(count)),
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = "bytes";
    for larger in UNITS {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    if unit == "bytes" { plural(bytes, "byte") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        let mut report = Report::new("/data".into(), "https://host/fs/lake".into());
        (report.directories, report.files, report.bytes) = (1, 12_345, 345_600_000);
        assert_eq!(
            report.to_string(),
            "source  /data\ntarget  https://host/fs/lake\n\
             read    1 directory, 12,345 files, 345.6 MB on both sides\n\
             result  equal: names, kinds, sizes, SHA-256 of contents, permissions"
        );
        report.add("b\n".into(), What::Size { source: 1000, target: 999 });
        report.add("a".into(), What::Permissions { source: 0o1755, target: 0o640 });
        report.sort();
        assert!(report.to_string().ends_with(
            "result  2 differences\n  a: permissions 1755 at the source, 0640 at the target\n  \
             b\\n: 1,000 bytes at the source, 999 at the target"
        ));
    }

    #[test]
    fn many_differences_are_counted_and_few_are_kept() {
        let mut report = Report::new(String::new(), String::new());
        for number in 0..5000 {
            report.add(format!("{number}"), What::Content);
        }
        assert_eq!((report.difference_count, report.differences.len()), (5000, KEPT));
        assert!(report.to_string().ends_with("and 4,980 more"));
        assert!(!report.equal());
    }

    #[test]
    fn sizes() {
        assert_eq!(
            [0, 1, 999, 1000, 1_500_000].map(size),
            ["0 bytes", "1 byte", "999 bytes", "1.0 KB", "1.5 MB"]
        );
    }
}
