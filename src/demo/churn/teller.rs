//! How far a churn is, for a person or for the program that started it.

use std::io::{IsTerminal as _, Write as _};

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use livedata_workload::churn::Churned;

pub enum Teller {
    /// A line of standard error that changes, where there is a terminal.
    Person(ProgressBar),
    /// Lines on standard output, see [`Told`].
    Program,
}

/// A line that a program is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Told {
    /// So far.
    Changes(u64),
    /// The last line: what was done, for people.
    Summary(String),
}

impl Told {
    pub fn read(line: &str) -> Self {
        line.parse().map_or_else(|_| Self::Summary(line.to_owned()), Self::Changes)
    }
}

impl Teller {
    pub fn to_a_person() -> Self {
        let line =
            if std::io::stderr().is_terminal() { ProgressBar::no_length() } else { ProgressBar::hidden() };
        // An error can only be a template that is wrong for everybody.
        if let Ok(style) = ProgressStyle::with_template("{msg} changes in {elapsed}") {
            line.set_style(style);
        }
        Self::Person(line)
    }

    pub fn to_a_program() -> Self {
        Self::Program
    }

    /// For people only.
    pub fn say(&self, text: &str) {
        if let Self::Person(line) = self {
            line.suspend(|| println!("{text}"));
        }
    }

    pub fn tell(&self, changes: u64) {
        match self {
            Self::Person(line) => {
                line.set_message(HumanCount(changes).to_string());
                line.tick();
            }
            Self::Program => write_line(&changes.to_string()),
        }
    }

    pub fn end(&self, churned: &Churned) {
        if let Self::Person(line) = self {
            line.finish_and_clear();
        }
        write_line(&churned.to_string());
    }
}

/// Somebody who does not listen any more has also closed standard input, or will not be missed.
fn write_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_reads_counts_and_one_summary() {
        assert_eq!(Told::read("120"), Told::Changes(120));
        let summary = "seed 1: 3 operations (4 changes) in 1.0 s, 3 operations/s: create 3";
        assert_eq!(Told::read(summary), Told::Summary(summary.to_owned()));
    }
}
