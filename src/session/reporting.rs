//! When the agent reports: everything at the start, then changes, one report under way at a time.

use std::time::Duration;

use livedata_model::message::{Report, ReportAck};

use crate::Error;

/// Reports start at least so far apart.
pub(crate) const REPORT_EVERY: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(crate) struct Reporting {
    sequence: u64,
    under_way: bool,
}

impl Reporting {
    /// Whether the next report may go as soon as there is something to say.
    pub(crate) fn is_idle(&self) -> bool {
        !self.under_way
    }

    /// Numbers a report for sending.
    pub(crate) fn send(&mut self, report: Report) -> Report {
        self.sequence += 1;
        self.under_way = true;
        Report { sequence: self.sequence, ..report }
    }

    pub(crate) fn acknowledged(&mut self, ack: &ReportAck) -> Result<(), Error> {
        if !self.under_way || ack.sequence != self.sequence {
            return Err(Error::Unexpected {
                expected: "an acknowledgement of the last report",
                received: "one of another report",
            });
        }
        self.under_way = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use livedata_model::report::AgentReport;

    use super::*;

    #[test]
    fn one_report_at_a_time() {
        let report = Report {
            sequence: 0,
            agent: AgentReport { version: "1".into(), conditions: vec![] },
            migrations: vec![],
        };
        let mut reporting = Reporting::default();
        assert!(reporting.is_idle());
        assert_eq!(reporting.send(report.clone()).sequence, 1);
        assert!(!reporting.is_idle());
        assert!(reporting.acknowledged(&ReportAck { sequence: 2 }).is_err());
        reporting.acknowledged(&ReportAck { sequence: 1 }).unwrap();
        assert!(reporting.is_idle());
        assert!(reporting.acknowledged(&ReportAck { sequence: 1 }).is_err());
        assert_eq!(reporting.send(report).sequence, 2);
    }
}
