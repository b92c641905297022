//! The suites that implementations of a trait are run through, so that all of them mean the same by it. Each check panics
//! with what it expected. [`histories`] asks an implementation the same random questions as [`MemoryTarget`]. For tests only:
//! behind the feature `conformance`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed check is a panic, and this code runs in tests only"
)]

pub mod histories;
mod memory;

pub use memory::MemoryTarget;

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Attributes, Condition, ErrorKind, Etag, Flush, Result, Target, TargetEntry, TargetPath, Upload};

/// A [`Target`] together with a way to see file content, which the trait does not have.
#[async_trait]
pub trait ReadableTarget: Sync {
    type Target: Target;

    fn target(&self) -> &Self::Target;

    /// What a reader of the file sees now.
    async fn content(&self, path: &TargetPath) -> Vec<u8>;
}

/// Runs every check, each in a directory of its own below `root`, which must not exist yet.
pub async fn target<T: ReadableTarget>(subject: &T, root: &TargetPath) {
    directories(subject.target(), &root.join("directories")).await;
    files(subject, &root.join("files")).await;
    appends(subject, &root.join("appends")).await;
    flushes(subject, &root.join("flushes")).await;
    renames_of_files(subject, &root.join("renames")).await;
    renames_of_directories(subject, &root.join("directory renames")).await;
    attributes(subject.target(), &root.join("attributes")).await;
    deletes(subject.target(), &root.join("deletes")).await;
    names(subject, &root.join("names")).await;
}

async fn directories<T: Target>(target: &T, root: &TargetPath) {
    let deep = root.join("a").join("b").join("c");
    let made = with_property("origin", "one");
    let etag = target.create_directory(&deep, &made, &Condition::Absent).await.unwrap();
    let entry = look(target, &deep).await;
    assert!(entry.is_directory, "a directory says that it is one");
    assert_eq!(entry.etag, etag, "the etag of create is the etag that a look shows");
    assert_eq!(entry.length_bytes, 0);
    assert_eq!(entry.properties, made.properties);
    assert!(look(target, &root.join("a")).await.is_directory, "missing parents are made");

    let again = target.create_directory(&deep, &made, &Condition::Absent).await;
    expect_kind(again, ErrorKind::Conflict, "a directory that must be absent but is there");
    target.create_directory(&deep, &made, &Condition::Any).await.unwrap();

    let file = root.join("file");
    target.create_file(&file, &Attributes::default(), &Condition::Absent).await.unwrap();
    let over_file = target.create_directory(&file, &Attributes::default(), &Condition::Absent).await;
    expect_kind(over_file, ErrorKind::Conflict, "a directory over a file");
    assert_eq!(target.properties(&root.join("nothing")).await.unwrap(), None, "nothing is None");
}

async fn files<T: ReadableTarget>(subject: &T, root: &TargetPath) {
    let target = subject.target();
    let path = root.join("deep").join("file");
    let made = with_property("origin", "größe, =1");
    let etag = target.create_file(&path, &made, &Condition::Absent).await.unwrap();
    let entry = look(target, &path).await;
    assert_eq!(
        entry,
        TargetEntry {
            is_directory: false,
            length_bytes: 0,
            etag: etag.clone(),
            properties: made.properties.clone()
        }
    );
    assert!(subject.content(&path).await.is_empty(), "a new file is empty");

    let again = target.create_file(&path, &made, &Condition::Absent).await;
    expect_kind(again, ErrorKind::Conflict, "a file that must be absent but is there");

    let written = write(target, &path, b"first").await;
    let stale = target.create_file(&path, &made, &Condition::Unchanged(etag)).await;
    expect_kind(stale, ErrorKind::Conflict, "a file that has changed since");
    assert_eq!(subject.content(&path).await, b"first", "a refused create changes nothing");
    target.create_file(&path, &Attributes::default(), &Condition::Unchanged(written)).await.unwrap();
    assert!(subject.content(&path).await.is_empty(), "create truncates what it replaces");
    assert!(look(target, &path).await.properties.is_empty(), "create replaces properties");

    write(target, &path, b"second").await;
    target.create_file(&path, &made, &Condition::Any).await.unwrap();
    assert_eq!(look(target, &path).await.length_bytes, 0);

    let directory = root.join("deep");
    let over_directory = target.create_file(&directory, &made, &Condition::Any).await;
    expect_kind(over_directory, ErrorKind::Conflict, "a file over a directory");
}

