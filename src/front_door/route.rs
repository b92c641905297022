//! Which paths exist. Literals match ignoring case; names keep the casing that they were given in.

#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Route<'a> {
    Metadata,
    Discovery {
        tenant: &'a str,
    },
    SigningKeys {
        tenant: &'a str,
    },
    Token {
        tenant: &'a str,
    },
    Tenants,
    Subscriptions,
    /// `/providers/{namespace}/…`, beneath no subscription.
    TenantLevel {
        namespace: &'a str,
    },
    In {
        subscription: &'a str,
        what: Scoped<'a>,
    },
}

/// What lies beneath a subscription.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Scoped<'a> {
    Subscription,
    Locations,
    Groups,
    Group {
        group: &'a str,
    },
    Resources,
    GroupResources {
        group: &'a str,
    },
    /// Resources of the group are to be moved to another one, or it is to be judged.
    Move {
        group: &'a str,
    },
    DeletionResult {
        operation: &'a str,
    },
    Providers,
    Provider {
        namespace: &'a str,
    },
    Register {
        namespace: &'a str,
    },
    Unregister {
        namespace: &'a str,
    },
    /// `rest` begins with the first type and is not empty.
    Provided {
        group: Option<&'a str>,
        namespace: &'a str,
        rest: Vec<&'a str>,
    },
}

impl<'a> Route<'a> {
    pub fn parse(segments: &'a [String]) -> Option<Self> {
        let lower: Vec<String> = segments.iter().map(|segment| segment.to_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let given: Vec<&'a str> = segments.iter().map(String::as_str).collect();
        Some(match (lower.as_slice(), given.as_slice()) {
            (["metadata", "endpoints"], _) => Self::Metadata,
            ([_, "v2.0", ".well-known", "openid-configuration"], [tenant, ..]) => Self::Discovery { tenant },
            ([_, "discovery", "v2.0", "keys"], [tenant, ..]) => Self::SigningKeys { tenant },
            ([_, "oauth2", "v2.0", "token"], [tenant, ..]) => Self::Token { tenant },
            (["tenants"], _) => Self::Tenants,
            (["subscriptions"], _) => Self::Subscriptions,
            (["providers", _, _, ..], [_, namespace, ..]) => Self::TenantLevel { namespace },
            (["subscriptions", _, lower @ ..], [_, subscription, given @ ..]) => {
                Self::In { subscription, what: Scoped::parse(lower, given)? }
            }
            _ => return None,
        })
    }
}

impl<'a> Scoped<'a> {
    fn parse(lower: &[&str], given: &[&'a str]) -> Option<Self> {
        Some(match (lower, given) {
            ([], _) => Self::Subscription,
            (["locations"], _) => Self::Locations,
            (["resources"], _) => Self::Resources,
            (["operationresults", _], [_, operation]) => Self::DeletionResult { operation },
            (["resourcegroups"], _) => Self::Groups,
            (["resourcegroups", _], [_, group]) => Self::Group { group },
            (["resourcegroups", _, "resources"], [_, group, _]) => Self::GroupResources { group },
            (["resourcegroups", _, "moveresources" | "validatemoveresources"], [_, group, _]) => {
                Self::Move { group }
            }
            (["providers"], _) => Self::Providers,
            (["providers", _], [_, namespace]) => Self::Provider { namespace },
            (["providers", _, "register"], [_, namespace, _]) => Self::Register { namespace },
            (["providers", _, "unregister"], [_, namespace, _]) => Self::Unregister { namespace },
            (["providers", _, _, ..], [_, namespace, rest @ ..]) => {
                Self::Provided { group: None, namespace, rest: rest.to_vec() }
            }
            (["resourcegroups", _, "providers", _, _, ..], [_, group, _, namespace, rest @ ..]) => {
                Self::Provided { group: Some(group), namespace, rest: rest.to_vec() }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(path: &str) -> Vec<String> {
        path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn literals_ignore_case_and_names_keep_it() {
        let path = segments("/SUBSCRIPTIONS/S1/resourcegroups/Rg/Providers/Ns.X//things/One");
        let expected = Scoped::Provided { group: Some("Rg"), namespace: "Ns.X", rest: vec!["things", "One"] };
        assert_eq!(Route::parse(&path), Some(Route::In { subscription: "S1", what: expected }));
    }

    #[test]
    fn unknown_paths_have_no_route() {
        for path in
            ["/", "/nothing", "/subscriptions/s/nothing", "/subscriptions/s/resourceGroups/g/providers/n"]
        {
            assert_eq!(Route::parse(&segments(path)), None, "{path}");
        }
    }
}
