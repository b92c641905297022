#[test]
fn histories_end_equal() {
    let from: u64 = std::env::var("FROM").map_or(0, |v| v.parse().unwrap());
    let seeds: u64 = std::env::var("SEEDS").map_or(2000, |v| v.parse().unwrap());
    let mut bad = 0;
    let mut coverage = livedata_engine::Coverage::default();
    let started = std::time::Instant::now();
    for seed in from..from + seeds {
        match livedata_sim::run(
            seed,
            &livedata_sim::Options { trace: std::env::var("TRACE").is_ok(), ..Default::default() },
        ) {
            Ok(outcome) => coverage.add(&outcome.coverage),
            Err(error) => {
                bad += 1;
                if bad < 15 {
                    println!("seed {seed}: {error}");
                }
            }
        }
    }
    println!("{bad} bad of {seeds} in {:?}; {:?}", started.elapsed(), coverage.counts());
    assert_eq!(bad, 0);
}
