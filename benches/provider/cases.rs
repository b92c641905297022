//! What is measured: the provider's rows of the budgets in `docs/architecture.md`, and what keeps them honest.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::loader::{self, Ask, Peer, Taken};
use crate::process::{self, Running};
use crate::site::{self, Site};
use crate::{Arguments, ceiling, machine};

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Case {
    /// From the start of the process to the first answer, and its memory
    Start,
    /// 5,000 GETs a second, of any of the resources
    Get,
    /// 2,000 requests a second: 90 % GET, 5 % LIST, 5 % PUT
    Mix,
    /// PUTs of new resources, as many as go
    Put,
    /// A page of 100 of a group, and of all resources
    List,
    /// GETs as many as go, of the provider and of a server that looks nothing up
    Ceiling,
}

const GET_RATE: u32 = 5000;
const MIX_RATE: u32 = 2000;
const PUT_CONNECTIONS: usize = 64;
const STARTS: usize = 5;

impl Case {
    pub const ALL: [Self; 6] = [Self::Start, Self::Get, Self::Mix, Self::Put, Self::List, Self::Ceiling];

    pub async fn run(self, site: &Site, arguments: &Arguments) -> Result<()> {
        if self == Self::Start {
            return start(site).await;
        }
        let (running, _) = site.start().await?;
        let bench = Bench { site, arguments, running, random: std::cell::Cell::new(0x5eed) };
        match self {
            Self::Start => Ok(()),
            Self::Get => bench.get().await,
            Self::Mix => bench.mix().await,
            Self::Put => bench.put().await,
            Self::List => bench.list().await,
            Self::Ceiling => bench.ceiling().await,
        }?;
        let peak = process::peak_bytes(bench.running.pid()).unwrap_or_default();
        println!("| … the provider's memory at its most | | | | | | | {} MB |", peak / 1_000_000);
        Ok(())
    }
}

async fn start(site: &Site) -> Result<()> {
    let mut taken = Vec::new();
    let mut memory = 0;
    for _ in 0..STARTS {
        let (running, elapsed) = site.start().await?;
        taken.push(elapsed);
        memory = process::peak_bytes(running.pid()).unwrap_or_default();
    }
    taken.sort_unstable();
    println!(
        "| start to first answer, of {STARTS} | | | {:.0} | | {:.0} | | {} MB |",
        milliseconds(taken[STARTS / 2]),
        milliseconds(taken[STARTS - 1]),
        memory / 1_000_000
    );
    Ok(())
}

struct Bench<'a> {
    site: &'a Site,
    arguments: &'a Arguments,
    running: Running,
    random: std::cell::Cell<u64>,
}

impl Bench<'_> {
    async fn get(&self) -> Result<()> {
        let count = u64::from(GET_RATE) * self.arguments.seconds;
        let asks = (0..count).map(|_| self.any_get()).collect();
        self.measure("GET", asks, Some(GET_RATE), self.arguments.connections).await
    }

    async fn mix(&self) -> Result<()> {
        let count = u64::from(MIX_RATE) * self.arguments.seconds;
        let (body, run) = (site::body().to_string(), self.next(u64::MAX));
        let asks = (0..count)
            .map(|number| match number % 20 {
                0 => site::put(&format!("mix-{run:016x}-{number}"), &body),
                1 => site::list(Some(self.next(site::groups(self.arguments.resources)))),
                _ => self.any_get(),
            })
            .collect();
        self.measure("90 % GET, 5 % LIST, 5 % PUT", asks, Some(MIX_RATE), self.arguments.connections).await
    }

    async fn put(&self) -> Result<()> {
        let (body, run) = (site::body().to_string(), self.next(u64::MAX));
        let count = 1000 * self.arguments.seconds;
        let asks = (0..count).map(|number| site::put(&format!("put-{run:016x}-{number}"), &body)).collect();
        self.measure("PUT", asks, None, PUT_CONNECTIONS).await
    }

    async fn list(&self) -> Result<()> {
        let count = 20 * self.arguments.seconds;
        let groups = site::groups(self.arguments.resources);
        let asks = (0..count).map(|_| site::list(Some(self.next(groups)))).collect();
        self.measure("LIST of a group, a page of 100", asks, Some(20), self.arguments.connections).await?;
        let asks = (0..count).map(|_| site::list(None)).collect();
        self.measure("LIST of all, a page of 100", asks, Some(20), self.arguments.connections).await
    }

    async fn ceiling(&self) -> Result<()> {
        let count = 4000 * self.arguments.seconds;
        let asks = || (0..count).map(|_| self.any_get()).collect();
        self.measure("GET", asks(), None, self.arguments.connections).await?;
        let peer = Peer { port: ceiling::start(self.site.server()?)?, tls: Arc::new(self.site.caller()?) };
        let taken = loader::run(&peer, asks(), self.arguments.connections, None).await?;
        // It runs in the loader's process: what it takes for itself cannot be told apart.
        row("GET of a server that looks nothing up", None, &taken, None, "");
        let taken = loader::run(&peer, asks(), self.arguments.connections, Some(GET_RATE)).await?;
        row("GET of a server that looks nothing up", Some(GET_RATE), &taken, None, "");
        Ok(())
    }

    async fn measure(&self, what: &str, asks: Vec<Ask>, rate: Option<u32>, connections: usize) -> Result<()> {
        let peer = Peer { port: self.site.port(), tls: Arc::new(self.site.caller()?) };
        machine::settle(&[self.running.pid()]).await;
        let watch = machine::Watch::start(&[self.running.pid()]);
        let cpu = || process::cpu_seconds(self.running.pid()).unwrap_or_default();
        let before = cpu();
        let taken = loader::run(&peer, asks, connections, rate).await?;
        row(what, rate, &taken, Some(cpu() - before), &machine::mark(watch.others(0.0)));
        Ok(())
    }

    fn any_get(&self) -> Ask {
        site::get(self.next(self.arguments.resources))
    }

    /// SplitMix64; the same numbers in every run.
    fn next(&self, below: u64) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

fn row(what: &str, rate: Option<u32>, taken: &Taken, cpu_seconds: Option<f64>, mark: &str) {
    let rate = rate.map_or_else(|| "as many as go".to_owned(), |rate| rate.to_string());
    let cpu = cpu_seconds.map(|seconds| format!("{:.3}", seconds * 1000.0 / taken.count() as f64));
    println!(
        "| {what} | {rate} | {:.0} | {:.2} | {:.2} | {:.1} | {} |{mark} |",
        taken.count() as f64 / taken.elapsed.as_secs_f64(),
        milliseconds(taken.quantile(0.5)),
        milliseconds(taken.quantile(0.99)),
        milliseconds(taken.quantile(1.0)),
        cpu.unwrap_or_default(),
    );
}

fn milliseconds(taken: Duration) -> f64 {
    taken.as_secs_f64() * 1000.0
}
