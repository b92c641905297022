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

    /// By the name of a host, which resolves nowhere: the emulator is the proxy for it. Where the account is in the path AzCopy
    /// takes that for the container when it lists.
    fn dfs_url(&self, path: &str) -> String {
        format!("http://{ACCOUNT}.dfs.judge.test/{path}?{}", self.signature)
    }

    async fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(crate::judges::tool("LIVEDATA_JUDGE_AZCOPY"));
        command
            .args(arguments)
            .args(["--output-level", "essential"])
            .env("AZCOPY_LOG_LOCATION", self.emulator.beside("logs"))
            .env("AZCOPY_JOB_PLAN_LOCATION", self.emulator.beside("plans"))
            .env("AZCOPY_CONCURRENCY_VALUE", "8")
            .env("http_proxy", self.emulator.endpoint())
            .env("no_proxy", "127.0.0.1")
            .env("AZCOPY_CRED_TYPE", "Anonymous");
        run(&mut command).await
    }

    /// What is at an address.
    async fn fetched(&self, url: &str, name: &str, from_to: &str) -> Tree {
        let folder = self.emulator.beside(name);
        std::fs::create_dir(&folder).unwrap();
        self.run(&["copy", url, folder.to_str().unwrap(), "--recursive", "--from-to", from_to]).await;
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
        let all = azcopy.url(&format!("{remote}/*"));
        assert_same(&azcopy.fetched(&all, folder, "BlobLocal").await, &planted);
    }

    std::fs::write(local.join("small"), "other").unwrap();
    std::fs::remove_file(local.join("large")).unwrap();
    let remote = azcopy.url("container/plain");
    let sync = ["sync", here, &remote, "--recursive", "--delete-destination=true", "--from-to", "LocalBlob"];
    azcopy.run(&sync).await;
    let all = azcopy.url("container/plain/*");
    assert_same(&azcopy.fetched(&all, "synced", "BlobLocal").await, &tree(&local));

    // Not a directory: it sends the deletions of all at a time, and the service refuses those of directories that are not
    // empty yet (https://github.com/Azure/azure-storage-azcopy/issues/2219).
    azcopy.run(&["remove", &azcopy.url("container/plain/small"), "--from-to", "BlobTrash"]).await;
    let mut rest = tree(&local);
    rest.remove("small");
    assert_same(&azcopy.fetched(&all, "rest", "BlobLocal").await, &rest);
}

#[tokio::test(flavor = "multi_thread")]
async fn dfs_endpoint() {
    let azcopy = Azcopy::start().await;
    let local = azcopy.emulator.beside("local");
    let planted = plant(&local);
    let up = [
        "copy",
        &format!("{}/*", local.display()),
        &azcopy.dfs_url("container/tree"),
        "--recursive",
        "--from-to",
        "LocalBlobFS",
    ];
    azcopy.run(&up).await;
    let all = azcopy.dfs_url("container/tree/*");
    assert_same(&azcopy.fetched(&all, "back", "BlobFSLocal").await, &planted);

    let small = local.join("small").display().to_string();
    azcopy.run(&["copy", &small, &azcopy.dfs_url("container/left"), "--from-to", "LocalBlobFS"]).await;
    azcopy
        .run(&["remove", &azcopy.dfs_url("container/tree"), "--recursive", "--from-to", "BlobFSTrash"])
        .await;
    let left = Tree::from([("left".to_owned(), planted["small"].clone())]);
    assert_same(&azcopy.fetched(&azcopy.url("container/*"), "rest", "BlobLocal").await, &left);
}
