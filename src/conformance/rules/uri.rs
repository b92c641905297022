//! Rules 1 to 9: what addresses and versions look like.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::exchange::Exchange;
use crate::profile::Verb;
use crate::shape::said;
use crate::trial::Trial;
use crate::verdict::{Outcome, not_applicable};

rules! {
    1, "A resource's path is subscription, group, namespace and then types and names in pairs; PUT elsewhere is refused", "RES; LNT RPC-Uri-V1-01/02/04, RPC-Put-V1-02", active pairs;
    2, "The namespace is of letters, digits and dots; types are lowerCamelCase plurals of ASCII letters and digits", "RES; PRX", active spelling;
    3, "No type has a reserved name", "RES", active reserved_words;
    4, "A group name has at most 90 letters, digits and -_(). and does not end in a dot", "RES", active group_names;
    5, "A resource name has at most 260 characters, none of < > % & : \\ ? / or a control character", "RES; LNT RPC-Uri-V1-05", active resource_names;
    6, "A call without api-version is answered 400", "LNT RPC-Uri-V1-08", active version_missing;
    7, "Versions are YYYY-MM-DD with -preview, -alpha, -beta, -rc or -privatepreview", "RES", active version_format;
    8, "An unknown version is answered 400 with the list of those that are served", "HCP; RP", active version_unknown;
    9, "All types have the same versions; a stable version is later than its previews", "COV 11.1/11.2", active version_set;
}

const RESERVED: [&str; 20] = [
    "deployments",
    "deployment",
    "location",
    "region",
    "provider",
    "providers",
    "application",
    "resource",
    "resources",
    "policy",
    "policies",
    "migrate",
    "template",
    "templates",
    "portal",
    "subscription",
    "subscriptions",
    "resourcegroup",
    "resourcegroups",
    "operations",
];

async fn pairs(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let resource = trial.plan(kind).await?;
        let made = trial.write(&resource.id, &resource.body).await?;
        let same = made.text("/id").is_some_and(|id| id.eq_ignore_ascii_case(&resource.id));
        made.wants(same, format!("`id` is {}", resource.id))?;
        let parent = resource.id.rsplit_once('/').map_or("", |(collection, _)| collection);
        let put = trial.client.put(parent, &resource.body).send().await?;
        put.refused(&[404, 405], "PUT of a path that ends in a type")?;
    }
    Ok(())
}

async fn spelling(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Get) {
        let got = trial.read(&trial.standing(kind).await?.id).await?;
        let full = got.text("/type").unwrap_or_default();
        let (namespace, types) = full.split_once('/').unwrap_or((full, ""));
        let good = namespace.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        got.wants(good && !namespace.is_empty(), "a namespace of letters, digits and dots in `type`")?;
        for one in types.split('/') {
            let camel = one.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
                && one.bytes().all(|byte| byte.is_ascii_alphanumeric());
            got.wants(camel && one.ends_with('s'), format!("'{one}' to be a lowerCamelCase plural"))?;
        }
    }
    Ok(())
}

async fn reserved_words(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Get) {
        let got = trial.read(&trial.standing(kind).await?.id).await?;
        let types = got.text("/type").unwrap_or_default().to_lowercase();
        let reserved = types.split('/').find(|one| RESERVED.contains(one));
        got.wants(reserved.is_none(), format!("a type that is not reserved, unlike {}", said(&reserved)))?;
    }
    Ok(())
}

async fn group_names(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    let resource = trial.plan(kind).await?;
    let good = format!("/resourceGroups/{}/", trial.profile.resource_group);
    for bad in ["g".repeat(91), "ends-in.".to_owned(), "a%2Ab".to_owned(), "a%3Cb".to_owned()] {
        let path = resource.id.replace(&good, &format!("/resourceGroups/{bad}/"));
        let put = trial.client.put(&path, &resource.body).odd().send().await?;
        put.refused(&[400, 404], "a group name that is not allowed")?;
    }
    Ok(())
}

async fn resource_names(trial: &Trial) -> Outcome {
    for kind in trial.with(Verb::Put) {
        let resource = trial.plan(kind).await?;
        let collection = resource.id.rsplit_once('/').map_or("", |(collection, _)| collection);
        let long = "n".repeat(261);
        let marked = ["a<b", "a>b", "a%b", "a&b", "a:b", "a\\b", "a?b", "a/b", "a\u{1}b", "a\u{7f}b"];
        for bad in marked.into_iter().chain([long.as_str()]) {
            let path = format!("{collection}/{}", utf8_percent_encode(bad, NON_ALPHANUMERIC));
            let put = trial.client.put(&path, &resource.body).odd().send().await?;
            put.refused(&[400, 404], "a resource name that is not allowed")?;
        }
    }
    Ok(())
}

