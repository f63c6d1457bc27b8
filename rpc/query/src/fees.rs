//! What transactions pay: the next block's fees, and what blocks of the past say about a good tip.

use alloy_consensus::{Header, Transaction as _};
use alloy_primitives::Sealed;
use alloy_rpc_types_eth::FeeHistory;
use portico_consensus::{next_base_fee, next_blob_fee};

use crate::{BlockNumberOrTag, FullBlock, QueryError, Snapshot};

/// Blocks that are looked at for a tip; as many again when those hold too few transactions.
const SAMPLED_BLOCKS: usize = 20;
/// The lowest tips of a block that count.
const SAMPLES_PER_BLOCK: usize = 3;
/// Of all tips that count, the one that this part in a hundred does not exceed.
const TIP_PERCENTILE: usize = 60;
/// Tips below are of senders who pay block builders in other ways, in wei.
const TIP_MIN: u128 = 2;
/// No tip is suggested above, in wei.
const TIP_MAX: u128 = 500_000_000_000;
/// The tip when no block says anything, in wei.
const TIP_DEFAULT: u128 = 1_000_000;
/// Blocks in a fee history.
const HISTORY_BLOCKS_MAX: u64 = 1024;
/// Percentiles in a fee history.
const PERCENTILES_MAX: usize = 100;

impl Snapshot<'_> {
    /// Base fee of the block after the head, in wei; `None` before London.
    pub fn next_base_fee(&self) -> Result<Option<u64>, QueryError> {
        Ok(self.base_fee_after(&*self.known_header(self.head)?))
    }

    /// Base fee of a block that follows this one, in wei; `None` before London.
    pub fn base_fee_after(&self, header: &Header) -> Option<u64> {
        next_base_fee(self.spec(), header)
    }

    /// Price of blob gas in the block after the head, in wei; `None` before Cancun.
    pub fn next_blob_base_fee(&self) -> Result<Option<u128>, QueryError> {
        let head = self.known_header(self.head)?;
        Ok(next_blob_fee(self.spec(), &head, head.timestamp))
    }

    /// A price per gas with which a legacy transaction is likely to be in one of the next blocks, in wei.
    pub fn gas_price(&self) -> Result<u128, QueryError> {
        let base_fee = self.known_header(self.head)?.base_fee_per_gas.unwrap_or_default();
        Ok(self.priority_fee()?.saturating_add(u128::from(base_fee)))
    }

    /// A tip per gas with which a transaction is likely to be in one of the next blocks, in wei: a percentile of the
    /// lowest tips in the last blocks.
    pub fn priority_fee(&self) -> Result<u128, QueryError> {
        let mut tips = Vec::new();
        let mut wanted = SAMPLED_BLOCKS;
        for (looked_at, block_number) in (0..=self.head).rev().enumerate().take(2 * SAMPLED_BLOCKS) {
            if looked_at >= wanted {
                break;
            }
            self.check_deadline()?;
            let block = self.block(block_number)?.ok_or(QueryError::BlockNotFound(block_number.into()))?;
            let lowest = lowest_tips(&block);
            // A block that says little is not worth a block.
            if lowest.len() <= 1 {
                wanted += 1;
            }
            tips.extend(lowest);
        }
        tips.sort_unstable();
        let tip = tips.get(tips.len().saturating_sub(1) * TIP_PERCENTILE / 100);
        Ok(tip.copied().unwrap_or(TIP_DEFAULT).min(TIP_MAX))
    }

    /// Fees of `count` blocks up to `newest`, and of the one after; with `percentiles`, tips by the gas that paid
    /// at most them.
    ///
    /// # Errors
    /// [`QueryError::Percentiles`]; [`QueryError::RangeBeyondHead`]; [`QueryError::Pruned`] for receipts, which
    /// percentiles need.
    pub fn fee_history(
        &self,
        count: u64,
        newest: BlockNumberOrTag,
        percentiles: &[f64],
    ) -> Result<FeeHistory, QueryError> {
        check_percentiles(percentiles)?;
        let newest = match newest {
            BlockNumberOrTag::Number(to) if to > self.head => {
                return Err(QueryError::RangeBeyondHead { to, head: self.head });
            }
            newest => self.require(newest.into())?,
        };
        let count = count.min(HISTORY_BLOCKS_MAX).min(newest + 1);
        let mut history = FeeHistory::default();
        if count == 0 {
            return Ok(history);
        }
        history.oldest_block = newest + 1 - count;
        let mut rewards = Vec::new();
        for block_number in history.oldest_block..=newest {
            self.check_deadline()?;
            let header = self.known_header(block_number)?;
            self.add_block(&header, &mut history);
            if !percentiles.is_empty() {
                rewards.push(self.rewards(&header, percentiles)?);
            }
        }
        let last = self.known_header(newest)?;
        let next_base_fee = next_base_fee(self.spec(), &last).unwrap_or_default();
        let next_blob_fee = next_blob_fee(self.spec(), &last, last.timestamp).unwrap_or_default();
        history.base_fee_per_gas.push(next_base_fee.into());
        history.base_fee_per_blob_gas.push(next_blob_fee);
        history.reward = (!percentiles.is_empty()).then_some(rewards);
        Ok(history)
    }

    fn add_block(&self, header: &Header, history: &mut FeeHistory) {
        history.base_fee_per_gas.push(header.base_fee_per_gas.unwrap_or_default().into());
        history.gas_used_ratio.push(ratio(header.gas_used, header.gas_limit));
        history.base_fee_per_blob_gas.push(self.blob_base_fee(header).unwrap_or_default());
        let params = self.spec().blob_params_at(header.timestamp);
        let blob_gas_max = params.map_or(0, |params| params.max_blob_gas_per_block());
        history.blob_gas_used_ratio.push(ratio(header.blob_gas_used.unwrap_or_default(), blob_gas_max));
    }

    /// For each percentile the tip that so much of the block's gas does not exceed.
    fn rewards(&self, header: &Sealed<Header>, percentiles: &[f64]) -> Result<Vec<u128>, QueryError> {
        let base_fee = header.base_fee_per_gas;
        let receipts = self.block_receipts(header.number)?.into_iter().map(|receipt| {
            let tip = tip(&receipt.transaction.transaction, base_fee);
            (tip, receipt.gas_used)
        });
        Ok(weighted_percentiles(receipts.collect(), header.gas_used, percentiles))
    }
}

