//! `cargo test`, with a count of what really ran.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::command;

/// Sums of the lines in which test programs close their work.
#[derive(Debug, Default, Eq, PartialEq)]
struct Count {
    passed: u64,
    ignored: u64,
}

impl Count {
    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.10s`
    fn add(&mut self, line: &str) {
        let Some((_, figures)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for figure in figures.split("; ") {
            match figure.split_once(' ').map(|(number, what)| (number.parse::<u64>(), what)) {
                Some((Ok(number), "passed")) => self.passed += number,
                Some((Ok(number), "ignored")) => self.ignored += number,
                _ => {}
            }
        }
    }
}

/// Fails when a test fails, when one was ignored, and when none ran.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = command::shown(command);
    println!("$ {shown}");
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot run `{shown}`"))?;
    let mut count = Count::default();
    if let Some(output) = child.stdout.take() {
        // Tests may print anything, so lines are bytes.
        for line in BufReader::new(output).split(b'\n') {
            let line = line.context("cannot read what the tests print")?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            count.add(&line);
        }
    }
    let status = child.wait()?;
    ensure!(status.success(), "`{shown}` ended with {status}");
    ensure!(count.ignored == 0, "`{shown}` left out {} tests that are marked as ignored", count.ignored);
    ensure!(count.passed > 0, "`{shown}` found no test to run");
    println!("{} tests passed", count.passed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_ran() {
        let mut count = Count::default();
        count.add(
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.10s",
        );
        count.add(
            "test result: FAILED. 4 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s",
        );
        count.add("test az::result: ok. 9 passed; 9 ignored");
        assert_eq!(count, Count { passed: 7, ignored: 1 });
    }

    #[test]
    fn a_run_without_tests_is_a_failure() {
        let print = |text: &str| {
            let mut command = Command::new("printf");
            command.arg(text);
            command
        };
        let nothing = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 5 filtered out\\n";
        assert!(run(&mut print(nothing)).is_err());
        let ignored = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\\n";
        assert!(run(&mut print(ignored)).is_err());
        assert!(run(&mut print("\\377 no text\\ntest result: ok. 5 passed; 0 failed\\n")).is_ok());
    }
}
