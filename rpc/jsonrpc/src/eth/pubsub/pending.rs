//! Carrying what the pool announces to the subscriptions.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use alloy_primitives::B256;
use portico_query::Pool;
use tokio::sync::broadcast::{self, Receiver, Sender};

/// Hashes that a subscription, and this watch itself, may be behind.
const HASHES_WAITING: usize = 16_384;
/// How often it is looked whether anybody listens still.
const PAUSE: Duration = Duration::from_secs(1);

/// One thread for all subscriptions, as long as there are any.
#[derive(Debug, Default)]
pub(super) struct PendingWatch {
    news: Mutex<Option<Sender<B256>>>,
}

impl PendingWatch {
    /// All hashes from now on.
    pub fn subscribe(self: &Arc<Self>, pool: &Arc<Pool>) -> Receiver<B256> {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(news) = &*news {
            return news.subscribe();
        }
        let (sender, receiver) = broadcast::channel(HASHES_WAITING);
        *news = Some(sender);
        let (watch, pool) = (self.clone(), pool.clone());
        thread::spawn(move || watch.run(&pool));
        receiver
    }

    fn run(&self, pool: &Pool) {
        let mut announced = pool.subscribe(HASHES_WAITING);
        loop {
            match announced.recv_timeout(PAUSE) {
                Ok(hash) => {
                    let news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
                    // Nobody may be there any more to hear it.
                    news.iter().for_each(|news| drop(news.send(hash)));
                }
                // This thread did not keep up: what it missed is lost, as for a subscription that lags.
                Err(error) if error.is_disconnected() => announced = pool.subscribe(HASHES_WAITING),
                Err(_) => {
                    let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
                    if news.as_ref().is_none_or(|news| news.receiver_count() == 0) {
                        *news = None;
                        return;
                    }
                }
            }
        }
    }
}
