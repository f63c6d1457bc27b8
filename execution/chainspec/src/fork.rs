//! The forks in order, when one starts, and what a block must say about itself to be placed among them.

use alloy_hardforks::EthereumHardfork;
use alloy_primitives::U256;
use std::fmt;

/// A set of rules, oldest first, so that `fork >= Fork::London` reads as "London or later".
///
/// Some forks are optional ([`Fork::is_optional`]): a chain may skip them, and a later fork does not imply them. The
/// irregular state change of the DAO is not a fork here, see [`crate::ChainSpec::dao_fork`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fork {
    /// July 2015.
    Frontier,
    /// EIP-606.
    Homestead,
    /// EIP-608, gas repricing.
    TangerineWhistle,
    /// EIP-607, replay protection and state clearing.
    SpuriousDragon,
    /// EIP-609.
    Byzantium,
    /// EIP-1013, with net gas metering by EIP-1283.
    Constantinople,
    /// EIP-1716: Constantinople without EIP-1283. Besu calls it `constantinopleFix`.
    Petersburg,
    /// EIP-1679.
    Istanbul,
    /// EIP-2387, difficulty bomb only.
    MuirGlacier,
    /// EIP-7568 meta: typed transactions and access lists.
    Berlin,
    /// EIP-1559 fee market.
    London,
    /// EIP-4345, difficulty bomb only.
    ArrowGlacier,
    /// EIP-5133, difficulty bomb only.
    GrayGlacier,
    /// EIP-3675: proof of stake, from the terminal total difficulty on.
    Paris,
    /// EIP-4895 withdrawals.
    Shanghai,
    /// EIP-7569: blobs and the beacon root.
    Cancun,
    /// EIP-7600: requests and set-code transactions.
    Prague,
    /// EIP-7607.
    Osaka,
    /// EIP-7892, blob parameters only.
    Bpo1,
    /// EIP-7892, blob parameters only.
    Bpo2,
    /// EIP-7892, blob parameters only.
    Bpo3,
    /// EIP-7892, blob parameters only.
    Bpo4,
    /// EIP-7892, blob parameters only.
    Bpo5,
    /// EIP-7773: block access lists and the slot number.
    Amsterdam,
}

impl Fork {
    /// All forks, oldest first.
    pub const ALL: [Self; 24] = [
        Self::Frontier,
        Self::Homestead,
        Self::TangerineWhistle,
        Self::SpuriousDragon,
        Self::Byzantium,
        Self::Constantinople,
        Self::Petersburg,
        Self::Istanbul,
        Self::MuirGlacier,
        Self::Berlin,
        Self::London,
        Self::ArrowGlacier,
        Self::GrayGlacier,
        Self::Paris,
        Self::Shanghai,
        Self::Cancun,
        Self::Prague,
        Self::Osaka,
        Self::Bpo1,
        Self::Bpo2,
        Self::Bpo3,
        Self::Bpo4,
        Self::Bpo5,
        Self::Amsterdam,
    ];

