//! `GET /providers/{namespace}/operations`, made from the registrations (rules 18, 113, 114).

use serde_json::{Value, json};

use crate::registry::KINDS;
use crate::request::Response;
use crate::view::PUBLIC_NAMESPACE;

pub fn list(namespace: &str) -> Response {
    let mut operations =
        vec![entry(namespace, "register/action", namespace, "Registers the subscription", "Register")];
    operations.push(entry(
        namespace,
        "operations/read",
        "operations",
        "Lists the operations of the provider",
        "Read",
    ));
    for scope in ["", "locations/"] {
        operations.push(entry(
            namespace,
            &format!("{scope}checkNameAvailability/action"),
            &format!("{scope}checkNameAvailability"),
            "Says whether a migrator can have a name",
            "Check",
        ));
    }
    operations.push(entry(
        namespace,
        "locations/operationStatuses/cancel/action",
        "locations/operationStatuses",
        "Ends a long-running operation before it is done",
        "Cancel",
    ));
    for kind in ["operationStatuses", "operationResults"] {
        let what = format!("locations/{kind}");
        operations.push(entry(
            namespace,
            &format!("{what}/read"),
            &what,
            "Follows a long-running operation",
            "Read",
        ));
    }
    for kind in KINDS {
        let description = kind.description();
        let path = description.type_path();
        for (verb, title, text) in [
            ("read", "Read", "Reads or lists"),
            ("write", "Write", "Creates or changes"),
            ("delete", "Delete", "Deletes"),
        ] {
            let text = format!("{text} {}", description.display);
            operations.push(entry(namespace, &format!("{path}/{verb}"), &path, &text, title));
        }
        for action in description.actions {
            for name in std::iter::once(action.name).chain(action.alias) {
                let operation = format!("{path}/{name}/action");
                operations.push(entry(namespace, &operation, &path, action.description, action.name));
            }
        }
    }
    Response::json(200, json!({ "value": operations }))
}

fn entry(namespace: &str, name: &str, resource: &str, description: &str, operation: &str) -> Value {
    let mut entry = json!({
        "name": format!("{namespace}/{name}"),
        "isDataAction": false,
        "display": {"provider": namespace, "resource": resource, "operation": operation, "description": description}
    });
    // The public document has no such property.
    if namespace != PUBLIC_NAMESPACE
        && let Some(entry) = entry.as_object_mut()
    {
        entry.insert("origin".to_owned(), json!("user,system"));
    }
    entry
}
