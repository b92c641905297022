//! `livedata demo`, as a newcomer runs it.

use livedata_demo::arm_client::ArmClient;
use livedata_demo::environment;

use crate::site::{LIVEDATA, Process};

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_ends_by_itself_and_both_sides_are_equal() {
    let (status, said) = Process::start(LIVEDATA, &["demo"], &[]).finish().await;
    assert!(status.success(), "{said}");
    assert!(said.contains("3000 files, 419.43 MB arrived"), "{said}");
    assert!(said.contains("result  equal"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_arrive_whole_is_a_failure_that_names_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("mine");
    std::fs::create_dir(&lake).unwrap();
    std::fs::write(lake.join("good"), "good").unwrap();
    std::os::unix::net::UnixListener::bind(lake.join("socket")).unwrap();
    let data = folder.path().join("data");
    let arguments = ["demo", "--source", lake.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let (status, said) = Process::start(LIVEDATA, &arguments, &[]).finish().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("1 file, 4 bytes on both sides"), "{said}");
    assert!(said.contains("socket: the special file is missing at the target"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_demo_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("TMPDIR", folder.path().to_str().unwrap())];
    let demo = Process::start(LIVEDATA, &["demo"], &variables);
    demo.wait_until_said("  migration").await;
    let (status, said) = demo.terminate().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("interrupted"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_that_is_kept_can_be_looked_at_until_it_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, data) = (folder.path().join("mine"), folder.path().join("data"));
    std::fs::create_dir(&lake).unwrap();
    std::fs::write(lake.join("file"), "content").unwrap();
    let arguments = ["demo", "--keep", "--source", lake.to_str().unwrap(), "--data", data.to_str().unwrap()];
    let demo = Process::start(LIVEDATA, &arguments, &[]);
    demo.wait_until_said("Ctrl-C ends it").await;
    assert!(demo.said().contains("az login --service-principal"), "{}", demo.said());
    let arm = ArmClient::new(environment::sign_in(&data).unwrap()).unwrap();
    let migrator = arm.id("/resourceGroups/demo/providers/LiveData.Platform/migrators/demo");
    let migration = arm.get(&format!("{migrator}/liveDataMigrations/lake")).await.unwrap();
    assert_eq!(migration["properties"]["status"]["state"], "Completed");
    let (status, said) = demo.terminate().await;
    assert!(status.success(), "{said}");
}
