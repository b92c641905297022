//! `livedata demo`, as a newcomer runs it.

use std::os::unix::fs::PermissionsExt as _;

use crate::site::{LIVEDATA, Process};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_by_itself_and_both_sides_are_equal() {
    let (status, said) = Process::start(LIVEDATA, &["demo"], &[]).finish().await;
    assert!(status.success(), "{said}");
    assert!(said.contains("3000 files, 419.43 MB arrived"), "{said}");
    assert!(said.contains("result  equal"), "{said}");
}

/// A file that nobody but root may read would be read all the same by a test that runs as root: the difference is made by
/// a name that ADLS cannot hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_arrive_whole_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("mine");
    std::fs::create_dir(&lake).unwrap();
    std::fs::write(lake.join("good"), "good").unwrap();
    std::fs::set_permissions(lake.join("good"), std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::write(lake.join(std::ffi::OsStr::new("line\nbreak")), "strange").unwrap();
    std::os::unix::net::UnixListener::bind(lake.join("socket")).unwrap();
    let data = folder.path().join("data");
    let arguments = ["demo", "--source", lake.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let (status, said) = Process::start(LIVEDATA, &arguments, &[]).finish().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("socket"), "{said}");
}
