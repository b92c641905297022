//! What is on its way to the target, for a migration that is to stop without leaving things half done.

use std::time::Duration;

use livedata_engine::{Effect, Input};
use tokio::time::Instant;

/// A large file is not waited for any longer: it goes on from its last flush.
pub const LIMIT: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct Arrivals {
    /// Effects that put something at the target and were not answered yet.
    pub under_way: usize,
    until: Option<Instant>,
}

impl Arrivals {
    /// The effects that are to be executed: while draining, those that bring to an end what is half done. To the engine it
    /// is as if the others had been on their way when the process ended.
    pub fn let_out(&mut self, mut effects: Vec<Effect>, draining: bool) -> Vec<Effect> {
        if draining {
            self.until.get_or_insert_with(|| Instant::now() + LIMIT);
            effects.retain(ends_something);
        }
        self.under_way += effects.iter().filter(|effect| puts_something(effect)).count();
        effects
    }

    pub fn heard(&mut self, input: &Input) {
        let answers = matches!(
            input,
            Input::DirectoryMade { .. }
                | Input::AttributesSet { .. }
                | Input::Copied { .. }
                | Input::Published { .. }
                | Input::Moved { .. }
                | Input::SetAside { .. }
        );
        self.under_way = self.under_way.saturating_sub(usize::from(answers));
    }

    /// Of a migration that drains: nothing is under way any more, or it has taken too long.
    pub fn are_over(&self) -> bool {
        self.under_way == 0 || self.until.is_some_and(|until| Instant::now() >= until)
    }
}

fn puts_something(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::MakeDirectory { .. }
            | Effect::SetAttributes { .. }
            | Effect::Copy { .. }
            | Effect::Publish { .. }
            | Effect::Move { .. }
            | Effect::SetAside { .. }
    )
}

/// What follows on what is under way, and the checkpoints of copies.
fn ends_something(effect: &Effect) -> bool {
    let begins = matches!(effect, Effect::Copy { .. } | Effect::MakeDirectory { .. });
    puts_something(effect) && !begins || matches!(effect, Effect::Flush { .. } | Effect::Finished)
}
