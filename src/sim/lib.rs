//! The migration engine in a simulated world, so that millions of histories can be tried and each be repeated.
//!
//! One number, the seed, decides everything: what applications do at the source ([`hdfs`]), in which order the engine's
//! effects are carried out, what the target ([`adls`]) answers and whether anybody hears of it, when the process dies,
//! inside a commit too. [`run`] plays one history with one or two migrations of one source and judges it all the way
//! ([`oracle`]): nothing torn is published, no copy of something that lives is destroyed, files that vouch for others come
//! after them, the watermark tells the truth; when the source is quiet everything comes to rest and both sides are equal.
//!
//! [`scripted`] plays a history whose order is given. [`shrink`] looks for a shorter history that fails in the same way. Method: deterministic simulation around a core without
//! I/O, as in FoundationDB's testing (Zhou et al., SIGMOD 2021). For development only.

pub mod adls;
mod chance;
pub mod hdfs;
mod oracle;
mod random;
mod run;
pub mod scripted;
pub mod shrink;
pub mod small;
mod world;

pub use random::Random;
pub use run::{Options, Outcome, run};
pub use world::Workers;
