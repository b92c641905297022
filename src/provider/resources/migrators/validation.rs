//! What a migrator's document must satisfy by itself.

use livedata_model::path;
use livedata_model::spec::SourceKind;
use percent_encoding::percent_decode_str;
use url::Url;

use super::v2026_11_01_preview::Wire;
use super::{Migrator, Source};
use crate::errors;

const URI: &str = "properties.source.uri";

/// The default port of a NameNode's RPC address.
const NAME_NODE_PORT: u16 = 8020;

pub fn check(wire: Wire) -> Option<Migrator> {
    let (kind, uri) = (wire.source_kind?, wire.source_uri?);
    let canonical = match kind {
        SourceKind::Hdfs => hdfs(&uri),
        SourceKind::LocalDirectory => directory(&uri),
    };
    let uri = match canonical {
        Ok(uri) => uri,
        Err(expected) => {
            wire.findings.add(
                &errors::INVALID_PROPERTY_VALUE,
                URI,
                format!("'{uri}' cannot be the source: {expected}."),
            );
            return None;
        }
    };
    if wire.source_user.as_ref().is_some_and(|user| user.is_empty() || user.contains(char::is_whitespace)) {
        let target = "properties.source.user";
        wire.findings.add(
            &errors::INVALID_PROPERTY_VALUE,
            target,
            "A Hadoop user is one word without blanks.",
        );
        return None;
    }
    Some(Migrator {
        source: Source { kind, uri, user: wire.source_user },
        max_bytes_per_second: wire.max_bytes_per_second,
        max_running_migrations: wire.max_running_migrations.and_then(|most| u32::try_from(most).ok()),
        location_data: wire.location_data,
    })
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
