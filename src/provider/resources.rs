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

/// The wire types of the public version, for its examples.
#[cfg(test)]
pub mod public {
    pub use super::data_transfer_agents::v2023_11_01_preview as data_transfer_agents;
    pub use super::live_data_migrations::v2023_11_01_preview as live_data_migrations;
    pub use super::migrators::v2023_11_01_preview as migrators;
    pub use super::verifications::v2023_11_01_preview as verifications;
}
