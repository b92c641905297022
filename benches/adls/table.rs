//! The figures, as they are shown.

use std::fmt;

use crate::cases::Taken;
use crate::emulator::Storage;
use crate::machine;

#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

pub struct Row {
    case: &'static str,
    storage: Storage,
    what: String,
    figure: String,
    cost: String,
}

impl Row {
    /// `count` of `unit` were done.
    pub fn new(
        case: &'static str,
        storage: Storage,
        what: String,
        figure: String,
        count: u64,
        unit: &str,
        taken: &Taken,
    ) -> Self {
        let per = |seconds: f64| seconds * 1e6 / count as f64;
        let cost = format!(
            "{:.2} s; CPU {:.2} s emulator, {:.2} s loader ({:.1} and {:.1} us a {unit}){}",
            taken.elapsed.as_secs_f64(),
            taken.emulator_cpu_seconds,
            taken.loader_cpu_seconds,
            per(taken.emulator_cpu_seconds),
            per(taken.loader_cpu_seconds),
            machine::mark(taken.others)
        );
        Self { case, storage, what, figure, cost }
    }

    /// Of nothing that takes time.
    pub fn bare(case: &'static str, storage: Storage, what: String, figure: String) -> Self {
        Self { case, storage, what, figure, cost: String::new() }
    }
}

impl Table {
    pub fn add(&mut self, row: Row) {
        println!("{row}");
        self.rows.push(row);
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {} | {} | {} | {} |", self.case, self.storage, self.what, self.figure, self.cost)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| case | storage | what | figure | took |\n|---|---|---|---|---|")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))
    }
}
