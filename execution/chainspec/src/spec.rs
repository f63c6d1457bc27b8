//! The chain specification itself.

use crate::{
    Activation, AmsterdamRules, BlobSchedule, BlockContext, ChainSpecError, EngineConfig, Fork, ForkSchedule,
    GenesisAccount, builtin, genesis, genesis::GenesisFields, genesis_json, packed,
};
use alloy_consensus::Header;
use alloy_eips::eip7840::BlobParams;
use alloy_primitives::{Address, B256, U256};
use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::Read,
    path::Path,
    sync::{Arc, LazyLock},
};

/// Largest genesis file that is read, in bytes.
pub const GENESIS_FILE_SIZE_MAX: u64 = 512 << 20;

/// Everything that is fixed about a chain. See the crate's documentation.
#[derive(Clone, Debug)]
pub struct ChainSpec {
    name: String,
    chain_id: u64,
    network_id: u64,
    genesis_header: Header,
    genesis_hash: B256,
    alloc: Alloc,
    schedule: ForkSchedule,
    fork_points: Vec<Activation>,
    eip155_block: Option<u64>,
    dao_fork: Option<DaoFork>,
    engines: Vec<(u64, EngineConfig)>,
    blobs: BlobSchedule,
    deposit_contract: Option<Address>,
    contract_size_limit: Option<u64>,
    zero_base_fee: bool,
    amsterdam_rules: AmsterdamRules,
    other: BTreeMap<String, serde_json::Value>,
}

/// The irregular state change of July 2016.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DaoFork {
    /// The block before whose transactions the balances move.
    pub block: u64,
    /// Whether this chain makes the move; if not, it refuses blocks that claim it in their extra data.
    pub supported: bool,
}

/// The genesis state, or where it is.
#[derive(Clone, Debug)]
enum Alloc {
    /// Ascending by address.
    Listed(Vec<(Address, GenesisAccount)>),
    /// Bytes for [`packed::unpack`].
    Packed(&'static [u8]),
}

/// What a chain specification is put together from.
pub(crate) struct Parts {
    pub name: String,
    pub chain_id: u64,
    pub network_id: u64,
    pub engines: Vec<(u64, EngineConfig)>,
    pub schedule: ForkSchedule,
    pub fork_points: Vec<Activation>,
    pub eip155_block: Option<u64>,
    pub dao_fork: Option<DaoFork>,
    pub deposit_contract: Option<Address>,
    pub contract_size_limit: Option<u64>,
    pub zero_base_fee: bool,
    pub amsterdam_rules: AmsterdamRules,
    pub blobs: BlobSchedule,
    pub header: GenesisFields,
    pub alloc: Vec<(Address, GenesisAccount)>,
    pub other: BTreeMap<String, serde_json::Value>,
}

impl ChainSpec {
    /// Ethereum mainnet.
    pub fn mainnet() -> Arc<Self> {
        static SPEC: LazyLock<Arc<ChainSpec>> = LazyLock::new(|| Arc::new(builtin::mainnet()));
        SPEC.clone()
    }

    /// The Sepolia test network.
    pub fn sepolia() -> Arc<Self> {
        static SPEC: LazyLock<Arc<ChainSpec>> = LazyLock::new(|| Arc::new(builtin::sepolia()));
        SPEC.clone()
    }

    /// The Hoodi test network.
    pub fn hoodi() -> Arc<Self> {
        static SPEC: LazyLock<Arc<ChainSpec>> = LazyLock::new(|| Arc::new(builtin::hoodi()));
        SPEC.clone()
    }

    /// A chain for development: id 1337, merged, all forks to Osaka at genesis, system contracts in place, and
    /// 10000 ether on each of the ten accounts of the phrase "test test test test test test test test test test
    /// test junk".
    pub fn dev() -> Arc<Self> {
        static SPEC: LazyLock<Arc<ChainSpec>> = LazyLock::new(|| Arc::new(builtin::dev()));
        SPEC.clone()
    }

    /// A chain by name (`mainnet`, `sepolia`, `hoodi`, `dev`) or by the path of a genesis JSON file. A chain from a
    /// file is named after the file.
    ///
    /// # Errors
    /// When there is no such file, or as [`Self::from_genesis_json`].
    pub fn load(name_or_path: &str) -> Result<Arc<Self>, ChainSpecError> {
        match name_or_path {
            "mainnet" => Ok(Self::mainnet()),
            "sepolia" => Ok(Self::sepolia()),
            "hoodi" => Ok(Self::hoodi()),
            "dev" => Ok(Self::dev()),
            path => Self::load_file(Path::new(path)).map(Arc::new),
        }
    }

