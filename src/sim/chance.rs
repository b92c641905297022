//! What is left to chance while one effect is carried out: a generator decides it in a history, nothing happens in a
//! script, an enumeration tries everything.

use crate::hdfs::Hdfs;

pub trait Chance {
    /// How many names a page of a listing has at most.
    fn page(&mut self) -> usize;
    /// A directory cannot be found although it is there.
    fn is_not_found(&mut self) -> bool;
    /// The target did it, and nobody heard: it is asked again.
    fn reply_is_lost(&mut self) -> bool;
    /// Who reads a file while it changes is told so.
    fn tear_shows(&mut self) -> bool;
    /// Applications do not wait for us.
    fn meanwhile(&mut self, hdfs: &mut Hdfs);
    /// The last transaction, or a little less.
    fn position(&mut self, hdfs: &Hdfs) -> u64;
}

pub struct Calm;

impl Chance for Calm {
    fn page(&mut self) -> usize {
        1_000
    }

    fn is_not_found(&mut self) -> bool {
        false
    }

    fn reply_is_lost(&mut self) -> bool {
        false
    }

    fn tear_shows(&mut self) -> bool {
        false
    }

    fn meanwhile(&mut self, _hdfs: &mut Hdfs) {}

    fn position(&mut self, hdfs: &Hdfs) -> u64 {
        hdfs.txid
    }
}
