//! The score: for people, and for programs.

use std::fmt;

use serde_json::{Value, json};

use crate::profile::Profile;
use crate::rules::Rule;
use crate::verdict::Verdict;

/// One rule's verdict, and what the profile says to its failure.
pub struct Line {
    pub rule: &'static Rule,
    pub verdict: Verdict,
    pub deviation: Option<String>,
    pub open: Option<String>,
}

pub struct Score(pub Vec<Line>);

impl Score {
    pub fn new(profile: &Profile, verdicts: Vec<(&'static Rule, Verdict)>) -> Self {
        let line = |(rule, verdict): (&'static Rule, Verdict)| Line {
            deviation: profile.deviation(rule.number).map(str::to_owned),
            open: profile.open(rule.number).map(str::to_owned),
            rule,
            verdict,
        };
        Self(verdicts.into_iter().map(line).collect())
    }

    pub fn failed(&self) -> impl Iterator<Item = &Line> {
        self.0.iter().filter(|line| matches!(line.verdict, Verdict::Failed(_)))
    }

    /// Whether no rule failed but those that the profile deviates from.
    pub fn is_good(&self) -> bool {
        self.failed().all(|line| line.deviation.is_some())
    }

    fn count(&self, is: impl Fn(&Verdict) -> bool) -> usize {
        self.0.iter().filter(|line| is(&line.verdict)).count()
    }

    pub fn json(&self) -> Value {
        let rules: Vec<Value> = self.0.iter().map(Line::json).collect();
        json!({
            "summary": {
                "passed": self.count(|verdict| matches!(verdict, Verdict::Passed)),
                "failed": self.failed().count(),
                "deviations": self.failed().filter(|line| line.deviation.is_some()).count(),
                "notApplicable": self.count(|verdict| matches!(verdict, Verdict::NotApplicable(_))),
                "notFromOutside": self.count(|verdict| matches!(verdict, Verdict::NotFromOutside(_))),
            },
            "rules": rules,
        })
    }
}

impl Line {
    fn json(&self) -> Value {
        let mut json = json!({
            "number": self.rule.number, "title": self.rule.title, "source": self.rule.source,
            "verdict": word(&self.verdict),
        });
        let Some(members) = json.as_object_mut() else { return json };
        match &self.verdict {
            Verdict::Failed(finding) => drop(members.insert("finding".into(), json!(finding))),
            Verdict::NotApplicable(reason) => drop(members.insert("reason".into(), json!(reason))),
            Verdict::NotFromOutside(reason) => drop(members.insert("reason".into(), json!(reason))),
            Verdict::Passed => {}
        }
        members.extend(self.deviation.iter().map(|why| ("deviation".to_owned(), json!(why))));
        members.extend(self.open.iter().map(|why| ("open".to_owned(), json!(why))));
        json
    }
}

pub fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::Failed(_) => "failed",
        Verdict::NotApplicable(_) => "notApplicable",
        Verdict::NotFromOutside(_) => "notFromOutside",
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.0 {
            writeln!(f, "{line}")?;
        }
        let deviations = self.failed().filter(|line| line.deviation.is_some()).count();
        writeln!(
            f,
            "{} rules: {} passed, {} failed ({deviations} of them deviations of the profile), {} not applicable, {} not from outside",
            self.0.len(),
            self.count(|verdict| matches!(verdict, Verdict::Passed)),
            self.failed().count(),
            self.count(|verdict| matches!(verdict, Verdict::NotApplicable(_))),
            self.count(|verdict| matches!(verdict, Verdict::NotFromOutside(_))),
        )?;
        for line in self.0.iter().filter(|line| matches!(line.verdict, Verdict::Passed)) {
            if let Some(list) =
                line.deviation.as_ref().map(|_| "deviations").or(line.open.as_ref().map(|_| "open"))
            {
                writeln!(
                    f,
                    "rule {} passes: it no longer belongs among the profile's {list}",
                    line.rule.number
                )?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed(_) => "FAILED",
            Verdict::NotApplicable(_) => "n/a",
            Verdict::NotFromOutside(_) => "-",
        };
        write!(f, "{:>4}  {word:<7} {}", self.rule.number, self.rule.title)?;
        match &self.verdict {
            Verdict::Passed => Ok(()),
            Verdict::NotApplicable(reason) => write!(f, "\n{:14}not applicable: {reason}", ""),
            Verdict::NotFromOutside(reason) => write!(f, "\n{:14}not from outside: {reason}", ""),
            Verdict::Failed(finding) => {
                write!(
                    f,
                    "\n{0:14}sent       {1}\n{0:14}came back  {2}\n{0:14}wanted     {3}  [{4}]",
                    "", finding.sent, finding.came_back, finding.wanted, self.rule.source
                )?;
                if let Some(why) = &self.deviation {
                    write!(f, "\n{:14}deviation  {why}", "")?;
                }
                if let Some(why) = &self.open {
                    write!(f, "\n{:14}open       {why}", "")?;
                }
                Ok(())
            }
        }
    }
}