fn tip(transaction: &crate::Transaction, base_fee: Option<u64>) -> u128 {
    transaction.effective_tip_per_gas(base_fee.unwrap_or_default()).unwrap_or_default()
}

/// The lowest tips in a block that are no tricks, and not the block's author's own.
fn lowest_tips(block: &FullBlock) -> Vec<u128> {
    let header = &block.parts.header;
    let signed = block.parts.transactions.iter().zip(&block.senders);
    let others = signed.filter(|(_, sender)| **sender != header.beneficiary);
    let mut tips: Vec<u128> = others
        .map(|(transaction, _)| tip(transaction, header.base_fee_per_gas))
        .filter(|tip| *tip >= TIP_MIN)
        .collect();
    tips.sort_unstable();
    tips.truncate(SAMPLES_PER_BLOCK);
    tips
}

fn check_percentiles(percentiles: &[f64]) -> Result<(), QueryError> {
    let invalid = |reason: String| Err(QueryError::Percentiles { reason });
    if percentiles.len() > PERCENTILES_MAX {
        return invalid(format!("{} of them, at most {PERCENTILES_MAX} may be asked for", percentiles.len()));
    }
    if let Some(outside) = percentiles.iter().find(|percentile| !(0.0..=100.0).contains(*percentile)) {
        return invalid(format!("{outside} is not between 0 and 100"));
    }
    if let Some(pair) = percentiles.windows(2).find(|pair| pair[0] >= pair[1]) {
        return invalid(format!("{} comes after {}; they must ascend", pair[1], pair[0]));
    }
    Ok(())
}

/// Percentiles of tips, weighted by the gas of the transactions (tip, gas used); zeros for an empty block.
fn weighted_percentiles(mut tips: Vec<(u128, u64)>, gas_used: u64, percentiles: &[f64]) -> Vec<u128> {
    tips.sort_by_key(|(tip, _)| *tip);
    let Some((_, last)) = tips.split_last() else { return vec![0; percentiles.len()] };
    let mut position = 0;
    let mut gas = tips[0].1;
    let at = |percentile: &f64| {
        let threshold = (gas_used as f64 * percentile / 100.0) as u64;
        while gas < threshold && position < last.len() {
            position += 1;
            gas += tips[position].1;
        }
        tips[position].0
    };
    percentiles.iter().map(at).collect()
}

fn ratio(used: u64, limit: u64) -> f64 {
    if limit == 0 { 0.0 } else { used as f64 / limit as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tips_are_weighted_by_gas() {
        let tips = vec![(30, 10), (10, 80), (20, 10)];
        assert_eq!(weighted_percentiles(tips, 100, &[0.0, 80.0, 81.0, 90.0, 100.0]), [10, 10, 20, 20, 30]);
        assert_eq!(weighted_percentiles(Vec::new(), 0, &[1.0, 2.0]), [0, 0]);
    }

    #[test]
    fn percentiles_ascend_from_0_to_100() {
        assert!(check_percentiles(&[]).is_ok());
        assert!(check_percentiles(&[0.0, 0.5, 100.0]).is_ok());
        for (percentiles, reason) in [
            (vec![-1.0], "not between"),
            (vec![100.1], "not between"),
            (vec![f64::NAN], "not between"),
            (vec![2.0, 1.0], "1 comes after 2"),
            (vec![1.0, 1.0], "must ascend"),
            ((0..101).map(|percentile| f64::from(percentile) / 2.0).collect(), "at most 100"),
        ] {
            let error = check_percentiles(&percentiles).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
