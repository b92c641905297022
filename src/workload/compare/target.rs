//! The side that was migrated to: a directory in ADLS Gen2, read by plain HTTP from its DFS endpoint.
//!
//! Outside contract: "Path - List" and "Path - Read" of the Data Lake Storage Gen2 REST API.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, Method, Response};
use serde::Deserialize;
use url::Url;

use super::Error;
use super::shared_key::{Account, encode, encode_path};
use super::tree::{Entry, Kind, Tree};

#[derive(Clone)]
pub struct TargetSide {
    http: Client,
    endpoint: Url,
    account: String,
    key: hmac::Key,
    filesystem: String,
    directory: String,
}

/// One page of "Path - List". Numbers and truth values come as strings.
#[derive(Deserialize)]
struct Page {
    paths: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    #[serde(default)]
    is_directory: String,
    #[serde(default)]
    content_length: String,
    permissions: String,
    #[serde(default)]
    etag: String,
}

impl TargetSide {
    /// `endpoint` is that of the account: `https://ACCOUNT.dfs.core.windows.net`, or `https://HOST:PORT/ACCOUNT`. `key` is
    /// base64, as Azure shows it. `directory` may be empty, or `/`: the filesystem's root. `http` trusts the endpoint's
    /// certificate.
    pub fn new(
        http: Client,
        endpoint: Url,
        account: impl Into<String>,
        key: &str,
        filesystem: impl Into<String>,
        directory: &str,
    ) -> Result<Self, Error> {
        let account = account.into();
        let key = STANDARD.decode(key).map_err(|_| Error::Target {
            path: endpoint.to_string(),
            reason: format!("the key of account {account} is not base64"),
        })?;
        Ok(Self {
            http,
            endpoint,
            account,
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            filesystem: filesystem.into(),
            directory: directory.trim_matches('/').to_owned(),
        })
    }

    pub(super) fn is_filesystem_root(&self) -> bool {
        self.directory.is_empty()
    }

    /// `page` is how many entries to ask for at a time, at most 5000.
    pub(super) async fn walk(&self, page: u32) -> Result<Tree, Error> {
        let mut tree = Tree::new();
        self.for_each(page, |listed| self.insert(&mut tree, listed)).await?;
        Ok(tree)
    }

    /// Files below the directory with their etags, in the order of the listing; none if there is no such directory.
    pub(crate) async fn files(&self, page: u32) -> Result<Vec<(String, String)>, Error> {
        let mut files = Vec::new();
        let listed = self.for_each(page, |listed| {
            if listed.is_directory != "true" {
                files.push((self.below(&listed.name)?.to_owned(), listed.etag));
            }
            Ok(())
        });
        match listed.await {
            Err(Error::Target { reason, .. }) if is_absent(&reason) => Ok(Vec::new()),
            Err(error) => Err(error),
            Ok(()) => Ok(files),
        }
    }

    /// All of a file; `None` if it is not there (any more).
    pub(crate) async fn content(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let url_path = format!("/{}/{}", encode(&self.filesystem), encode_path(&self.full(path)));
        match self.get(&url_path, &[]).await {
            Err(Error::Target { reason, .. }) if is_absent(&reason) => Ok(None),
            Err(error) => Err(error),
            Ok(response) => {
                let content = response.bytes().await;
                content.map(|content| Some(content.into())).map_err(|error| self.error(path, &chain(&error)))
            }
        }
    }

    async fn for_each(
        &self,
        page: u32,
        mut take: impl FnMut(Listed) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let page = page.to_string();
        let mut continuation = String::new();
        loop {
            let mut query =
                vec![("resource", "filesystem"), ("recursive", "true"), ("maxResults", page.as_str())];
            if !self.directory.is_empty() {
                query.push(("directory", &self.directory));
            }
            if !continuation.is_empty() {
                query.push(("continuation", &continuation));
            }
            let response = self.get(&format!("/{}", encode(&self.filesystem)), &query).await?;
            let next = response
                .headers()
                .get("x-ms-continuation")
                .map(|value| value.to_str().unwrap_or_default().to_owned());
            let body = response.bytes().await.map_err(|error| self.error("", &error.to_string()))?;
            let page: Page =
                serde_json::from_slice(&body).map_err(|error| self.error("", &error.to_string()))?;
            for listed in page.paths {
                take(listed)?;
            }
            match next {
                Some(token) if !token.is_empty() => continuation = token,
                _ => return Ok(()),
            }
        }
    }

