//! Which state of the drafts Amsterdam stands for.

/// The rules that a chain means by Amsterdam.
///
/// Chains of development networks, and test data filled on them, keep the rules of their day: their blocks are valid
/// under no others. Everything else follows the fork as it was activated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AmsterdamRules {
    /// The fork as it was activated.
    #[default]
    Final,
    /// The fork as of April 2026: the network `bal-devnet-4` and the test release `bal@v5.7.0`.
    ///
    /// EIP-7708, 7778, 7843, 7928, 7954, 7976, 7981, 8024 and 8037 in their versions of that time; none of EIP-2780,
    /// 8038, 8246 and 8282.
    BalDevnet4,
}

impl AmsterdamRules {
    /// The name in a genesis file's `amsterdamRules`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::BalDevnet4 => "bal-devnet-4",
        }
    }

    /// The rules of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Final, Self::BalDevnet4].into_iter().find(|rules| rules.name() == name)
    }
}
