//! Which lake, and what lies beside it.

use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use url::Url;

use super::Error;

pub enum Place {
    Directory(PathBuf),
    Hdfs(Url),
}

/// Paths as the file system takes them: absolute, `/` between names, none at the end.
#[derive(Debug, Eq, PartialEq)]
pub struct Lake {
    pub path: String,
    pub outside: String,
}

impl Lake {
    /// A local directory is made when it is absent.
    pub fn of(place: &Place, outside: Option<&str>) -> Result<Self, Error> {
        match place {
            Place::Directory(directory) => {
                let failed = |source| Error::Directory { path: directory.clone(), source };
                std::fs::create_dir_all(directory).map_err(failed)?;
                let path = directory.canonicalize().map_err(failed)?;
                let path =
                    path.into_os_string().into_string().map_err(|_| Error::NotUtf8(directory.clone()))?;
                Self::at(path, outside)
            }
            Place::Hdfs(url) => {
                if url.scheme() != "hdfs" || url.host_str().is_none() {
                    return Err(Error::NotHdfs(url.clone()));
                }
                Self::at(percent_decode_str(url.path()).decode_utf8_lossy().into_owned(), outside)
            }
        }
    }

    fn at(path: String, outside: Option<&str>) -> Result<Self, Error> {
        let path = path.trim_end_matches('/').to_owned();
        if path.is_empty() {
            return Err(Error::Root("/".to_owned()));
        }
        let outside = outside.map_or_else(|| format!("{path}-outside"), str::to_owned);
        let is_in_the_lake = Path::new(&outside).starts_with(&path);
        if is_in_the_lake || !outside.starts_with('/') {
            return Err(Error::Outside { outside, lake: path });
        }
        Ok(Self { path, outside })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_out_moves_beside_the_lake() {
        let place = Place::Hdfs(Url::parse("hdfs://nn:8020/data/a%20lake/").unwrap());
        let lake = Lake::of(&place, None).unwrap();
        assert_eq!(lake, Lake { path: "/data/a lake".into(), outside: "/data/a lake-outside".into() });
        assert_eq!(Lake::of(&place, Some("/away")).unwrap().outside, "/away");
        for wrong in ["/data/a lake", "/data/a lake/out", "relative"] {
            assert!(matches!(Lake::of(&place, Some(wrong)), Err(Error::Outside { .. })), "{wrong}");
        }
        let root = Place::Hdfs(Url::parse("hdfs://nn:8020/").unwrap());
        assert!(matches!(Lake::of(&root, None), Err(Error::Root(_))));
    }
}
