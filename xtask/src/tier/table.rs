//! The closing table.

use std::fmt;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    Passed,
    Failed,
    NotReached,
    NotChosen,
}

#[derive(Default)]
pub struct Table(Vec<(String, Option<Duration>, Outcome)>);

impl Table {
    pub fn add(&mut self, stage: String, took: Option<Duration>, outcome: Outcome) {
        self.0.push((stage, took, outcome));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<14}{:>9}  result", "stage", "seconds")?;
        for (stage, took, outcome) in &self.0 {
            let seconds = took.map_or_else(|| "-".to_owned(), |took| format!("{:.1}", took.as_secs_f64()));
            let result = match outcome {
                Outcome::Passed => "passed",
                Outcome::Failed => "FAILED",
                Outcome::NotReached => "not reached",
                Outcome::NotChosen => "not asked for",
            };
            writeln!(f, "{stage:<14}{seconds:>9}  {result}")?;
        }
        let total: Duration = self.0.iter().filter_map(|(_, took, _)| *took).sum();
        write!(f, "{:<14}{:>9.1}", "all", total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_well() {
        let mut table = Table::default();
        table.add("format".into(), Some(Duration::from_millis(1250)), Outcome::Passed);
        table.add("clippy".into(), Some(Duration::from_secs(61)), Outcome::Failed);
        table.add("build".into(), None, Outcome::NotReached);
        let expected = "stage           seconds  result\n\
                        format              1.2  passed\n\
                        clippy             61.0  FAILED\n\
                        build                 -  not reached\n\
                        all                62.2";
        assert_eq!(table.to_string(), expected);
    }
}
