//! When the agent reports: everything at the start, then changes, one report under way at a time. Lists of failed paths go
//! the same way beside the reports, which they must not hold up.

use std::time::Duration;

use crate::Error;

/// Reports start at least so far apart.
pub(crate) const REPORT_EVERY: Duration = Duration::from_millis(500);

/// Messages that follow each other by acknowledgement.
#[derive(Default)]
pub(crate) struct Reporting {
    sequence: u64,
    under_way: bool,
}

impl Reporting {
    /// Whether the next one may go as soon as there is something to say.
    pub(crate) fn is_idle(&self) -> bool {
        !self.under_way
    }

    /// The number of the one that is now sent.
    pub(crate) fn send(&mut self) -> u64 {
        self.sequence += 1;
        self.under_way = true;
        self.sequence
    }

    pub(crate) fn acknowledged(&mut self, sequence: u64) -> Result<(), Error> {
        if !self.under_way || sequence != self.sequence {
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
    use super::*;

    #[test]
    fn one_report_at_a_time() {
        let mut reporting = Reporting::default();
        assert!(reporting.is_idle());
        assert_eq!(reporting.send(), 1);
        assert!(!reporting.is_idle());
        assert!(reporting.acknowledged(2).is_err());
        reporting.acknowledged(1).unwrap();
        assert!(reporting.is_idle());
        assert!(reporting.acknowledged(1).is_err());
        assert_eq!(reporting.send(), 2);
    }
}
