use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Fenced, HOLDERS, Party, Terms, UNITS, Unit};
use crate::memory::MemoryStore;
use crate::{Change, Error, Store};

const LASTS: Duration = Duration::from_secs(10);
const TURN: Duration = Duration::from_secs(2);

/// A store, and a clock that goes on only when it is told.
struct World {
    store: Arc<dyn Store>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { store: Arc::new(MemoryStore::new()), now: Instant::now() }
    }

    fn party() -> Party {
        Party::new(Terms { lasts: LASTS })
    }

    async fn turn(&mut self, parties: &mut [&mut Party]) {
        for party in parties {
            party.turn(&*self.store, self.now, b"here").await.unwrap();
        }
        self.now += TURN;
    }

    fn units(&self, party: &Party) -> BTreeSet<Unit> {
        Unit::all().filter(|unit| party.held().number(*unit, self.now).is_some()).collect()
    }

    fn as_holder(&self, party: &Party, unit: Unit) -> Fenced {
        Fenced::new(Arc::clone(&self.store), unit, party.held().numbers()[&unit])
    }
}

#[tokio::test]
async fn one_alone_has_everything_at_once() {
    let mut world = World::new();
    let mut one = World::party();
    world.turn(&mut [&mut one]).await;
    assert_eq!(world.units(&one).len(), UNITS as usize);
}

#[tokio::test]
async fn who_comes_gets_its_share_and_no_unit_has_two_holders() {
    let mut world = World::new();
    let (mut one, mut two, mut three) = (World::party(), World::party(), World::party());
    world.turn(&mut [&mut one]).await;
    for _ in 0..3 {
        world.turn(&mut [&mut one, &mut two]).await;
        assert!(world.units(&one).is_disjoint(&world.units(&two)));
    }
    assert_eq!((world.units(&one).len(), world.units(&two).len()), (8, 8));
    for _ in 0..4 {
        world.turn(&mut [&mut one, &mut two, &mut three]).await;
    }
    let all = [&one, &two, &three].map(|party| world.units(party));
    assert_eq!(
        all.iter().flatten().collect::<BTreeSet<_>>().len(),
        UNITS as usize,
        "every unit has a holder"
    );
    assert_eq!(all.iter().map(BTreeSet::len).sum::<usize>(), UNITS as usize, "and only one");
    assert!(all.iter().all(|units| units.len() >= 4), "{all:?}");
}

#[tokio::test]
async fn who_dies_is_waited_for_and_then_followed() {
    let mut world = World::new();
    let (mut one, mut two) = (World::party(), World::party());
    world.turn(&mut [&mut one]).await;
    // Is there, and is never heard of again.
    drop(one);
    for _ in 0..5 {
        world.turn(&mut [&mut two]).await;
        assert_eq!(world.units(&two).len(), 0);
    }
    world.turn(&mut [&mut two]).await;
    assert_eq!(world.units(&two).len(), UNITS as usize);
    assert_eq!(world.store.list(HOLDERS, "", None, 10).await.unwrap().len(), 1, "the dead leave nothing");
}

/// It had come and gone before it was given anything.
#[tokio::test]
async fn who_dies_with_nothing_is_forgotten_too() {
    let mut world = World::new();
    let (mut one, mut two) = (World::party(), World::party());
    world.turn(&mut [&mut one, &mut two]).await;
    assert_eq!(world.units(&two).len(), 0);
    drop(two);
    for _ in 0..7 {
        world.turn(&mut [&mut one]).await;
    }
    assert_eq!(world.store.list(HOLDERS, "", None, 10).await.unwrap().len(), 1);
    assert_eq!(world.units(&one).len(), UNITS as usize, "what was kept for it has come back");
}

/// The database was gone for all of them, for longer than a lease lasts.
#[tokio::test]
async fn after_an_outage_nobody_is_taken_for_dead() {
    let mut world = World::new();
    let (mut one, mut two) = (World::party(), World::party());
    for _ in 0..3 {
        world.turn(&mut [&mut one, &mut two]).await;
    }
    // What it saw last is what there is after the outage.
    world.turn(&mut [&mut one]).await;
    let before = [one.held().numbers().clone(), two.held().numbers().clone()];
    world.now += 3 * LASTS;
    assert!(world.units(&one).is_empty() && world.units(&two).is_empty());
    world.turn(&mut [&mut one, &mut two]).await;
    assert_eq!([one.held().numbers(), two.held().numbers()], before.each_ref());
}

#[tokio::test(start_paused = true)]
async fn the_living_are_told_from_the_dead() {
    let mut world = World::new();
    let (mut one, mut two) = (World::party(), World::party());
    world.turn(&mut [&mut one, &mut two]).await;
    let terms = Terms { lasts: LASTS };
    assert_eq!(super::living(&*world.store, terms, |says| says == b"here").await.unwrap().len(), 2);
    // One that does not satisfy is given the time to be heard of.
    one.turn(&*world.store, world.now, b"not what is wanted").await.unwrap();
    let (store, now) = (Arc::clone(&world.store), world.now);
    let speaking = tokio::spawn(async move {
        tokio::time::sleep(LASTS / 2).await;
        two.turn(&*store, now, b"here").await.unwrap();
    });
    let living = super::living(&*world.store, terms, |says| says == b"here").await.unwrap();
    speaking.await.unwrap();
    assert_eq!(living.iter().map(|(_, says)| says.as_slice()).collect::<Vec<_>>(), [b"here"]);
}

