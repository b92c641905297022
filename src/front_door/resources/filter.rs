//! `$filter` in the forms that `az` sends: `property eq 'value'`, several joined by `and`.

use livedata_arm::ArmError;
use serde_json::Value;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Property {
    ResourceGroup,
    Name,
    ResourceType,
    Location,
    TagName,
    TagValue,
}

/// All comparisons have to hold; none means everything.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Filter(Vec<(Property, String)>);

impl Filter {
    pub fn parse(text: &str) -> Result<Self, ArmError> {
        let mut comparisons = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            if !comparisons.is_empty() {
                rest = keyword(rest, "and").ok_or_else(|| unreadable(text))?;
            }
            let (property, after) = property(rest).ok_or_else(|| unreadable(text))?;
            let after = keyword(after, "eq").ok_or_else(|| unreadable(text))?;
            let (value, after) = literal(after).ok_or_else(|| unreadable(text))?;
            comparisons.push((property, value));
            rest = after.trim_start();
        }
        Ok(Self(comparisons))
    }

    pub fn resource_group(&self) -> Option<&str> {
        self.value(Property::ResourceGroup)
    }

    /// Whether a resource of this namespace can pass: spares asking the others.
    pub fn can_match_namespace(&self, namespace: &str) -> bool {
        let wanted = self.value(Property::ResourceType).and_then(|full| full.split_once('/'));
        wanted.is_none_or(|(wanted, _)| wanted.eq_ignore_ascii_case(namespace))
    }

    pub fn admits(&self, resource: &Value) -> bool {
        let text = |name: &str| resource.get(name).and_then(Value::as_str).unwrap_or("");
        self.0.iter().all(|(property, wanted)| match property {
            Property::ResourceGroup => group_of(text("id")).eq_ignore_ascii_case(wanted),
            Property::Name => text("name").eq_ignore_ascii_case(wanted),
            Property::ResourceType => text("type").eq_ignore_ascii_case(wanted),
            Property::Location => same_location(text("location"), wanted),
            Property::TagName => tags(resource).any(|(name, _)| name.eq_ignore_ascii_case(wanted)),
            Property::TagValue => tags(resource).any(|(name, value)| {
                let named =
                    self.value(Property::TagName).is_none_or(|wanted| name.eq_ignore_ascii_case(wanted));
                named && value.as_str() == Some(wanted)
            }),
        })
    }

    fn value(&self, wanted: Property) -> Option<&str> {
        self.0.iter().find(|(property, _)| *property == wanted).map(|(_, value)| value.as_str())
    }
}

fn tags(resource: &Value) -> impl Iterator<Item = (&String, &Value)> {
    resource.get("tags").and_then(Value::as_object).into_iter().flatten()
}

fn same_location(one: &str, other: &str) -> bool {
    crate::subscriptions::normalised(one) == crate::subscriptions::normalised(other)
}

/// The resource group in an id, or nothing.
fn group_of(id: &str) -> &str {
    let mut segments = id.split('/').filter(|segment| !segment.is_empty()).skip(2);
    match segments.next() {
        Some(literal) if literal.eq_ignore_ascii_case("resourceGroups") => segments.next().unwrap_or(""),
        _ => "",
    }
}

fn property(text: &str) -> Option<(Property, &str)> {
    let end = text.find(char::is_whitespace)?;
    let (name, rest) = text.split_at(end);
    let property = match name.to_lowercase().as_str() {
        "resourcegroup" => Property::ResourceGroup,
        "name" => Property::Name,
        "resourcetype" => Property::ResourceType,
        "location" => Property::Location,
        "tagname" => Property::TagName,
        "tagvalue" => Property::TagValue,
        _ => return None,
    };
    Some((property, rest))
}

fn keyword<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let text = text.trim_start();
    let (head, rest) = text.split_at_checked(word.len())?;
    (head.eq_ignore_ascii_case(word) && rest.starts_with(char::is_whitespace)).then(|| rest.trim_start())
}

/// A quoted text in which a quote is written twice.
fn literal(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('\'')?;
    let mut value = String::new();
    loop {
        let (part, after) = rest.split_once('\'')?;
        value.push_str(part);
        let Some(more) = after.strip_prefix('\'') else { return Some((value, after)) };
        value.push('\'');
        rest = more;
    }
}

fn unreadable(text: &str) -> ArmError {
    let message = format!(
        "The filter \"{text}\" cannot be read. Compare resourceGroup, name, resourceType, location, tagName or tagValue with eq and a quoted text; join several with and."
    );
    ArmError::new(400, "InvalidFilterInQueryString", message).at("$filter")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn reads_what_az_sends() {
        let filter =
            Filter::parse("resourceGroup eq 'rg1' and name eq 'it''s' AND resourceType eq 'Ns.X/things'")
                .unwrap();
        assert_eq!(filter.resource_group(), Some("rg1"));
        assert!(filter.can_match_namespace("ns.x"));
        assert!(!filter.can_match_namespace("Other"));
        let resource = json!({"id": "/subscriptions/s/resourceGroups/RG1/providers/Ns.X/things/it's", "name": "it's", "type": "Ns.X/Things"});
        assert!(filter.admits(&resource));
        assert!(!Filter::parse("name eq 'b'").unwrap().admits(&resource));
        assert!(Filter::parse("").unwrap().admits(&resource));
    }

    #[test]
    fn compares_locations_and_tags() {
        let resource = json!({"location": "West Europe", "tags": {"Env": "dev", "a": "b"}});
        for (text, expected) in [
            ("location eq 'westeurope'", true),
            ("location eq 'eastus'", false),
            ("tagName eq 'env' and tagValue eq 'dev'", true),
            ("tagName eq 'env' and tagValue eq 'b'", false),
            ("tagName eq 'none'", false),
        ] {
            assert_eq!(Filter::parse(text).unwrap().admits(&resource), expected, "{text}");
        }
    }

    #[test]
    fn refuses_what_it_would_have_to_ignore() {
        for bad in [
            "name ne 'a'",
            "name eq a",
            "name eq 'a",
            "name eq 'a' or name eq 'b'",
            "size eq '1'",
            "name eq 'a' name eq 'b'",
            "startswith(name,'a')",
        ] {
            assert_eq!(Filter::parse(bad).err().map(|error| error.status), Some(400), "{bad}");
        }
    }
}
