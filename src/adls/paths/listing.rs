//! Listing a directory, page by page.

use azure_core::http::Method;
use livedata_filesystem::{Error, ErrorKind, Etag, Result, TargetPath};
use serde::{Deserialize, Deserializer};

use crate::Filesystem;
use crate::connection::header;

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ListOptions {
    /// Everything below, not only what lies directly in it.
    pub recursive: bool,
    /// Entries per page; the service allows and defaults to 5,000.
    pub page_size: Option<u32>,
}

/// One entry. User properties are not part of a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedPath {
    /// From the container's root.
    pub path: TargetPath,
    pub is_directory: bool,
    pub length_bytes: u64,
    pub etag: Etag,
    pub owner: Option<String>,
    pub group: Option<String>,
    /// In the form `rwxr-x---`.
    pub permissions: Option<String>,
}

/// The pages of one listing, fetched one at a time. Changes between pages may or may not show.
#[derive(Debug)]
pub struct Listing<'a> {
    filesystem: &'a Filesystem,
    directory: TargetPath,
    options: ListOptions,
    position: Position,
}

#[derive(Debug)]
enum Position {
    Start,
    After(String),
    End,
}

impl Filesystem {
    /// Lists a directory in the service's order of names. Sends nothing yet.
    pub fn list(&self, directory: &TargetPath, options: ListOptions) -> Listing<'_> {
        Listing { filesystem: self, directory: directory.clone(), options, position: Position::Start }
    }

    /// One page of such a listing, possibly empty, and where the next one begins. `Gone` if the directory does not exist.
    pub async fn list_page(
        &self,
        directory: &TargetPath,
        options: ListOptions,
        after: Option<&str>,
    ) -> Result<(Vec<ListedPath>, Option<String>)> {
        let page_size = options.page_size.map(|size| size.to_string());
        let mut query = vec![
            ("resource", "filesystem"),
            ("recursive", if options.recursive { "true" } else { "false" }),
            ("upn", "false"),
        ];
        if !directory.is_root() {
            query.push(("directory", directory.as_str()));
        }
        if let Some(size) = &page_size {
            query.push(("maxResults", size));
        }
        query.extend(after.map(|token| ("continuation", token)));
        let mut call = self.container_call("list", Method::Get, &query)?;
        call.subject = self.subject(directory);
        let (operation, subject) = (call.operation, call.subject.clone());
        let response = self.send(call).await?;
        let page: Page = serde_json::from_slice(response.body().as_ref()).map_err(|error| {
            let message = "the storage service's listing cannot be read: is this a DFS endpoint?";
            Error::new(ErrorKind::Fatal, operation, subject, message).with_source(error)
        })?;
        let next = header(response.headers(), "x-ms-continuation").filter(|token| !token.is_empty());
        Ok((page.paths.into_iter().map(ListedPath::from).collect(), next.map(str::to_owned)))
    }
}

impl Listing<'_> {
    /// The next page, possibly empty; `None` after the last. `Gone` if the directory does not exist.
    pub async fn next_page(&mut self) -> Result<Option<Vec<ListedPath>>> {
        let after = match &self.position {
            Position::Start => None,
            Position::After(token) => Some(token.as_str()),
            Position::End => return Ok(None),
        };
        let (page, next) = self.filesystem.list_page(&self.directory, self.options, after).await?;
        self.position = next.map_or(Position::End, Position::After);
        Ok(Some(page))
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    paths: Vec<WirePath>,
}

/// Numbers and truth values are strings in the service's answers; plain JSON ones are taken too.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePath {
    name: String,
    #[serde(default, deserialize_with = "text")]
    is_directory: String,
    #[serde(default, deserialize_with = "text")]
    content_length: String,
    #[serde(default)]
    etag: String,
    owner: Option<String>,
    group: Option<String>,
    permissions: Option<String>,
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<String, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    })
}

impl From<WirePath> for ListedPath {
    fn from(wire: WirePath) -> Self {
        // Listings leave out the quotes that headers have, and conditions need.
        let etag = if wire.etag.starts_with('"') { wire.etag } else { format!("\"{}\"", wire.etag) };
        Self {
            path: TargetPath::new(&wire.name),
            is_directory: wire.is_directory == "true",
            length_bytes: wire.content_length.parse().unwrap_or(0),
            etag: Etag(etag),
            owner: wire.owner,
            group: wire.group,
            permissions: wire.permissions,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_numbers_and_truth_are_read() {
        let json = r#"{"paths":[
            {"name":"a/b c","isDirectory":"true","contentLength":"0","etag":"0x1"},
            {"name":"a/d","contentLength":12,"isDirectory":false,"etag":"\"0x2\"","owner":"$superuser","permissions":"rw-r-----"}
        ]}"#;
        let page: Page = serde_json::from_str(json).unwrap();
        let paths: Vec<ListedPath> = page.paths.into_iter().map(ListedPath::from).collect();
        assert!(paths[0].is_directory);
        assert_eq!(paths[0].path.as_str(), "a/b c");
        assert_eq!(paths[0].etag.0, "\"0x1\"");
        assert!(!paths[1].is_directory);
        assert_eq!((paths[1].length_bytes, paths[1].etag.0.as_str()), (12, "\"0x2\""));
        assert_eq!(paths[1].permissions.as_deref(), Some("rw-r-----"));
    }
}
