//! The configuration files of one instance.

use std::path::Path;

use anyhow::{Context, Result};

use super::jars;

/// The daemons log in under this name, which makes it HDFS' superuser whoever runs them.
pub const SUPERUSER: &str = "hdfs";

/// The ports are RPC and HTTP; `settings` go into hdfs-site.xml.
pub fn write(
    directory: &Path,
    version: &str,
    (rpc_port, http_port): (u16, u16),
    settings: &[(String, String)],
) -> Result<()> {
    let folder = directory.join("conf");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let data = |name: &str| format!("file://{}", directory.join("data").join(name).display());
    let mut core = vec![
        ("fs.defaultFS", format!("hdfs://127.0.0.1:{rpc_port}")),
        ("hadoop.tmp.dir", directory.join("tmp").display().to_string()),
    ];
    if !jars::is_2_7(version) {
        // Test users exist nowhere else: asking the operating system for their groups would only fail, and slowly.
        core.push(("hadoop.security.group.mapping", "org.apache.hadoop.security.NullGroupsMapping".into()));
    }
    let mut hdfs = vec![
        ("dfs.namenode.rpc-address", format!("127.0.0.1:{rpc_port}")),
        ("dfs.namenode.http-address", format!("127.0.0.1:{http_port}")),
        ("dfs.namenode.name.dir", data("name")),
        ("dfs.datanode.data.dir", data("blocks")),
        ("dfs.datanode.address", "127.0.0.1:0".into()),
        ("dfs.datanode.http.address", "127.0.0.1:0".into()),
        ("dfs.datanode.ipc.address", "127.0.0.1:0".into()),
        ("dfs.datanode.hostname", "127.0.0.1".into()),
        ("dfs.namenode.datanode.registration.ip-hostname-check", "false".into()),
        ("dfs.replication", "1".into()),
        ("dfs.permissions.enabled", "true".into()),
        ("dfs.namenode.acls.enabled", "true".into()),
        ("dfs.namenode.xattrs.enabled", "true".into()),
        ("dfs.namenode.safemode.extension", "0".into()),
        // Files of several blocks without many bytes, and blocks of deleted files gone within seconds.
        ("dfs.namenode.fs-limits.min-block-size", "4096".into()),
        ("dfs.heartbeat.interval", "1".into()),
    ];
    hdfs.extend(settings.iter().map(|(name, value)| (name.as_str(), value.clone())));
    std::fs::write(folder.join("core-site.xml"), site_file(&core))?;
    std::fs::write(folder.join("hdfs-site.xml"), site_file(&hdfs))?;
    std::fs::write(folder.join("log4j.properties"), CLIENT_LOG)?;
    std::fs::write(folder.join("datanode-log4j.properties"), DAEMON_LOG)?;
    let audit =
        format!("{DAEMON_LOG}{AUDIT_LOG}log4j.appender.audit.File={}\n", audit_log(directory).display());
    std::fs::write(folder.join("namenode-log4j.properties"), audit)?;
    // The published jars leave the web pages out, and the daemons do not start without them: empty ones will do.
    for application in ["hdfs", "datanode", "static"] {
        let pages = folder.join("webapps").join(application).join("WEB-INF");
        std::fs::create_dir_all(&pages).with_context(|| format!("cannot create {}", pages.display()))?;
        std::fs::write(pages.join("web.xml"), "<web-app/>\n")?;
    }
    Ok(())
}

/// For a client that is told everything else by whoever runs it: errors to standard error.
pub fn write_client(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let file = folder.join("log4j.properties");
    std::fs::write(&file, CLIENT_LOG).with_context(|| format!("cannot write {}", file.display()))
}

pub fn audit_log(directory: &Path) -> std::path::PathBuf {
    directory.join("logs").join("hdfs-audit.log")
}

fn site_file(properties: &[(&str, String)]) -> String {
    let properties: String = properties
        .iter()
        .map(|(name, value)| {
            let value = value.replace('&', "&amp;").replace('<', "&lt;");
            format!("  <property><name>{name}</name><value>{value}</value></property>\n")
        })
        .collect();
    format!("<?xml version=\"1.0\"?>\n<configuration>\n{properties}</configuration>\n")
}

const CLIENT_LOG: &str = "\
log4j.rootLogger=ERROR,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%p %c{1}: %m%n
";

/// The daemons' standard output goes to a file.
const DAEMON_LOG: &str = "\
log4j.rootLogger=INFO,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
";

/// One line per NameNode operation: user, command, paths. Tests prove from it that a source is only read.
const AUDIT_LOG: &str = "\
log4j.logger.org.apache.hadoop.hdfs.server.namenode.FSNamesystem.audit=INFO,audit
log4j.additivity.org.apache.hadoop.hdfs.server.namenode.FSNamesystem.audit=false
log4j.appender.audit=org.apache.log4j.FileAppender
log4j.appender.audit.layout=org.apache.log4j.PatternLayout
log4j.appender.audit.layout.ConversionPattern=%d{ISO8601} %m%n
";
