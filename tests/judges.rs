//! The storage emulator, judged by code that others wrote: Microsoft's SDKs for Python and AzCopy, Hadoop's ABFS driver with
//! its own tests, rclone, OpenDAL, adlfs; and the resource provider, by Microsoft's client of the resource manager and a fuzzer.
//! Each suite has an emulator of its own, started as a user starts it.
//!
//! What a suite leaves out stands beside it with the reason, and whatever is left out without one fails the suite.

mod abfs;
mod arm;
mod copying;
mod emulator;
mod python;

/// A tool that `cargo xtask judge` has installed.
fn tool(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: `cargo xtask judge` sets it after installing what it names")
    })
}

/// A file of the suites.
fn file(name: &str) -> std::path::PathBuf {
    std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("tests/judges").join(name)
}
