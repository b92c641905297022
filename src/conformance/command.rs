//! The command line: `livedata conformance`.

use std::path::{Path, PathBuf};

use url::Url;

use crate::client::{self, Client, Connection, Credential};
use crate::profile::{self, Profile};
use crate::record::Recorder;
use crate::report::word;
use crate::suite;
use crate::trial::Trial;

/// Hold an endpoint against the contract of Azure Resource Manager's resource providers
///
/// Makes, changes and deletes resources as the profile describes them, and says for each of 124 rules whether it holds, and
/// if not, what was sent, what came back and what the rule wants. Exit code 1 if a rule fails that is not among the
/// profile's deviations.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the resource provider, or ARM before it, listens
    #[arg(long, value_name = "URL")]
    endpoint: Url,
    /// What is there: types, bodies, actions (TOML, or JSON)
    #[arg(long, value_name = "FILE")]
    profile: PathBuf,
    /// A variable of the profile
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, String)>,
    /// Certificate chain to show to a provider (PEM)
    #[arg(long, value_name = "FILE", requires = "client_key", conflicts_with = "bearer_token_file")]
    client_certificate: Option<PathBuf>,
    /// Its key (PEM)
    #[arg(long, value_name = "FILE", requires = "client_certificate")]
    client_key: Option<PathBuf>,
    /// Holds the token to show to a front door
    #[arg(long, value_name = "FILE")]
    bearer_token_file: Option<PathBuf>,
    /// Authorities to trust instead of the system's (PEM)
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Only this rule; may be repeated
    #[arg(long = "rule", value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=124))]
    rules: Vec<u16>,
    /// Write the score for programs
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write every exchange into this folder, as `oav validate-traffic` reads them: `described`, and `odd` ones
    #[arg(long, value_name = "FOLDER")]
    record: Option<PathBuf>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be written", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Profile(#[from] profile::Error),
    #[error(transparent)]
    Client(#[from] client::Error),
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

/// Whether no rule failed but the profile's deviations. The score goes to standard output, progress to standard error.
pub async fn run(args: Args) -> Result<bool, Error> {
    let profile = Profile::read(&args.profile, &args.variables)?;
    let credential = match (&args.client_certificate, &args.client_key, &args.bearer_token_file) {
        (Some(certificate), Some(key), _) => {
            let pem = [read(certificate)?, b"\n".to_vec(), read(key)?].concat();
            Credential::Certificate { pem, what: certificate.display().to_string() }
        }
        (_, _, Some(file)) => Credential::Bearer(String::from_utf8_lossy(&read(file)?).trim().to_owned()),
        _ => Credential::None,
    };
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Write { path, source }
    };
    let recorder = match &args.record {
        Some(folder) => Some(Recorder::into_folder(folder).map_err(unwritable(folder))?),
        None => None,
    };
    let connection = Connection {
        endpoint: args.endpoint,
        credential,
        authority_pem: args.ca.as_deref().map(read).transpose()?,
        speaks: profile.speaks,
        api_version: profile.api_version.clone(),
        secrets: secrets_of(&profile),
    };
    let trial = Trial::new(Client::new(connection, recorder)?, profile);
    let run = suite::run(&trial, &args.rules, &|rule, verdict| {
        eprintln!("rule {}: {}", rule.number, word(verdict))
    })
    .await;
    if let Some(path) = &args.json {
        std::fs::write(path, format!("{:#}\n", run.score.json())).map_err(unwritable(path))?;
    }
    if let Some(folder) = &args.record {
        trial.client.recorded().map_err(unwritable(folder))?;
    }
    print!("{}", run.score);
    for id in run.left {
        println!("left behind, because its DELETE failed: {id}");
    }
    Ok(run.score.is_good())
}

/// What the profile says is secret in its bodies.
pub fn secrets_of(profile: &Profile) -> Vec<String> {
    let in_kind = |kind: &profile::Kind| {
        let bodies: Vec<_> = std::iter::once(&kind.body)
            .chain(&kind.failing_body)
            .chain(&kind.invalid_body)
            .cloned()
            .collect();
        let pointers = kind.secrets.clone();
        bodies.into_iter().flat_map(move |body| {
            let found =
                pointers.iter().filter_map(|pointer| body.pointer(pointer)?.as_str().map(str::to_owned));
            found.collect::<Vec<_>>()
        })
    };
    profile.types.iter().flat_map(in_kind).collect()
}