async fn appends<T: ReadableTarget>(subject: &T, root: &TargetPath) {
    let target = subject.target();
    let path = root.join("file");
    let none = append(target, &root.join("absent"), 0, b"x", false).await;
    expect_kind(none, ErrorKind::Gone, "an append to nothing");

    target.create_file(&path, &Attributes::default(), &Condition::Absent).await.unwrap();
    assert_eq!(append(target, &path, 5, b"world", false).await.unwrap(), None, "no etag without a flush");
    assert_eq!(look(target, &path).await.length_bytes, 0, "appended bytes stay invisible");
    append(target, &path, 0, b"hello", false).await.unwrap();
    append(target, &path, 0, b"hello", false).await.unwrap();
    let etag = target.flush(&path, 10, Flush::Prefix).await.unwrap();
    assert_eq!(subject.content(&path).await, b"helloworld", "any order, and twice, makes the same file");
    assert_eq!(look(target, &path).await.etag, etag);

    let etag = append(target, &path, 10, b"!", true).await.unwrap();
    assert_eq!(subject.content(&path).await, b"helloworld!", "an append that flushes is visible");
    assert_eq!(Some(look(target, &path).await.etag), etag, "an append that flushes returns the new etag");

    let again = append(target, &path, 10, b"!", true).await.unwrap();
    assert_eq!(again, etag, "an append that flushed already succeeds again and changes nothing");
    let behind = append(target, &path, 5, b"WORLD", false).await.unwrap();
    assert_eq!(behind, None, "bytes that are flushed already may come again");
    let across = append(target, &path, 5, b"WORLD!?", true).await.unwrap_err();
    assert!(!across.kind().is_retryable(), "bytes across the end of the file are refused for good: {across}");
    assert_eq!(subject.content(&path).await, b"helloworld!", "what is flushed does not change");

    assert_eq!(append(target, &path, 11, b"", false).await.unwrap(), None, "no bytes are no append");
    assert_eq!(subject.content(&path).await, b"helloworld!");
}

async fn flushes<T: ReadableTarget>(subject: &T, root: &TargetPath) {
    let target = subject.target();
    let path = root.join("file");
    target.create_file(&path, &Attributes::default(), &Condition::Absent).await.unwrap();
    let beyond = target.flush(&path, 4, Flush::Prefix).await.unwrap_err();
    assert!(!beyond.kind().is_retryable(), "a flush beyond the data is refused for good: {beyond}");

    append(target, &path, 0, b"abcd", false).await.unwrap();
    target.flush(&path, 4, Flush::Prefix).await.unwrap();
    target.flush(&path, 4, Flush::Complete).await.unwrap();
    assert_eq!(subject.content(&path).await, b"abcd", "a flush that has already happened succeeds");

    append(target, &path, 6, b"gh", false).await.unwrap();
    let gap = target.flush(&path, 8, Flush::Complete).await.unwrap_err();
    assert!(!gap.kind().is_retryable(), "a flush over a gap is refused for good: {gap}");
    assert_eq!(subject.content(&path).await, b"abcd", "a refused flush changes nothing");

    append(target, &path, 4, b"ef", false).await.unwrap();
    target.flush(&path, 6, Flush::Prefix).await.unwrap();
    assert_eq!(subject.content(&path).await, b"abcdef", "only what the flush passed is visible");
    target.flush(&path, 6, Flush::Prefix).await.unwrap();
    target.flush(&path, 8, Flush::Prefix).await.unwrap();
    assert_eq!(subject.content(&path).await, b"abcdefgh", "bytes beyond a flushed prefix were kept");

    append(target, &path, 8, b"ijkl", false).await.unwrap();
    target.flush(&path, 10, Flush::Complete).await.unwrap();
    let dropped = target.flush(&path, 12, Flush::Complete).await.unwrap_err();
    assert!(!dropped.kind().is_retryable(), "a complete file keeps nothing beyond its end: {dropped}");
    assert_eq!(subject.content(&path).await, b"abcdefghij");
}

