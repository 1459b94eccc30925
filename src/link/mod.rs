//! The passes, in the order in which they run. Each reads the products of those before it and gives a
//! type of its own, so that they cannot run in another order.

mod gather;
mod lay_out;
mod relocate;
mod resolve;
mod synthesize;

pub(crate) use gather::gather;
pub(crate) use lay_out::{lay_out_body, lay_out_late};
pub(crate) use relocate::write;
pub(crate) use resolve::resolve;
pub(crate) use synthesize::synthesize;
