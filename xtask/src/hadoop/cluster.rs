//! Starting, watching and stopping one instance.

mod process;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{configuration, jars, java};
use process::{Daemon, Running};

/// How long a daemon may take to serve, on a machine that is busy compiling.
const START_LIMIT: Duration = Duration::from_secs(180);
/// A port that was free may be taken by the time the NameNode binds it.
const PORT_ATTEMPTS: u32 = 3;

/// `cluster.json`, for tests and scripts. Fields are added, never renamed or removed.
///
/// | field | meaning |
/// |---|---|
/// | `hadoop_version` | such as `3.4.3` |
/// | `directory` | the instance folder; logs in `logs/`, data in `data/` |
/// | `namenode_rpc`, `namenode_http` | `host:port` |
/// | `superuser` | user name with all rights |
/// | `pids` | object: `namenode`, `datanode`; numbers |
/// | `audit_log` | file with one line per NameNode operation |
/// | `classpath_file` | its text is the class path for any Hadoop program |
/// | `conf_dir` | folder with `core-site.xml` and `hdfs-site.xml` |
/// | `xtask` | the executable that can run `hadoop fs --dir <directory> -- …` and `hadoop up --dir <directory>` |
pub struct ClusterFile(Value);

impl ClusterFile {
    fn path(directory: &Path) -> PathBuf {
        directory.join("cluster.json")
    }