    fn load_file(path: &Path) -> Result<Self, ChainSpecError> {
        let read_error = |source| ChainSpecError::Read { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(read_error)?;
        let mut json = Vec::new();
        file.take(GENESIS_FILE_SIZE_MAX + 1).read_to_end(&mut json).map_err(read_error)?;
        let mut spec = Self::from_genesis_json(&json)?;
        if let Some(stem) = path.file_stem() {
            spec.name = stem.to_string_lossy().into_owned();
        }
        Ok(spec)
    }

    /// A chain from the text of a genesis file in go-ethereum's or Besu's dialect; its name is `custom`.
    ///
    /// # Errors
    /// When the text is too long, not JSON, lacks a field, holds a value out of range, schedules forks out of order
    /// or asks for rules that this client does not have. The error names the field.
    pub fn from_genesis_json(json: &[u8]) -> Result<Self, ChainSpecError> {
        let size = json.len() as u64;
        if size > GENESIS_FILE_SIZE_MAX {
            return Err(ChainSpecError::TooLarge { size, max: GENESIS_FILE_SIZE_MAX });
        }
        genesis_json::parse(std::str::from_utf8(json)?)
    }

    pub(crate) fn from_parts(parts: Parts) -> Self {
        let state_root = genesis::state_root(&parts.alloc);
        Self::with_state_root(parts, state_root)
    }

    /// As [`Self::from_parts`] without computing the state root, for an allocation that is packed.
    pub(crate) fn from_packed_parts(parts: Parts, state_root: B256, packed: &'static [u8]) -> Self {
        Self { alloc: Alloc::Packed(packed), ..Self::with_state_root(parts, state_root) }
    }

    fn with_state_root(parts: Parts, state_root: B256) -> Self {
        let genesis_header = genesis::header(parts.header, &parts.schedule, state_root);
        Self {
            name: parts.name,
            chain_id: parts.chain_id,
            network_id: parts.network_id,
            genesis_hash: genesis_header.hash_slow(),
            genesis_header,
            alloc: Alloc::Listed(parts.alloc),
            schedule: parts.schedule,
            fork_points: parts.fork_points,
            eip155_block: parts.eip155_block,
            dao_fork: parts.dao_fork,
            engines: parts.engines,
            blobs: parts.blobs,
            deposit_contract: parts.deposit_contract,
            contract_size_limit: parts.contract_size_limit,
            zero_base_fee: parts.zero_base_fee,
            amsterdam_rules: parts.amsterdam_rules,
            other: parts.other,
        }
    }

    /// Name of a built-in chain, stem of the genesis file, or `custom`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Chain id of EIP-155.
    pub fn chain_id(&self) -> u64 {
        self.chain_id
    }

    /// Network id of the peer-to-peer protocol; the chain id unless the genesis file says otherwise.
    pub fn network_id(&self) -> u64 {
        self.network_id
    }

    /// The genesis header, with the fields of the forks that are active at genesis.
    pub fn genesis_header(&self) -> &Header {
        &self.genesis_header
    }

    /// Keccak-256 of the genesis header.
    pub fn genesis_hash(&self) -> B256 {
        self.genesis_hash
    }

    /// The genesis state, ascending by address. Built-in chains unpack it at each call.
    pub fn genesis_alloc(&self) -> Cow<'_, [(Address, GenesisAccount)]> {
        match &self.alloc {
            Alloc::Listed(alloc) => Cow::Borrowed(alloc),
            Alloc::Packed(bytes) => Cow::Owned(packed::unpack(bytes)),
        }
    }

    /// Total difficulty at whose passing the consensus client takes over; `None` on a chain that never merges or
    /// does not say.
    pub fn terminal_total_difficulty(&self) -> Option<U256> {
        match self.schedule.activation(Fork::Paris) {
            Some(Activation::TotalDifficulty(ttd)) => Some(ttd),
            _ => None,
        }
    }

    /// Whether a block is sealed by a consensus client: its parent's total difficulty reached the terminal one.
    ///
    /// A proof-of-work chain without a terminal total difficulty counts as merged from Shanghai on (Besu's rule for
    /// genesis files that only give times).
    pub fn is_merged(&self, parent_total_difficulty: U256, timestamp: u64) -> bool {
        match self.terminal_total_difficulty() {
            Some(ttd) => parent_total_difficulty >= ttd,
            None => {
                let shanghai = self.schedule.activation(Fork::Shanghai);
                let reached = matches!(shanghai, Some(Activation::Timestamp(start)) if timestamp >= start);
                reached && matches!(self.engine(), EngineConfig::Ethash { .. })
            }
        }
    }

