//! A local directory as source.
