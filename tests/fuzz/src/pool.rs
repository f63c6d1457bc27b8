//! What clients and peers send to the pool, and what it left on disk.

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, U256};
use portico_chainspec::ChainSpec;
use portico_evm::ReadError;
use portico_txpool::{
    AccountReader, Origin, Pool, PoolAccount, Settings, decode_network_transaction, read_journal,
};

/// A transaction as it is sent, which must encode to the same bytes; a pool takes it or leaves it, and holds what it took.
pub fn pooled(bytes: &[u8]) {
    let Ok(transaction) = decode_network_transaction(bytes) else { return };
    assert_eq!(transaction.encoded_2718(), bytes);
    assert_eq!(transaction.encode_2718_len(), bytes.len());
    let pool = Pool::new(Settings::default(), ChainSpec::dev());
    let outcome = pool.add(Origin::External, transaction, &Rich, 1);
    let status = pool.status();
    assert_eq!(status.pending + status.queued, usize::from(outcome.is_ok()));
    let Ok(added) = outcome else { return };
    assert_eq!(pool.get(&added.hash).expect("it was added").to_network_bytes(), bytes);
}

/// A journal: what can be read of it can be written and read again.
pub fn journal(mut bytes: &[u8]) {
    let journaled = read_journal(&mut bytes).expect("bytes can be read");
    let mut again = Vec::new();
    for transaction in &journaled.transactions {
        transaction.network_encode(&mut again);
    }
    let reread = read_journal(&mut &again[..]).expect("bytes can be read");
    assert_eq!(reread.transactions, journaled.transactions);
    assert!(!reread.is_cut_off && reread.undecodable == 0);
}

/// Everybody can pay for everything.
struct Rich;

impl AccountReader for Rich {
    fn accounts(&self, addresses: &[Address]) -> Result<Vec<PoolAccount>, ReadError> {
        Ok(vec![PoolAccount { balance: U256::MAX, ..PoolAccount::default() }; addresses.len()])
    }
}