    /// Places a block among the forks.
    pub fn block_context(&self, number: u64, timestamp: u64, parent_total_difficulty: U256) -> BlockContext {
        BlockContext { number, timestamp, merged: self.is_merged(parent_total_difficulty, timestamp) }
    }

    /// The newest fork that is active for a block.
    ///
    /// On a chain with a terminal total difficulty, forks by timestamp wait for the merge.
    pub fn fork_at(&self, block: BlockContext) -> Fork {
        self.schedule.fork_at(block)
    }

    /// Whether `fork` is active for a block. For optional forks (glaciers, BPO) only if the chain schedules them.
    pub fn is_active(&self, fork: Fork, block: BlockContext) -> bool {
        self.schedule.is_active(fork, block)
    }

    /// When `fork` starts, given or implied by a later one; `None` when it is not scheduled.
    pub fn activation(&self, fork: Fork) -> Option<Activation> {
        self.schedule.activation(fork)
    }

    /// All forks with their activations.
    pub fn fork_schedule(&self) -> &ForkSchedule {
        &self.schedule
    }

    /// What counts for the fork id: every given fork point, in any order, with repeats.
    pub(crate) fn fork_points(&self) -> &[Activation] {
        &self.fork_points
    }

    /// First block whose transactions may carry a chain id, where the chain separates EIP-155 from Spurious Dragon.
    pub fn eip155_block(&self) -> Option<u64> {
        match (self.eip155_block, self.schedule.activation(Fork::SpuriousDragon)) {
            (Some(number), _) | (None, Some(Activation::Block(number))) => Some(number),
            _ => None,
        }
    }

    /// The DAO fork, if the chain knows of it.
    pub fn dao_fork(&self) -> Option<DaoFork> {
        self.dao_fork
    }

    /// The block of the DAO's irregular state change, on a chain that makes it.
    pub fn dao_fork_block(&self) -> Option<u64> {
        self.dao_fork.filter(|dao| dao.supported).map(|dao| dao.block)
    }

    /// The contract whose logs are deposit requests (EIP-6110).
    pub fn deposit_contract(&self) -> Option<Address> {
        self.deposit_contract
    }

    /// The engine that seals the first blocks; a merged chain is Ethash with a terminal total difficulty.
    pub fn engine(&self) -> &EngineConfig {
        &self.engines[0].1
    }

    /// The engine that seals a block, for chains that migrate from one to another. Not for merged blocks.
    pub fn engine_at(&self, block_number: u64) -> &EngineConfig {
        let started = self.engines.iter().rev().find(|(start_block, _)| *start_block <= block_number);
        started.map_or(self.engine(), |(_, engine)| engine)
    }

    /// Blob parameters in force at `timestamp` (seconds); `None` before Cancun.
    pub fn blob_params_at(&self, timestamp: u64) -> Option<BlobParams> {
        self.blobs.params_at(timestamp)
    }

    /// All blob parameters over time.
    pub fn blob_schedule(&self) -> &BlobSchedule {
        &self.blobs
    }

    /// Besu's `contractSizeLimit`: largest contract code in bytes, in place of the fork's.
    pub fn contract_size_limit(&self) -> Option<u64> {
        self.contract_size_limit
    }

    /// Besu's `zeroBaseFee`: from London on the base fee is 0 in every block.
    pub fn zero_base_fee(&self) -> bool {
        self.zero_base_fee
    }

    /// What the chain means by Amsterdam; `amsterdamRules` in a genesis file.
    pub fn amsterdam_rules(&self) -> AmsterdamRules {
        self.amsterdam_rules
    }

    /// The same chain with other rules for Amsterdam; its genesis block stays the same.
    #[must_use]
    pub fn with_amsterdam_rules(self, amsterdam_rules: AmsterdamRules) -> Self {
        Self { amsterdam_rules, ..self }
    }

    /// Entries of the genesis file's `config` that nothing above covers, by lower-case key.
    pub fn other_config(&self) -> &BTreeMap<String, serde_json::Value> {
        &self.other
    }

    /// How many blocks the difficulty bomb is set back at a block: the delay of the newest fork with a say in it
    /// (EIP-649, 1234, 2384, 3554, 4345, 5133).
    pub fn difficulty_bomb_delay(&self, block: BlockContext) -> u64 {
        const DELAYS: [(Fork, u64); 6] = [
            (Fork::GrayGlacier, 11_400_000),
            (Fork::ArrowGlacier, 10_700_000),
            (Fork::London, 9_700_000),
            (Fork::MuirGlacier, 9_000_000),
            (Fork::Constantinople, 5_000_000),
            (Fork::Byzantium, 3_000_000),
        ];
        DELAYS.into_iter().find(|(fork, _)| self.is_active(*fork, block)).map_or(0, |(_, delay)| delay)
    }
}
