//! Random transactions of all kinds that a fork has; a few are such that no block can hold them.

use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use portico_chainspec::Fork;
use portico_evm::Transaction;
use secp256k1::{Message, SECP256K1};

use super::{
    code::random_init_code,
    network::{Network, Signer},
    random::Random,
};

/// Gas that a transaction may use at most: bounds how much its calls can do.
const GAS_MAX: u64 = 600_000;

/// What transactions must fit.
pub(crate) struct Surroundings<'a> {
    pub(crate) network: &'a Network,
    pub(crate) fork: Fork,
    /// 0 before London.
    pub(crate) base_fee: u64,
    pub(crate) blob_fee: u128,
    pub(crate) blobs_left: u64,
    /// Accounts that exist.
    pub(crate) existing: &'a [Address],
    pub(crate) nonce_of: &'a dyn Fn(&Address) -> u64,
}

impl Surroundings<'_> {
    /// A transaction and its sender.
    pub(crate) fn random_transaction(&self, random: &mut Random) -> (Transaction, Address) {
        let sender = random.pick(&self.network.signers);
        let mut nonce = (self.nonce_of)(&sender.address);
        if random.percent(2) {
            nonce += 1;
        }
        let to = self.random_recipient(random);
        let input = self.random_input(random, to);
        let value = U256::from(random.pick(&[0, 0, 0, 1, 1_000, 1_000_000]));
        let gas_limit = random.pick(&[21_000, 60_000, 150_000, 300_000, GAS_MAX, GAS_MAX]);
        let tip = random.below(3);
        let price = u128::from(self.base_fee + tip);
        let chain_id = self.network.spec.chain_id();
        let access_list = self.random_access_list(random);
        let transaction = match self.random_type(random, to) {
            0 => {
                let is_protected = self.fork >= Fork::SpuriousDragon && random.percent(60);
                let chain_id = is_protected.then_some(chain_id);
                sign(&sender, TxLegacy { chain_id, nonce, gas_price: price, gas_limit, to, value, input })
            }
            1 => sign(
                &sender,
                TxEip2930 { chain_id, nonce, gas_price: price, gas_limit, to, value, access_list, input },
            ),
            2 => sign(
                &sender,
                TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: price * 2,
                    max_priority_fee_per_gas: u128::from(tip),
                    to,
                    value,
                    access_list,
                    input,
                },
            ),
            3 => sign(
                &sender,
                TxEip4844 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: price * 2,
                    max_priority_fee_per_gas: u128::from(tip),
                    to: to.to().copied().unwrap_or_default(),
                    value,
                    access_list,
                    blob_versioned_hashes: self.random_blobs(random),
                    max_fee_per_blob_gas: self.blob_fee * 2,
                    input,
                },
            ),
            _ => sign(
                &sender,
                TxEip7702 {
                    chain_id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas: price * 2,
                    max_priority_fee_per_gas: u128::from(tip),
                    to: to.to().copied().unwrap_or_default(),
                    value,
                    access_list,
                    authorization_list: self.random_authorizations(random, &sender, nonce),
                    input,
                },
            ),
        };
        (transaction, sender.address)
    }

    fn random_type(&self, random: &mut Random, to: TxKind) -> u64 {
        let types = match self.fork {
            fork if fork >= Fork::Prague && to.is_call() => 5,
            fork if fork >= Fork::Cancun && to.is_call() && self.blobs_left > 0 => 4,
            fork if fork >= Fork::London => 3,
            fork if fork >= Fork::Berlin => 2,
            _ => 1,
        };
        match random.below(types) {
            3 if self.blobs_left == 0 => 2,
            kind => kind,
        }
    }

    fn random_recipient(&self, random: &mut Random) -> TxKind {
        TxKind::Call(match random.below(20) {
            0..=2 => return TxKind::Create,
            3..=11 => random.pick(&self.network.contracts),
            12..=15 => random.pick(self.existing),
            16 if self.fork >= Fork::Prague => {
                random.pick(&[WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS])
            }
            _ => random.pick(&self.network.pool),
        })
    }

    fn random_input(&self, random: &mut Random, to: TxKind) -> Bytes {
        let TxKind::Call(to) = to else { return random_init_code(random, &self.network.pool, 2).into() };
        let count = match to {
            WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS => 56,
            CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS => 96,
            _ => random.pick(&[0, 4, 32, 40, 64]),
        };
        random.bytes(count).into()
    }

    fn random_access_list(&self, random: &mut Random) -> AccessList {
        let items = (0..random.below(3)).map(|_| AccessListItem {
            address: random.pick(&self.network.pool),
            storage_keys: (0..random.below(3)).map(|slot| B256::from(U256::from(slot))).collect(),
        });
        AccessList(items.collect())
    }

    fn random_blobs(&self, random: &mut Random) -> Vec<B256> {
        let count = random.between(1, self.blobs_left.min(3));
        let hashes = (0..count).map(|_| {
            let mut hash = random.word();
            hash.0[0] = 1;
            hash
        });
        hashes.collect()
    }

    fn random_authorizations(
        &self,
        random: &mut Random,
        sender: &Signer,
        sender_nonce: u64,
    ) -> Vec<SignedAuthorization> {
        let authorizations = (0..random.between(1, 3)).map(|_| {
            let authority = random.pick(&self.network.signers);
            let nonce = match authority.address == sender.address {
                true => sender_nonce + 1,
                false => (self.nonce_of)(&authority.address),
            };
            let address = match random.below(4) {
                0 => Address::ZERO,
                1 => random.pick(&self.network.pool),
                _ => random.pick(&self.network.contracts),
            };
            let chain_id = random.pick(&[0, self.network.spec.chain_id(), self.network.spec.chain_id(), 999]);
            let authorization = Authorization { chain_id: U256::from(chain_id), address, nonce };
            let signature = sign_hash(&authority, authorization.signature_hash());
            authorization.into_signed(signature)
        });
        authorizations.collect()
    }
}

fn sign<T>(signer: &Signer, transaction: T) -> Transaction
where
    T: SignableTransaction<Signature>,
    Transaction: From<alloy_consensus::Signed<T>>,
{
    let signature = sign_hash(signer, transaction.signature_hash());
    transaction.into_signed(signature).into()
}

fn sign_hash(signer: &Signer, hash: B256) -> Signature {
    let signature = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &signer.key);
    let (recovery_id, bytes) = signature.serialize_compact();
    let (r, s) = (U256::from_be_slice(&bytes[..32]), U256::from_be_slice(&bytes[32..]));
    Signature::new(r, s, i32::from(recovery_id) & 1 == 1)
}
