//! Programs that copy trees: AzCopy and rclone, each up, down, changed and removed, with the files compared byte by byte.

mod azcopy;
mod rclone;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(300);

/// Path below the root to content; nothing for a directory.
type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// More bytes than either program sends in one request.
const LARGE: usize = 21 << 20;

/// Names and sizes of all kinds.
fn plant(root: &Path) -> Tree {
    let pattern = |length: usize, seed: usize| (0..length).map(|at| ((at * 31 + seed) % 251) as u8).collect();
    let files: [(&str, Vec<u8>); 7] = [
        ("empty", Vec::new()),
        ("small", pattern(4_096, 1)),
        ("large", pattern(LARGE, 2)),
        ("deep/er/and/deeper/file", pattern(100, 3)),
        ("with space/plus+and&percent%41", pattern(10, 4)),
        ("umlaut \u{e4}/\u{1f600}", pattern(20, 5)),
        ("deep/sibling", pattern(70_000, 6)),
    ];
    for (name, content) in &files {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    tree(root)
}

fn tree(root: &Path) -> Tree {
    let mut found = Tree::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                open.push(path);
                found.insert(name, None);
            } else {
                found.insert(name, Some(std::fs::read(path).unwrap()));
            }
        }
    }
    found
}

/// Says what differs without the bytes.
#[track_caller]
fn assert_same(found: &Tree, expected: &Tree) {
    let shape = |tree: &Tree| -> Vec<(String, Option<usize>)> {
        tree.iter().map(|(name, content)| (name.clone(), content.as_ref().map(Vec::len))).collect()
    };
    assert_eq!(shape(found), shape(expected));
    let differing: Vec<&String> =
        found.iter().filter(|(name, content)| expected[*name] != **content).map(|(name, _)| name).collect();
    assert!(differing.is_empty(), "other bytes in {differing:?}");
}

/// What a program says; it must succeed.
async fn run(command: &mut Command) -> String {
    let running = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, running).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} does not end")).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}", output.status);
    said
}
