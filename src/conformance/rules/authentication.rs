//! Rules 121 to 124: who may speak to the endpoint.

use crate::client::Stranger;
use crate::trial::Trial;
use crate::verdict::{Outcome, not_applicable};

rules! {
    121, "Over mutual TLS only certificates that ARM publishes, or that are registered, are let in", "RP", active certificates;
    122, "A subject and issuer may be pinned instead, against a configured authority only", "RP", elsewhere "which authority vouches for the caller is the endpoint's configuration";
    123, "Tokens are checked: none and a worthless one are answered 401", "HCP", active tokens;
    124, "A thumbprint in a header stands for no certificate", "RAD", active thumbprint_headers;
}

/// Must not be let in: no connection, or 401 or 403.
async fn kept_out(trial: &Trial, stranger: Stranger, headers: &[(&str, &str)], allowed: &[u16]) -> Outcome {
    let kind = trial.tracked()?;
    let call = trial.client.get(&trial.standing(kind).await?.id);
    let call = headers.iter().fold(call, |call, (name, value)| call.header(name, *value));
    match call.send_as(stranger).await {
        None => Ok(()),
        Some(answer) => answer.status_is(allowed, &format!("{stranger:?} is kept out")),
    }
}

async fn certificates(trial: &Trial) -> Outcome {
    if !trial.client.has_certificate() {
        return not_applicable("the endpoint is not spoken to with a client certificate");
    }
    for stranger in [Stranger::WithoutCredential, Stranger::ForeignCertificate] {
        kept_out(trial, stranger, &[], &[401, 403]).await?;
    }
    Ok(())
}

async fn tokens(trial: &Trial) -> Outcome {
    if !trial.client.has_token() {
        return not_applicable("the endpoint is not spoken to with a token");
    }
    for stranger in [Stranger::WithoutCredential, Stranger::WorthlessToken] {
        kept_out(trial, stranger, &[], &[401]).await?;
    }
    Ok(())
}

async fn thumbprint_headers(trial: &Trial) -> Outcome {
    if !trial.client.has_certificate() {
        return not_applicable("the endpoint is not spoken to with a client certificate");
    }
    let thumbprint = "0123456789ABCDEF0123456789ABCDEF01234567";
    for name in
        ["x-ssl-client-thumbprint", "x-arr-clientcert", "x-forwarded-client-cert", "ssl-client-verify"]
    {
        let value = if name == "ssl-client-verify" { "SUCCESS" } else { thumbprint };
        kept_out(trial, Stranger::WithoutCredential, &[(name, value)], &[401, 403]).await?;
    }
    Ok(())
}
