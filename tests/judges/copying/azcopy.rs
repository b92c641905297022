//! AzCopy, to and from either endpoint, with a shared access signature.

use tokio::process::Command;

use super::{Tree, assert_same, plant, run, tree};
use crate::judges::emulator::{ACCOUNT, Emulator, KEY};

/// By Microsoft's own code: a container, which `azcopy make` refuses to do where the account is in the path, and a signature
/// with all permissions for everything.
const PREPARE: &str = "import sys, datetime as d, azure.storage.blob as b; url, name, key = sys.argv[1:]; \
    b.BlobServiceClient(url, key).create_container('container'); end = d.datetime.now(d.timezone.utc) + d.timedelta(hours=2); \
    print(b.generate_account_sas(name, key, 'sco', 'rwdlacup', end))";

struct Azcopy {
    emulator: Emulator,
    signature: String,
}

impl Azcopy {
    async fn start() -> Self {
        let emulator = Emulator::start().await;
        let python = crate::judges::tool("LIVEDATA_JUDGE_PYTHON");
        let mut prepare = Command::new(python);
        prepare.args(["-c", PREPARE, &emulator.account_url(), ACCOUNT, KEY]);
        let signature = run(&mut prepare).await.trim().to_owned();
        Self { emulator, signature }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}?{}", self.emulator.account_url(), self.signature)
    }

    async fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(crate::judges::tool("LIVEDATA_JUDGE_AZCOPY"));
        command
            .args(arguments)
            .args(["--output-level", "essential"])
            .env("AZCOPY_LOG_LOCATION", self.emulator.beside("logs"))
            .env("AZCOPY_JOB_PLAN_LOCATION", self.emulator.beside("plans"))
            .env("AZCOPY_CONCURRENCY_VALUE", "8")
            .env("AZCOPY_CRED_TYPE", "Anonymous");
        run(&mut command).await
    }

    async fn fetched(&self, remote: &str, name: &str, from_to: &str) -> Tree {
        let folder = self.emulator.beside(name);
        let into = folder.to_str().unwrap();
        self.run(&["copy", &self.url(&format!("{remote}/*")), into, "--recursive", "--from-to", from_to])
            .await;
        tree(&folder)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blob_endpoint() {
    let azcopy = Azcopy::start().await;
    let local = azcopy.emulator.beside("local");
    let planted = plant(&local);
    let here = local.to_str().unwrap();

    // Without checksums the header for them is there, and empty.
    for (folder, checksums) in [("plain", "--put-md5=false"), ("checked", "--put-md5=true")] {
        let remote = format!("container/{folder}");
        let up = [
            "copy",
            &format!("{here}/*"),
            &azcopy.url(&remote),
            "--recursive",
            "--from-to",
            "LocalBlob",
            checksums,
        ];
        azcopy.run(&up).await;
        assert_same(&azcopy.fetched(&remote, folder, "BlobLocal").await, &planted);
    }

    std::fs::write(local.join("small"), "other").unwrap();
    std::fs::remove_file(local.join("large")).unwrap();
    let remote = azcopy.url("container/plain");
    let sync = ["sync", here, &remote, "--recursive", "--delete-destination=true", "--from-to", "LocalBlob"];
    azcopy.run(&sync).await;
    assert_same(&azcopy.fetched("container/plain", "synced", "BlobLocal").await, &tree(&local));

    azcopy.run(&["remove", &azcopy.url("container/plain"), "--recursive", "--from-to", "BlobTrash"]).await;
    let rest = azcopy.fetched("container", "rest", "BlobLocal").await;
    assert!(!rest.contains_key("plain") && rest.contains_key("checked/large"), "{:?}", rest.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn dfs_endpoint() {
    let azcopy = Azcopy::start().await;
    let local = azcopy.emulator.beside("local");
    let planted = plant(&local);
    let up = [
        "copy",
        &format!("{}/*", local.display()),
        &azcopy.url("container/tree"),
        "--recursive",
        "--from-to",
        "LocalBlobFS",
    ];
    azcopy.run(&up).await;
    assert_same(&azcopy.fetched("container/tree", "back", "BlobFSLocal").await, &planted);
    azcopy.run(&["remove", &azcopy.url("container/tree"), "--recursive", "--from-to", "BlobFSTrash"]).await;
}
