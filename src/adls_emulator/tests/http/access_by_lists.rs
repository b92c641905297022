//! What the access control lists have to grant for each operation, for somebody without a role: exactly these bits, and each
//! of them. As the table of common scenarios in "Access control model in Azure Data Lake Storage Gen2" has it.

use reqwest::Method;

use crate::client::{Fixture, Reply};
use crate::identities::{ALICE, Tokens};

struct Operation {
    method: Method,
    target: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static [u8],
    /// On the directory `lake/d`, and on the file `lake/d/f`.
    directory: u16,
    file: u16,
}

const READ: u16 = 4;
const WRITE: u16 = 2;
const EXECUTE: u16 = 1;
const ALL: u16 = 7;

fn operation(method: Method, target: &'static str, directory: u16, file: u16) -> Operation {
    Operation { method, target, headers: &[], body: b"", directory, file }
}

impl Operation {
    fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    fn body(self, body: &'static [u8]) -> Self {
        Self { body, ..self }
    }
}

const LEASE: &[(&str, &str)] = &[("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "15")];
const NEVER: &[(&str, &str)] = &[("x-ms-expiry-option", "NeverExpire")];
const BLOCK_BLOB: &[(&str, &str)] = &[("x-ms-blob-type", "BlockBlob")];
const SOURCE: &[(&str, &str)] = &[("x-ms-rename-source", "/lake/d/f")];
const ENTER: u16 = WRITE | EXECUTE;

fn operations() -> Vec<Operation> {
    vec![
        operation(Method::GET, "lake/d/f", EXECUTE, READ),
        operation(Method::GET, "lake/d/f?comp=blocklist", EXECUTE, READ),
        operation(Method::HEAD, "lake/d/f", EXECUTE, 0),
        operation(Method::HEAD, "lake/d/f?action=getStatus", EXECUTE, 0),
        operation(Method::HEAD, "lake/d/f?action=getAccessControl", EXECUTE, 0),
        operation(Method::GET, "lake?resource=filesystem&recursive=false&directory=d", READ | EXECUTE, 0),
        operation(Method::PATCH, "lake/d/f?action=append&position=7", EXECUTE, READ | WRITE).body(b"more"),
        operation(Method::PATCH, "lake/d/f?action=flush&position=7", EXECUTE, READ | WRITE),
        operation(Method::PATCH, "lake/d/f?action=setProperties", EXECUTE, WRITE),
        operation(Method::POST, "lake/d/f", EXECUTE, WRITE).with(LEASE),
        operation(Method::PUT, "lake/d/f?comp=expiry", EXECUTE, WRITE).with(NEVER),
        operation(Method::PUT, "lake/d/f?comp=metadata", EXECUTE, WRITE),
        operation(Method::PUT, "lake/d/f?comp=properties", EXECUTE, WRITE),
        operation(Method::PUT, "lake/d/f?resource=file", EXECUTE, WRITE),
        operation(Method::PUT, "lake/d/f", EXECUTE, WRITE).with(BLOCK_BLOB).body(b"blob"),
        operation(Method::PUT, "lake/d/new?resource=file", ENTER, 0),
        operation(Method::PUT, "lake/d/new?resource=directory", ENTER, 0),
        operation(Method::PUT, "lake/d/new", ENTER, 0).with(BLOCK_BLOB).body(b"blob"),
        operation(Method::PUT, "lake/d/new?comp=block&blockid=YQ%3D%3D", ENTER, 0).body(b"block"),
        operation(Method::PUT, "lake/d/new", ENTER, 0).with(SOURCE),
        operation(Method::DELETE, "lake/d/f?recursive=false", ENTER, 0),
    ]
}

/// Of Alice, who is neither owner nor member of a group.
fn list(bits: u16) -> String {
    let letter = |bit, letter| if bits & bit != 0 { letter } else { '-' };
    let bits: String = [letter(READ, 'r'), letter(WRITE, 'w'), letter(EXECUTE, 'x')].iter().collect();
    format!("user::rwx,user:{ALICE}:{bits},group::---,mask::rwx,other::---")
}

struct World {
    fixture: Fixture,
    alice: String,
}

impl World {
    async fn new() -> Self {
        let fixture = Fixture::in_memory().await;
        let alice = Tokens::trusted_by(&fixture).await.of(ALICE, &[]);
        Self { fixture, alice }
    }

    async fn set(&self, path: &str, bits: u16) {
        let target = format!("lake/{path}?action=setAccessControl");
        self.fixture.client.patch(&target, &[("x-ms-acl", &list(bits))], b"").await.expect(200);
    }

    /// `lake/d` with a file of seven bytes; the bits are those of root, directory and file.
    async fn prepare(&self, [root, directory, file]: [u16; 3]) {
        let client = &self.fixture.client;
        client.delete("lake/d?recursive=true", &[]).await;
        client.write("lake/d/f", b"content").await;
        self.set("d/f", file).await;
        self.set("d", directory).await;
        self.set("", root).await;
    }

    async fn ask(&self, operation: &Operation) -> Reply {
        let Operation { method, target, headers, body, .. } = operation;
        self.fixture.client.send_as(&self.alice, method.clone(), target, headers, body).await
    }
}

#[tokio::test]
async fn each_operation_takes_its_bits_and_no_others() {
    let world = World::new().await;
    for operation in operations() {
        let told = format!("{} {} {:?}", operation.method, operation.target, operation.headers);
        let needed = [EXECUTE, operation.directory, operation.file];
        world.prepare(needed).await;
        let done = world.ask(&operation).await;
        assert!(done.status.is_success(), "{told} with {needed:?}: {} {}", done.status, done.text());
        for (place, needed) in needed.into_iter().enumerate() {
            for bit in [READ, WRITE, EXECUTE].into_iter().filter(|bit| needed & bit != 0) {
                let mut bits = [ALL; 3];
                bits[place] &= !bit;
                world.prepare(bits).await;
                let refused = world.ask(&operation).await;
                assert_eq!(refused.status, 403, "{told} with {bits:?}");
            }
        }
    }
    world.fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_tree_is_deleted_and_listed_where_every_directory_of_it_allows_it() {
    let world = World::new().await;
    let client = &world.fixture.client;
    let prepare = async |bits: [u16; 3]| {
        client.delete("lake/d?recursive=true", &[]).await;
        client.write("lake/d/sub/deep/f", b"content").await;
        for (path, bits) in ["d", "d/sub", "d/sub/deep"].into_iter().zip(bits) {
            world.set(path, bits).await;
        }
        world.set("d/sub/deep/f", 0).await;
        world.set("", EXECUTE).await;
    };
    let delete = operation(Method::DELETE, "lake/d/sub?recursive=true", 0, 0);
    let listing = operation(Method::GET, "lake?resource=filesystem&recursive=true&directory=d", 0, 0);
    for (asked, least) in [(&delete, [ENTER, ALL, ALL]), (&listing, [READ | EXECUTE; 3])] {
        prepare(least).await;
        world.ask(asked).await.expect(200);
        for place in 0..3 {
            for bit in [READ, WRITE, EXECUTE].into_iter().filter(|bit| least[place] & bit != 0) {
                let mut bits = [ALL; 3];
                bits[place] &= !bit;
                prepare(bits).await;
                world.ask(asked).await.expect(403);
                client.head("lake/d/sub/deep/f", &[]).await.expect(200);
            }
        }
    }
    world.fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn no_bits_stand_for_a_role_or_for_owning() {
    let world = World::new().await;
    world.prepare([ALL; 3]).await;
    let permissions: &[(&str, &str)] = &[("x-ms-permissions", "0777")];
    for operation in [
        operation(Method::PATCH, "lake/d/f?action=setAccessControl", 0, 0).with(permissions),
        operation(Method::PUT, "lake/d/f?comp=undelete", 0, 0),
        operation(Method::HEAD, "lake?resource=filesystem", 0, 0),
        operation(Method::PATCH, "lake?resource=filesystem", 0, 0),
        operation(Method::DELETE, "lake?resource=filesystem", 0, 0),
        operation(Method::PUT, "other?resource=filesystem", 0, 0),
        operation(Method::GET, "?resource=account", 0, 0),
        operation(Method::GET, "lake?restype=container&comp=acl", 0, 0),
        operation(Method::PUT, "lake/d/gift?resource=file", 0, 0).with(&[("x-ms-owner", "bob")]),
    ] {
        let refused = world.ask(&operation).await;
        assert_eq!(refused.status, 403, "{} {}", operation.method, operation.target);
    }
    // Decided path by path.
    let target = "lake/d?action=setAccessControlRecursive&mode=set&forceFlag=true";
    let open: &[(&str, &str)] = &[("x-ms-acl", "user::rwx,group::rwx,other::rwx")];
    let tally = world.ask(&operation(Method::PATCH, target, 0, 0).with(open)).await.expect(200).json();
    assert_eq!(
        (&tally["directoriesSuccessful"], &tally["filesSuccessful"]),
        (&0.into(), &0.into()),
        "{tally}"
    );
    for path in ["lake/d", "lake/d/f"] {
        let kept =
            world.fixture.client.head(&format!("{path}?action=getAccessControl"), &[]).await.expect(200);
        assert_eq!(kept.header("x-ms-acl"), list(ALL), "{path}");
    }
    world.fixture.running.stop().await.unwrap();
}
