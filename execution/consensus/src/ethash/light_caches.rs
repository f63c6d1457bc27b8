//! The caches of the epochs that were asked for last.

use super::{Cache, Epoch, verify_seal};
use crate::ConsensusError;
use alloy_consensus::Header;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock},
};

/// Caches that are kept: blocks come in order, so that of their epoch and the one before it, for a step back.
const KEPT: usize = 2;

/// Keeps the two caches that were asked for last; any number of threads may ask at a time.
///
/// Memory: a cache has 16 MiB in the first epoch and 82 MiB at mainnet's merge. One that is no longer kept lives on
/// until whoever asked for it lets go.
#[derive(Debug, Default)]
pub struct LightCaches {
    /// The latest one last.
    kept: Mutex<VecDeque<(Epoch, Slot)>>,
}

/// A cache, or the place where it is being made.
type Slot = Arc<OnceLock<Arc<Cache>>>;

impl LightCaches {
    /// The cache of an epoch. When there is none yet, the first thread to ask makes it and the others wait.
    pub fn of_epoch(&self, epoch: Epoch) -> Arc<Cache> {
        // The list is not locked meanwhile: caches of other epochs can be had.
        self.slot(epoch).get_or_init(|| Arc::new(Cache::generate(epoch))).clone()
    }

    /// Checks the seal of a header.
    ///
    /// # Errors
    /// As [`verify_seal`], and [`ConsensusError::EthashEpoch`] for a block beyond the last epoch.
    pub fn verify_seal(&self, header: &Header) -> Result<(), ConsensusError> {
        verify_seal(&self.of_epoch(Epoch::of_block(header.number)?), header)
    }

    fn slot(&self, epoch: Epoch) -> Slot {
        let mut kept = self.kept.lock().expect("nothing panics while it is locked");
        let position = kept.iter().position(|(of, _)| *of == epoch);
        let latest = position.and_then(|position| kept.remove(position)).unwrap_or_else(|| {
            if kept.len() == KEPT {
                kept.pop_front();
            }
            (epoch, Slot::default())
        });
        kept.push_back(latest.clone());
        latest.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(number: u64) -> Epoch {
        Epoch::of_block(number * super::super::EPOCH_BLOCKS).unwrap()
    }

    fn kept(caches: &LightCaches) -> Vec<u64> {
        caches.kept.lock().unwrap().iter().map(|(epoch, _)| epoch.number()).collect()
    }

    #[test]
    fn the_epochs_asked_for_last_are_kept() {
        let caches = LightCaches::default();
        for (asked, expected) in [(0, &[0][..]), (1, &[0, 1]), (0, &[1, 0]), (2, &[0, 2]), (0, &[2, 0])] {
            let slot = caches.slot(epoch(asked));
            assert!(slot.get().is_none(), "not made before someone waits for it");
            assert_eq!(kept(&caches), expected);
        }
    }

    #[test]
    fn threads_share_one_cache() {
        let caches = LightCaches::default();
        let made = std::thread::scope(|scope| {
            let threads = [(); 2].map(|()| scope.spawn(|| caches.of_epoch(epoch(0))));
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(Arc::ptr_eq(&made[0], &made[1]));
        assert_eq!(made[0].epoch(), epoch(0));
    }
}