    fn read(directory: &Path) -> Result<Option<Self>> {
        let path = Self::path(directory);
        match std::fs::read(&path) {
            Ok(bytes) => {
                let value = serde_json::from_slice(&bytes).with_context(|| {
                    format!("{} is not JSON; remove the folder and start anew", path.display())
                })?;
                Ok(Some(Self(value)))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Readers never see half a file.
    fn write(&self, directory: &Path) -> Result<()> {
        let path = Self::path(directory);
        let draft = path.with_extension("json.new");
        std::fs::write(&draft, serde_json::to_vec_pretty(&self.0)?)?;
        std::fs::rename(&draft, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    fn port(&self, field: &str) -> Result<u16> {
        let address = self.0[field].as_str().unwrap_or_default();
        address
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok())
            .with_context(|| format!("cluster.json has no host:port in `{field}`"))
    }

    fn pid(&self, daemon: Daemon) -> Option<u32> {
        self.0["pids"][daemon.name()].as_u64().and_then(|pid| pid.try_into().ok())
    }

    pub fn describe(&self) -> String {
        format!("{:#}", self.0)
    }
}

/// Main classes of Hadoop's clients.
pub const SHELL: &str = "org.apache.hadoop.fs.FsShell";
pub const ADMIN: &str = "org.apache.hadoop.hdfs.tools.DFSAdmin";

/// How a cluster is to come up.
pub struct Start {
    pub heap: String,
    pub version: Option<String>,
    /// Further properties of hdfs-site.xml.
    pub settings: Vec<(String, String)>,
    /// With one, it is up when it has reported its blocks; without, when the NameNode answers.
    pub datanode: bool,
}

pub fn up(directory: &Path, start: &Start) -> Result<ClusterFile> {
    let heap = &start.heap;
    let before = ClusterFile::read(directory)?;
    let version = choose_version(before.as_ref(), start.version.as_deref())?;
    let jars = jars::ensure(&super::cache_directory()?, &version)?;
    let logs = directory.join("logs");
    std::fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
    let classpath_file = directory.join("classpath");
    std::fs::write(&classpath_file, jars::classpath(&directory.join("conf"), &jars)?)?;

    let running = |daemon: Daemon| {
        let pid =
            before.as_ref().and_then(|file| file.pid(daemon)).filter(|pid| daemon.is_alive(*pid, directory));
        pid.map(|pid| Running { pid, child: None })
    };
    let program = this_program()?;
    let describe = |rpc_port: u16, http_port: u16, namenode: u32, datanode: Option<u32>| {
        ClusterFile(json!({
            "hadoop_version": version,
            "directory": directory,
            "namenode_rpc": format!("127.0.0.1:{rpc_port}"),
            "namenode_http": format!("127.0.0.1:{http_port}"),
            "superuser": configuration::SUPERUSER,
            "pids": { "namenode": namenode, "datanode": datanode },
            "audit_log": configuration::audit_log(directory),
            "classpath_file": classpath_file,
            "conf_dir": directory.join("conf"),
            "xtask": program,
        }))
    };
    let datanode = running(Daemon::DataNode);

    let mut attempt = 0;
    let (namenode, rpc_port, http_port) = loop {
        attempt += 1;
        let (rpc_port, http_port) = match &before {
            Some(file) => (file.port("namenode_rpc")?, file.port("namenode_http")?),
            None => free_ports()?,
        };
        if let Some(found) = running(Daemon::NameNode) {
            break (found, rpc_port, http_port);
        }
        configuration::write(directory, &version, (rpc_port, http_port), &start.settings)?;
        if !directory.join("data").join("name").join("current").is_dir() {
            format_namespace(directory, &classpath_file)?;
        }
        let mut started = Daemon::NameNode.start(directory, &classpath_file, heap)?;
        // Written before the wait, so that `down` can end a cluster whose start was interrupted.
        describe(rpc_port, http_port, started.pid, datanode.as_ref().map(|found| found.pid))
            .write(directory)?;
        match wait_for(&mut started, Daemon::NameNode, directory, || namenode_state(http_port).map(|_| ())) {
            Ok(()) => break (started, rpc_port, http_port),
            Err(_)
                if before.is_none()
                    && attempt < PORT_ATTEMPTS
                    && Daemon::NameNode.has_logged(directory, "java.net.BindException") => {}
            Err(error) => return Err(error),
        }
    };
    let mut datanode = match datanode {
        Some(found) => found,
        None if !start.datanode => return Ok(describe(rpc_port, http_port, namenode.pid, None)),
        None => Daemon::DataNode.start(directory, &classpath_file, heap)?,
    };
    let file = describe(rpc_port, http_port, namenode.pid, Some(datanode.pid));
    file.write(directory)?;
    wait_for(&mut datanode, Daemon::DataNode, directory, || {
        let state = namenode_state(http_port)?;
        if !state.serves() {
            bail!("{state}");
        }
        // A NameNode believes in a killed DataNode for minutes: what it counts may be the one before.
        if !Daemon::DataNode.has_logged(directory, "Successfully sent block report") {
            bail!("the DataNode has not reported its blocks yet");
        }
        Ok(())
    })?;
    Ok(file)
}

/// An instance keeps the version that its data was made with.
fn choose_version(before: Option<&ClusterFile>, asked: Option<&str>) -> Result<String> {
    let has = before.and_then(|file| file.0["hadoop_version"].as_str());
    if let (Some(has), Some(asked)) = (has, asked)
        && has != asked
    {
        bail!("the cluster here is Hadoop {has}, not {asked}: name another folder with --dir");
    }
    Ok(has.or(asked).unwrap_or(jars::VERSION).to_owned())
}

pub fn down(directory: &Path) -> Result<()> {
    let file = ClusterFile::read(directory)?.with_context(|| no_cluster(directory))?;
    for daemon in [Daemon::DataNode, Daemon::NameNode] {
        match file.pid(daemon).filter(|pid| daemon.is_alive(*pid, directory)) {
            Some(pid) => {
                daemon.stop(pid, directory)?;
                println!("{} {pid} ended", daemon.name());
            }
            None => println!("{} was not running", daemon.name()),
        }
    }
    Ok(())
}

pub fn status(directory: &Path) -> Result<()> {
    let file = ClusterFile::read(directory)?.with_context(|| no_cluster(directory))?;
    for daemon in [Daemon::NameNode, Daemon::DataNode] {
        match file.pid(daemon).filter(|pid| daemon.is_alive(*pid, directory)) {
            Some(pid) => println!("{}: running, process {pid}", daemon.name()),
            None => println!("{}: not running; `hadoop up` starts it again", daemon.name()),
        }
    }
    let state = namenode_state(file.port("namenode_http")?)?;
    println!("{state}; hdfs://127.0.0.1:{}", file.port("namenode_rpc")?);
    anyhow::ensure!(state.serves(), "the cluster does not serve yet");
    Ok(())
}

pub fn client(directory: &Path, main_class: &str, arguments: &[String]) -> Result<ExitStatus> {
    ClusterFile::read(directory)?.with_context(|| no_cluster(directory))?;
    let mut command = java::command(&directory.join("classpath"), &["-Xmx256m".into()], main_class)?;
    if std::env::var_os("HADOOP_USER_NAME").is_none() {
        command.env("HADOOP_USER_NAME", configuration::SUPERUSER);
    }
    command.args(arguments).status().context("cannot run java")
}

fn no_cluster(directory: &Path) -> String {
    format!("no cluster in {}: `hadoop up` makes one", directory.display())
}

fn format_namespace(directory: &Path, classpath_file: &Path) -> Result<()> {
    let output = java::command(classpath_file, &[], Daemon::NameNode.main_class())?
        .args(["-format", "-nonInteractive", "-force"])
        .env("HADOOP_USER_NAME", configuration::SUPERUSER)
        .output()
        .context("cannot run java")?;
    let log = directory.join("logs").join("format.log");
    std::fs::write(&log, [output.stdout, output.stderr].concat())?;
    anyhow::ensure!(output.status.success(), "formatting the NameNode failed, see {}", log.display());
    Ok(())
}

fn free_ports() -> Result<(u16, u16)> {
    let (first, second) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok((first.local_addr()?.port(), second.local_addr()?.port()))
}

fn wait_for(
    running: &mut Running,
    daemon: Daemon,
    directory: &Path,
    ready: impl Fn() -> Result<()>,
) -> Result<()> {
    let started = Instant::now();
    loop {
        let Err(reason) = ready() else { return Ok(()) };
        let log = daemon.log(directory);
        if running.has_ended(daemon, directory)? {
            bail!("the {} ended while starting, see {}", daemon.name(), log.display());
        }
        if started.elapsed() > START_LIMIT {
            return Err(reason.context(format!(
                "the {} did not serve within {} s, see {}",
                daemon.name(),
                START_LIMIT.as_secs(),
                log.display()
            )));
        }
        process::pause();
    }
}

struct NameNodeState {
    mode: String,
    live_datanodes: u64,
}

impl NameNodeState {
    fn serves(&self) -> bool {
        self.mode == "Operational" && self.live_datanodes >= 1
    }
}

impl std::fmt::Display for NameNodeState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NameNode: {}, live DataNodes: {}", self.mode, self.live_datanodes)
    }
}

/// What the NameNode itself says, through the bean that its web page reads.
fn namenode_state(http_port: u16) -> Result<NameNodeState> {
    let mut stream =
        TcpStream::connect(("127.0.0.1", http_port)).context("the NameNode's HTTP port is closed")?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState HTTP/1.0\r\n\r\n")?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let (_, body) = reply.split_once("\r\n\r\n").context("the NameNode's HTTP port gave no reply")?;
    let document: Value = serde_json::from_str(body).context("the NameNode's HTTP port gave no JSON")?;
    let bean = &document["beans"][0];
    Ok(NameNodeState {
        mode: bean["FSState"].as_str().context("the NameNode is still starting")?.to_owned(),
        live_datanodes: bean["NumLiveDataNodes"].as_u64().unwrap_or_default(),
    })
}

/// Where this program is. A build that goes on meanwhile replaces the file, and Linux then marks the old one's path as
/// deleted; the new one at the same path serves as well.
fn this_program() -> Result<PathBuf> {
    let path = std::env::current_exe().context("cannot find this program's own path")?;
    let text = path.to_string_lossy();
    Ok(PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(&text)))
}