async fn version_missing(trial: &Trial) -> Outcome {
    let kind = trial.tracked()?;
    let resource = trial.plan(kind).await?;
    let client = &trial.client;
    for call in [
        client.get(&trial.standing(kind).await?.id),
        client.get(&trial.collection(kind, None)),
        client.put(&resource.id, &resource.body),
        client.delete(&resource.id),
    ] {
        let answer = call.without_version().send().await?;
        answer.refused(&[400], "a call without api-version")?;
    }
    Ok(())
}

fn is_version(text: &str) -> bool {
    let (date, suffix) = text.split_at_checked(10).unwrap_or((text, ""));
    let digits = |from: usize, to: usize, least: u32, most: u32| {
        date.get(from..to)
            .and_then(|part| part.parse().ok())
            .is_some_and(|part| (least..=most).contains(&part))
    };
    let is_date = date.len() == 10
        && digits(0, 4, 1000, 9999)
        && digits(5, 7, 1, 12)
        && digits(8, 10, 1, 31)
        && date.bytes().enumerate().all(|(at, byte)| (byte == b'-') == matches!(at, 4 | 7));
    is_date && matches!(suffix, "" | "-preview" | "-alpha" | "-beta" | "-rc" | "-privatepreview")
}

async fn version_format(trial: &Trial) -> Outcome {
    let id = &trial.standing(trial.tracked()?).await?.id;
    let date = trial.profile.api_version.get(..10).unwrap_or_default();
    for bad in ["latest", "1", "2026-13-01", "2026-01-32", "20260101", &format!("{date}-nothing")] {
        let got = trial.client.get(id).version(bad).send().await?;
        got.refused(&[400], "a malformed api-version")?;
    }
    let got = trial.client.get(id).version("1999-01-01").send().await?;
    for version in versions_in(&got) {
        got.wants(is_version(&version), format!("'{version}' to be a date with a known suffix"))?;
    }
    Ok(())
}

/// Words of an error's message that begin like a version, without the one that was asked for.
fn versions_in(refusal: &Exchange) -> Vec<String> {
    let message = refusal.text("/error/message").unwrap_or_default();
    let words = message.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    let begins = |word: &&str| word.len() >= 10 && word.bytes().take(4).all(|byte| byte.is_ascii_digit());
    let mut found: Vec<String> =
        words.filter(begins).filter(|word| *word != "1999-01-01").map(str::to_owned).collect();
    found.sort();
    found.dedup();
    found
}

async fn version_unknown(trial: &Trial) -> Outcome {
    let got =
        trial.client.get(&trial.standing(trial.tracked()?).await?.id).version("1999-01-01").send().await?;
    got.refused(&[400], "an api-version that does not exist")?;
    let lists = versions_in(&got).contains(&trial.profile.api_version);
    got.wants(lists, format!("the message to list {}", trial.profile.api_version))
}

async fn version_set(trial: &Trial) -> Outcome {
    let mut first: Option<Vec<String>> = None;
    for kind in trial.with(Verb::Get) {
        let got = trial.client.get(&trial.standing(kind).await?.id).version("1999-01-01").send().await?;
        let versions = versions_in(&got);
        if versions.is_empty() {
            return not_applicable("the answer to an unknown version does not list those that are served");
        }
        for stable in versions.iter().filter(|version| version.len() == 10) {
            let same_day = versions.iter().find(|other| *other != stable && other.starts_with(stable));
            got.wants(same_day.is_none(), format!("no preview of {stable} on its own day"))?;
        }
        let others = first.get_or_insert_with(|| versions.clone());
        got.wants(*others == versions, format!("the versions of the other types: {}", others.join(", ")))?;
    }
    for version in std::iter::once(&trial.profile.api_version).chain(&trial.profile.other_versions) {
        for kind in trial.with(Verb::Get) {
            let got = trial.client.get(&trial.standing(kind).await?.id).version(version).send().await?;
            got.status_is(&[200], "every type in every version of the profile")?;
            got.wants(got.json != Value::Null, "a JSON body")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn versions() {
        for good in ["2026-11-01", "2026-11-01-preview", "2021-02-28-rc"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["2026-13-01", "2026-11-01-", "2026-11-01-nothing", "26-11-01", "2026/11/01", "latest", ""]
        {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
