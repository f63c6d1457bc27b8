//! Replays recorded JSON-RPC conversations against a node that has imported their chain.

mod compare;
mod conversation;
mod node;
mod report;

pub use compare::{Comparison, compare};
pub use conversation::{Conversation, Exchange};
pub use node::RpcNode;
pub use report::Report;
