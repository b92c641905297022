//! Java: is it here, which options Hadoop 3.4 needs on Java 17, and how a program of Hadoop is started.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Hadoop 3.4 was written for Java 8 and 11 and reaches into these packages.
const OPENED_PACKAGES: [&str; 5] = ["java.lang", "java.nio", "sun.nio.ch", "java.net", "java.util"];

/// Installs Java and Maven through `apt-get` when they are missing.
pub fn ensure_installed(with_maven: bool) -> Result<()> {
    let mut missing = Vec::new();
    if !runs("java", "-version") {
        missing.push("openjdk-17-jre-headless");
    }
    if with_maven && !runs("mvn", "--version") {
        missing.push("maven");
    }
    install(&missing)
}

fn install(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    println!("hadoop: installing {packages} with apt-get");
    let install = |arguments: &[&str]| {
        Command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").status()
    };
    let advice =
        || format!("cannot install {packages}: run `apt-get install -y {packages}` as root, then try again");
    install(&["update", "-q"]).with_context(advice)?;
    let mut arguments = vec!["install", "-y", "-q", "--no-install-recommends"];
    arguments.extend(missing.iter());
    if !install(&arguments).with_context(advice)?.success() {
        bail!(advice());
    }
    Ok(())
}

fn runs(program: &str, argument: &str) -> bool {
    Command::new(program)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Compiles one class against a folder of jars.
pub fn compile(name: &str, source: &str, jars: &Path, into: &Path) -> Result<()> {
    if !runs("javac", "-version") {
        install(&["openjdk-17-jdk-headless"])?;
    }
    let file = into.join(name);
    std::fs::write(&file, source).with_context(|| format!("cannot write {}", file.display()))?;
    let mut compiler = Command::new("javac");
    compiler.arg("-nowarn").arg("-classpath").arg(jars.join("*")).arg("-d").arg(into).arg(&file);
    let output = compiler.output().context("cannot run javac")?;
    if !output.status.success() {
        bail!("javac refuses {}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// What a client needs, without a say about how fast it runs.
pub fn argument_file(classpath: &str) -> String {
    let opened = OPENED_PACKAGES.map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED\n"));
    format!("{}-Djava.net.preferIPv4Stack=true\n-classpath \"{classpath}\"\n", opened.concat())
}

/// A `java` command for `main_class`, with the class path read from `classpath_file`.
pub fn command(classpath_file: &Path, options: &[String], main_class: &str) -> Result<Command> {
    let classpath = std::fs::read_to_string(classpath_file)
        .with_context(|| format!("cannot read the class path in {}", classpath_file.display()))?;
    let mut command = Command::new("java");
    for package in OPENED_PACKAGES {
        command.arg(format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
    }
    // Two daemons and a build share small machines: the serial collector and the first compiler tier start fastest.
    command.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.preferIPv4Stack=true"]);
    command.args(options).arg("-classpath").arg(classpath.trim()).arg(main_class);
    Ok(command)
}
