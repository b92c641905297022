//! What Hadoop's client configuration beside the agent says.

use std::path::Path;

use quick_xml::de::from_str;
use serde::Deserialize;
use url::Url;

/// The default port of a NameNode's RPC address.
const NAME_NODE_PORT: u16 = 8020;

#[derive(Deserialize)]
struct Configuration {
    #[serde(default)]
    property: Vec<Property>,
}

#[derive(Deserialize)]
struct Property {
    name: String,
    #[serde(default)]
    value: String,
}

/// `fs.defaultFS` of `core-site.xml`, if it is an HDFS with an address.
pub fn default_filesystem(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("core-site.xml")).ok()?;
    parse(&text)
}

fn parse(text: &str) -> Option<String> {
    let configuration: Configuration = from_str(text).ok()?;
    // The last one counts, and the old name still does.
    let named = |name: &str| {
        let mut all = configuration.property.iter().rev();
        all.find(|property| property.name.trim() == name).map(|property| property.value.trim().to_owned())
    };
    let given = named("fs.defaultFS").or_else(|| named("fs.default.name"))?;
    // In the form that a migrator's source has: to write it down there changes nothing.
    let url = Url::parse(&given).ok().filter(|url| url.scheme() == "hdfs")?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    Some(format!("hdfs://{host}:{}", url.port().unwrap_or(NAME_NODE_PORT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_system_is_found() {
        let with = |name: &str, value: &str| {
            format!(
                "<?xml version=\"1.0\"?>\n<configuration>\n<property><name>x</name><value>y</value><final>true</final></property>\n\
                 <property><name> {name} </name>\n<value>{value}</value></property></configuration>"
            )
        };
        assert_eq!(parse(&with("fs.defaultFS", "hdfs://nn:8020")).as_deref(), Some("hdfs://nn:8020"));
        assert_eq!(parse(&with("fs.defaultFS", "hdfs://nn/")).as_deref(), Some("hdfs://nn:8020"));
        let between = with("fs.defaultFS", "hdfs://nn:8020")
            .replace("<property><name> ", "<include/><property><name> ");
        assert_eq!(parse(&between).as_deref(), Some("hdfs://nn:8020"));
        assert_eq!(parse(&with("fs.default.name", "hdfs://old:9000")).as_deref(), Some("hdfs://old:9000"));
        for none in
            [with("fs.defaultFS", "file:///"), with("other", "hdfs://x:1"), "no xml".into(), String::new()]
        {
            assert_eq!(parse(&none), None, "{none}");
        }
    }
}
