use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use futures::{StreamExt, TryStreamExt};

use super::*;
use crate::{ContentVersion, FailureKind};

struct Tree {
    folder: tempfile::TempDir,
    source: LocalSource,
}

impl Tree {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = LocalSource::new(folder.path().to_owned());
        Self { folder, source }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: &[u8]) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), content).unwrap();
    }

    async fn entry(&self, path: &str) -> Entry {
        self.source.resolve(path).await.unwrap()
    }

    async fn read(&self, directory: &NodeId, entry: &Entry, offset: u64) -> Result<Vec<u8>> {
        let stream = self.source.open(&entry.id, (directory, &entry.name), offset, file(entry).0).await?;
        let pieces: Vec<bytes::Bytes> = stream.try_collect().await?;
        Ok(pieces.concat())
    }
}

fn file(entry: &Entry) -> (u64, ContentVersion) {
    match &entry.kind {
        EntryKind::File { length_bytes, version, .. } => (*length_bytes, version.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn kinds_and_attributes() {
    let tree = Tree::new();
    tree.write("dir/file", b"content");
    std::fs::set_permissions(tree.path("dir/file"), std::fs::Permissions::from_mode(0o640)).unwrap();
    symlink("file", tree.path("dir/link")).unwrap();
    let _socket = UnixListener::bind(tree.path("dir/socket")).unwrap();
    std::fs::write(tree.path("dir").join(OsStr::from_bytes(b"bad\xff")), b"x").unwrap();

    let directory = tree.entry("/dir").await;
    assert_eq!((directory.name.as_str(), &directory.kind), ("dir", &EntryKind::Directory));
    let page = tree.source.list(&directory.id, None).await.unwrap();
    assert_eq!(page.next, None);
    let kinds: Vec<_> = page.entries.iter().map(|entry| (entry.name.as_str(), &entry.kind)).collect();
    assert!(
        matches!(kinds[0], ("bad\u{fffd}ff", EntryKind::Unsupported { kind: FailureKind::NameRefused, reason }) if reason.contains("UTF-8"))
    );
    assert!(matches!(kinds[1], ("file", EntryKind::File { length_bytes: 7, open_for_write: false, .. })));
    assert!(matches!(kinds[2], ("link", EntryKind::Symlink)));
    assert!(
        matches!(kinds[3], ("socket", EntryKind::Unsupported { kind: FailureKind::NotSupported, reason }) if reason.contains("socket"))
    );
    assert_eq!(page.entries[1].permissions, 0o640);
    assert_eq!(tree.entry("/dir/file").await, page.entries[1]);
    assert_eq!(tree.source.look_up(&directory.id, "file").await.unwrap().as_ref(), Some(&page.entries[1]));
    assert_eq!(tree.source.look_up(&directory.id, "none").await.unwrap(), None);
    // What a listing calls it finds it, too.
    assert_eq!(
        tree.source.look_up(&directory.id, "bad\u{fffd}ff").await.unwrap().as_ref(),
        Some(&page.entries[0])
    );
    assert_eq!(tree.source.look_up(&directory.id, "bad\u{fffd}fe").await.unwrap(), None);
}

#[tokio::test]
async fn large_directories_come_in_pages_in_order() {
    let tree = Tree::new();
    let mut expected: Vec<String> =
        (0..2 * PAGE_ENTRIES + 1).map(|number| format!("file {number}")).collect();
    for name in &expected {
        tree.write(name, b"");
    }
    // The last name of a page is one that no text can hold.
    expected.sort();
    let raw = [expected[PAGE_ENTRIES - 2].as_bytes(), b"\xff"].concat();
    std::fs::write(tree.path("").join(OsStr::from_bytes(&raw)), b"").unwrap();
    expected.insert(PAGE_ENTRIES - 1, node::printable(OsStr::from_bytes(&raw)));

    let root = tree.entry("/").await;
    let (mut names, mut sizes, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = tree.source.list(&root.id, after.as_deref()).await.unwrap();
        sizes.push(page.entries.len());
        names.extend(page.entries.into_iter().map(|entry| entry.name));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [PAGE_ENTRIES, PAGE_ENTRIES, 2]);
    assert_eq!(names.iter().filter(|name| name.contains('\u{fffd}')).count(), 1);
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn directories_keep_their_id_across_renames_and_restarts() {
    let tree = Tree::new();
    tree.write("a/b/c/file", b"deep");
    let b = tree.entry("/a/b").await;
    let c = tree.entry("/a/b/c").await;
    std::fs::rename(tree.path("a/b"), tree.path("a/renamed")).unwrap();
    std::fs::rename(tree.path("a"), tree.path("z")).unwrap();
    std::fs::create_dir_all(tree.path("a/b/c")).unwrap();

    let again = LocalSource::new(tree.folder.path().to_owned());
    for source in [&tree.source, &again] {
        assert_eq!(source.list(&c.id, None).await.unwrap().entries[0].name, "file");
        assert_eq!(source.look_up(&b.id, "c").await.unwrap().unwrap().id, c.id);
        let file = source.look_up(&c.id, "file").await.unwrap().unwrap();
        assert_eq!(tree.read(&c.id, &file, 1).await.unwrap(), b"eep");
    }
    std::fs::remove_dir_all(tree.path("z")).unwrap();
    assert_eq!(again.list(&c.id, None).await.unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(again.look_up(&b.id, "c").await.unwrap_err().kind(), ErrorKind::Gone);
}

#[tokio::test]
async fn content_is_read_in_pieces_from_any_offset() {
    let tree = Tree::new();
    let content: Vec<u8> = (0..700_000_u32).map(|at| (at ^ (at >> 8)) as u8).collect();
    tree.write("big", &content);
    let (root, entry) = (tree.entry("/").await, tree.entry("/big").await);
    for offset in [0, 1, 262_144, 699_999, 700_000] {
        assert!(tree.read(&root.id, &entry, offset).await.unwrap() == content[offset as usize..], "{offset}");
    }
}

#[tokio::test]
async fn a_replaced_deleted_or_changed_file_does_not_pass_for_the_old_one() {
    let tree = Tree::new();
    tree.write("file", &[1; 600_000]);
    let (root, entry) = (tree.entry("/").await, tree.entry("/file").await);
    let open = async || tree.source.open(&entry.id, (&root.id, "file"), 0, 600_000).await;

    let mut stream = open().await.unwrap();
    stream.next().await.unwrap().unwrap();
    std::fs::OpenOptions::new().write(true).open(tree.path("file")).unwrap().set_len(300_000).unwrap();
    let outcome: Result<Vec<_>> = stream.try_collect().await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Changed);
    assert_eq!(open().await.map(|_| ()).unwrap_err().kind(), ErrorKind::Changed);
    assert_ne!(file(&tree.entry("/file").await).1, file(&entry).1);

    let shorter = tree.entry("/file").await;
    assert_eq!(shorter.id, entry.id);
    let stream = tree.source.open(&shorter.id, (&root.id, "file"), 0, 300_000).await.unwrap();
    std::fs::remove_file(tree.path("file")).unwrap();
    let outcome: Result<Vec<_>> = stream.try_collect().await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Gone);

    assert_eq!(open().await.map(|_| ()).unwrap_err().kind(), ErrorKind::Gone);
    tree.write("other", &[2; 600_000]);
    std::fs::rename(tree.path("other"), tree.path("file")).unwrap();
    assert_eq!(open().await.map(|_| ()).unwrap_err().kind(), ErrorKind::Gone);
}

#[tokio::test]
async fn no_path_leads_out() {
    let tree = Tree::new();
    tree.write("inside/file", b"");
    symlink("/", tree.path("link")).unwrap();
    for (path, kind) in [
        ("/inside/../../etc", ErrorKind::Fatal),
        ("/link/etc", ErrorKind::Conflict),
        ("relative", ErrorKind::Fatal),
        ("/none", ErrorKind::Gone),
        ("/inside/file/below", ErrorKind::Gone),
    ] {
        assert_eq!(tree.source.resolve(path).await.unwrap_err().kind(), kind, "{path}");
    }
    let root = tree.entry("/").await;
    assert_eq!(tree.source.look_up(&root.id, "..").await.unwrap_err().kind(), ErrorKind::Fatal);
    assert_eq!(tree.entry("/link").await.kind, EntryKind::Symlink);
}

#[tokio::test]
async fn each_name_of_a_file_is_a_node_of_its_own() {
    let tree = Tree::new();
    tree.write("a/one", b"content");
    std::fs::create_dir(tree.path("b")).unwrap();
    for other in ["a/two", "b/one"] {
        std::fs::hard_link(tree.path("a/one"), tree.path(other)).unwrap();
    }
    let mut ids = Vec::new();
    for path in ["/a/one", "/a/two", "/b/one"] {
        let directory = tree.entry(&path[..2]).await.id;
        let entry = tree.entry(path).await;
        assert_eq!(tree.read(&directory, &entry, 0).await.unwrap(), b"content");
        assert_eq!(tree.source.look_up(&directory, &entry.name).await.unwrap().unwrap().id, entry.id);
        ids.push(entry.id);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}
