//! `portico evm b11r`: the block builder. A header, transactions, ommers and withdrawals go in; the block's RLP and hash
//! come out. Nothing is executed and no rule is checked, so that bad blocks can be built too.
//!
//! The interface is that of go-ethereum's `evm b11r`.

use std::path::PathBuf;

use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header, proofs::calculate_ommers_root,
};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256, hex};
use alloy_rlp::{Decodable, Encodable};
use clap::Args;
use portico_consensus::clique::{SEAL_SIZE, VANITY_SIZE, seal_hash};
use portico_evm::Transaction;
use secp256k1::{Message, SECP256K1, SecretKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    number::{Number, narrow, narrow_option},
    t8n::{T8nError, files, transactions::decode_list},
};

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 done, 3 configuration, 10 input, 11 files.")]
pub(crate) struct B11rArgs {
    /// The header: a file, or `stdin`
    #[arg(long = "input.header", value_name = "FILE", default_value = "header.json")]
    header: String,
    /// Ommers, a list of blocks in RLP and hexadecimal of which the headers are taken: a file, or `stdin`
    #[arg(long = "input.ommers", value_name = "FILE")]
    ommers: Option<String>,
    /// Withdrawals: a file, or `stdin`
    #[arg(long = "input.withdrawals", value_name = "FILE")]
    withdrawals: Option<String>,
    /// Transactions, an RLP list in hexadecimal as `t8n --output.body` writes it: a file, or `stdin`
    #[arg(long = "input.txs", value_name = "FILE", default_value = "txs.rlp")]
    txs: String,
    /// Folder for the output file; made when it is not there
    #[arg(long = "output.basedir", value_name = "DIR")]
    basedir: Option<PathBuf>,
    /// The block: a file, `stdout`, or `stderr`
    #[arg(long = "output.block", value_name = "FILE", default_value = "block.json")]
    block: String,
    /// Seal the block for Clique (secretKey, voted, authorize, vanity): a file, or `stdin`
    #[arg(long = "seal.clique", value_name = "FILE", conflicts_with = "ethash")]
    clique: Option<String>,
    /// Not supported: mining takes a dataset of a gigabyte, and go-ethereum's tool no longer does it either
    #[arg(long = "seal.ethash")]
    ethash: bool,
}

/// Runs the tool; an error is printed and becomes the exit code.
pub(super) fn run(args: &B11rArgs) -> std::process::ExitCode {
    super::t8n::exit(try_run(args))
}

fn try_run(args: &B11rArgs) -> Result<(), T8nError> {
    if args.ethash {
        return Err(T8nError::configuration("--seal.ethash is not supported"));
    }
    let folder = files::output_folder(args.basedir.as_deref())?;
    let block = Input::read(args)?.build()?;
    let mut rlp = Vec::new();
    block.encode(&mut rlp);
    let output = json!({ "rlp": hex::encode_prefixed(rlp), "hash": block.header.hash_slow() });
    files::write_one(&folder, &args.block, &output)
}

/// What goes in, as JSON.
struct Input {
    header: HeaderInput,
    ommers: Vec<Bytes>,
    txs: Bytes,
    withdrawals: Option<Withdrawals>,
    clique: Option<CliqueInput>,
}

/// A header in the spelling of JSON-RPC. What is left out is empty, zero, or follows from the rest of the block.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeaderInput {
    #[serde(default)]
    parent_hash: B256,
    #[serde(default, alias = "uncleHash")]
    sha3_uncles: Option<B256>,
    #[serde(default, alias = "coinbase")]
    miner: Option<Address>,
    state_root: B256,
    #[serde(default, alias = "transactionsTrie")]
    transactions_root: Option<B256>,
    #[serde(default, alias = "receiptTrie")]
    receipts_root: Option<B256>,
    #[serde(default, alias = "bloom")]
    logs_bloom: Bloom,
    #[serde(default)]
    difficulty: Option<Number>,
    #[serde(deserialize_with = "narrow")]
    number: u64,
    #[serde(deserialize_with = "narrow")]
    gas_limit: u64,
    #[serde(default, deserialize_with = "narrow_option")]
    gas_used: Option<u64>,
    #[serde(deserialize_with = "narrow")]
    timestamp: u64,
    #[serde(default)]
    extra_data: Option<Bytes>,
    #[serde(default)]
    mix_hash: B256,
    #[serde(default)]
    nonce: Option<B64>,
    #[serde(default, deserialize_with = "narrow_option")]
    base_fee_per_gas: Option<u64>,
    #[serde(default)]
    withdrawals_root: Option<B256>,
    #[serde(default, deserialize_with = "narrow_option")]
    blob_gas_used: Option<u64>,
    #[serde(default, deserialize_with = "narrow_option")]
    excess_blob_gas: Option<u64>,
    #[serde(default)]
    parent_beacon_block_root: Option<B256>,
    #[serde(default)]
    requests_hash: Option<B256>,
    #[serde(default)]
    block_access_list_hash: Option<B256>,
    #[serde(default, deserialize_with = "narrow_option")]
    slot_number: Option<u64>,
}

/// How a Clique block is sealed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CliqueInput {
    secret_key: B256,
    #[serde(default)]
    voted: Option<Address>,
    #[serde(default)]
    authorize: Option<bool>,
    #[serde(default)]
    vanity: B256,
}

