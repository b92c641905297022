//! A real PostgreSQL on this machine, from Debian, for one run: on loopback, with a password, flushing to disk as it does for
//! its users.
//!
//! The server refuses to run as root, and its user cannot enter root's folders: its data lies in the folder for temporary
//! files.

use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

const USER: &str = "livedata";
/// The server is reachable from this machine only, and lives as long as its tests.
const PASSWORD: &str = "for-tests-on-loopback";
const PACKAGE: &str = "postgresql";
/// Made by Debian's package, and there on most systems.
const UNPRIVILEGED: [&str; 2] = ["postgres", "nobody"];

pub struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// Of several each has another name.
    pub fn start(name: &str) -> Result<Self> {
        let programs = installed()?;
        let folder = std::env::temp_dir().join(format!("livedata-postgres-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        // Below those that connections get, for the server may be stopped for a while. Free a moment ago; it says so when somebody was
        // faster.
        let first = 20_000 + u16::try_from(std::process::id() % 10_000)?;
        let port = (first..32_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        let port = port.context("there is no free port below 32000")?;
        let server = Self { folder, programs, port };
        match server.make() {
            Ok(()) => Ok(server),
            Err(error) => {
                Err(error.context(format!("the server's files are in {}", server.folder.display())))
            }
        }
    }

    pub fn url(&self) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends the server in any case; its data goes when the tests passed, and stays to be looked at when not.
    pub fn stop(self, outcome: Result<()>) -> Result<()> {
        let stopped = command::output(self.control("stop").args(["-m", "fast"]));
        outcome.with_context(|| format!("the server's log is {}", self.log().display()))?;
        stopped?;
        std::fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}", self.folder.display()))
    }

    fn make(&self) -> Result<()> {
        let password = self.folder.join("password");
        std::fs::write(&password, PASSWORD)?;
        if is_root(&self.folder)? {
            let user = unprivileged()?;
            command::output(command::new("chown").args(["-R", user]).arg(&self.folder))?;
        }
        let mut make = self.as_user("initdb")?;
        make.arg("-D").arg(self.data()).args(["-U", USER, "-E", "UTF8", "--locale=C.UTF-8"]);
        make.args(["--auth=scram-sha-256", "--pwfile"]).arg(&password);
        command::output(&mut make)?;
        command::output(&mut self.start_again())?;
        println!("postgres: {}", self.url().replace(PASSWORD, "…"));
        Ok(())
    }

    fn start_again(&self) -> Command {
        let options = format!("-c listen_addresses=127.0.0.1 -c unix_socket_directories= -p {}", self.port);
        let mut start = self.control("start");
        start.arg("-w").arg("-l").arg(self.log()).args(["-o", &options]);
        start
    }

    /// A program that stops the server as a crash would (`stop`), and starts it again (`start`).
    pub fn control_program(&self) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.join("control");
        let mut stop = self.control("stop");
        stop.args(["-w", "-m", "immediate"]);
        let line = |command: &Command| {
            let words = std::iter::once(command.get_program()).chain(command.get_args());
            words.map(|word| format!("'{}'", word.to_string_lossy())).collect::<Vec<_>>().join(" ")
        };
        let script = format!(
            "#!/bin/sh\ncd '{}' || exit 1\ncase $1 in\nstop) exec {} ;;\nstart) exec {} >/dev/null ;;\nesac\nexit 1\n",
            self.folder.display(),
            line(&stop),
            line(&self.start_again())
        );
        std::fs::write(&path, script)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    fn control(&self, what: &str) -> Command {
        let mut control =
            self.as_user("pg_ctl").unwrap_or_else(|_| command::new(self.programs.join("pg_ctl")));
        control.arg("-D").arg(self.data()).arg(what);
        control
    }

    fn as_user(&self, program: &str) -> Result<Command> {
        let program = self.programs.join(program);
        let owner = std::fs::metadata(&self.folder)?.uid();
        let mut run = if owner == uid()? {
            command::new(program)
        } else {
            let mut run = command::new("setpriv");
            run.arg(format!("--reuid={owner}")).args(["--clear-groups", "--"]).arg(program);
            run
        };
        // It complains about a folder that it cannot enter.
        run.current_dir(&self.folder);
        Ok(run)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }
}

/// Of what this process makes.
fn uid() -> Result<u32> {
    Ok(std::fs::metadata("/proc/self")?.uid())
}

fn is_root(folder: &Path) -> Result<bool> {
    Ok(std::fs::metadata(folder)?.uid() == 0)
}

fn unprivileged() -> Result<&'static str> {
    let known = |user: &&str| command::output(command::new("id").args(["-u", user])).is_ok();
    UNPRIVILEGED
        .into_iter()
        .find(known)
        .context("PostgreSQL does not run as root, and there is no user postgres or nobody")
}

/// The folder of the newest server's programs, which Debian keeps out of the search path.
fn find() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    let of_debian = folders.filter(|folder| folder.join("postgres").is_file()).max();
    of_debian.or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder| {
            ["postgres", "initdb", "pg_ctl"].iter().all(|program| folder.join(program).is_file())
        })
    })
}

/// Installs the server through `apt-get` when it is missing, without a cluster that would start by itself.
fn installed() -> Result<PathBuf> {
    if let Some(programs) = find() {
        return Ok(programs);
    }
    println!("postgres: installing {PACKAGE} with apt-get");
    let advice = || format!("run `apt-get install -y {PACKAGE}` as root, then try again");
    let apt = |arguments: &[&str]| {
        command::run(command::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    apt(&["update", "-q"]).with_context(advice)?;
    apt(&["install", "-y", "-q", "--no-install-recommends", "postgresql-common"]).with_context(advice)?;
    let setting = Path::new("/etc/postgresql-common/createcluster.conf");
    std::fs::write(setting, "create_main_cluster = false\n").with_context(advice)?;
    apt(&["install", "-y", "-q", "--no-install-recommends", PACKAGE]).with_context(advice)?;
    match find() {
        Some(programs) => Ok(programs),
        None => bail!("PostgreSQL is installed and its programs are nowhere: {}", advice()),
    }
}
