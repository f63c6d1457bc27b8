//! Replays recorded JSON-RPC conversations against a node that has imported their chain.

mod compare;
mod conversation;
mod fixtures;
mod node;
mod report;

pub use compare::{Comparison, compare};
pub use conversation::{Conversation, Exchange};
pub use fixtures::fixtures;
pub use node::TestNode;
pub use report::Report;
