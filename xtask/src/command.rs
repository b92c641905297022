//! Running other programs.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cache;

pub fn new(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

/// The cargo that runs this program, building where every stage builds.
pub fn cargo(subcommand: &str) -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg(subcommand).env("CARGO_TARGET_DIR", cache::target_directory()?);
    Ok(command)
}

/// As one would type it.
pub fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Shows the command and what it says; fails when it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    println!("$ {shown}");
    let status = command.status().with_context(|| format!("cannot run `{shown}`"))?;
    ensure!(status.success(), "`{shown}` ended with {status}");
    Ok(())
}

/// What the command says on standard output; fails with what it says on standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.output().with_context(|| format!("cannot run `{shown}`"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{shown}` ended with {}: {}", output.status, errors.trim());
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` says something that is not text"))
}