async fn renames_of_files<T: ReadableTarget>(subject: &T, root: &TargetPath) {
    let target = subject.target();
    let (from, to) = (root.join("from"), root.join("to"));
    target.create_file(&from, &with_property("id", "7"), &Condition::Absent).await.unwrap();
    let etag = write(target, &from, b"content").await;
    target.rename(&from, &to, &Condition::Absent, Some(&etag)).await.unwrap();
    assert_eq!(target.properties(&from).await.unwrap(), None, "the source is gone");
    let moved = look(target, &to).await;
    assert_eq!(moved.etag, etag, "the etag survives");
    assert_eq!(moved.properties, with_property("id", "7").properties, "properties move along");
    assert_eq!(subject.content(&to).await, b"content");

    let gone = target.rename(&from, &to, &Condition::Any, Some(&etag)).await;
    expect_kind(gone, ErrorKind::Gone, "a rename of nothing");
    let gone = target.rename(&from, &to, &Condition::Any, None).await;
    expect_kind(gone, ErrorKind::Gone, "a rename of nothing, its etag unknown");

    target.create_file(&from, &Attributes::default(), &Condition::Absent).await.unwrap();
    let newer = write(target, &from, b"newer").await;
    let occupied = target.rename(&from, &to, &Condition::Absent, Some(&newer)).await;
    expect_kind(occupied, ErrorKind::Conflict, "a destination that must be absent but is there");
    let stale = Condition::Unchanged(newer.clone());
    let changed = target.rename(&from, &to, &stale, Some(&newer)).await;
    expect_kind(changed, ErrorKind::Conflict, "a destination with another etag");
    let wrong_source = target.rename(&from, &to, &Condition::Any, Some(&etag)).await;
    expect_kind(wrong_source, ErrorKind::Conflict, "a source with another etag");
    assert_eq!(subject.content(&to).await, b"content", "a refused rename changes nothing");
    target.rename(&from, &to, &Condition::Unchanged(etag), Some(&newer)).await.unwrap();
    assert_eq!(subject.content(&to).await, b"newer", "the condition held, so the destination is replaced");

    target.create_file(&from, &Attributes::default(), &Condition::Absent).await.unwrap();
    target.rename(&from, &to, &Condition::Any, None).await.unwrap();
    assert!(subject.content(&to).await.is_empty());
}

async fn renames_of_directories<T: ReadableTarget>(subject: &T, root: &TargetPath) {
    let target = subject.target();
    let (from, to) = (root.join("from"), root.join("to"));
    let file = from.join("below").join("file");
    target.create_file(&file, &Attributes::default(), &Condition::Absent).await.unwrap();
    let etag = write(target, &file, b"deep").await;
    target.rename(&from, &to, &Condition::Absent, None).await.unwrap();
    let moved = to.join("below").join("file");
    assert_eq!(target.properties(&file).await.unwrap(), None, "nothing stays behind");
    assert_eq!(subject.content(&moved).await, b"deep", "what was below moves along");
    assert_eq!(look(target, &moved).await.etag, etag, "etags below survive");
}

async fn attributes<T: Target>(target: &T, root: &TargetPath) {
    let path = root.join("file");
    let first = Attributes { permissions: Some(0o640), ..with_property("a", "1") };
    target.create_file(&path, &first, &Condition::Absent).await.unwrap();
    let second = Attributes { permissions: Some(0o1755), ..with_property("b", "2") };
    let etag = target.set_attributes(&path, &second, &Condition::Any).await.unwrap();
    let entry = look(target, &path).await;
    assert_eq!(entry.properties, second.properties, "properties are replaced, not merged");
    assert_eq!(entry.etag, etag);
    let only_permissions = Attributes { permissions: Some(0o600), ..Attributes::default() };
    let etag = target.set_attributes(&path, &only_permissions, &Condition::Any).await.unwrap();
    let entry = look(target, &path).await;
    assert_eq!(entry.properties, second.properties, "what is not given stays");
    assert_eq!(entry.etag, etag);
    assert_eq!(
        target.set_attributes(&path, &Attributes::default(), &Condition::Any).await.unwrap(),
        etag,
        "nothing given, nothing done"
    );
    let none = target.set_attributes(&root.join("absent"), &second, &Condition::Any).await;
    expect_kind(none, ErrorKind::Gone, "attributes of nothing");
}

