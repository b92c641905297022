//! rclone's azureblob backend.

use serde_json::Value;
use tokio::process::Command;

use super::{assert_same, plant, run, tree};
use crate::judges::emulator::{ACCOUNT, Emulator, KEY};

struct Rclone {
    emulator: Emulator,
}

impl Rclone {
    async fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(crate::judges::tool("LIVEDATA_JUDGE_RCLONE"));
        command
            .args(["--config", "/dev/null", "--retries", "1", "--low-level-retries", "1"])
            .args(arguments)
            .env("RCLONE_CONFIG_LAKE_TYPE", "azureblob")
            .env("RCLONE_CONFIG_LAKE_ACCOUNT", ACCOUNT)
            .env("RCLONE_CONFIG_LAKE_KEY", KEY)
            .env("RCLONE_CONFIG_LAKE_ENDPOINT", self.emulator.account_url())
            // The service lists directories as blobs that are marked; so they are taken for what they are.
            .env("RCLONE_CONFIG_LAKE_DIRECTORY_MARKERS", "true");
        run(&mut command).await
    }

    /// Names that end with a slash are directories.
    async fn list(&self, remote: &str) -> Vec<String> {
        let listed: Value = serde_json::from_str(&self.run(&["lsjson", "-R", remote]).await).unwrap();
        let name = |entry: &Value| {
            let slash = if entry["IsDir"] == true { "/" } else { "" };
            format!("{}{slash}", entry["Path"].as_str().unwrap())
        };
        let mut names: Vec<String> = listed.as_array().unwrap().iter().map(name).collect();
        names.sort();
        names
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn up_down_changed_and_removed() {
    let rclone = Rclone { emulator: Emulator::start().await };
    let local = rclone.emulator.beside("local");
    let planted = plant(&local);
    let here = local.to_str().unwrap();

    rclone.run(&["mkdir", "lake:container"]).await;
    rclone.run(&["copy", here, "lake:container/tree", "--transfers", "4"]).await;
    rclone.run(&["check", "--download", here, "lake:container/tree"]).await;
    rclone.run(&["check", here, "lake:container/tree"]).await;
    let expected = planted.iter().map(|(name, content)| match content {
        Some(_) => name.clone(),
        None => format!("{name}/"),
    });
    let mut expected: Vec<String> = expected.collect();
    expected.sort();
    assert_eq!(rclone.list("lake:container/tree").await, expected);

    let back = rclone.emulator.beside("back");
    rclone.run(&["copy", "lake:container/tree", back.to_str().unwrap()]).await;
    assert_same(&tree(&back), &planted);

    // A copy inside the service, and a part of a blob.
    rclone.run(&["copyto", "lake:container/tree/small", "lake:container/copy"]).await;
    let part = rclone.run(&["cat", "--offset", "1", "--count", "4", "lake:container/copy"]).await;
    assert_eq!(part.as_bytes(), &planted["small"].as_ref().unwrap()[1..5]);
    rclone.run(&["moveto", "lake:container/copy", "lake:container/moved"]).await;
    assert_eq!(rclone.run(&["lsf", "lake:container", "--files-only"]).await.trim(), "moved");

    std::fs::write(local.join("small"), "other").unwrap();
    std::fs::remove_file(local.join("large")).unwrap();
    std::fs::remove_dir_all(local.join("deep/er")).unwrap();
    rclone.run(&["sync", here, "lake:container/tree"]).await;
    let again = rclone.emulator.beside("again");
    rclone.run(&["copy", "lake:container/tree", again.to_str().unwrap()]).await;
    assert_same(&tree(&again), &tree(&local));

    rclone.run(&["purge", "lake:container/tree"]).await;
    assert_eq!(rclone.list("lake:container").await, ["moved"]);
    rclone.run(&["purge", "lake:container"]).await;
    assert_eq!(rclone.run(&["lsd", "lake:"]).await, "");
}