    fn below<'a>(&self, name: &'a str) -> Result<&'a str, Error> {
        let below = if self.directory.is_empty() {
            Some(name)
        } else {
            name.strip_prefix(&self.directory).and_then(|name| name.strip_prefix('/'))
        };
        below.ok_or_else(|| {
            self.error("", &format!("the listing names {name}, which is not below this directory"))
        })
    }

    fn insert(&self, tree: &mut Tree, listed: Listed) -> Result<(), Error> {
        let Listed { name, is_directory, content_length, permissions, .. } = listed;
        let path = self.below(&name)?;
        let kind = if is_directory == "true" {
            Kind::Directory
        } else {
            let bytes = content_length.parse();
            Kind::File { bytes: bytes.map_err(|_| self.error(path, "the listing gives no size"))? }
        };
        let permissions = octal(&permissions)
            .ok_or_else(|| self.error(path, &format!("the listing gives the permissions {permissions:?}")))?;
        match tree.insert(path.to_owned(), Entry { kind, permissions }) {
            None => Ok(()),
            Some(_) => Err(self.error(path, "the listing names this path twice")),
        }
    }

    /// SHA-256 of the file's content, which is `bytes` long according to the listing.
    pub(super) async fn digest(&self, path: &str, bytes: u64) -> Result<Vec<u8>, Error> {
        let url_path = format!("/{}/{}", encode(&self.filesystem), encode_path(&self.full(path)));
        let mut response = self.get(&url_path, &[]).await?;
        let mut context = Context::new(&SHA256);
        let mut received = 0;
        while let Some(part) = response.chunk().await.map_err(|error| self.error(path, &chain(&error)))? {
            received += part.len() as u64;
            context.update(&part);
        }
        if received != bytes {
            return Err(self.error(path, &format!("listed with {bytes} bytes, read with {received}")));
        }
        Ok(context.finish().as_ref().to_vec())
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Response, Error> {
        let at = |reason: String| Error::Target { path: path.to_owned(), reason };
        let account = Account { name: &self.account, key: &self.key };
        let request = account
            .request(&self.http, Method::GET, &self.endpoint, path, query)
            .map_err(|error| at(error.to_string()))?;
        let response = request.send().await.map_err(|error| at(chain(&error)))?;
        if response.status() == reqwest::StatusCode::OK {
            return Ok(response);
        }
        let status = response.status();
        let body = response.text().await.unwrap_or_default();
        Err(at(format!("answered {status}: {}", body.chars().take(500).collect::<String>())))
    }

    fn full(&self, path: &str) -> String {
        match (self.directory.as_str(), path) {
            ("", path) => path.to_owned(),
            (directory, "") => directory.to_owned(),
            (directory, path) => format!("{directory}/{path}"),
        }
    }

    fn error(&self, path: &str, reason: &str) -> Error {
        Error::Target { path: format!("{}/{}", self.filesystem, self.full(path)), reason: reason.to_owned() }
    }
}

/// What [`TargetSide::get`] says of a place where there is nothing.
fn is_absent(reason: &str) -> bool {
    reason.starts_with("answered 404")
}

/// `rwxr-x--t`, with a `+` behind it when there are ACL entries.
fn octal(symbolic: &str) -> Option<u16> {
    let symbolic = symbolic.strip_suffix('+').unwrap_or(symbolic);
    let mut bits = 0;
    if symbolic.len() != 9 {
        return None;
    }
    for (index, letter) in symbolic.bytes().enumerate() {
        bits <<= 1;
        match (letter, index % 3, index) {
            (b'-', ..) => {}
            (b'r', 0, _) | (b'w', 1, _) | (b'x', 2, _) => bits |= 1,
            // The sticky bit stands above all nine.
            (b't', _, 8) => bits |= 0o1001,
            (b'T', _, 8) => bits |= 0o1000,
            _ => return None,
        }
    }
    Some(bits)
}

/// reqwest's own text leaves out the reason.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

impl fmt::Display for TargetSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.endpoint.as_str().trim_end_matches('/'), self.filesystem, self.directory)
    }
}

/// Without the key.
impl fmt::Debug for TargetSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TargetSide({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::octal;

    #[test]
    fn permissions() {
        assert_eq!(octal("rwxr-x---"), Some(0o750));
        assert_eq!(octal("rw-r--r--+"), Some(0o644));
        assert_eq!(octal("rwxrwxrwt"), Some(0o1777));
        assert_eq!(octal("rwxrwx--T"), Some(0o1770));
        assert_eq!(octal("---------"), Some(0));
        for wrong in ["", "rwx", "rwxrwxrwz", "wrxrwxrwx", "twxrwxrwx", "0750"] {
            assert_eq!(octal(wrong), None, "{wrong}");
        }
    }
}
