//! A migration that follows its source, up to the moment when it has caught up.

use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use crate::setting::Setting;
use crate::setting::site::Agent;

/// Of anything that a migration of a scaled-up lake may take.
pub const PATIENCE: Duration = Duration::from_secs(3_600);

pub struct Live {
    pub agent: Agent,
    pub migration: String,
    /// Of the emulator, and what everything of it is called.
    pub container: String,
}

impl Live {
    /// Follows `path` of a source; the agent is a superuser there, as it has to be.
    pub async fn follow(setting: &Setting, name: &str, source: &str, path: &str) -> Result<Self> {
        let container = name.to_owned();
        setting.site.container(&container)?.create_filesystem().await?;
        let user = setting.cluster.superuser_name();
        let agent = setting.site.install_agent(name, source, &container, user).await?;
        let migration = setting.site.make_migration(&agent, path, "Live").await?;
        setting.site.arm().post(&format!("{migration}/start")).await?;
        Ok(Self { agent, migration, container })
    }

    pub async fn until_caught_up(&self, setting: &Setting) -> Result<Value> {
        setting.site.wait(&self.migration, PATIENCE, is_caught_up).await
    }
}

/// Everything that happened is at the target.
pub fn is_caught_up(status: &Value) -> bool {
    let listed = |condition: &Value| condition["type"] == "Rescanning" && condition["status"] == "True";
    let listing = status["conditions"].as_array().is_some_and(|conditions| conditions.iter().any(listed));
    status["state"] == "Live" && status["lag"]["transactions"] == 0 && !listing
}
