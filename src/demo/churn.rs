//! `livedata churn`: a lake in use, for a migration to follow.
//!
//! What is done, and in which order, is `livedata_workload::churn`'s; here are its lake, its end and what a person sees of
//! it. For the demo it is a process of its own that ends with its standard input, so with the demo, and tells how far it
//! is, see [`Teller`].

mod counted;
mod lake;
mod teller;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use livedata_workload::churn::{self, Churned, FileSystem, Hdfs, Local, Plan};
use livedata_workload::lake as sample;
use tokio::time::MissedTickBehavior;
use url::Url;

use counted::Counted;
use lake::{Lake, Place};
use teller::Teller;
pub use teller::Told;

const TELL_EVERY: Duration = Duration::from_millis(200);
/// The NameNode writes the changes that wait together to its log at once: its speed comes from many writers.
const WRITERS_ON_HDFS: u32 = 64;
const WRITERS: u32 = 4;

/// Change a lake again and again, for a migration to follow
///
/// Does what the programs that use a lake do, until Ctrl-C, so that a migration of mode Live has something to follow:
/// files are made, appended to, replaced, cut, renamed and DELETED, directories renamed and deleted, jobs commit, tables
/// get new versions, things move out of the lake and back in, permissions and attributes change. Nobody else may write to
/// the lake meanwhile: a change that fails ends it. At its end it prints what it did.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("lake").required(true).args(["directory", "hdfs"]))]
#[command(after_help = "Examples:\n  \
    livedata churn --directory /tmp/lake --rate 20\n  \
    livedata churn --hdfs hdfs://namenode:8020/data/lake --web http://namenode:9870 --operations 5000")]
pub struct Args {
    /// The lake is a directory of this machine; a sample (3000 files, 400 MB) is made there if it is absent or empty
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// The lake is a directory on an HDFS without Kerberos: hdfs://host:port/path; it is made if it is absent
    #[arg(long, value_name = "URL", requires = "web")]
    hdfs: Option<Url>,
    /// The NameNode's web address, http://host:port
    #[arg(long, value_name = "URL", requires = "hdfs")]
    web: Option<Url>,
    /// Who writes at HDFS
    #[arg(long, value_name = "NAME", env = "HADOOP_USER_NAME", default_value = "hdfs")]
    hadoop_user: String,
    /// Directory that things are moved to and come back from; absolute, not in the lake [default: the lake's with "-outside"
    /// at its end]
    #[arg(long, value_name = "DIR")]
    outside: Option<String>,
    /// Operations a second, all writers together
    #[arg(long, value_name = "NUMBER", default_value = "100")]
    rate: NonZeroU32,
    /// Decides what is done, in which order, with which bytes
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Writers at the same time, at most as many as --rate [default: 4, on HDFS 64]
    #[arg(long, value_name = "NUMBER")]
    writers: Option<NonZeroU32>,
    /// End after so many operations instead of at Ctrl-C
    #[arg(long, value_name = "NUMBER")]
    operations: Option<u64>,
    /// Tell the program that has started this one, and end when standard input does
    #[arg(long, hide = true)]
    for_a_program: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be used as a lake", path.display())]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("{} cannot be used as a lake: its path is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
    #[error("{0} is the root: name a directory in it, which can have one beside it")]
    Root(String),
    #[error("{0} is no hdfs://host:port/path")]
    NotHdfs(Url),
    #[error("--outside {outside} must be absolute, and not in the lake {lake}")]
    Outside { outside: String, lake: String },
    #[error("the sample lake cannot be made")]
    Sample(#[from] sample::Error),
    #[error("the sample lake was not finished: {0}")]
    Interrupted(String),
    #[error("no HTTP client can be made")]
    Http(#[from] reqwest::Error),
    #[error("the lake could not be changed any further")]
    Churn(#[from] churn::Error),
}

/// `stop` completes when the process was asked to end.
pub async fn run(args: Args, stop: impl Future<Output = ()>) -> Result<(), Error> {
    let teller = if args.for_a_program { Teller::to_a_program() } else { Teller::to_a_person() };
    let place = match (&args.hdfs, &args.directory) {
        (Some(url), _) => Place::Hdfs(url.clone()),
        (None, directory) => Place::Directory(directory.clone().unwrap_or_default()),
    };
    let writers = args.writers.map_or(place.writers(), NonZeroU32::get).min(args.rate.get());
    let plan = Plan {
        seed: args.seed,
        // With more, one that is asked to end might wait for longer than a second before it looks.
        writers,
        operations: args.operations,
        operations_per_second: Some(f64::from(args.rate.get())),
        stop: Arc::new(AtomicBool::new(false)),
    };
    let stop = async {
        tokio::select! {
            () = stop => {}
            () = stdin_ended(), if args.for_a_program => {}
        }
    };
    let lake = Lake::of(&place, args.outside.as_deref())?;
    let churned = match place {
        Place::Directory(directory) => {
            make_sample(directory, &teller).await?;
            work(Local, &lake, &plan, &teller, stop).await?
        }
        Place::Hdfs(mut url) => {
            url.set_path("");
            let http = reqwest::Client::builder().no_proxy().build()?;
            let web = args.web.as_ref().map(Url::as_str).unwrap_or_default();
            let hdfs = Hdfs::new(http, url.as_str(), web, &args.hadoop_user)?;
            hdfs.make_directory(&lake.path).await?;
            work(hdfs, &lake, &plan, &teller, stop).await?
        }
    };
    teller.end(&churned);
    Ok(())
}

impl Place {
    fn writers(&self) -> u32 {
        match self {
            Self::Directory(_) => WRITERS,
            Self::Hdfs(_) => WRITERS_ON_HDFS,
        }
    }
}

async fn make_sample(directory: PathBuf, teller: &Teller) -> Result<(), Error> {
    let failed = |source| Error::Directory { path: directory.clone(), source };
    if std::fs::read_dir(&directory).map_err(failed)?.next().is_some() {
        return Ok(());
    }
    teller.say(&format!("a sample lake is made in {}", directory.display()));
    let making = tokio::task::spawn_blocking(move || sample::make(&directory, &sample::Shape::default()));
    making.await.map_err(|error| Error::Interrupted(error.to_string()))??;
    Ok(())
}

/// Until the plan is at its end or `stop` completes.
async fn work<F: FileSystem>(
    files: F,
    lake: &Lake,
    plan: &Plan,
    teller: &Teller,
    stop: impl Future<Output = ()>,
) -> Result<Churned, Error> {
    let files = Counted::new(files);
    let changes = files.changes();
    teller.say(&format!(
        "{} is changed {} times a second by {} writers (seed {}); Ctrl-C ends it",
        lake.path,
        plan.operations_per_second.unwrap_or_default(),
        plan.writers,
        plan.seed
    ));
    let mut tick = tokio::time::interval(TELL_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let churning = churn::churn(&files, &lake.path, &lake.outside, plan);
    tokio::pin!(churning, stop);
    loop {
        tokio::select! {
            churned = &mut churning => return Ok(churned?),
            () = &mut stop, if !plan.stop.load(Ordering::Relaxed) => plan.stop.store(true, Ordering::Relaxed),
            _ = tick.tick() => teller.tell(changes.load(Ordering::Relaxed)),
        }
    }
}

/// On a thread of its own: a read that never returns must not keep the process from ending.
async fn stdin_ended() {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Whatever happened to it: nobody is there any more.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    if end.await.is_err() {
        std::future::pending::<()>().await;
    }
}
