//! Rules of migrations: what is left out, where paths go, what gives way to what.

use crate::{wire_struct, wire_words};

wire_words! {
    /// Of which syntax an exclusion's pattern is.
    #[derive(Default)]
    pub enum PatternType unknown Regex {
        /// As shells have it: `*` and `?` within a segment, `**` across, `[…]` and `{…,…}`.
        #[default]
        1 => Glob,
        2 => Regex,
    }
}

wire_struct! {
    /// Files that a migration leaves out. Exactly one of the rules is there.
    #[derive(Hash, serde::Serialize, serde::Deserialize)]
    pub struct Exclusion {
        /// Of the template.
        1 => name: String,
        2 => pattern: Option<String>,
        3 => pattern_type: PatternType,
        /// Files modified before this are left out; milliseconds since 1970.
        4 => modified_before_ms: Option<i64>,
        /// Larger files are left out.
        5 => max_bytes: Option<u64>,
        /// Files modified within so many seconds before the migration's start, or after it, are left out.
        6 => younger_than_seconds: Option<u64>,
    }
}

wire_struct! {
    /// Where a path of the source stands at a target. The provider applies it to the path of each migration that is made
    /// without a target path; the agent would apply it within a migration.
    pub struct PathMappingSpec {
        1 => source_path: String,
        /// Id of the target resource, lower case.
        2 => target: String,
        3 => target_path: String,
    }
}

wire_words! {
    /// What happens to a file that is at the target already.
    #[derive(Default)]
    pub enum ActionPolicy unknown SkipIfContentMatch {
        #[default]
        1 => Overwrite,
        2 => SkipIfSizeMatch,
        3 => SkipIfContentMatch,
    }
}

wire_words! {
    /// Which migrations go first when slots or bandwidth are scarce.
    #[derive(Default)]
    pub enum Priority unknown Normal {
        1 => Low,
        #[default]
        2 => Normal,
        3 => High,
    }
}

wire_words! {
    pub enum IdentityKind unknown User {
        1 => User,
        2 => Group,
    }
}

wire_struct! {
    /// An owner, group or named entry of the source as the target knows it.
    #[derive(Hash, serde::Serialize, serde::Deserialize)]
    pub struct IdentityMapping {
        1 => kind: IdentityKind,
        2 => source: String,
        3 => target: String,
    }
}