    /// Name for people: `Spurious Dragon`, `BPO1`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontier => "Frontier",
            Self::Homestead => "Homestead",
            Self::TangerineWhistle => "Tangerine Whistle",
            Self::SpuriousDragon => "Spurious Dragon",
            Self::Byzantium => "Byzantium",
            Self::Constantinople => "Constantinople",
            Self::Petersburg => "Petersburg",
            Self::Istanbul => "Istanbul",
            Self::MuirGlacier => "Muir Glacier",
            Self::Berlin => "Berlin",
            Self::London => "London",
            Self::ArrowGlacier => "Arrow Glacier",
            Self::GrayGlacier => "Gray Glacier",
            Self::Paris => "Paris",
            Self::Shanghai => "Shanghai",
            Self::Cancun => "Cancun",
            Self::Prague => "Prague",
            Self::Osaka => "Osaka",
            Self::Bpo1 => "BPO1",
            Self::Bpo2 => "BPO2",
            Self::Bpo3 => "BPO3",
            Self::Bpo4 => "BPO4",
            Self::Bpo5 => "BPO5",
            Self::Amsterdam => "Amsterdam",
        }
    }

    /// The fork that tests and tools mean by a name: [`Fork::name`] without spaces, `EIP150`, `EIP158`,
    /// `ConstantinopleFix` or `Merge`, in any case.
    pub fn by_test_name(name: &str) -> Option<Self> {
        const ALIASES: [(&str, Fork); 4] = [
            ("EIP150", Fork::TangerineWhistle),
            ("EIP158", Fork::SpuriousDragon),
            ("ConstantinopleFix", Fork::Petersburg),
            ("Merge", Fork::Paris),
        ];
        let alias = ALIASES.into_iter().find(|(alias, _)| alias.eq_ignore_ascii_case(name));
        let named = |fork: &Self| fork.name().replace(' ', "").eq_ignore_ascii_case(name);
        alias.map(|(_, fork)| fork).or_else(|| Self::ALL.into_iter().find(named))
    }

    /// Whether a chain may leave this fork out although later ones are active: those that move only the difficulty
    /// bomb or the blob parameters.
    pub const fn is_optional(self) -> bool {
        matches!(
            self,
            Self::MuirGlacier
                | Self::ArrowGlacier
                | Self::GrayGlacier
                | Self::Bpo1
                | Self::Bpo2
                | Self::Bpo3
                | Self::Bpo4
                | Self::Bpo5
        )
    }

    /// Whether the fork is scheduled by timestamp rather than by block number.
    pub fn is_by_timestamp(self) -> bool {
        self >= Self::Shanghai
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<Fork> for EthereumHardfork {
    fn from(fork: Fork) -> Self {
        match fork {
            Fork::Frontier => Self::Frontier,
            Fork::Homestead => Self::Homestead,
            Fork::TangerineWhistle => Self::Tangerine,
            Fork::SpuriousDragon => Self::SpuriousDragon,
            Fork::Byzantium => Self::Byzantium,
            Fork::Constantinople => Self::Constantinople,
            Fork::Petersburg => Self::Petersburg,
            Fork::Istanbul => Self::Istanbul,
            Fork::MuirGlacier => Self::MuirGlacier,
            Fork::Berlin => Self::Berlin,
            Fork::London => Self::London,
            Fork::ArrowGlacier => Self::ArrowGlacier,
            Fork::GrayGlacier => Self::GrayGlacier,
            Fork::Paris => Self::Paris,
            Fork::Shanghai => Self::Shanghai,
            Fork::Cancun => Self::Cancun,
            Fork::Prague => Self::Prague,
            Fork::Osaka => Self::Osaka,
            Fork::Bpo1 => Self::Bpo1,
            Fork::Bpo2 => Self::Bpo2,
            Fork::Bpo3 => Self::Bpo3,
            Fork::Bpo4 => Self::Bpo4,
            Fork::Bpo5 => Self::Bpo5,
            Fork::Amsterdam => Self::Amsterdam,
        }
    }
}

/// When a fork starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// With this block.
    Block(u64),
    /// With the first block whose timestamp, in seconds, is at least this.
    Timestamp(u64),
    /// With the first block whose parent has at least this total difficulty (Paris only).
    TotalDifficulty(U256),
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Block(number) => write!(f, "block {number}"),
            Self::Timestamp(timestamp) => write!(f, "timestamp {timestamp}"),
            Self::TotalDifficulty(difficulty) => write!(f, "total difficulty {difficulty}"),
        }
    }
}

/// What decides which fork a block belongs to. [`crate::ChainSpec::block_context`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockContext {
    /// Block number.
    pub number: u64,
    /// Block timestamp in seconds.
    pub timestamp: u64,
    /// Whether the block is sealed by a consensus client: its parent's total difficulty reached the terminal one.
    pub merged: bool,
}
