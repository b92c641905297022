//! How often each rule had something to do, for simulations that must not be too tame and for the curious.

macro_rules! coverage {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct Coverage {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Coverage {
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            pub fn counts(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }

        /// What was counted decides nothing: engines that differ in it only are the same.
        impl std::hash::Hash for Coverage {
            fn hash<H: std::hash::Hasher>(&self, _to: &mut H) {}
        }
    };
}

coverage! {
    /// Things at the target that an earlier life of the migration had put there.
    surveyed,
    /// Changes of the source that were ingested.
    events,
    /// Renames that were followed by one move at the target.
    moved_at_once,
    /// Renames whose object was not surely known.
    impure_renames,
    /// Events below something unknown.
    below_unknown,
    /// Looks that waited for the feed.
    fenced,
    /// Nodes found elsewhere than they were known.
    late_moves,
    /// Late moves out of the trash.
    salvaged,
    /// Objects moved to the trash.
    trashed,
    purged,
    /// Names where another node stood.
    replaced,
    /// Copies put in another's place while that one still existed somewhere: it was kept.
    alive,
    /// Marks that were set anew while the operation went on.
    outdated,
    /// Operations that waited for others at the target.
    collided,
    /// Operations that waited for another one on the same node.
    node_taken,
    /// Files that waited for what they vouch for.
    barred,
    /// Directory renames that waited for what was changed below.
    rename_barred,
    /// Things at the target that were not ours, or not as we left them.
    drifted,
    set_aside,
    /// Publications that found the source changed.
    source_changed,
    /// Directories that vanished under a look.
    stale,
    /// Copies that went on after a rename or a crash.
    resumed,
    /// After crashes.
    moves_finished,
    found_again,
    gaps,
    held,
    coarser,
    given_up,
}
