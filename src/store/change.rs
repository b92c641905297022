//! What [`crate::Store::commit`] does in one transaction.

/// Expectations and writes that stand or fall together.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub expectations: Vec<Expectation>,
    pub writes: Vec<Write>,
}

#[derive(Clone, Debug)]
pub struct Expectation {
    pub collection: &'static str,
    pub key: String,
    /// `None`: there is no such record.
    pub version: Option<u64>,
}

#[derive(Clone, Debug)]
pub enum Write {
    Put { collection: &'static str, key: String, body: Vec<u8> },
    Remove { collection: &'static str, key: String },
}

impl Change {
    pub fn new() -> Self {
        Self::default()
    }

    /// The record must still have this version (`None`: must not exist).
    #[must_use]
    pub fn expect(mut self, collection: &'static str, key: impl Into<String>, version: Option<u64>) -> Self {
        self.expectations.push(Expectation { collection, key: key.into(), version });
        self
    }

    #[must_use]
    pub fn put(mut self, collection: &'static str, key: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        self.writes.push(Write::Put { collection, key: key.into(), body: body.into() });
        self
    }

    #[must_use]
    pub fn remove(mut self, collection: &'static str, key: impl Into<String>) -> Self {
        self.writes.push(Write::Remove { collection, key: key.into() });
        self
    }
}
