//! Chores of the project: `cargo xtask hadoop up`.

mod hadoop;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Chores of the project")]
enum Xtask {
    /// A real Hadoop cluster for tests
    #[command(subcommand)]
    Hadoop(hadoop::HadoopCommand),
}

fn main() -> anyhow::Result<()> {
    match Xtask::parse() {
        Xtask::Hadoop(command) => hadoop::run(command),
    }
}
