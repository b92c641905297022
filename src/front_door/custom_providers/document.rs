//! The wire form of a custom provider, and what it must satisfy by itself.

use livedata_arm::{ArmError, Tags};
use serde::Deserialize;
use url::Url;

use super::record::{Properties, Route, RoutingType, Validation};

/// In Azure a type of this name hangs custom resources onto other resources.
const ASSOCIATIONS: &str = "associations";

/// What clients may send; read-only properties that they echo back are passed over.
#[derive(Deserialize)]
pub(super) struct ProviderDocument {
    location: Option<String>,
    pub tags: Option<Tags>,
    properties: Option<WireProperties>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WireProperties {
    actions: Option<Vec<WireRoute>>,
    resource_types: Option<Vec<WireRoute>>,
    validations: Option<Vec<Validation>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRoute {
    name: String,
    routing_type: Option<String>,
    endpoint: String,
}

impl ProviderDocument {
    pub fn location(&self) -> Result<&str, ArmError> {
        self.location.as_deref().filter(|location| !location.trim().is_empty()).ok_or_else(|| {
            let message = "The location property is required for a custom provider.";
            ArmError::invalid("location", "LocationRequired", message)
        })
    }

    pub fn has_properties(&self) -> bool {
        self.properties.is_some()
    }

    pub fn checked(self) -> Result<(Tags, Properties), ArmError> {
        let given = self.properties.unwrap_or_default();
        let resource_types = routes(given.resource_types, "properties.resourceTypes", is_segment)?;
        let actions = routes(given.actions, "properties.actions", |name| {
            is_segment(name)
                || name.split_once('/').is_some_and(|(kind, action)| is_segment(kind) && is_segment(action))
        })?;
        let validations = given.validations.unwrap_or_default();
        for (at, validation) in validations.iter().enumerate() {
            check_https(&format!("properties.validations[{at}].specification"), &validation.specification)?;
        }
        Ok((self.tags.unwrap_or_default(), Properties { actions, resource_types, validations }))
    }
}

fn routes(
    given: Option<Vec<WireRoute>>,
    list: &str,
    good_name: impl Fn(&str) -> bool,
) -> Result<Vec<Route>, ArmError> {
    let mut routes: Vec<Route> = Vec::new();
    for (at, wire) in given.unwrap_or_default().into_iter().enumerate() {
        let invalid = |property: &str, message: String| {
            ArmError::invalid(format!("{list}[{at}].{property}"), "InvalidPropertyValue", message)
        };
        let WireRoute { name, routing_type, endpoint } = wire;
        if !good_name(&name) {
            let message = format!(
                "'{name}' cannot be used: letters, digits, '-', '_' and '.' can (an action of resources of a type is 'type/action')."
            );
            return Err(invalid("name", message));
        }
        if name.eq_ignore_ascii_case(ASSOCIATIONS) {
            return Err(invalid("name", format!("'{ASSOCIATIONS}' are not served by this front door.")));
        }
        if routes.iter().any(|known| known.name.eq_ignore_ascii_case(&name)) {
            return Err(invalid("name", format!("'{name}' stands there twice.")));
        }
        let routing_type = routing_type.unwrap_or_else(|| "Proxy".to_owned());
        if !routing_type.eq_ignore_ascii_case("Proxy") {
            let message = format!(
                "The routing type '{routing_type}' is not served: only 'Proxy' is, because nothing of custom resources is kept here."
            );
            return Err(invalid("routingType", message));
        }
        check_https(&format!("{list}[{at}].endpoint"), &endpoint)?;
        routes.push(Route { name, routing_type: RoutingType::Proxy, endpoint });
    }
    Ok(routes)
}

fn is_segment(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    letters && !name.is_empty() && name != "." && name != ".."
}

fn check_https(target: &str, text: &str) -> Result<(), ArmError> {
    let is_https = Url::parse(text).is_ok_and(|url| url.scheme() == "https" && url.has_host());
    if is_https && text.starts_with("https://") {
        return Ok(());
    }
    let message = "An address that begins with https:// is required.";
    Err(ArmError::invalid(target, "InvalidPropertyValue", message))
}
