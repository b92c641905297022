//! Could a reader of the target ever tell that it is a copy in the making?
//!
//! [`write()`] makes files that prove what they are, in the order in which table formats promise them: data before what vouches
//! for it. [`Reader`] looks at the target again and again while they are copied, and notes each file that is not one whole
//! version of itself, and each one that vouches for something that is not there yet. It reads every version of every file
//! that it finds once, vouching ones at the moment when it first sees them.
//!
//! What a reader cannot see, it does not judge: that files arrive at all is for [`compare()`](crate::compare()).

mod proof;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::{Reader, Witnessed};
pub use writer::{Written, write};
