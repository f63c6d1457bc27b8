//! Why a call was not worked on.

use std::time::Duration;

use crate::Class;

/// Why a call was not worked on. All but [`Refusal::Lost`] may go better when the client asks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// As many calls of this class wait as may.
    #[error("the node is busy: {limit} calls wait already (limit {class}.queue); try again")]
    QueueFull {
        /// The call's class.
        class: Class,
        /// Calls that may wait.
        limit: usize,
    },
    /// No thread of this class became free.
    #[error("the node is busy: the call waited {} s for its turn (limit {class}.wait); try again", limit.as_secs_f64())]
    WaitedTooLong {
        /// The call's class.
        class: Class,
        /// How long a call may wait.
        limit: Duration,
    },
    /// The work ended unexpectedly.
    #[error("internal error")]
    Lost,
}
