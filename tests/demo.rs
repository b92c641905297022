//! `livedata demo` and `livedata churn`, as a newcomer runs them.

use std::path::Path;

use livedata_demo::arm_client::ArmClient;
use livedata_demo::environment;

use crate::site::{LIVEDATA, Process, until};

/// Of the process that changes the lake.
fn churner(said: &str) -> u32 {
    let line = said.lines().find(|line| line.contains("changes the lake")).unwrap();
    line.split_once("process ").unwrap().1.split(' ').next().unwrap().parse().unwrap()
}

/// Not even as a zombie.
fn is_gone(process: u32) -> bool {
    !Path::new(&format!("/proc/{process}")).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_is_changed_while_the_demo_copies_it_ends_equal() {
    let (status, said) = Process::start(LIVEDATA, &["demo"], &[]).finish().await;
    assert!(status.success(), "{said}");
    for part in [
        "a sample lake: 3000 files",
        " changes at the source, lag ",
        "operations/s",
        "caught up",
        "result  equal",
    ] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    assert!(is_gone(churner(&said)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_lake_can_be_copied_once() {
    let arguments = ["demo", "--churn-rate", "0", "--mode", "OneTime"];
    let (status, said) = Process::start(LIVEDATA, &arguments, &[]).finish().await;
    assert!(status.success(), "{said}");
    assert!(said.contains("3000 files, 419.43 MB arrived"), "{said}");
    assert!(said.contains("result  equal") && !said.contains("changes the lake"), "{said}");
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
    demo.wait_until_said("changes at the source").await;
    let (status, said) = demo.terminate().await;
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("interrupted"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    assert!(is_gone(churner(&said)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_any_more_when_the_demo_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("TMPDIR", folder.path().to_str().unwrap())];
    let demo = Process::start(LIVEDATA, &["demo"], &variables);
    demo.wait_until_said("changes at the source").await;
    let churner = churner(&demo.said());
    demo.kill().await;
    let gone = until(async || (is_gone(churner) || is_zombie(churner)).then_some(())).await;
    assert!(gone.is_some(), "process {churner} goes on");
}

/// It has ended; whether the process that inherits it asks for its status is not ours to say.
fn is_zombie(process: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
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
    assert_eq!(migration["properties"]["status"]["state"], "Live");
    let (status, said) = demo.terminate().await;
    assert!(status.success(), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_churn_says_what_it_did() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    std::fs::create_dir(&lake).unwrap();
    std::fs::write(lake.join("file"), "content").unwrap();
    let lake = lake.to_str().unwrap();
    let arguments = ["churn", "--directory", lake, "--rate", "1000", "--operations", "200"];
    let (status, said) = Process::start(LIVEDATA, &arguments, &[]).finish().await;
    assert!(status.success() && said.contains("seed 1: 200 operations ("), "{said}");
    assert!(folder.path().join("lake-outside").is_dir());

    let (status, said) = Process::start(LIVEDATA, &arguments, &[]).finish().await;
    assert!(status.success() && said.contains("seed 1: 200 operations ("), "a second time: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_names_the_command_that_churns_its_sample() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("dev");
    let arguments = ["dev", "--port", "0", "--data", data.to_str().unwrap()];
    let dev = Process::start(LIVEDATA, &arguments, &[]);
    dev.wait_until_said("ready").await;
    let said = dev.said();
    let command = said.lines().find(|line| line.contains("churn --directory")).unwrap();
    let churn = Process::start("sh", &["-c", &format!("exec {command}")], &[]);
    let first_file = data.join("sample/writer-0-0");
    assert!(until(async || first_file.is_dir().then_some(())).await.is_some(), "{}", churn.said());
    let (status, said) = churn.terminate().await;
    assert!(status.success() && said.contains("operations/s"), "{said}");
    dev.terminate().await;
}
