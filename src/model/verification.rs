//! A comparison of source and target of one migration.

use crate::{wire_struct, wire_words};

wire_words! {
    /// How much of each file is compared.
    #[derive(Default)]
    pub enum VerificationLevel unknown ReadBack {
        /// Existence, kind, size, owner, permissions.
        #[default]
        1 => Metadata,
        /// The checksums that both sides hold.
        2 => Checksum,
        /// The target's bytes are read.
        3 => ReadBack,
    }
}

wire_struct! {
    pub struct VerificationSpec {
        /// Id of the migration, lower case.
        1 => migration: String,
        2 => level: VerificationLevel,
        /// Of the files, 1 to 100; `None`: all.
        3 => sample_percent: Option<u32>,
        /// At the source; empty: the whole migration.
        4 => paths: Vec<String>,
        /// Levels of directories below each path; `None`: all.
        5 => depth: Option<u32>,
        /// What changed at the source after this is not judged; milliseconds since 1970.
        6 => ignore_after_ms: Option<i64>,
        7 => cancelled: bool,
        8 => incarnation: String,
    }
}
