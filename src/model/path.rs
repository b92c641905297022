//! Paths of migrations: absolute at the source, from the container's root at the target.

/// Why a path is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PathError {
    #[error("the path must begin with '/'")]
    NotAbsolute,
    #[error("'.' and '..' are not allowed as segments")]
    Relative,
    #[error("the path must not contain a NUL character")]
    Nul,
    #[error("/.livedata is reserved for the migrator's own files")]
    Reserved,
}

/// Name of the folder, at the root of the target container, in which everything of ours lives.
pub const RESERVED: &str = ".livedata";

/// The canonical form: one leading slash, single separators, no trailing slash.
pub fn canonical(path: &str) -> Result<String, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if path.contains('\0') {
        return Err(PathError::Nul);
    }
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.iter().any(|segment| matches!(*segment, "." | "..")) {
        return Err(PathError::Relative);
    }
    if segments.first() == Some(&RESERVED) {
        return Err(PathError::Reserved);
    }
    Ok(format!("/{}", segments.join("/")))
}

/// Whether the canonical path `inner` is `outer` or lies inside it.
pub fn is_inside(outer: &str, inner: &str) -> bool {
    outer == "/" || inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether two canonical paths name the same place or one lies inside the other.
pub fn overlap(one: &str, other: &str) -> bool {
    is_inside(one, other) || is_inside(other, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_form() {
        assert_eq!(canonical("//a///b c/").as_deref(), Ok("/a/b c"));
        assert_eq!(canonical("/").as_deref(), Ok("/"));
        assert_eq!(canonical("a"), Err(PathError::NotAbsolute));
        assert_eq!(canonical("/a/../b"), Err(PathError::Relative));
        assert_eq!(canonical("/.livedata/x"), Err(PathError::Reserved));
    }

    #[test]
    fn overlap_is_by_segment() {
        assert!(overlap("/a", "/a/b"));
        assert!(overlap("/a/b", "/a"));
        assert!(overlap("/", "/x"));
        assert!(overlap("/a", "/a"));
        assert!(!overlap("/a", "/ab"));
    }
}