impl Input {
    fn read(args: &B11rArgs) -> Result<Self, T8nError> {
        let optional = [&args.ommers, &args.withdrawals, &args.clique].into_iter().flatten();
        let mut piped = files::read_piped([&args.header, &args.txs].into_iter().chain(optional))?;
        let mut read = |name: &str, key: &str| files::read(name, key, &mut piped);
        let header = parse("header", read(&args.header, "header")?)?;
        let txs = match read(&args.txs, "txs")? {
            Value::Null => Bytes::new(),
            txs => parse("txs", txs)?,
        };
        let mut optional = |name: &Option<String>, key: &str| -> Result<Option<Value>, T8nError> {
            let value = name.as_ref().map(|name| read(name, key)).transpose()?;
            Ok(value.filter(|value| !value.is_null()))
        };
        let ommers = optional(&args.ommers, "ommers")?;
        let withdrawals = optional(&args.withdrawals, "withdrawals")?;
        let clique = optional(&args.clique, "clique")?;
        Ok(Self {
            header,
            txs,
            ommers: ommers.map(|json| parse("ommers", json)).transpose()?.unwrap_or_default(),
            withdrawals: withdrawals.map(|json| parse("withdrawals", json)).transpose()?,
            clique: clique.map(|json| parse("clique", json)).transpose()?,
        })
    }

    fn build(self) -> Result<Block<Transaction>, T8nError> {
        let ommers: Vec<Header> = self.ommers.iter().map(ommer).collect::<Result<_, _>>()?;
        let transactions = transactions(&self.txs)?;
        let mut header = self.header.header(&ommers);
        if let Some(clique) = &self.clique {
            clique.seal(&self.header, &mut header)?;
        }
        Ok(Block::new(header, BlockBody { transactions, ommers, withdrawals: self.withdrawals }))
    }
}

fn parse<T: serde::de::DeserializeOwned>(what: &str, json: Value) -> Result<T, T8nError> {
    serde_json::from_value(json).map_err(|error| T8nError::input(what, error))
}

fn ommer(rlp: &Bytes) -> Result<Header, T8nError> {
    let block = Block::<Transaction>::decode(&mut &rlp[..]);
    block.map(|block| block.header).map_err(|error| T8nError::input("ommers", error))
}

fn transactions(rlp: &Bytes) -> Result<Vec<Transaction>, T8nError> {
    if rlp.is_empty() {
        return Ok(Vec::new());
    }
    let candidates = decode_list(rlp)?.into_iter();
    candidates.map(|candidate| candidate.map_err(|error| T8nError::input("txs", error))).collect()
}

impl HeaderInput {
    fn header(&self, ommers: &[Header]) -> Header {
        let of_ommers = if ommers.is_empty() { EMPTY_OMMER_ROOT_HASH } else { calculate_ommers_root(ommers) };
        Header {
            parent_hash: self.parent_hash,
            ommers_hash: self.sha3_uncles.unwrap_or(of_ommers),
            beneficiary: self.miner.unwrap_or_default(),
            state_root: self.state_root,
            transactions_root: self.transactions_root.unwrap_or(EMPTY_ROOT_HASH),
            receipts_root: self.receipts_root.unwrap_or(EMPTY_ROOT_HASH),
            logs_bloom: self.logs_bloom,
            difficulty: self.difficulty.map_or(U256::ZERO, |difficulty| difficulty.0),
            number: self.number,
            gas_limit: self.gas_limit,
            gas_used: self.gas_used.unwrap_or_default(),
            timestamp: self.timestamp,
            extra_data: self.extra_data.clone().unwrap_or_default(),
            mix_hash: self.mix_hash,
            nonce: self.nonce.unwrap_or_default(),
            base_fee_per_gas: self.base_fee_per_gas,
            withdrawals_root: self.withdrawals_root,
            blob_gas_used: self.blob_gas_used,
            excess_blob_gas: self.excess_blob_gas,
            parent_beacon_block_root: self.parent_beacon_block_root,
            requests_hash: self.requests_hash,
            block_access_list_hash: self.block_access_list_hash,
            slot_number: self.slot_number,
        }
    }
}

impl CliqueInput {
    /// Signs the header. What the seal would overwrite must not have been given.
    fn seal(&self, given: &HeaderInput, header: &mut Header) -> Result<(), T8nError> {
        let overwrites = |field: &str| {
            T8nError::configuration(format_args!("sealing with clique will overwrite the given {field}"))
        };
        if given.extra_data.is_some() {
            return Err(overwrites("extraData"));
        }
        if let Some(voted) = self.voted {
            if given.miner.is_some() {
                return Err(overwrites("miner"));
            }
            header.beneficiary = voted;
        }
        if let Some(authorize) = self.authorize {
            if given.nonce.is_some() {
                return Err(overwrites("nonce"));
            }
            // The tool that this follows has the two the other way round than EIP-225, and tests are made with it.
            header.nonce = if authorize { B64::ZERO } else { B64::repeat_byte(0xff) };
        }
        let key = SecretKey::from_byte_array(self.secret_key.0);
        let key = key.map_err(|error| T8nError::input("clique.secretKey", error))?;
        let mut extra_data = vec![0; VANITY_SIZE + SEAL_SIZE];
        extra_data[..VANITY_SIZE].copy_from_slice(self.vanity.as_slice());
        header.extra_data = extra_data.clone().into();
        let hash = seal_hash(header).map_err(T8nError::configuration)?;
        let (recovery_id, signature) =
            SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &key).serialize_compact();
        extra_data[VANITY_SIZE..VANITY_SIZE + 64].copy_from_slice(&signature);
        extra_data[VANITY_SIZE + 64] = i32::from(recovery_id) as u8;
        header.extra_data = extra_data.into();
        Ok(())
    }
}
