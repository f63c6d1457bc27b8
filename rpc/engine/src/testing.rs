//! `testing_buildBlockV1`: a block upon any canonical block, from given transactions or from the pool. Nothing is kept.

use alloy_consensus::transaction::SignerRecoverable;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::PayloadAttributes;
use portico_chain::Transaction;
use portico_chainspec::Fork;
use portico_stages::{Candidate, CandidateSource, Refusal, Room, StageError, Verdict};
use portico_txpool::decode_network_transaction;
use serde_json::Value;

use crate::{
    Engine, EngineError,
    envelope::envelope,
    jobs::{Best, FromPool},
    payload::{check_attributes, fork_of},
};

/// All given transactions, in their order, or no block.
struct Given {
    transactions: std::vec::IntoIter<Candidate>,
    refused: Option<String>,
}

impl CandidateSource for Given {
    fn next(&mut self, _: Room) -> Option<Candidate> {
        if self.refused.is_some() { None } else { self.transactions.next() }
    }

    fn refused(&mut self, candidate: &Candidate, reason: &Refusal) -> Result<(), StageError> {
        self.refused = Some(format!("transaction {}: {reason}", candidate.transaction.tx_hash()));
        Ok(())
    }
}

/// From its bytes, with or without a sidecar.
fn decode(bytes: &Bytes) -> Result<Candidate, EngineError> {
    let bad = |error: String| EngineError::InvalidParams(format!("transaction: {error}"));
    let transaction = match Transaction::decode_2718_exact(bytes.as_ref()) {
        Ok(transaction) => transaction,
        Err(error) => {
            let with_sidecar = decode_network_transaction(bytes).map_err(|_| bad(error.to_string()))?;
            with_sidecar.map_eip4844(|tx| tx.into_parts().0)
        }
    };
    let sender = transaction.recover_signer().map_err(|error| bad(error.to_string()))?;
    Ok(Candidate { transaction, sender })
}

impl Engine {
    /// Builds a block; without a list of transactions from the pool.
    pub(crate) fn build_block(
        &self,
        parent: B256,
        attributes: PayloadAttributes,
        transactions: Option<Vec<Bytes>>,
        extra_data: Option<Bytes>,
    ) -> Result<Value, EngineError> {
        let tip = self.tip();
        let unknown = || EngineError::InvalidParams(format!("Parent block not found: {parent}"));
        if tip.prepare(parent)? != Verdict::Valid {
            return Err(unknown());
        }
        let header = tip.header(&parent)?.ok_or_else(unknown)?;
        if attributes.timestamp <= header.timestamp {
            return Err(EngineError::InvalidAttributes("the timestamp is not after the parent's".to_owned()));
        }
        let fork = fork_of(tip.spec(), header.number + 1, attributes.timestamp);
        let (forkchoice, version) = match fork {
            fork if fork >= Fork::Amsterdam => (4, 6),
            fork if fork >= Fork::Osaka => (3, 5),
            fork if fork >= Fork::Prague => (3, 4),
            fork if fork >= Fork::Cancun => (3, 3),
            fork if fork >= Fork::Shanghai => (2, 2),
            _ => (1, 1),
        };
        check_attributes(forkchoice, fork, &attributes)?;
        let mut build = self.build_attributes(fork, attributes);
        if let Some(extra_data) = extra_data {
            build.extra_data = extra_data;
        }
        let gone = || EngineError::Internal("the parent is no longer at hand".to_owned());
        let (built, sidecars) = match transactions {
            Some(transactions) => {
                let candidates = transactions.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
                let mut source = Given { transactions: candidates.into_iter(), refused: None };
                let built = tip.build(&parent, &build, &mut source)?.ok_or_else(gone)?;
                if let Some(refused) = source.refused {
                    return Err(EngineError::Refused(refused));
                }
                (built, Vec::new())
            }
            None => {
                let pool = self.query().pool();
                let pool =
                    pool.ok_or_else(|| EngineError::Refused("there is no transaction pool".to_owned()))?;
                self.query().follow_head().map_err(|error| EngineError::Internal(error.to_string()))?;
                let mut source = FromPool::new(pool, tip.spec(), &header, build.timestamp, fork);
                let built = tip.build(&parent, &build, &mut source)?.ok_or_else(gone)?;
                let sidecars = source.sidecars_of(&built.block);
                (built, sidecars)
            }
        };
        envelope(version, &Best { built, sidecars })
    }
}
