//! Recorded requests and answers held against a document, by Azure's own validator.
//!
//! A record is a file `{"liveRequest": {method, url, headers, body}, "liveResponse": {statusCode, headers, body}}`, with names of
//! headers in lower case and the URL on `https://management.azure.com`. Every operation of the document must be among them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::workshop::Workshop;
use crate::command;

/// What the validator says, and takes for no error.
const UNDEFINED: &str = "Error: Undefined operation";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    all_operations: usize,
    un_covered_operations_list: Vec<Uncovered>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Uncovered {
    operation_ids: Vec<String>,
}

/// What no client may call has no record: the provider's own writing of a status.
const NOT_FOR_CLIENTS: [&str; 1] = ["OperationStatuses_Update"];

/// `document` must have namespace and version in its path: the validator looks for them there.
pub fn run(workshop: &Workshop, records: &Path, document: &Path) -> Result<()> {
    let (records, document) = (absolute(records)?, absolute(document)?);
    let report = workshop.folder.join("report.json");
    let mut oav = workshop.oav();
    // Of its two reports one is not wanted: the package lacks what that is made of.
    oav.args(["--logLevel", "error", "--report="]).arg("--jsonReport").arg(&report);
    oav.arg("validate-traffic").args([&records, &document]);
    println!("$ {}", command::shown(&oav));
    let output = oav.output().context("cannot run oav")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && !said.contains(UNDEFINED),
        "the records are not as {} says:\n{said}{errors}",
        document.display()
    );
    let text = std::fs::read_to_string(&report).context("oav has written no report")?;
    let operations = covered(&serde_json::from_str(&text).context("oav's report has another form")?)?;
    println!("all {operations} operations are among the records, and as the document says");
    Ok(())
}

/// The records whose addresses the document has, in a folder of their own. What every provider answers and documents leave
/// out, such as the followers of operations in the subscription, is told and set aside.
pub fn described(workshop: &Workshop, records: &Path, document: &Path) -> Result<PathBuf> {
    let known = Addresses::of(&json(document)?)?;
    let folder = workshop.folder.join("described");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut aside = BTreeMap::<String, usize>::new();
    for entry in std::fs::read_dir(records).with_context(|| format!("cannot list {}", records.display()))? {
        let path = entry?.path();
        let record = json(&path)?;
        let url = record["liveRequest"]["url"].as_str().context("a record without address")?;
        match known.find(url) {
            true => {
                let name = path.file_name().context("a record without name")?;
                std::fs::copy(&path, folder.join(name))
                    .with_context(|| format!("cannot copy {}", path.display()))?;
            }
            false => *aside.entry(last_types(url)).or_default() += 1,
        }
    }
    for (address, count) in &aside {
        println!("set aside, not in the document: {count} of …/{address}");
    }
    Ok(folder)
}

/// The paths of a document, their parameters standing for any segment.
struct Addresses(Vec<Vec<Option<String>>>);

impl Addresses {
    fn of(document: &Value) -> Result<Self> {
        let paths = document["paths"].as_object().context("the document has no paths")?;
        let segment = |segment: &str| (!segment.starts_with('{')).then(|| segment.to_lowercase());
        Ok(Self(paths.keys().map(|path| segments(path).into_iter().map(segment).collect()).collect()))
    }

    fn find(&self, url: &str) -> bool {
        let path =
            url.split_once("://").map_or(url, |(_, rest)| rest).split_once('/').map_or("", |(_, path)| path);
        let given = segments(path.split('?').next().unwrap_or_default());
        self.0.iter().any(|known| {
            known.len() == given.len()
                && known
                    .iter()
                    .zip(&given)
                    .all(|(known, given)| known.as_ref().is_none_or(|known| *known == given.to_lowercase()))
        })
    }
}

fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

/// What an address is about, without names: the types after the namespace.
fn last_types(url: &str) -> String {
    let path = url.split('?').next().unwrap_or_default();
    let below = path.split_once("/providers/").map_or(path, |(_, below)| below);
    segments(below).into_iter().skip(1).step_by(2).collect::<Vec<_>>().join("/")
}

pub fn json(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("there is no {}", path.display()))
}

/// How many operations there are, if all of them are among the records.
fn covered(report: &Report) -> Result<usize> {
    let lists = report.un_covered_operations_list.iter();
    let missing = lists.flat_map(|list| &list.operation_ids).map(String::as_str);
    let missing: Vec<&str> = missing.filter(|missing| !NOT_FOR_CLIENTS.contains(missing)).collect();
    ensure!(
        missing.is_empty(),
        "{} of {} operations are not among the records: {}",
        missing.len(),
        report.all_operations,
        missing.join(", ")
    );
    ensure!(
        report.all_operations > 0,
        "the validator found no operation: namespace and version must stand in the document's path"
    );
    Ok(report.all_operations)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_are_those_of_the_document_whatever_names_they_hold() {
        let document = json!({"paths": {"/subscriptions/{s}/providers/Ns.X/things/{thing}": {}}});
        let known = Addresses::of(&document).unwrap();
        assert!(
            known.find("https://management.azure.com/Subscriptions/1/providers/ns.x//things/a?api-version=1")
        );
        for other in [
            "https://h/subscriptions/1/providers/Ns.X/things",
            "https://h/subscriptions/1/providers/Ns.X/others/a",
        ] {
            assert!(!known.find(other), "{other}");
        }
        assert_eq!(last_types("https://h/subscriptions/1/providers/Ns.X/things/a/parts/b?x"), "things/parts");
    }

    fn of(report: &str) -> Result<usize> {
        covered(&serde_json::from_str(report).unwrap())
    }

    #[test]
    fn every_operation_must_be_among_the_records() {
        let all = r#"{"allOperations": 2, "unCoveredOperationsList": [{"spec": "s", "operationIds": []}]}"#;
        assert_eq!(of(all).unwrap(), 2);
        let some =
            r#"{"allOperations": 2, "unCoveredOperationsList": [{"spec": "s", "operationIds": ["A_List"]}]}"#;
        assert!(
            of(some).unwrap_err().to_string().contains("1 of 2 operations are not among the records: A_List")
        );
        let ours = r#"{"allOperations": 2, "unCoveredOperationsList": [{"spec": "s", "operationIds": ["OperationStatuses_Update"]}]}"#;
        assert_eq!(of(ours).unwrap(), 2);
        assert!(of(r#"{"allOperations": 0, "unCoveredOperationsList": []}"#).is_err());
    }
}
