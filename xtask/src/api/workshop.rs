//! A folder with a copy of `api/` in which Node's programs work: nothing of theirs gets into the clone.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::files::Files;
use crate::command;
use crate::node::Packages;

pub struct Workshop {
    pub packages: Packages,
    pub folder: PathBuf,
}

impl Workshop {
    pub fn open(source: &Path) -> Result<Self> {
        let packages = Packages::install(source)?;
        let folder = packages.home.join(format!("work-{}", std::process::id()));
        // Left behind by a process that was killed and had this one's id.
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let workshop = Self { packages, folder };
        Files::below(source, |path| !path.starts_with("node_modules") && !path.starts_with("package.json"))?
            .write_to(&workshop.folder)?;
        // The compiler looks for libraries here.
        std::os::unix::fs::symlink("../node_modules", workshop.folder.join("node_modules"))?;
        Ok(workshop)
    }

    /// A program of a package, at work here.
    pub fn script(&self, file: &str) -> Command {
        let mut command = self.packages.script(file);
        command.current_dir(&self.folder);
        command
    }

    pub fn tsp(&self) -> Command {
        self.script("@typespec/compiler/cmd/tsp.js")
    }

    /// Azure's validator of examples and traffic. Its log would be in the user's home.
    pub fn oav(&self) -> Command {
        let mut command = self.script("oav/dist/cli.js");
        command.arg("--logFilepath").arg(self.folder.join("oav.log"));
        command
    }

    /// Makes the documents anew.
    pub fn compile(&self) -> Result<()> {
        let made = self.folder.join(super::DOCUMENTS);
        if made.exists() {
            std::fs::remove_dir_all(&made)?;
        }
        for project in [".", "common-types"] {
            command::run(self.tsp().args(["compile", project, "--warn-as-error"]))?;
        }
        let mut common = self.packages.node();
        common.current_dir(&self.folder).args(["common-types.mjs", "common-types/v5.json"]);
        command::run(common.args(self.documents()?))
    }

    /// The documents here, one of each version.
    pub fn documents(&self) -> Result<Vec<PathBuf>> {
        let is_document = |path: &Path| path.starts_with(super::DOCUMENTS) && path.ends_with("openapi.json");
        let documents = Files::below(&self.folder, is_document)?;
        let documents: Vec<PathBuf> = documents.names().map(|name| self.folder.join(name)).collect();
        ensure!(!documents.is_empty(), "the compiler has made no document in {}", self.folder.display());
        Ok(documents)
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        // Only room is lost when this fails.
        drop(std::fs::remove_dir_all(&self.folder));
    }
}
