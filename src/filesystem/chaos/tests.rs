use super::*;

/// Does nothing and counts how often.
#[derive(Default)]
struct Counting(AtomicU64);

impl Counting {
    fn done<T>(&self, answer: T) -> Result<T> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(answer)
    }
}

fn etag() -> Etag {
    Etag("\"1\"".to_owned())
}

#[async_trait]
impl Target for Counting {
    async fn create_directory(&self, _: &TargetPath, _: &Attributes, _: &Condition) -> Result<Etag> {
        self.done(etag())
    }

    async fn create_file(&self, _: &TargetPath, _: &Attributes, _: &Condition) -> Result<Etag> {
        self.done(etag())
    }

    async fn append(&self, _: &TargetPath, _: Upload, _: bool) -> Result<Option<Etag>> {
        self.done(None)
    }

    async fn flush(&self, _: &TargetPath, _: u64, _: Flush) -> Result<Etag> {
        self.done(etag())
    }

    async fn rename(&self, _: &TargetPath, _: &TargetPath, _: &Condition, _: Option<&Etag>) -> Result<()> {
        self.done(())
    }

    async fn properties(&self, _: &TargetPath) -> Result<Option<TargetEntry>> {
        self.done(None)
    }

    async fn list(&self, _: &TargetPath, _: Option<&str>) -> Result<TargetPage> {
        self.done(TargetPage::default())
    }

    async fn set_attributes(&self, _: &TargetPath, _: &Attributes, _: &Condition) -> Result<Etag> {
        self.done(etag())
    }

    async fn delete(&self, _: &TargetPath, _: bool, _: &Condition) -> Result<()> {
        self.done(())
    }
}

/// What each method of the trait answers, and how many reached the target.
async fn all_methods(rates: Rates, seed: u64) -> (Vec<Option<ErrorKind>>, u64) {
    let inner = Arc::new(Counting::default());
    let chaos = Chaos::new(inner.clone(), seed, rates, Some(Duration::from_secs(3)));
    let (path, attributes, any) = (TargetPath::new("a"), Attributes::default(), Condition::Any);
    let upload = Upload { position: 0, data: bytes::Bytes::from_static(b"x") };
    let errors = vec![
        chaos.create_directory(&path, &attributes, &any).await.err(),
        chaos.create_file(&path, &attributes, &any).await.err(),
        chaos.append(&path, upload, false).await.err(),
        chaos.flush(&path, 1, Flush::Complete).await.err(),
        chaos.rename(&path, &path, &any, None).await.err(),
        chaos.properties(&path).await.err(),
        chaos.list(&path, None).await.err(),
        chaos.set_attributes(&path, &attributes, &Condition::Any).await.err(),
        chaos.delete(&path, false, &any).await.err(),
    ];
    assert_eq!(chaos.faults(), errors.iter().flatten().count() as u64);
    (
        errors.into_iter().map(|error| error.map(|error| error.kind())).collect(),
        inner.0.load(Ordering::Relaxed),
    )
}

#[tokio::test]
async fn every_method_meets_every_fate() {
    let throttled = ErrorKind::Throttled { retry_after: Some(Duration::from_secs(3)) };
    for (rates, answer, reached) in [
        (Rates::default(), None, 9),
        (Rates { unreachable: 1.0, ..Rates::default() }, Some(ErrorKind::Unreachable), 0),
        (Rates { lost_replies: 1.0, ..Rates::default() }, Some(ErrorKind::Unreachable), 9),
        (Rates { throttled: 1.0, ..Rates::default() }, Some(throttled), 0),
    ] {
        assert_eq!(all_methods(rates, 7).await, (vec![answer; 9], reached), "{rates:?}");
    }
}

#[tokio::test]
async fn the_seed_decides() {
    let rates = Rates { unreachable: 0.2, lost_replies: 0.2, throttled: 0.2 };
    assert_eq!(all_methods(rates, 1).await, all_methods(rates, 1).await);
    let mut seen = Vec::new();
    for seed in 0..20 {
        seen.push(all_methods(rates, seed).await);
    }
    assert!(seen.iter().any(|outcome| *outcome != seen[0]), "every seed has the same outcome");
    let calls = seen.iter().flat_map(|(answers, _)| answers);
    let faults = calls.clone().flatten().count() as f64 / calls.count() as f64;
    assert!((0.45..0.75).contains(&faults), "{faults} of the calls failed");
}
