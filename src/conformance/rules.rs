//! The table of rules: 124 rows, each with its number, what it wants, where that is said, and its check.
//!
//! Sources: RES, ASY, CAD, CAC, PRX, SUB and ADD are `v1.0/{resource-api-reference, async-api-reference, common-api-details,
//! common-api-contracts, proxy-api-reference, subscription-lifecycle-api-reference, Addendum}.md` of
//! [azure-resource-manager-rpc](https://github.com/Azure/azure-resource-manager-rpc); COV is `rpc-guidelines-coverage.md` of
//! [typespec-azure](https://github.com/Azure/typespec-azure); LNT are rules of Microsoft's OpenAPI validator; HCP, RP and RAD
//! is what [ARO-HCP](https://github.com/Azure/ARO-HCP), [ARO-RP](https://github.com/Azure/ARO-RP) and
//! [Radius](https://github.com/radius-project/radius) do where the contract is silent.

use std::sync::Arc;

use futures::future::LocalBoxFuture;

use crate::exchange::Exchange;
use crate::trial::Trial;
use crate::verdict::Outcome;

/// `NUMBER, TITLE, SOURCE, active FUNCTION | afterwards FUNCTION | elsewhere REASON;`
macro_rules! rules {
    ($($number:literal, $title:literal, $source:literal, $how:ident $what:tt;)*) => {
        pub const RULES: &[$crate::rules::Rule] = &[$($crate::rules::Rule {
            number: $number,
            title: $title,
            source: $source,
            check: check!($how $what),
        }),*];
    };
}
macro_rules! check {
    (active $function:ident) => {
        $crate::rules::Check::Active(|trial| Box::pin($function(trial)))
    };
    (afterwards $function:ident) => {
        $crate::rules::Check::Afterwards($function)
    };
    (elsewhere $reason:literal) => {
        $crate::rules::Check::NotFromOutside($reason)
    };
}

mod actions;
mod authentication;
mod delete;
mod envelope;
mod errors;
mod etag;
mod lifecycle;
mod lists;
mod operations;
mod patch;
mod paths;
mod put;
mod system_data;
mod uri;

pub use lifecycle::set_state;

pub struct Rule {
    pub number: u16,
    pub title: &'static str,
    pub source: &'static str,
    pub check: Check,
}

pub enum Check {
    /// Sends requests of its own.
    Active(for<'a> fn(&'a Trial) -> LocalBoxFuture<'a, Outcome>),
    /// Looks at everything that was exchanged, when all others are done.
    Afterwards(fn(&Trial, &[Arc<Exchange>]) -> Outcome),
    /// With the reason.
    NotFromOutside(&'static str),
}

/// All rules, by number.
pub fn all() -> Vec<&'static Rule> {
    let sections = [
        uri::RULES,
        paths::RULES,
        envelope::RULES,
        system_data::RULES,
        put::RULES,
        patch::RULES,
        delete::RULES,
        lists::RULES,
        actions::RULES,
        operations::RULES,
        errors::RULES,
        etag::RULES,
        lifecycle::RULES,
        authentication::RULES,
    ];
    let mut all: Vec<&Rule> = sections.into_iter().flatten().collect();
    all.sort_by_key(|rule| rule.number);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_number_once() {
        let numbers: Vec<u16> = all().iter().map(|rule| rule.number).collect();
        assert_eq!(numbers, (1..=124).collect::<Vec<u16>>());
    }
}
