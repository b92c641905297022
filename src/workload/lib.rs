//! Data to migrate, and a judge of the result.
//!
//! * [`lake`] writes a small data lake: the names, sizes and permissions that real lakes have, the same for a seed.
//! * [`churn()`] changes a lake while somebody copies it: what programs do to lakes, the same for a seed.
//! * [`compare()`] says whether two sides hold the same tree. It shares no crate of this project with the code that it
//!   judges: it reads through clients of its own (`std::fs`, `hdfs-native`, plain HTTP to ADLS), so that a mistake in ours
//!   cannot hide itself.
//! * [`witness`] looks on while a lake arrives: it never sees half a file, or one that vouches for what is not there.

pub mod churn;
pub mod compare;
pub mod lake;
pub mod witness;

pub use churn::{Churned, Plan, churn};
pub use compare::{Difference, Report, SourceSide, TargetSide, compare};
