//! Changes that wait for their reader, and the positions they have.
//!
//! Each change has the next number. What was read stays until a later read names its position. When more waits than the
//! queue holds, everything that waits is dropped: the reader is told of a gap, and what follows can be read from there.

use std::collections::{HashSet, VecDeque};

use crate::{Change, Event, Position, Reading};

/// Changes in one answer.
const BATCH: usize = 4096;

#[derive(Debug)]
pub struct Queue {
    events: VecDeque<Event>,
    capacity: usize,
    last: Position,
    /// Changes up to here were read and acknowledged.
    acknowledged: Position,
    /// Changes up to here were dropped unread.
    lost: Position,
    lost_reason: String,
    /// Whether anybody knows a position of this process.
    is_known: bool,
    /// Paths whose change waits unread, with no rename behind it: another change there says nothing new. Not beyond a
    /// rename, because the path may mean something else from there on.
    waiting: HashSet<String>,
}

impl Queue {
    /// `start` is higher than every position of earlier processes.
    pub fn new(start: Position, capacity: usize) -> Self {
        Self {
            events: VecDeque::new(),
            capacity,
            last: start,
            acknowledged: start,
            lost: start,
            lost_reason:
                "the reader of changes was started anew; what happened while there was none is not known"
                    .to_owned(),
            is_known: false,
            waiting: HashSet::new(),
        }
    }

    pub fn push(&mut self, change: Change) {
        match &change {
            Change::Touched { path } => {
                if !self.waiting.insert(path.clone()) {
                    return;
                }
            }
            Change::Renamed { .. } => self.waiting.clear(),
            Change::TimesSet { .. } | Change::Unwatched { .. } => {}
        }
        if self.events.len() >= self.capacity {
            let capacity = self.capacity;
            return self.lose(format!("more than {capacity} changes waited to be read, and were dropped"));
        }
        self.last.0 += 1;
        self.events.push_back(Event { position: self.last, change });
    }

    /// Drops what waits. The loss has a position of its own, so that whoever has read everything is told of it too.
    pub fn lose(&mut self, reason: String) {
        self.last.0 += 1;
        self.lost = self.last;
        self.lost_reason = reason;
        self.events.clear();
        self.waiting.clear();
    }

    pub fn position(&mut self) -> Position {
        self.is_known = true;
        self.last
    }

    pub fn read(&mut self, after: Position) -> Reading {
        let reason = if after < self.lost || !self.is_known {
            Some(self.lost_reason.clone())
        } else if after < self.acknowledged {
            Some("this position was read past already".to_owned())
        } else if after > self.last {
            Some("this position is not one of this reader's".to_owned())
        } else {
            None
        };
        self.waiting.clear();
        if let Some(reason) = reason {
            // Whoever looks from now on sees what the changes that still wait are about.
            self.events.clear();
            self.acknowledged = self.last;
            return Reading::Gap { resume_at: self.position(), reason };
        }
        self.acknowledged = after;
        while self.events.front().is_some_and(|event| event.position <= after) {
            self.events.pop_front();
        }
        let events: Vec<Event> = self.events.iter().take(BATCH).cloned().collect();
        let read_to = events.last().filter(|_| events.len() < self.events.len());
        Reading::Events { read_to: read_to.map_or(self.last, |event| event.position), events }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(path: &str) -> Change {
        Change::Touched { path: path.to_owned() }
    }

    fn queue(capacity: usize) -> (Queue, Position) {
        let mut queue = Queue::new(Position(1000), capacity);
        let now = queue.position();
        (queue, now)
    }

    fn events(reading: Reading) -> (Vec<Change>, Position) {
        match reading {
            Reading::Events { events, read_to } => {
                (events.into_iter().map(|event| event.change).collect(), read_to)
            }
            gap => panic!("{gap:?}"),
        }
    }

    fn gap(reading: Reading) -> (Position, String) {
        match reading {
            Reading::Gap { resume_at, reason } => (resume_at, reason),
            events => panic!("{events:?}"),
        }
    }

    #[test]
    fn what_was_read_stays_until_it_is_acknowledged() {
        let (mut queue, start) = queue(10);
        queue.push(touched("/a"));
        queue.push(touched("/b"));
        let (read, to) = events(queue.read(start));
        assert_eq!(read, [touched("/a"), touched("/b")]);
        assert_eq!(events(queue.read(start)), (read, to), "read again");
        assert_eq!(events(queue.read(to)), (vec![], to));
        gap(queue.read(start));
    }

    #[test]
    fn repeated_changes_wait_once() {
        let (mut queue, start) = queue(10);
        for _ in 0..5 {
            queue.push(touched("/a"));
        }
        let renamed = Change::Renamed { from: "/a".to_owned(), to: "/b".to_owned() };
        queue.push(renamed.clone());
        queue.push(touched("/a"));
        let (read, to) = events(queue.read(start));
        assert_eq!(read, [touched("/a"), renamed, touched("/a")]);
        // Whoever has read it may have looked before this one.
        queue.push(touched("/a"));
        assert_eq!(events(queue.read(to)).0, [touched("/a")]);
    }

    #[test]
    fn large_answers_come_in_parts() {
        let (mut queue, start) = queue(3 * BATCH);
        let all: Vec<Change> = (0..2 * BATCH + 1).map(|number| touched(&format!("/{number}"))).collect();
        all.iter().cloned().for_each(|change| queue.push(change));
        let (mut found, mut at) = (Vec::new(), start);
        while at < queue.position() {
            let (part, to) = events(queue.read(at));
            found.extend(part);
            at = to;
        }
        assert_eq!(found, all);
    }

    #[test]
    fn too_much_is_a_gap_and_what_follows_is_not_lost() {
        let (mut queue, start) = queue(3);
        for number in 0..4 {
            queue.push(touched(&format!("/{number}")));
        }
        let (resume_at, reason) = gap(queue.read(start));
        assert!(reason.contains("more than 3 changes"), "{reason}");
        queue.push(touched("/after"));
        assert_eq!(events(queue.read(resume_at)).0, [touched("/after")]);

        // A loss is also told to a reader that was up to date.
        let now = queue.position();
        queue.lose("lost".to_owned());
        assert_eq!(gap(queue.read(now)).1, "lost");
    }

    #[test]
    fn positions_of_other_processes_are_gaps() {
        for other in [Position(0), Position(999), Position(1000), Position(5000)] {
            let mut queue = Queue::new(Position(1000), 10);
            queue.push(touched("/a"));
            let (resume_at, _) = gap(queue.read(other));
            assert_eq!(events(queue.read(resume_at)), (vec![], resume_at));
        }
    }
}
