//! `livedata dev`: the environment, until it is interrupted.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::environment::{self, Environment, NAMESPACE, Options, PortChoice, Service, TENANT, USER};

/// Run a whole control plane on this machine, for development
///
/// ARM front door, resource provider, relay and storage emulator, until Ctrl-C. Loopback only. It prints how to sign in, and
/// the command that makes and changes a lake to play with.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for everything that has to survive; made when missing
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// The first of six ports in a row for a new folder [default: 8443], 0 for any that are free; a folder keeps its ports
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Leave the relay to a process of its own: livedata relay --data FOLDER/relay
    #[arg(long)]
    without_relay: bool,
    /// Leave the resource provider to a process of its own: livedata provider --data FOLDER/provider
    #[arg(long)]
    without_provider: bool,
    /// Seconds that clients are asked to wait between looks at an operation
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    retry_after: u32,
    /// Serve the public namespace Wandisco.Fusion, too, with its api-version 2023-11-01-preview
    #[arg(long)]
    compat_wandisco_fusion: bool,
    /// PostgreSQL database that the provider keeps its resources in: postgres://USER:PASSWORD@HOST:PORT/DATABASE [default: a file]
    #[arg(long, value_name = "ADDRESS", env = "LIVEDATA_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Let the provider be called by custom providers (Microsoft.CustomProviders), too, at a secret address on the seventh port
    #[arg(long)]
    custom_provider: bool,
    /// Answer /healthz, /readyz and /metrics there, in plain HTTP and to everybody who reaches it, e.g. 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS:PORT")]
    health_listen: Option<SocketAddr>,
}

/// `stop` completes when the process was asked to end.
pub async fn run(args: Args, stop: impl Future<Output = ()>) -> Result<(), environment::Error> {
    let environment = Environment::start(Options {
        folder: args.data,
        ports: match args.port {
            None => PortChoice::Any,
            Some(0) => PortChoice::Free,
            Some(first) => PortChoice::From(first),
        },
        relay: service(args.without_relay),
        provider: service(args.without_provider),
        retry_after_seconds: args.retry_after,
        compatible: args.compat_wandisco_fusion,
        provider_store: args.store,
        custom_provider: args.custom_provider,
        health: args.health_listen,
    })
    .await?;
    println!("{}", addresses(&environment));
    if let Some(address) = environment.health_address() {
        println!("health, metrics  http://{address}/readyz, http://{address}/metrics\n");
    }
    if args.custom_provider {
        println!("endpoint for custom providers: in {}\n", environment.custom_provider_url_path().display());
    }
    println!("{}", first_steps(&environment));
    println!("{}", sample(&environment));
    println!("ready; Ctrl-C ends it, the same command brings everything back");
    stop.await;
    environment.stop().await
}

fn service(apart: bool) -> Service {
    if apart { Service::Apart } else { Service::Embedded }
}

fn addresses(environment: &Environment) -> String {
    let ports = environment.ports();
    format!(
        "ARM front door   {}\n\
         provider         https://localhost:{} (front doors only), agents enrol at https://localhost:{}\n\
         relay            wss://localhost:{}\n\
         storage          {}/ACCOUNT\n\
         data             {}\n\
         log              {}\n\
         audit log        {}\n",
        environment.front_door_url(),
        ports.provider,
        ports.enrolment,
        ports.relay,
        environment.storage_url(),
        environment.folder().display(),
        environment.log_path().display(),
        environment.audit_log_path().display(),
    )
}

/// What to type in another terminal.
pub(crate) fn sign_in_commands(environment: &Environment) -> String {
    let az = environment.az_folder();
    format!(
        "  source '{}'\n  az login --service-principal -u {USER} -p '@{}' --tenant {TENANT}\n",
        az.join("environment").display(),
        environment.password_path().display()
    )
}

fn first_steps(environment: &Environment) -> String {
    format!(
        "In another terminal, with az:\n{}  az provider register -n {NAMESPACE}\n  az group create -n rg -l westeurope\n",
        sign_in_commands(environment)
    )
}

/// A source to play with, which is made when it is first churned.
fn sample(environment: &Environment) -> String {
    let lake = environment.folder().join("sample");
    // As this one was started: there may be none in the path.
    let program = std::env::current_exe().unwrap_or_else(|_| "livedata".into());
    let uri = url::Url::from_directory_path(&lake).map_or_else(|()| String::new(), |url| url.to_string());
    let (lake, program) = (lake.display(), program.display());
    format!(
        "A lake in use, to be followed by a migration of mode Live:\n  \
         '{program}' churn --directory '{lake}'\n\
         is the source {{\"kind\": \"LocalDirectory\", \"uri\": \"{uri}\"}} of a migrator whose agent runs with\n  \
         --local-directory '{lake}'\n"
    )
}
