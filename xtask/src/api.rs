//! `cargo xtask api`: the resource provider's surface. `api/` holds it as TypeSpec; `api/openapi` has the documents that
//! TypeSpec's compiler makes of it, so that nobody who builds or tests the provider needs Node.
//!
//! - `build` makes the documents anew;
//! - `check` holds the clone to what would be made: files, formatting, Azure's rules for TypeSpec, examples against documents;
//! - `lint-diff` holds the documents to Azure's rules for OpenAPI: [`lint_diff`];
//! - `traffic` holds recorded requests and answers to a document: [`traffic`].

mod files;
mod lint_diff;
mod traffic;
mod workshop;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use serde_json::Value;

use crate::command;
use files::Files;
use traffic::json;
use workshop::Workshop;

#[derive(Debug, Subcommand)]
pub enum Api {
    /// Make the OpenAPI documents of the TypeSpec
    Build,
    /// Whether the OpenAPI documents are those of the TypeSpec, and the examples valid
    Check,
    /// Whether the OpenAPI documents follow Azure's rules
    LintDiff,
    /// Whether recorded requests and answers are as a document says, and are of all its operations
    Traffic {
        /// The folder with the records
        records: PathBuf,
        /// The document, in a folder of its namespace and one of its version
        #[arg(long, default_value = DOCUMENT)]
        document: PathBuf,
    },
}

const SOURCE: &str = "api";
/// Read by the compiler itself.
const SOURCES: &str = "**/*.tsp";
/// In [`SOURCE`]; made.
const DOCUMENTS: &str = "openapi";
/// The newest.
const DOCUMENT: &str = "api/openapi/LiveData.Platform/preview/2026-11-01-preview/openapi.json";

pub fn run(command: &Api) -> Result<()> {
    let workshop = Workshop::open(Path::new(SOURCE))?;
    match command {
        Api::Build => build(&workshop),
        Api::Check => {
            workshop.compile()?;
            check(&workshop)
        }
        Api::LintDiff => {
            workshop.compile()?;
            lint_diff::run(&workshop)
        }
        Api::Traffic { records, document } => traffic::run(&workshop, records, document),
    }
}

/// What the contract suite recorded, held against the document of each version.
pub fn hold_traffic(ours: &Path, public: &Path) -> Result<()> {
    let workshop = Workshop::open(Path::new(SOURCE))?;
    traffic::run(&workshop, ours, Path::new(DOCUMENT))?;
    let document = public_document(&workshop)?;
    traffic::run(&workshop, &traffic::described(&workshop, public, &document)?, &document)
}

/// The public documents as one, where its references to common types lead to those that we make.
fn public_document(workshop: &Workshop) -> Result<PathBuf> {
    const COMMON: &str = "common-types/resource-management/v5/types.json";
    let root = workshop.folder.join("public");
    let folder = root.join("fusion/resource-manager/Wandisco.Fusion/preview/2023-11-01-preview");
    let copy = |from: &Path, to: &Path| -> Result<()> {
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        }
        std::fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {}", from.display()))
    };
    copy(&Path::new(SOURCE).join(DOCUMENTS).join(COMMON), &root.join(COMMON))?;
    let fixtures = Path::new("src/provider/tests/fixtures/public-2023-11-01-preview");
    copy(&fixtures.join("commonTypes.json"), &folder.join("commonTypes.json"))?;
    let mut whole = json(&fixtures.join("migrators.json"))?;
    let operations = json(&fixtures.join("operations.json"))?;
    for part in ["paths", "definitions", "parameters"] {
        let Some(members) = operations.get(part).and_then(Value::as_object) else { continue };
        let known = whole[part].as_object_mut().context("the public document has another form")?;
        for (name, value) in members {
            let before = known.insert(name.clone(), value.clone());
            ensure!(before.is_none_or(|before| before == *value), "both public documents have a {name}");
        }
    }
    let document = folder.join("migrators.json");
    std::fs::write(&document, whole.to_string())
        .with_context(|| format!("cannot write {}", document.display()))?;
    Ok(document)
}

/// What every change must pass.
pub fn stage() -> Result<()> {
    let workshop = Workshop::open(Path::new(SOURCE))?;
    workshop.compile()?;
    check(&workshop)?;
    lint_diff::run(&workshop)
}

fn build(workshop: &Workshop) -> Result<()> {
    command::run(workshop.tsp().args(["format", SOURCES]))?;
    workshop.compile()?;
    let made = Files::below(&workshop.folder, |path| {
        path.starts_with(DOCUMENTS) || path.extension() == Some("tsp".as_ref())
    })?;
    let source = Path::new(SOURCE);
    let old = source.join(DOCUMENTS);
    if old.exists() {
        std::fs::remove_dir_all(&old).with_context(|| format!("cannot remove {}", old.display()))?;
    }
    made.write_to(source)
}

fn check(workshop: &Workshop) -> Result<()> {
    command::run(workshop.tsp().args(["format", "--check", SOURCES]))?;
    let documents = |path: &Path| path.starts_with(DOCUMENTS);
    let made = Files::below(&workshop.folder, documents)?;
    let kept = Files::below(Path::new(SOURCE), documents)?;
    let differences = kept.differences(&made);
    ensure!(
        differences.is_empty(),
        "what TypeSpec's compiler makes is not what is kept; run `cargo xtask api build` and commit:\n  {}",
        differences.join("\n  ")
    );
    for document in workshop.documents()? {
        command::run(workshop.oav().arg("validate-example").arg(document))?;
    }
    println!("{} files are as the TypeSpec says, and its examples valid", made.len());
    Ok(())
}
