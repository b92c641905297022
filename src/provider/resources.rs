//! The resource types, a folder each: wire types of a version, validation (the document), admission (against stored state),
//! mutation, model, and the registration that ties them together.

pub mod live_data_migrations;
pub mod migrators;
pub mod targets;
