//! `livedata adls-emulator` as its help describes it: started with what stands there, used with what it prints.

use futures::TryStreamExt as _;
use livedata_adls::{AccountKey, AfterAppend, Config, CreateOptions, Credential, Filesystem, ResourceKind};
use livedata_filesystem::{Condition, TargetPath, Upload};
use tempfile::TempDir;

use crate::site::{LIVEDATA, Process};

async fn help() -> String {
    let (status, help) = Process::start(LIVEDATA, &["adls-emulator", "--help"], &[]).finish().await;
    assert!(status.success(), "{help}");
    help
}

/// On free ports.
async fn start(arguments: &[&str]) -> Process {
    let anywhere = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let process = Process::start(LIVEDATA, &[&["adls-emulator"], arguments, &anywhere].concat(), &[]);
    process.wait_until_said("admin endpoint").await;
    process
}

/// What stands behind a label.
fn told(process: &Process, label: &str) -> String {
    let said = process.said();
    let found = said.lines().find_map(|line| line.trim().strip_prefix(label));
    found.unwrap_or_else(|| panic!("no {label:?} in: {said}")).trim().to_owned()
}

fn container(endpoint: &str, account: &str, key: &str) -> Filesystem {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let key = Credential::SharedKey(AccountKey::from_base64(key).unwrap());
    let mut config = Config::new(format!("{endpoint}/{account}").parse().unwrap(), account, "data", key);
    config.retry.tries = 1;
    Filesystem::new(config).unwrap()
}

async fn write(container: &Filesystem, content: &'static [u8]) {
    let path = TargetPath::new("directory/file");
    let options = CreateOptions::default();
    container.create(&path, ResourceKind::File, &options, &Condition::Absent).await.unwrap();
    let upload = Upload { position: 0, data: content.into() };
    container.append(&path, upload, AfterAppend::FlushAndClose).await.unwrap();
}

async fn read(container: &Filesystem) -> Vec<u8> {
    let path = TargetPath::new("directory/file");
    let content = container.read(&path, None, &Condition::Any).await.unwrap();
    let pieces: Vec<_> = content.bytes.try_collect().await.unwrap();
    pieces.concat()
}

#[tokio::test]
async fn what_the_help_says_to_try_can_be_used_with_what_it_prints() {
    let help = help().await;
    let (_, example) = help.split_once("Start it:\n").unwrap();
    // Behind some blanks it says what the command does.
    let (example, _) = example.trim_start().split_once("   ").unwrap();
    let example: Vec<&str> = example.split_whitespace().collect();
    assert_eq!(example[..2], ["livedata", "adls-emulator"], "{help}");
    let process = start(&example[2..]).await;
    let account = told(&process, "account:");
    let (endpoint, account) = account.rsplit_once('/').unwrap();
    assert!(help.contains(account), "the help does not name {account}");
    assert_eq!(told(&process, "storage endpoint:"), format!("{endpoint}/ACCOUNT"));
    let container = container(endpoint, account, &told(&process, "with the key"));
    container.create_filesystem().await.unwrap();
    write(&container, b"content").await;
    assert_eq!(read(&container).await, b"content");
    let admin = format!("{}/accounts", told(&process, "admin endpoint:"));
    let listed = reqwest::Client::new().get(admin).bearer_auth(told(&process, "admin token:"));
    assert!(listed.send().await.unwrap().text().await.unwrap().contains(account));
    let (status, said) = process.terminate().await;
    assert!(status.success(), "{said}");
}

#[tokio::test]
async fn accounts_come_from_arguments_and_a_file_and_stay_in_the_data_folder() {
    let help = help().await;
    for option in ["--data", "--account ", "--accounts-file", "--admin-token"] {
        assert!(help.contains(option), "{option}");
    }
    let folder = TempDir::new().unwrap();
    let [data, file] = ["data", "accounts"].map(|name| folder.path().join(name).display().to_string());
    // In base64: "one", "two" and "three".
    let keys = [("one1", "b25l"), ("two2", "dHdv"), ("three3", "dGhyZWU=")];
    std::fs::write(&file, "# of the test\ntwo2=dHdv\n\nthree3=dGhyZWU=\n").unwrap();
    let arguments =
        ["--data", &data, "--account", "one1=b25l", "--accounts-file", &file, "--admin-token", "x"];
    let process = start(&arguments).await;
    let endpoint = told(&process, "storage endpoint:").strip_suffix("/ACCOUNT").unwrap().to_owned();
    for (account, key) in keys {
        let container = container(&endpoint, account, key);
        container.create_filesystem().await.unwrap();
        write(&container, account.as_bytes()).await;
    }
    let wrong = container(&endpoint, "one1", "dHdv").filesystem_properties().await.unwrap_err();
    assert_eq!(wrong.kind(), livedata_filesystem::ErrorKind::Unusable, "{wrong}");
    // Secrets that were given are not printed, and the account that everybody knows is not there.
    let said = process.said();
    assert!(!said.contains("with the key") && !said.contains("admin token"), "{said}");
    assert!(keys.iter().all(|(account, key)| said.contains(account) && !said.contains(key)), "{said}");
    process.kill().await;

    let process = start(&["--data", &data, "--admin-token", "x"]).await;
    let endpoint = told(&process, "storage endpoint:").strip_suffix("/ACCOUNT").unwrap().to_owned();
    for (account, key) in keys {
        assert_eq!(read(&container(&endpoint, account, key)).await, account.as_bytes());
    }
    process.kill().await;
}
