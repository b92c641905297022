//! Recorded requests and answers held against a document, by Azure's own validator.
//!
//! A record is a file `{"liveRequest": {method, url, headers, body}, "liveResponse": {statusCode, headers, body}}`, with names of
//! headers in lower case and the URL on `https://management.azure.com`. Every operation of the document must be among them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

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

fn absolute(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("there is no {}", path.display()))
}

/// How many operations there are, if all of them are among the records.
fn covered(report: &Report) -> Result<usize> {
    let lists = report.un_covered_operations_list.iter();
    let missing: Vec<&str> = lists.flat_map(|list| &list.operation_ids).map(String::as_str).collect();
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
    use super::*;

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
        assert!(of(r#"{"allOperations": 0, "unCoveredOperationsList": []}"#).is_err());
    }
}
