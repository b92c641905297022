//! A shorter history that fails in the same way.

use std::collections::BTreeSet;

use crate::run::{Options, run};

/// Leaves out as many changes of the source as possible while the history goes wrong with the same kind of error (the word
/// before its colon). Returns what was left out and the error.
pub fn shrink(seed: u64, options: &Options) -> Option<(BTreeSet<u32>, String)> {
    let error = run(seed, options).err()?;
    let kind = |error: &str| error.split(':').next().unwrap_or("").to_owned();
    let wanted = kind(&error);
    let mut best = (options.skip.clone(), error);
    let mut width = 64u32;
    while width > 0 {
        let mut from = 0;
        while from < 256 {
            let mut skip = best.0.clone();
            skip.extend(from..from + width);
            let tried = Options { skip: skip.clone(), ..options.clone() };
            if let Err(error) = run(seed, &tried)
                && kind(&error) == wanted
            {
                best = (skip, error);
            }
            from += width;
        }
        width /= 2;
    }
    Some(best)
}
