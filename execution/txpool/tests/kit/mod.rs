//! Accounts, heads and transactions for the pool's tests.
#![expect(dead_code, reason = "each test file uses a part")]

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use alloy_consensus::{
    Header, SignableTransaction, Signed, TxEip1559, TxEip2930, TxEip4844, TxEip4844WithSidecar, TxEip7702,
    TxLegacy,
};
use alloy_eips::{
    eip4844::{Blob, BlobTransactionSidecar, env_settings::EnvKzgSettings},
    eip7594::BlobTransactionSidecarEip7594,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, keccak256};
use portico_chainspec::ChainSpec;
use portico_evm::{ReadError, Transaction};
use portico_txpool::{
    AccountCode, AccountReader, AddOutcome, HeadChange, Incoming, NetworkTransaction, Origin, Pool,
    PoolAccount, PoolError, Settings, Sidecar,
};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

pub const GWEI: u128 = 1_000_000_000;
pub const ETHER: u128 = GWEI * GWEI;
/// When everything happens, unless a test says otherwise.
pub const NOW: u64 = 1_700_000_012;

/// An account with a key.
#[derive(Clone, Copy)]
pub struct Signer {
    pub address: Address,
    key: SecretKey,
}

pub fn signer(index: u64) -> Signer {
    let key = SecretKey::from_byte_array(keccak256(index.to_be_bytes()).0).unwrap();
    let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
    Signer { address: Address::from_slice(&keccak256(&public[1..])[12..]), key }
}

impl Signer {
    fn sign_hash(&self, hash: B256) -> Signature {
        let signed = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &self.key);
        let (id, bytes) = signed.serialize_compact();
        Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1)
    }

    pub fn sign<T: SignableTransaction<Signature>>(&self, tx: T) -> Signed<T> {
        let signature = self.sign_hash(tx.signature_hash());
        tx.into_signed(signature)
    }

    pub fn legacy(&self, nonce: u64, gas_price: u128) -> NetworkTransaction {
        NetworkTransaction::Legacy(self.sign(TxLegacy {
            chain_id: Some(1337),
            nonce,
            gas_price,
            gas_limit: 21_000,
            to: TxKind::Call(Address::ZERO),
            ..TxLegacy::default()
        }))
    }

    pub fn access_list(&self, nonce: u64, gas_price: u128) -> NetworkTransaction {
        NetworkTransaction::Eip2930(self.sign(TxEip2930 {
            chain_id: 1337,
            nonce,
            gas_price,
            gas_limit: 21_000,
            to: TxKind::Call(Address::ZERO),
            ..TxEip2930::default()
        }))
    }

    pub fn fee(
        &self,
        nonce: u64,
        max_fee_per_gas: u128,
        max_priority_fee_per_gas: u128,
    ) -> NetworkTransaction {
        NetworkTransaction::Eip1559(self.sign(TxEip1559 {
            nonce,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            ..plain()
        }))
    }

    /// A blob transaction with the first of [`cells`].
    pub fn blob(&self, nonce: u64, fee: u128, blob_fee: u128) -> NetworkTransaction {
        self.blob_with(nonce, fee, blob_fee, cells(0))
    }

    pub fn blob_with(&self, nonce: u64, fee: u128, blob_fee: u128, sidecar: Sidecar) -> NetworkTransaction {
        let tx = TxEip4844 {
            chain_id: 1337,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: fee,
            max_fee_per_blob_gas: blob_fee,
            blob_versioned_hashes: sidecar.versioned_hashes().collect(),
            ..TxEip4844::default()
        };
        NetworkTransaction::Eip4844(self.sign(TxEip4844WithSidecar { tx, sidecar }))
    }

    pub fn delegating(&self, nonce: u64, fee: u128, authorities: &[Signer]) -> NetworkTransaction {
        let tx = TxEip7702 {
            chain_id: 1337,
            nonce,
            gas_limit: 100_000,
            max_fee_per_gas: fee,
            max_priority_fee_per_gas: fee,
            authorization_list: authorities.iter().map(Signer::authorize).collect(),
            ..TxEip7702::default()
        };
        NetworkTransaction::Eip7702(self.sign(tx))
    }

    fn authorize(&self) -> SignedAuthorization {
        let authorization =
            Authorization { chain_id: U256::from(1337), address: Address::repeat_byte(7), nonce: 0 };
        let signature = self.sign_hash(authorization.signature_hash());
        authorization.into_signed(signature)
    }
}

/// 21000 gas to the zero address.
pub fn plain() -> TxEip1559 {
    TxEip1559 {
        chain_id: 1337,
        gas_limit: 21_000,
        to: TxKind::Call(Address::ZERO),
        max_fee_per_gas: 2 * GWEI,
        max_priority_fee_per_gas: GWEI,
        ..TxEip1559::default()
    }
}

/// A transaction of somebody whose signature was recovered elsewhere.
pub fn from(sender: Address, tx: TxEip1559) -> Incoming {
    // Hashes have to differ from one sender to another, as they do with real signatures.
    let mark = U256::from_be_slice(sender.as_slice()) + U256::from(1);
    let signature = Signature::new(mark, U256::from(1), false);
    let transaction = NetworkTransaction::Eip1559(tx.into_signed(signature));
    Incoming { transaction, sender: Some(sender) }
}