#[tokio::test]
async fn who_leaves_is_not_waited_for() {
    let mut world = World::new();
    let (mut one, mut two) = (World::party(), World::party());
    world.turn(&mut [&mut one]).await;
    one.leave(&*world.store).await.unwrap();
    world.turn(&mut [&mut two]).await;
    assert_eq!((world.units(&one).len(), world.units(&two).len()), (0, UNITS as usize));
}

/// The holder stands still, another one takes over, the holder goes on as if nothing had happened.
#[tokio::test]
async fn who_has_slept_writes_nothing() {
    let mut world = World::new();
    let (mut one, mut two) = (World::party(), World::party());
    world.turn(&mut [&mut one]).await;
    let unit = Unit::of("work");
    let before = world.as_holder(&one, unit);
    before.commit(Change::new().put("c", "k", "of the first")).await.unwrap();
    for _ in 0..6 {
        world.turn(&mut [&mut two]).await;
    }
    assert!(world.units(&one).is_empty(), "it knows by its own clock");
    let refused = before.commit(Change::new().put("c", "k", "of the first, late")).await;
    assert!(matches!(refused, Err(Error::Conflict { collection, .. }) if collection == super::LEASES));
    world.as_holder(&two, unit).commit(Change::new().put("c", "k", "of the second")).await.unwrap();

    // Heard of again, it gets a share like everybody; what it began before stays refused, even when it has the unit again.
    for _ in 0..3 {
        world.turn(&mut [&mut one, &mut two]).await;
    }
    assert_eq!((world.units(&one).len(), world.units(&two).len()), (8, 8));
    two.leave(&*world.store).await.unwrap();
    world.turn(&mut [&mut one]).await;
    assert_eq!(world.units(&one).len(), UNITS as usize);
    assert!(before.commit(Change::new().put("c", "k", "of the first, very late")).await.is_err());
    world.as_holder(&one, unit).commit(Change::new()).await.unwrap();
    assert_eq!(world.store.get("c", "k").await.unwrap().unwrap().body, b"of the second");
}

/// Lets the holder speak between the look and the change.
struct Interrupted {
    store: Arc<dyn Store>,
    holder: tokio::sync::Mutex<Option<(Party, Instant)>>,
}

#[async_trait::async_trait]
impl Store for Interrupted {
    async fn get(&self, collection: &str, key: &str) -> crate::Result<Option<crate::Record>> {
        self.store.get(collection, key).await
    }

    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> crate::Result<Vec<crate::Record>> {
        let found = self.store.list(collection, prefix, after, limit).await;
        if collection == HOLDERS
            && let Some((holder, now)) = self.holder.lock().await.as_mut()
        {
            holder.turn(&*self.store, *now, b"late").await?;
        }
        found
    }

    async fn commit(&self, change: Change) -> crate::Result<()> {
        self.store.commit(change).await
    }
}

/// Whoever looks has seen nothing for long enough, but the holder is heard of just before it is followed.
#[tokio::test]
async fn who_is_heard_of_in_the_last_moment_keeps_what_it_has() {
    let mut world = World::new();
    let (mut one, mut two) = (World::party(), World::party());
    world.turn(&mut [&mut one]).await;
    for _ in 0..5 {
        world.turn(&mut [&mut two]).await;
    }
    let now = world.now;
    let store =
        Interrupted { store: Arc::clone(&world.store), holder: tokio::sync::Mutex::new(Some((one, now))) };
    two.turn(&store, now, b"two").await.unwrap();
    let (one, _) = store.holder.into_inner().unwrap();
    // But for what it gave away itself, having seen the other one.
    assert_eq!(world.units(&one).len(), 8);
    assert!(world.units(&one).is_disjoint(&world.units(&two)), "{:?}", two.held());
    world.as_holder(&one, *world.units(&one).first().unwrap()).commit(Change::new()).await.unwrap();
}

/// Who looks has read that nobody is there, and then that everything is held.
#[tokio::test]
async fn who_comes_in_between_is_not_taken_for_dead() {
    let mut world = World::new();
    let (one, mut two) = (World::party(), World::party());
    let store = Interrupted {
        store: Arc::clone(&world.store),
        holder: tokio::sync::Mutex::new(Some((one, world.now))),
    };
    two.turn(&store, world.now, b"two").await.unwrap();
    let (one, _) = store.holder.into_inner().unwrap();
    assert_eq!((world.units(&one).len(), world.units(&two).len()), (8, 0));
    world.turn(&mut [&mut two]).await;
    assert_eq!((world.units(&one).len(), world.units(&two).len()), (8, 8));
    assert!(world.units(&one).is_disjoint(&world.units(&two)));
}

#[test]
fn units_do_not_change_with_the_build() {
    assert_eq!(["", "/a", "/b"].map(|text| Unit::of(text).0), [5, 13, 4]);
}
