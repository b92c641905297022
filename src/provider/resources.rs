//! The resource types, one folder each.

pub mod data_transfer_agents;
pub mod exclusion_templates;
pub mod live_data_migrations;
pub mod metadata_migrations;
pub mod metadata_targets;
pub mod migrators;
pub mod path_mappings;
pub mod targets;
pub mod verifications;