async fn deletes<T: Target>(target: &T, root: &TargetPath) {
    target.delete(&root.join("absent"), false, &Condition::Any).await.unwrap();
    target.delete(&root.join("absent"), true, &Condition::Any).await.unwrap();

    let file = root.join("directory").join("below").join("file");
    let etag = target.create_file(&file, &Attributes::default(), &Condition::Absent).await.unwrap();
    let newer = write(target, &file, b"x").await;
    let stale = target.delete(&file, false, &Condition::Unchanged(etag)).await;
    expect_kind(stale, ErrorKind::Conflict, "a file that has changed since");
    assert_eq!(look(target, &file).await.etag, newer);

    let full = target.delete(&root.join("directory"), false, &Condition::Any).await;
    expect_kind(full, ErrorKind::Conflict, "a directory that is not empty");
    target.delete(&file, false, &Condition::Unchanged(newer)).await.unwrap();
    assert_eq!(target.properties(&file).await.unwrap(), None);
    target.delete(&root.join("directory"), true, &Condition::Any).await.unwrap();
    assert_eq!(target.properties(&root.join("directory")).await.unwrap(), None);
}

async fn names<T: ReadableTarget>(subject: &T, root: &TargetPath) {
    let target = subject.target();
    let names = [
        "a b",
        "100%",
        "%41",
        "a#b",
        "a?b=c&d",
        "a+b",
        "größe",
        "日本語",
        "quote'\"",
        "semi;comma,",
        "(x)[y]{z}",
        "tilde~",
        "=",
        "e\u{301}",
        "\u{e9}",
        "a:b@c",
        "$root",
        "UPPER",
        "upper",
    ];
    for name in names {
        let staged = root.join("staged").join(name);
        target.create_file(&staged, &Attributes::default(), &Condition::Absent).await.unwrap();
        let etag = write(target, &staged, name.as_bytes()).await;
        let path = root.join("final").join(name).join(name);
        target
            .create_directory(&root.join("final").join(name), &Attributes::default(), &Condition::Absent)
            .await
            .unwrap();
        target.rename(&staged, &path, &Condition::Absent, Some(&etag)).await.unwrap();
    }
    for name in names {
        let path = root.join("final").join(name).join(name);
        assert_eq!(subject.content(&path).await, name.as_bytes(), "{name:?} is a name like any other");
        assert_eq!(target.properties(&root.join("staged").join(name)).await.unwrap(), None);
    }
}

fn with_property(name: &str, value: &str) -> Attributes {
    let properties = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    Attributes { properties, ..Attributes::default() }
}

async fn append<T: Target>(
    target: &T,
    path: &TargetPath,
    position: u64,
    data: &'static [u8],
    flush: bool,
) -> Result<Option<Etag>> {
    target.append(path, Upload { position, data: Bytes::from_static(data) }, flush).await
}

/// Fills an empty file; returns its etag.
async fn write<T: Target>(target: &T, path: &TargetPath, data: &[u8]) -> Etag {
    let upload = Upload { position: 0, data: Bytes::copy_from_slice(data) };
    target.append(path, upload, true).await.unwrap().unwrap()
}

async fn look<T: Target>(target: &T, path: &TargetPath) -> TargetEntry {
    target.properties(path).await.unwrap().unwrap()
}

fn expect_kind<V: std::fmt::Debug>(answer: Result<V>, kind: ErrorKind, what: &str) {
    let error = answer.expect_err(what);
    assert_eq!(error.kind(), kind, "{what}: {error}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_target_in_memory_conforms() {
        target(&MemoryTarget::default(), &TargetPath::new("conformance")).await;
    }
}
