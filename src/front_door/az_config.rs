//! A ready folder for `AZURE_CONFIG_DIR`: what `az cloud register`, `az cloud set` and `az config set` would leave there.
//!
//! With it, `az login --service-principal` is the first command that a user needs. `az` learns the certificate authority
//! only through the variable `REQUESTS_CA_BUNDLE`, so a file `environment` to be sourced by a shell lies beside.

use std::fs;
use std::path::{Path, PathBuf};

use url::Url;

use crate::error::Error;
use crate::sign_in::{CloudDescription, KEY_VAULT_SUFFIX, SQL_SUFFIX, STORAGE_SUFFIX};

pub struct AzConfig<'a> {
    pub cloud_name: &'a str,
    pub public_url: &'a Url,
    /// Certificate authority of the front door's certificate, PEM.
    pub ca_pem_path: &'a Path,
}

/// Writes `clouds.config`, `config` and `environment` into `directory`, which is made if needed. What `az` keeps there
/// besides (tokens, profiles) stays.
pub fn write_az_config(directory: &Path, config: &AzConfig<'_>) -> Result<(), Error> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    fs::create_dir_all(directory).map_err(failed(directory))?;
    let directory = absolute(directory)?;
    let ca_pem = absolute(config.ca_pem_path)?;
    let url = config.public_url.as_str().trim_end_matches('/');
    let files = [
        ("clouds.config", clouds(&CloudDescription { name: config.cloud_name, public_url: url })),
        ("config", settings(config.cloud_name)),
        ("environment", environment(&directory, &ca_pem)),
    ];
    for (name, content) in files {
        let path = directory.join(name);
        fs::write(&path, content).map_err(failed(&path))?;
    }
    Ok(())
}

fn clouds(cloud: &CloudDescription<'_>) -> String {
    let (name, url, audience) = (cloud.name, cloud.public_url, cloud.audience());
    let entries = [
        ("profile", "latest".to_owned()),
        ("endpoint_active_directory", url.to_owned()),
        ("endpoint_active_directory_data_lake_resource_id", url.to_owned()),
        ("endpoint_active_directory_graph_resource_id", audience.clone()),
        ("endpoint_active_directory_resource_id", audience.clone()),
        ("endpoint_batch_resource_id", url.to_owned()),
        ("endpoint_gallery", url.to_owned()),
        ("endpoint_log_analytics_resource_id", url.to_owned()),
        ("endpoint_management", audience.clone()),
        ("endpoint_media_resource_id", url.to_owned()),
        ("endpoint_microsoft_graph_resource_id", audience),
        ("endpoint_portal", url.to_owned()),
        ("endpoint_resource_manager", url.to_owned()),
        ("endpoint_sql_management", url.to_owned()),
        ("endpoint_vm_image_alias_doc", url.to_owned()),
        ("suffix_keyvault_dns", format!(".{KEY_VAULT_SUFFIX}")),
        ("suffix_mariadb_server_endpoint", format!(".mariadb.{SQL_SUFFIX}")),
        ("suffix_mysql_server_endpoint", format!(".mysql.{SQL_SUFFIX}")),
        ("suffix_postgresql_server_endpoint", format!(".postgres.{SQL_SUFFIX}")),
        ("suffix_sql_server_hostname", format!(".{SQL_SUFFIX}")),
        ("suffix_storage_endpoint", STORAGE_SUFFIX.to_owned()),
    ];
    let lines: String = entries.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    format!("[{name}]\n{lines}\n")
}

/// Without `instance_discovery = false`, signing in asks a Microsoft address first and fails offline.
fn settings(cloud_name: &str) -> String {
    format!("[cloud]\nname = {cloud_name}\n\n[core]\ninstance_discovery = false\ncollect_telemetry = no\n\n")
}

fn environment(directory: &Path, ca_pem: &Path) -> String {
    format!(
        "export AZURE_CONFIG_DIR={}\nexport REQUESTS_CA_BUNDLE={}\n",
        quoted(&directory.to_string_lossy()),
        quoted(&ca_pem.to_string_lossy())
    )
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::File { path: path.to_owned(), source })
}
