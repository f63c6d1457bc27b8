//! Replays recorded JSON-RPC conversations against a node that has imported their chain.

mod compare;
mod conversation;
mod http;
mod node;
mod report;

pub use compare::{Comparison, compare};
pub use conversation::{Conversation, Exchange};
pub use http::{HttpAnswer, http_exchange};
pub use node::RpcNode;
pub use report::Report;