/// A sidecar of one blob with cell proofs; those of different `index` differ.
pub fn cells(index: usize) -> Sidecar {
    static CELLS: LazyLock<Vec<BlobTransactionSidecarEip7594>> = LazyLock::new(|| {
        (0..2).map(|i| BlobTransactionSidecarEip7594::try_from_blobs(vec![blob(i)]).unwrap()).collect()
    });
    Sidecar::Eip7594(CELLS[index].clone())
}

/// A sidecar of one blob with one proof.
pub fn one_proof() -> Sidecar {
    static PROOF: LazyLock<BlobTransactionSidecar> = LazyLock::new(|| {
        BlobTransactionSidecar::try_from_blobs_with_settings(vec![blob(0)], EnvKzgSettings::Default.get())
            .unwrap()
    });
    Sidecar::Eip4844(PROOF.clone())
}

fn blob(index: u8) -> Blob {
    let mut blob = Blob::ZERO;
    blob[1] = index + 1;
    blob
}

/// A state as a map; accounts that are not in it are rich. It counts how often it is asked.
#[derive(Default)]
pub struct Accounts {
    pub known: RefCell<HashMap<Address, PoolAccount>>,
    pub reads: Cell<usize>,
}

impl Accounts {
    pub fn set(&self, address: Address, nonce: u64, balance: u128) {
        let account = PoolAccount { nonce, balance: U256::from(balance), code: AccountCode::None };
        self.known.borrow_mut().insert(address, account);
    }

    pub fn set_code(&self, address: Address, code: AccountCode) {
        let account = PoolAccount { code, ..rich() };
        self.known.borrow_mut().insert(address, account);
    }
}

pub fn rich() -> PoolAccount {
    PoolAccount { nonce: 0, balance: U256::from(1_000_000 * ETHER), code: AccountCode::None }
}

impl AccountReader for Accounts {
    fn accounts(&self, addresses: &[Address]) -> Result<Vec<PoolAccount>, ReadError> {
        self.reads.set(self.reads.get() + 1);
        let known = self.known.borrow();
        Ok(addresses.iter().map(|address| known.get(address).copied().unwrap_or_else(rich)).collect())
    }
}

/// A pool, the state below it, and the head that it stands on.
pub struct Bench {
    pub pool: Pool,
    pub accounts: Accounts,
    pub number: u64,
    pub base_fee: u64,
    pub now: u64,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        Self::on(ChainSpec::dev(), settings)
    }

    /// On a test network at block 1 under `fork`.
    pub fn under(fork: &str) -> Self {
        let spec = ChainSpec::for_test_network(fork, 1337, None).unwrap();
        Self::on(Arc::new(spec), Settings::default())
    }

    pub fn on(spec: Arc<ChainSpec>, settings: Settings) -> Self {
        let mut bench = Self {
            pool: Pool::new(settings, spec),
            accounts: Accounts::default(),
            number: 0,
            base_fee: GWEI as u64,
            now: NOW,
        };
        bench.advance(vec![], vec![]);
        bench
    }

    /// A new head with these transactions in it, after those of blocks that it took the place of.
    pub fn advance(&mut self, included: Vec<B256>, reverted: Vec<Transaction>) {
        self.advance_with(included, reverted, None);
    }

    pub fn advance_with(&mut self, included: Vec<B256>, reverted: Vec<Transaction>, finalized: Option<u64>) {
        self.number += 1;
        let header = Header {
            number: self.number,
            timestamp: self.now - 12,
            gas_limit: 30_000_000,
            gas_used: 15_000_000,
            base_fee_per_gas: Some(self.base_fee),
            excess_blob_gas: Some(0),
            blob_gas_used: Some(0),
            ..Header::default()
        };
        let change = HeadChange { header, total_difficulty: U256::ZERO, included, reverted, finalized };
        self.pool.on_new_head(change, &self.accounts, self.now).unwrap();
    }

    pub fn add(&self, transaction: NetworkTransaction) -> Result<AddOutcome, PoolError> {
        self.pool.add(Origin::External, transaction, &self.accounts, self.now)
    }

    pub fn add_local(&self, transaction: NetworkTransaction) -> Result<AddOutcome, PoolError> {
        self.pool.add(Origin::Local, transaction, &self.accounts, self.now)
    }

    pub fn add_incoming(&self, incoming: Incoming) -> Result<AddOutcome, PoolError> {
        self.pool.add_batch(Origin::External, vec![incoming], &self.accounts, self.now).pop().unwrap()
    }

    /// What a refusal says.
    pub fn refusal(&self, transaction: NetworkTransaction) -> String {
        self.add(transaction).unwrap_err().to_string()
    }

    /// An account's nonces: pending and queued.
    pub fn nonces(&self, address: Address) -> (Vec<u64>, Vec<u64>) {
        let (pending, queued) = self.pool.contents_from(address);
        let nonces =
            |all: Vec<Arc<portico_txpool::PoolTransaction>>| all.iter().map(|tx| tx.nonce()).collect();
        (nonces(pending), nonces(queued))
    }
}

/// As blocks hold it.
pub fn bare(transaction: &NetworkTransaction) -> Transaction {
    transaction.clone().into_envelope().into()
}

pub fn bytes(length: usize) -> Bytes {
    vec![1; length].into()
}
