//! Which proof-of-work seals of a batch are verified, and verifying them on all cores.

use std::{collections::hash_map::RandomState, hash::BuildHasher, sync::Arc, time::Instant};

use alloy_consensus::Header;
use portico_chain::NewHeader;
use portico_consensus::{
    ConsensusError,
    ethash::{Epoch, LightCaches, VerifyPow, verify_seal},
};
use rayon::prelude::*;

use crate::{StageContext, StageError};

/// One in so many headers is in the sample.
const SAMPLE_ONE_IN: u64 = 100;

/// Verifies seals. The caches outlive a batch, and are shared with whoever else verifies.
pub(crate) struct Seals {
    caches: Arc<LightCaches>,
    /// Chooses the sample: a hash with a key from the system's randomness, so that nobody who makes blocks can tell
    /// which, while a batch that is done again has the same ones.
    choice: RandomState,
}

/// A seal that does not hold: its position among those that were verified, and why.
pub(crate) type BadSeal = (usize, ConsensusError);

impl Seals {
    pub(crate) fn new(caches: Arc<LightCaches>) -> Self {
        Self { caches, choice: RandomState::new() }
    }

    /// Verifies seals among `headers`, which are mined blocks in ascending order.
    ///
    /// # Errors
    /// [`StageError::InvalidBlock`] for the lowest of them whose seal does not hold: once one of the sample does not,
    /// all before it are looked at.
    pub(crate) fn verify(
        &self,
        context: &StageContext<'_>,
        verify_pow: VerifyPow,
        headers: &[&NewHeader],
    ) -> Result<(), StageError> {
        let chosen = match verify_pow {
            VerifyPow::All => headers.to_vec(),
            VerifyPow::Sample => self.sample(headers),
            VerifyPow::None => Vec::new(),
        };
        let Some((position, error)) = self.lowest_bad(context, &chosen)? else { return Ok(()) };
        let bad = chosen[position];
        let before = headers.partition_point(|header| header.header.number < bad.header.number);
        let lower = match verify_pow {
            VerifyPow::Sample => self.lowest_bad(context, &headers[..before])?,
            VerifyPow::All | VerifyPow::None => None,
        };
        let (bad, error) = lower.map_or((bad, error), |(position, error)| (headers[position], error));
        let (number, hash) = (bad.header.number, bad.hash);
        Err(StageError::InvalidBlock { number, hash, reason: Box::new(error.into()) })
    }

    /// About one in a hundred, and the last.
    fn sample<'a>(&self, headers: &[&'a NewHeader]) -> Vec<&'a NewHeader> {
        let Some((last, others)) = headers.split_last() else { return Vec::new() };
        let drawn = |header: &&NewHeader| self.choice.hash_one(header.hash).is_multiple_of(SAMPLE_ONE_IN);
        others.iter().copied().filter(drawn).chain([*last]).collect()
    }

    fn lowest_bad(
        &self,
        context: &StageContext<'_>,
        headers: &[&NewHeader],
    ) -> Result<Option<BadSeal>, StageError> {
        let headers: Vec<&Header> = headers.iter().map(|header| &header.header).collect();
        let started = Instant::now();
        let bad = first_bad_seal(context, &self.caches, &headers)?;
        let elapsed_ms = started.elapsed().as_millis() as u64;
        tracing::debug!(seals = headers.len(), elapsed_ms, "proof of work verified");
        Ok(bad)
    }
}

/// The first of `headers` whose seal does not hold. They are taken epoch by epoch, so that one cache is needed at a
/// time.
///
/// # Errors
/// [`StageError::Stopped`] when asked to stop.
pub(crate) fn first_bad_seal(
    context: &StageContext<'_>,
    caches: &LightCaches,
    headers: &[&Header],
) -> Result<Option<BadSeal>, StageError> {
    let epoch_of = |header: &Header| Epoch::of_block(header.number);
    let mut before = 0;
    for of_epoch in headers.chunk_by(|left, right| epoch_of(left) == epoch_of(right)) {
        context.stop.check()?;
        let cache = match epoch_of(of_epoch[0]) {
            Ok(epoch) => caches.of_epoch(epoch),
            Err(error) => return Ok(Some((before, error))),
        };
        let bad = of_epoch.par_iter().enumerate().find_map_first(|(position, header)| {
            // Being asked to stop ends the search like a find.
            let found = context.stop.check().map(|()| verify_seal(&cache, header).err());
            found.map(|error| error.map(|error| (before + position, error))).transpose()
        });
        if let Some(found) = bad {
            return found.map(Some);
        }
        before += of_epoch.len();
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, U256};
    use portico_chainspec::ChainSpec;

    use super::*;
    use crate::{StageSettings, StopSignal};

    fn headers(count: u64) -> Vec<NewHeader> {
        let header = |number| {
            let header = Header { number, difficulty: U256::ONE, ..Header::default() };
            NewHeader { hash: header.hash_slow(), header, total_difficulty: U256::from(number) }
        };
        (1..=count).map(header).collect()
    }

    fn sampled(seals: &Seals, headers: &[NewHeader]) -> Vec<B256> {
        let headers: Vec<&NewHeader> = headers.iter().collect();
        seals.sample(&headers).iter().map(|header| header.hash).collect()
    }

    #[test]
    fn a_sample_is_one_in_a_hundred_and_the_last() {
        let headers = headers(20_000);
        let seals = Seals::new(Arc::default());
        let sample = sampled(&seals, &headers);
        // Seven standard deviations on either side of 200.
        assert!((100..=300).contains(&sample.len()), "{} of 20,000", sample.len());
        assert_eq!(sample.last(), Some(&headers[19_999].hash));
        assert_eq!(sampled(&seals, &headers[..1]), [headers[0].hash]);
        assert!(sampled(&seals, &[]).is_empty());
    }

    #[test]
    fn a_sample_is_the_same_again_and_another_in_another_run() {
        let headers = headers(20_000);
        let seals = Seals::new(Arc::default());
        assert_eq!(sampled(&seals, &headers), sampled(&seals, &headers));
        assert_ne!(sampled(&seals, &headers), sampled(&Seals::new(Arc::default()), &headers));
    }

    #[test]
    fn the_first_bad_seal_is_found_unless_asked_to_stop() {
        let rows = headers(40);
        let mut headers: Vec<&Header> = rows.iter().map(|row| &row.header).collect();
        let beyond = Header { number: u64::MAX, ..Header::default() };
        headers.insert(0, &beyond);
        let (spec, settings, stop) = (ChainSpec::mainnet(), StageSettings::default(), StopSignal::default());
        let context = StageContext {
            spec: &spec,
            settings: &settings,
            stop: &stop,
            progress: &(),
            scratch: std::path::PathBuf::new(),
        };
        let caches = LightCaches::default();
        let first = |headers: &[&Header]| first_bad_seal(&context, &caches, headers);
        assert!(matches!(first(&headers), Ok(Some((0, ConsensusError::EthashEpoch { .. })))));
        assert!(matches!(first(&headers[1..]), Ok(Some((0, ConsensusError::EthashMixHash { .. })))));
        assert!(matches!(first(&[]), Ok(None)));
        stop.stop();
        assert!(matches!(first(&headers[1..]), Err(StageError::Stopped)));
    }
}
