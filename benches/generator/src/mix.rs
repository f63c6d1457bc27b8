//! The kinds of transactions, and how often each comes.

use crate::config::Fork;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $field:ident = $weight:literal from $fork:ident,)*) => {
        /// A kind of transaction.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The first fork in which this kind can be planned.
            pub const fn first_fork(self) -> Fork {
                match self {
                    $(Self::$variant => Fork::$fork,)*
                }
            }
        }

        /// How often each [`Kind`] comes, relative to the others. Kinds that the fork lacks are left out.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Mix {
            $($(#[$doc])* pub $field: u32,)*
        }

        impl Default for Mix {
            fn default() -> Self {
                Self { $($field: $weight,)* }
            }
        }

        impl Mix {
            /// All weights zero, to switch single kinds on.
            pub const fn none() -> Self {
                Self { $($field: 0,)* }
            }

            /// The weight of each kind.
            pub fn weights(&self) -> impl Iterator<Item = (Kind, u32)> + Clone + use<> {
                [$((Kind::$variant, self.$field)),*].into_iter()
            }
        }
    };
}

kinds! {
    /// Ether to an account that is there or is one of the cold addresses.
    Transfer transfer = 170 from Paris,
    /// Ether to a new user, who sends transactions from then on.
    Endowment endowment = 30 from Paris,
    /// An ERC-20 transfer.
    TokenTransfer token_transfer = 320 from Paris,
    /// An ERC-20 approval.
    Approval approval = 20 from Paris,
    /// A swap through the router, of one or two hops; preceded by an approval where that is missing.
    Swap swap = 210 from Paris,
    /// Minting one or more NFTs.
    Mint mint = 36 from Paris,
    /// Deploying a contract.
    Deployment deployment = 11 from Paris,
    /// A factory making a child, or making and destroying it.
    Creation creation = 14 from Paris,
    /// Poking, paying or destroying a factory's child.
    Child child = 14 from Paris,
    /// Writing, overwriting, clearing or reading a run of storage slots.
    StorageLoop storage_loop = 24 from Paris,
    /// Hashing or multiplying.
    ComputeLoop compute_loop = 16 from Paris,
    /// Tokens from one sender to many receivers.
    Airdrop airdrop = 11 from Paris,
    /// Ether from one sender to many receivers.
    Disperse disperse = 4 from Paris,
    /// Bulk call data to an account without code.
    Inbox inbox = 8 from Paris,
    /// A transaction with blobs.
    Blob blob = 18 from Cancun,
    /// Transient storage and fee opcodes.
    Transient transient = 15 from Cancun,
    /// Accounts set or clear their delegation.
    Delegation delegation = 8 from Prague,
    /// A batch of calls by an account that delegates.
    Batch batch = 12 from Prague,
    /// A validator deposit, withdrawal request or consolidation request.
    Staking staking = 2 from Prague,
    /// A transaction that is included and fails.
    Failure failure = 25 from Paris,
}
