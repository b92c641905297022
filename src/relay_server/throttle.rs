//! A token bucket per source address. The instant is passed in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Full buckets are forgotten when there are more than this.
const REMEMBERED_SOURCES: usize = 10_000;

pub(crate) struct Throttle {
    burst: f64,
    per_second: f64,
    buckets: HashMap<IpAddr, Bucket>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Throttle {
    pub fn new(burst: u32, per_second: f64) -> Self {
        Self { burst: f64::from(burst), per_second, buckets: HashMap::new() }
    }

    /// Takes one upgrade for `source`, or says how long it must wait.
    pub fn take(&mut self, source: IpAddr, now: Instant) -> Result<(), Duration> {
        let (burst, per_second) = (self.burst, self.per_second);
        let refilled = |bucket: &Bucket| {
            let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * per_second;
            (bucket.left + gained).min(burst)
        };
        if self.buckets.len() > REMEMBERED_SOURCES {
            self.buckets.retain(|_, bucket| refilled(bucket) < burst);
        }
        let bucket = self.buckets.entry(source).or_insert(Bucket { left: burst, at: now });
        bucket.left = refilled(bucket);
        bucket.at = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        // A rate of zero must not become an endless wait that no Duration can hold.
        let seconds = ((1.0 - bucket.left) / per_second.max(0.001)).ceil();
        Err(Duration::from_secs_f64(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let mut throttle = Throttle::new(2, 0.5);
        let start = Instant::now();
        let (one, two) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        assert_eq!(throttle.take(one, start), Ok(()));
        assert_eq!(throttle.take(one, start), Ok(()));
        assert_eq!(throttle.take(one, start), Err(Duration::from_secs(2)));
        assert_eq!(throttle.take(two, start), Ok(()));
        assert_eq!(throttle.take(one, start + Duration::from_secs(2)), Ok(()));
        assert!(throttle.take(one, start + Duration::from_secs(2)).is_err());
    }
}
