//! From where to where a migrator goes, and what that makes of every id.

use livedata_arm::ResourceId;
use serde_json::Value;

/// `/subscriptions/{s}/resourceGroups/{g}` has so many segments.
const SEGMENTS_OF_A_GROUP: usize = 4;

pub struct Way {
    pub from: ResourceId,
    pub to: ResourceId,
    /// `/subscriptions/{s}/resourceGroups/{g}`
    group: String,
}

impl Way {
    pub fn new(from: ResourceId, to: &(String, String)) -> Self {
        let mut there = from.clone();
        (there.subscription, there.resource_group) = to.clone();
        let group = format!("/subscriptions/{}/resourceGroups/{}", to.0, to.1);
        Self { from, to: there, group }
    }

    /// What a key of the migrator's, or of what belongs to it, becomes.
    pub fn key(&self, key: &str) -> String {
        self.renamed(key).map_or_else(|| key.to_owned(), |renamed| renamed.to_lowercase())
    }

    /// Every text that is the id of the migrator, or of what belongs to it, wherever it stands.
    pub fn rename(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Some(renamed) = self.renamed(text) {
                    *text = renamed;
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.rename(value)),
            Value::Object(members) => members.values_mut().for_each(|value| self.rename(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Only the group changes: names and types keep the casing in which they stand there, and a key stays one.
    fn renamed(&self, text: &str) -> Option<String> {
        let from = self.from.key();
        let (id, number) = text.split_once('|').map_or((text, None), |(id, number)| (id, Some(number)));
        let lower = id.to_lowercase();
        let rest = lower.strip_prefix(&from)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let (at, _) = id.match_indices('/').nth(SEGMENTS_OF_A_GROUP)?;
        let below = id.get(at..)?;
        let group = if lower == id { self.group.to_lowercase() } else { self.group.clone() };
        Some(match number {
            None => format!("{group}{below}"),
            Some(number) => format!("{group}{below}|{number}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(group: &str, rest: &str) -> String {
        format!("/subscriptions/S/resourceGroups/{group}/providers/Live.Data/migrators/{rest}")
    }

    fn way(group: &str, migrator: &str) -> Way {
        Way::new(id(group, migrator).parse().unwrap(), &("S".to_owned(), "Two".to_owned()))
    }

    #[test]
    fn ids_are_renamed_wherever_they_stand_and_nothing_else_is() {
        let way = way("ONE", "m");
        let mut document = json!({
            "id": id("One", "M"), "key": id("one", "m").to_lowercase(), "other": id("one", "mx"),
            "list": [id("one", "m/targets/T")], "text": "migrators/m"
        });
        way.rename(&mut document);
        assert_eq!(
            document,
            json!({
                "id": id("Two", "M"), "key": id("two", "m").to_lowercase(), "other": id("one", "mx"),
                "list": [id("Two", "m/targets/T")], "text": "migrators/m"
            })
        );
        assert_eq!(way.key(&id("one", "m").to_lowercase()), id("two", "m").to_lowercase());
        let command = id("one", "m/liveDataMigrations/a").to_lowercase();
        assert_eq!(way.key(&format!("{command}|007")), format!("{}|007", way.key(&command)));
    }

    #[test]
    fn names_of_groups_in_any_script_are_compared_as_keys_are() {
        let way = way("grün", "m");
        let mut shown = json!(id("GRÜN", "m/targets/t"));
        way.rename(&mut shown);
        assert_eq!(shown, json!(id("Two", "m/targets/t")));
        assert_eq!(way.key(&id("GRÜN", "m").to_lowercase()), id("two", "m").to_lowercase());
    }
}
