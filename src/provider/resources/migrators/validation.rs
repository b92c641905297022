//! What a migrator's document must satisfy by itself.

use livedata_model::path;
use livedata_model::spec::SourceKind;
use percent_encoding::percent_decode_str;
use url::Url;

use super::Source;
use super::model::Kerberos;
use crate::errors;
use crate::wire::Findings;

const URI: &str = "properties.source.uri";

/// The default port of a NameNode's RPC address.
const NAME_NODE_PORT: u16 = 8020;

/// A source as given.
pub struct GivenSource {
    pub kind: SourceKind,
    pub uri: String,
    pub user: Option<String>,
    pub configuration_directory: Option<String>,
}

pub fn source(given: GivenSource, findings: &Findings) -> Option<Source> {
    let canonical = match given.kind {
        SourceKind::Hdfs => hdfs(&given.uri),
        SourceKind::LocalDirectory => directory(&given.uri),
    };
    let wrong =
        |target: &str, message: String| findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
    if given.user.as_ref().is_some_and(|user| user.is_empty() || user.contains(char::is_whitespace)) {
        wrong("properties.source.user", "A Hadoop user is one word without blanks.".to_owned());
    }
    if let Some(folder) = &given.configuration_directory
        && path::canonical(folder).is_err()
    {
        let target = "properties.source.configurationDirectory";
        wrong(target, format!("'{folder}' is not the absolute path of a directory on the agent's machine."));
    }
    match canonical {
        Ok(uri) => Some(Source {
            kind: given.kind,
            uri,
            user: given.user,
            configuration_directory: given.configuration_directory,
        }),
        Err(expected) => {
            wrong(URI, format!("'{}' cannot be the source: {expected}.", given.uri));
            None
        }
    }
}

/// What both versions say alike; the names of the properties differ.
pub fn kerberos(given: Option<&Kerberos>, target: &str, findings: &Findings) {
    let Some(Kerberos { enabled: Some(true), principal, keytab_location }) = given else { return };
    findings.required(&format!("{target}.principal"), principal.as_ref());
    let keytab_target = format!("{target}.keytabLocation");
    if let Some(keytab) = findings.required(&keytab_target, keytab_location.as_ref())
        && path::canonical(keytab).is_err()
    {
        let message = format!("'{keytab}' is not the absolute path of a keytab on the agent's machine.");
        findings.add(&errors::INVALID_PROPERTY_VALUE, keytab_target, message);
    }
}

/// The root only: paths are the migrations' business.
fn hdfs(uri: &str) -> Result<String, String> {
    let expected = || "a source of kind Hdfs is hdfs://host:port without a path".to_owned();
    let url = Url::parse(uri).map_err(|_| expected())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(expected)?;
    let plain = url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if url.scheme() != "hdfs" || !matches!(url.path(), "" | "/") || !plain {
        return Err(expected());
    }
    Ok(format!("hdfs://{host}:{}", url.port().unwrap_or(NAME_NODE_PORT)))
}

fn directory(uri: &str) -> Result<String, String> {
    let expected = || "a source of kind LocalDirectory is file:///directory".to_owned();
    let url = Url::parse(uri).map_err(|_| expected())?;
    let local =
        url.scheme() == "file" && url.host_str().is_none_or(str::is_empty) && uri.starts_with("file:///");
    if !local || url.query().is_some() || url.fragment().is_some() {
        return Err(expected());
    }
    let decoded = percent_decode_str(url.path()).decode_utf8().map_err(|_| expected())?;
    path::canonical(&decoded).map_err(|error| error.to_string())?;
    Ok(format!("file://{}", url.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_canonical_or_refused() {
        assert_eq!(hdfs("hdfs://nn.example:9000/").unwrap(), "hdfs://nn.example:9000");
        assert_eq!(hdfs("hdfs://nn").unwrap(), "hdfs://nn:8020");
        for bad in [
            "",
            "nn:8020",
            "hdfs://",
            "hdfs:///x",
            "hdfs://nn/path",
            "http://nn:1",
            "hdfs://me@nn:1",
            "hdfs://nn?x",
        ] {
            assert!(hdfs(bad).is_err(), "{bad}");
        }
        assert_eq!(directory("file:///srv/lake%20one").unwrap(), "file:///srv/lake%20one");
        for bad in ["/srv", "file://host/srv", "file:srv", "http:///srv", "file:///srv?x"] {
            assert!(directory(bad).is_err(), "{bad}");
        }
    }
}
