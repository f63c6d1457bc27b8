//! The transaction pool of a node, and keeping it at the head.

use std::{sync::Arc, thread, time::Duration};

use portico_query::{Pool, Query, seconds_now};
use portico_stages::StopSignal;
use portico_txpool::Settings;

/// Pause between two looks at the head.
const PAUSE: Duration = Duration::from_millis(100);

/// Gives `query` a pool that stands at the head, with the local transactions that its journal has, and follows the head on a
/// thread of its own until `stop`. The head may be moved by another process.
pub(crate) fn start(query: &Query, settings: Settings, stop: &StopSignal) -> eyre::Result<()> {
    let pool = Arc::new(Pool::new(settings, query.spec().clone()));
    query.set_pool(pool.clone());
    query.follow_head()?;
    if let Err(error) = pool.load_journal(&query.snapshot()?, seconds_now()) {
        let path = pool.settings().journal.as_ref().map(|path| path.display().to_string());
        tracing::warn!(path, %error, "there is no journal: local transactions will not outlive this process");
    }
    let (query, stop) = (query.clone(), stop.clone());
    thread::Builder::new().name("txpool".to_owned()).spawn(move || {
        while !stop.is_stopped() {
            thread::sleep(PAUSE);
            if let Err(error) = query.follow_head() {
                tracing::warn!(%error, "the transaction pool cannot follow the head");
            }
        }
    })?;
    Ok(())
}
