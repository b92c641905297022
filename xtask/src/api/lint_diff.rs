//! Azure's rules for OpenAPI documents of resource providers, as its own pipelines check them (LintDiff). What is not
//! followed stands in `api/lint-diff.toml`, each with its reason; a reason that is not needed any more fails, too.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use super::workshop::Workshop;
use crate::command;

const SUPPRESSIONS: &str = "api/lint-diff.toml";

/// What both engines say when they have looked at everything.
const AT_THE_END: [&str; 2] = ["openapiValidatorPluginFunc: Return", "spectralPluginFunc: Return"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suppressions {
    suppression: Vec<Suppression>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suppression {
    rule: String,
    /// Parts of places in the document, one of which must be in that of a finding. None: everywhere.
    #[serde(default)]
    at: Vec<String>,
    reason: String,
}

impl Suppression {
    fn is_about(&self, finding: &Finding) -> bool {
        self.rule == finding.rule
            && (self.at.is_empty() || self.at.iter().any(|part| finding.place.contains(part)))
    }
}

#[derive(Debug)]
struct Finding {
    rule: String,
    /// Segments of the JSON path, with slashes between them.
    place: String,
    message: String,
}

/// A line of what AutoRest says; findings have a `code`.
#[derive(Deserialize)]
struct Line {
    code: Option<String>,
    #[serde(default)]
    message: String,
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    jsonpath: Vec<Value>,
}

pub fn run(workshop: &Workshop) -> Result<()> {
    let text =
        std::fs::read_to_string(SUPPRESSIONS).with_context(|| format!("cannot read {SUPPRESSIONS}"))?;
    let suppressions: Suppressions =
        toml::from_str(&text).with_context(|| format!("{SUPPRESSIONS} cannot be understood"))?;
    let mut findings = Vec::new();
    for document in workshop.documents()? {
        let modules = workshop.packages.home.join("node_modules");
        let mut autorest = workshop.script("autorest/entrypoints/app.js");
        // Packages are given as folders: by name they would be fetched anew. With the subtype `rpaas` most of the rules would
        // be left out.
        autorest
            .env("AUTOREST_HOME", workshop.packages.home.join("autorest"))
            .arg(format!("--version={}", modules.join("@autorest/core").display()))
            .arg(format!("--use={}", modules.join("@microsoft.azure/openapi-validator").display()))
            .args([
                "--v3",
                "--spectral",
                "--azure-validator",
                "--semantic-validator=false",
                "--model-validator=false",
            ])
            .args(["--openapi-type=arm", "--message-format=json"])
            .arg(format!("--input-file={}", document.display()));
        println!("$ {}", command::shown(&autorest));
        findings.extend(whole(|| command::output(&mut autorest))?);
    }
    let complaints = complaints(&findings, &suppressions.suppression);
    ensure!(complaints.is_empty(), "{} complaints:\n  {}", complaints.len(), complaints.join("\n  "));
    println!("{} findings, each with its reason in {SUPPRESSIONS}", findings.len());
    Ok(())
}

/// AutoRest now and then ends before it has handed on all that its extension says; what is missing shows, and it is asked again.
fn whole(mut ask: impl FnMut() -> Result<String>) -> Result<Vec<Finding>> {
    const TIMES: usize = 3;
    for _ in 1..TIMES {
        match read(&ask()?) {
            Ok(findings) => return Ok(findings),
            Err(error) => println!("{}; once more", error.to_string().lines().next().unwrap_or_default()),
        }
    }
    read(&ask()?)
}

fn read(output: &str) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut ended = [false; 2];
    for line in output.lines().filter(|line| line.starts_with('{')) {
        let line: Line = serde_json::from_str(line).with_context(|| format!("AutoRest says `{line}`"))?;
        for (seen, end) in ended.iter_mut().zip(AT_THE_END) {
            *seen |= line.message == end;
        }
        let Some(rule) = line.code else { continue };
        let path = line.details.map(|details| details.jsonpath).unwrap_or_default();
        let segments: Vec<String> = path
            .iter()
            .map(|segment| segment.as_str().map_or_else(|| segment.to_string(), ToOwned::to_owned))
            .collect();
        findings.push(Finding { rule, place: segments.join("/"), message: line.message });
    }
    ensure!(ended == [true; 2], "AutoRest has not looked at everything:\n{output}");
    Ok(findings)
}

fn complaints(findings: &[Finding], suppressions: &[Suppression]) -> Vec<String> {
    let open = findings
        .iter()
        .filter(|finding| !suppressions.iter().any(|suppression| suppression.is_about(finding)))
        .map(|Finding { rule, place, message }| format!("{rule} at {place}: {message}"));
    let unused = suppressions
        .iter()
        .filter(|suppression| !findings.iter().any(|finding| suppression.is_about(finding)))
        .map(|suppression| format!("{SUPPRESSIONS}: nothing is found by {} any more", suppression.rule));
    let bare = suppressions
        .iter()
        .filter(|suppression| suppression.reason.trim().is_empty())
        .map(|suppression| format!("{SUPPRESSIONS}: {} has no reason", suppression.rule));
    open.chain(unused).chain(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: &str = r#"{"level":"information","message":"openapiValidatorPluginFunc: Return"}
{"level":"information","message":"spectralPluginFunc: Return"}"#;

    fn suppression(rule: &str, at: &[&str], reason: &str) -> Suppression {
        let at = at.iter().map(|part| (*part).to_owned()).collect();
        Suppression { rule: rule.to_owned(), at, reason: reason.to_owned() }
    }

    #[test]
    fn findings_are_told_from_the_rest() {
        let output = format!(
            "AutoRest\n{ENDS}\n{}",
            r#"{"level":"error","message":"Wrong.","code":"Rule","details":{"jsonpath":["paths","/a/{b}",0]}}"#
        );
        let findings = read(&output).unwrap();
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].rule.as_str(), findings[0].place.as_str()), ("Rule", "paths//a/{b}/0"));
        let half = ENDS.lines().next().unwrap();
        assert!(read(half).is_err(), "one of the engines has not ended");
    }

    #[test]
    fn only_what_has_a_reason_passes() {
        let finding =
            |place: &str| Finding { rule: "Rule".into(), place: place.into(), message: "Wrong.".into() };
        let findings = [finding("paths/a"), finding("definitions/B")];
        assert_eq!(complaints(&findings, &[]).len(), 2);
        assert_eq!(complaints(&findings, &[suppression("Rule", &["paths"], "why")]).len(), 1);
        assert!(complaints(&findings, &[suppression("Rule", &[], "why")]).is_empty());
        assert!(complaints(&findings, &[suppression("Rule", &[], " ")])[0].contains("no reason"));
        let others = [suppression("Rule", &[], "why"), suppression("Other", &[], "why")];
        assert!(complaints(&findings, &others)[0].contains("Other any more"));
    }
}
