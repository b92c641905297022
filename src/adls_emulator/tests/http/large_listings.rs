//! Directories with more in them than a page holds, and those that are renamed while others list them.

use futures::StreamExt as _;

use crate::client::{Client, Fixture};

/// The most that the service puts into a page.
const PAGE: usize = 5000;

async fn make(client: &Client, directory: &str, files: usize) {
    client.put(&format!("{directory}?resource=directory"), &[]).await.expect(201);
    let made = futures::stream::iter(0..files).map(|number| async move {
        client.put(&format!("{directory}/{number:05}?resource=file"), &[]).await.expect(201);
    });
    made.buffer_unordered(16).collect::<Vec<()>>().await;
}

fn names(page: &serde_json::Value) -> Vec<&str> {
    page["paths"].as_array().unwrap().iter().map(|path| path["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_page_holds_no_more_than_the_services_also_when_more_is_asked_for() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    make(client, "lake/dir", PAGE + 1).await;
    for asked in ["", "&maxResults=5000", "&maxResults=6000"] {
        let list = format!("lake?resource=filesystem&recursive=true&directory=dir{asked}");
        let page = client.get(&list, &[]).await.expect(200);
        let token = page.header("x-ms-continuation").to_owned();
        assert_eq!(names(&page.json()).len(), PAGE, "{asked}");
        assert!(!token.is_empty(), "{asked}");
        let rest = client.get(&format!("{list}&continuation={token}"), &[]).await.expect(200);
        assert_eq!(
            (names(&rest.json()), rest.header("x-ms-continuation")),
            (vec!["dir/05000"], ""),
            "{asked}"
        );
    }
    for asked in ["", "&maxresults=6000"] {
        let list = format!("lake?restype=container&comp=list&prefix=dir/{asked}");
        let page = client.get(&list, &[]).await.expect(200).text();
        assert_eq!(page.matches("<Blob>").count(), PAGE, "{asked}");
        let (_, marker) = page.split_once("<NextMarker>").unwrap();
        let marker = marker.split('<').next().unwrap();
        let rest = client.get(&format!("{list}&marker={marker}"), &[]).await.expect(200).text();
        assert_eq!(rest.matches("<Blob>").count(), 1, "{asked}");
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn whoever_lists_while_a_directory_is_renamed_sees_all_of_it_under_one_name() {
    const FILES: usize = 1000;
    let fixture = Fixture::in_memory().await;
    make(&fixture.client, "lake/one", FILES).await;
    let listers: Vec<_> = (0..3)
        .map(|_| {
            let client = Client::to(&fixture.running);
            tokio::spawn(async move {
                // Until it has met both names, and some more.
                let (mut met, mut lists) = ([false; 2], 0);
                while lists < 10 || met != [true; 2] {
                    let list = "lake?resource=filesystem&recursive=true";
                    let page = client.get(list, &[]).await.expect(200).json();
                    let names = names(&page);
                    let top = names[0];
                    assert_eq!(names.len(), 1 + FILES, "{top}");
                    let below = format!("{top}/");
                    assert!(names[1..].iter().all(|name| name.starts_with(&below)), "both names in one list");
                    met[usize::from(top == "two")] = true;
                    lists += 1;
                }
            })
        })
        .collect();
    let renaming = async {
        let mut names = ["one", "two"];
        loop {
            let source = format!("/lake/{}", names[0]);
            let target = format!("lake/{}", names[1]);
            fixture.client.put(&target, &[("x-ms-rename-source", &source)]).await.expect(201);
            names.swap(0, 1);
        }
    };
    tokio::select! {
        listed = futures::future::join_all(listers) => listed.into_iter().for_each(|lister| lister.unwrap()),
        () = renaming => unreachable!("it goes on until the others have seen enough"),
    }
    fixture.running.stop().await.unwrap();
}
