//! Blob parameters over time (EIP-4844, EIP-7691, EIP-7840, EIP-7892).

use crate::{Activation, ChainSpecError, Fork, ForkSchedule};
use alloy_eips::{
    eip7594::MAX_BLOBS_PER_TX_FUSAKA,
    eip7840::{BLOB_BASE_COST, BlobParams},
};

/// Blobs a block may hold at most in any schedule; keeps blob gas arithmetic within 64 bits.
const BLOB_COUNT_MAX: u64 = 1 << 20;

/// The forks that may change the blob parameters.
const BLOB_FORKS: [Fork; 9] = [
    Fork::Cancun,
    Fork::Prague,
    Fork::Osaka,
    Fork::Bpo1,
    Fork::Bpo2,
    Fork::Bpo3,
    Fork::Bpo4,
    Fork::Bpo5,
    Fork::Amsterdam,
];

/// Blob parameters from one fork to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobScheduleEntry {
    /// The fork that brings them.
    pub fork: Fork,
    /// First timestamp, in seconds, at which they hold.
    pub timestamp: u64,
    /// The parameters, with the limit per transaction and the base cost (EIP-7918) of the forks active by then.
    pub params: BlobParams,
}

/// What a genesis file or a built-in chain says for one fork; the rest follows from the forks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenBlobParams {
    pub target: u64,
    pub max: u64,
    pub update_fraction: u64,
}

/// The blob parameters of a chain, ascending by time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlobSchedule {
    entries: Vec<BlobScheduleEntry>,
}

impl BlobSchedule {
    /// Lays `given` parameters out over the forks of `schedule`.
    ///
    /// A fork without parameters inherits those in force before it. Cancun and Prague start from the values of
    /// EIP-4844 and EIP-7691, which belong to those forks.
    pub(crate) fn new(
        schedule: &ForkSchedule,
        given: impl Fn(Fork) -> Option<GivenBlobParams>,
    ) -> Result<Self, ChainSpecError> {
        let mut forks: Vec<(u64, Fork)> = BLOB_FORKS
            .into_iter()
            .filter_map(|fork| match schedule.activation(fork) {
                Some(Activation::Timestamp(timestamp)) => Some((timestamp, fork)),
                _ => None,
            })
            .collect();
        forks.sort_unstable();
        let osaka = forks.iter().find(|(_, fork)| *fork == Fork::Osaka).map(|(timestamp, _)| *timestamp);

        let mut entries: Vec<BlobScheduleEntry> = Vec::with_capacity(forks.len());
        for (timestamp, fork) in forks {
            let inherited = entries.last().map_or(BlobParams::cancun(), |entry| entry.params);
            let mut params = match given(fork) {
                Some(given) => checked(fork, given)?,
                None if fork == Fork::Prague => BlobParams::prague(),
                None => inherited,
            };
            params.max_blobs_per_tx = params.max_blob_count;
            if osaka.is_some_and(|osaka| timestamp >= osaka) {
                params.max_blobs_per_tx = MAX_BLOBS_PER_TX_FUSAKA;
                params.blob_base_cost = BLOB_BASE_COST;
            }
            entries.push(BlobScheduleEntry { fork, timestamp, params });
        }
        Ok(Self { entries })
    }

    /// Parameters in force at `timestamp`; `None` before Cancun.
    pub fn params_at(&self, timestamp: u64) -> Option<BlobParams> {
        let after = self.entries.partition_point(|entry| entry.timestamp <= timestamp);
        Some(self.entries[..after].last()?.params)
    }

    /// All entries, ascending by time.
    pub fn entries(&self) -> &[BlobScheduleEntry] {
        &self.entries
    }
}

fn checked(fork: Fork, given: GivenBlobParams) -> Result<BlobParams, ChainSpecError> {
    let GivenBlobParams { target, max, update_fraction } = given;
    let fail = |reason| Err(ChainSpecError::InvalidBlobSchedule { fork, reason });
    if target > max {
        return fail("target is above max");
    }
    if max > BLOB_COUNT_MAX {
        return fail("max is out of any sensible range");
    }
    if update_fraction == 0 {
        return fail("baseFeeUpdateFraction is zero");
    }
    Ok(BlobParams {
        target_blob_count: target,
        max_blob_count: max,
        update_fraction: u128::from(update_fraction),
        ..BlobParams::cancun()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(target: u64, max: u64) -> Option<GivenBlobParams> {
        Some(GivenBlobParams { target, max, update_fraction: 1000 })
    }

    fn schedule() -> ForkSchedule {
        ForkSchedule::new([
            (Fork::Cancun, Activation::Timestamp(10)),
            (Fork::Prague, Activation::Timestamp(20)),
            (Fork::Osaka, Activation::Timestamp(30)),
            (Fork::Bpo1, Activation::Timestamp(40)),
            (Fork::Amsterdam, Activation::Timestamp(50)),
            (Fork::Bpo2, Activation::Timestamp(60)),
        ])
        .unwrap()
    }

    #[test]
    fn forks_without_an_entry_inherit() {
        let blobs = BlobSchedule::new(&schedule(), |fork| match fork {
            Fork::Bpo1 => given(10, 15),
            Fork::Bpo2 => given(1, 2),
            _ => None,
        })
        .unwrap();
        assert_eq!(blobs.params_at(9), None);
        assert_eq!(blobs.params_at(10), Some(BlobParams::cancun()));
        assert_eq!(blobs.params_at(29), Some(BlobParams::prague()));
        assert_eq!(blobs.params_at(30), Some(BlobParams::osaka()));
        let bpo1 = blobs.params_at(40).unwrap();
        assert_eq!((bpo1.target_blob_count, bpo1.max_blob_count, bpo1.max_blobs_per_tx), (10, 15, 6));
        assert_eq!(blobs.params_at(59), Some(bpo1));
        assert_eq!(blobs.params_at(u64::MAX).unwrap().max_blob_count, 2);
        assert_eq!(blobs.entries().len(), 6);
    }

    #[test]
    fn senseless_parameters_are_refused() {
        let of = |params| BlobSchedule::new(&schedule(), |_| Some(params));
        for params in [
            GivenBlobParams { target: 2, max: 1, update_fraction: 1 },
            GivenBlobParams { target: 1, max: u64::MAX, update_fraction: 1 },
            GivenBlobParams { target: 1, max: 1, update_fraction: 0 },
        ] {
            assert!(of(params).is_err());
        }
        assert!(of(GivenBlobParams { target: 0, max: 0, update_fraction: 1 }).is_ok());
    }
}
