//! How busy the processors of this machine are, and how much of that is the agent: from Linux' `/proc`, between one look and the next.

use std::path::Path;

use livedata_model::report::Load;

/// The first look has nothing to compare with.
#[derive(Debug, Default)]
pub struct Processors {
    before: Option<Ticks>,
}

/// Of all processors together, since the machine started.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Ticks {
    process: u64,
    busy: u64,
    all: u64,
}

impl Processors {
    /// `None`: nothing can be said, e.g. because no time has passed.
    pub fn look(&mut self) -> Option<Load> {
        let read = |path: &str| std::fs::read_to_string(Path::new(path)).ok();
        let now = ticks(&read("/proc/stat")?, &read("/proc/self/stat")?)?;
        let before = self.before.replace(now)?;
        load(before, now)
    }
}

fn load(before: Ticks, now: Ticks) -> Option<Load> {
    let all = now.all.checked_sub(before.all).filter(|all| *all > 0)?;
    let permille = |then: u64, now: u64| {
        let share = u128::from(now.saturating_sub(then)) * 1000 / u128::from(all);
        u32::try_from(share.min(1000)).unwrap_or(1000)
    };
    Some(Load {
        process_permille: permille(before.process, now.process),
        machine_permille: permille(before.busy, now.busy),
    })
}

/// `machine`: user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of the first two. `process`: its name may
/// hold anything, so what follows the last bracket is counted; user and system time are the 12th and 13th after it.
fn ticks(machine: &str, process: &str) -> Option<Ticks> {
    let line = machine.lines().next()?.strip_prefix("cpu ")?;
    let times: Vec<u64> = line.split_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
    let [user, nice, system, idle, waiting, rest @ ..] = times.as_slice() else { return None };
    let busy = user + nice + system + rest.iter().sum::<u64>();
    let (_, after_name) = process.rsplit_once(')')?;
    let mut own = after_name.split_whitespace().skip(11).map_while(|word| word.parse::<u64>().ok());
    let process = own.next()? + own.next()?;
    Some(Ticks { process, busy, all: busy + idle + waiting })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: &str = "cpu  100 10 50 800 40 1 2 3 7 7\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
    const PROCESS: &str = "77 (a) name (1)) S 1 77 77 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 9 0 1 2 3";

    #[test]
    fn proc_is_read_as_it_is_written() {
        assert_eq!(ticks(MACHINE, PROCESS), Some(Ticks { process: 42, busy: 166, all: 1006 }));
        assert_eq!(ticks("", PROCESS), None);
        assert_eq!(ticks(MACHINE, "77 (a) S 1"), None);
    }

    #[test]
    fn shares_are_of_the_time_between_two_looks() {
        let before = Ticks { process: 10, busy: 100, all: 1000 };
        let now = Ticks { process: 60, busy: 300, all: 1400 };
        assert_eq!(load(before, now), Some(Load { process_permille: 125, machine_permille: 500 }));
        assert_eq!(load(now, now), None);
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        let mut processors = Processors::default();
        assert_eq!(processors.look(), None);
        assert!(processors.before.is_some());
    }
}
