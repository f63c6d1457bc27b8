//! Precompiled contracts that a caller wants elsewhere, or not at all.

use alloy_evm::{
    Database,
    eth::EthEvmContext,
    precompiles::{DynPrecompile, PrecompilesMap},
};
use alloy_primitives::Address;
use revm::{
    handler::PrecompileProvider,
    interpreter::{CallInputs, InterpreterResult},
    precompile::{PrecompileSpecId, Precompiles},
    primitives::{AddressSet, hardfork::SpecId},
};

/// How the precompiled contracts differ from the fork's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PrecompileChanges {
    removed: Vec<Address>,
    moved: Vec<(Address, Address)>,
}

impl PrecompileChanges {
    /// Everything is where the fork has it.
    pub const NONE: &'static Self = &Self { removed: Vec::new(), moved: Vec::new() };

    /// There is none at `address` any more: the account's own code runs.
    pub fn remove(&mut self, address: Address) {
        self.removed.push(address);
    }

    /// The one at `from` is at `to` now, in the place of any that was there.
    pub fn relocate(&mut self, from: Address, to: Address) {
        self.moved.push((from, to));
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.moved.is_empty()
    }

    /// The fork's precompiled contracts with these changes.
    pub(crate) fn apply(&self, spec: SpecId) -> CallPrecompiles {
        CallPrecompiles { precompiles: self.precompiles(spec), warm: of_fork(spec).addresses_set() }
    }

    fn precompiles(&self, spec: SpecId) -> PrecompilesMap {
        let mut precompiles = PrecompilesMap::from_static(of_fork(spec));
        let mut taken: Vec<(Address, DynPrecompile)> = Vec::new();
        for (from, to) in &self.moved {
            precompiles.apply_precompile(from, |found| {
                taken.extend(found.map(|precompile| (*to, precompile)));
                None
            });
        }
        for address in &self.removed {
            precompiles.apply_precompile(address, |_| None);
        }
        for (to, precompile) in taken {
            precompiles.apply_precompile(&to, |_| Some(precompile));
        }
        precompiles
    }
}

/// Precompiled contracts of calls. Warm are the addresses at which the fork has them, wherever they are now.
#[derive(Debug)]
pub struct CallPrecompiles {
    precompiles: PrecompilesMap,
    warm: &'static AddressSet,
}

impl<D: Database> PrecompileProvider<EthEvmContext<D>> for CallPrecompiles {
    type Output = InterpreterResult;

    fn set_spec(&mut self, _: SpecId) -> bool {
        false
    }

    fn run(
        &mut self,
        context: &mut EthEvmContext<D>,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        self.precompiles.run(context, inputs)
    }

    fn warm_addresses(&self) -> &AddressSet {
        self.warm
    }

    fn contains(&self, address: &Address) -> bool {
        self.precompiles.get(address).is_some()
    }
}

fn of_fork(spec: SpecId) -> &'static Precompiles {
    Precompiles::new(PrecompileSpecId::from_spec_id(spec))
}

/// Whether a precompiled contract of the fork is at `address`.
pub fn is_precompile(spec: SpecId, address: &Address) -> bool {
    of_fork(spec).contains(address)
}

/// The fork's precompiled contracts: where they are, and their names as EIP-7910 gives them.
pub fn named_precompiles(spec: SpecId) -> impl Iterator<Item = (&'static str, Address)> {
    let precompiles = of_fork(spec);
    precompiles.addresses().filter_map(|address| Some((precompiles.get(address)?.id().name(), *address)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_evm::precompiles::Precompile;
    use alloy_primitives::address;

    const ECRECOVER: Address = address!("0000000000000000000000000000000000000001");
    const SHA256: Address = address!("0000000000000000000000000000000000000002");
    const ELSEWHERE: Address = address!("0000000000000000000000000000000000123456");

    fn name(precompiles: &PrecompilesMap, address: &Address) -> Option<String> {
        precompiles.get(address).map(|precompile| precompile.precompile_id().name().to_owned())
    }

    #[test]
    fn a_moved_precompile_leaves_its_place() {
        let mut changes = PrecompileChanges::default();
        changes.relocate(ECRECOVER, ELSEWHERE);
        changes.remove(ECRECOVER);
        let precompiles = changes.precompiles(SpecId::OSAKA);
        assert_eq!(name(&precompiles, &ELSEWHERE).as_deref(), Some("ECREC"));
        assert_eq!(name(&precompiles, &ECRECOVER), None);
        assert_eq!(name(&precompiles, &SHA256).as_deref(), Some("SHA256"));
    }

    #[test]
    fn precompiles_can_swap_places() {
        let mut changes = PrecompileChanges::default();
        changes.relocate(ECRECOVER, SHA256);
        changes.relocate(SHA256, ECRECOVER);
        let precompiles = changes.precompiles(SpecId::OSAKA);
        assert_eq!(name(&precompiles, &SHA256).as_deref(), Some("ECREC"));
        assert_eq!(name(&precompiles, &ECRECOVER).as_deref(), Some("SHA256"));
    }

    #[test]
    fn forks_add_precompiles() {
        let p256 = address!("0000000000000000000000000000000000000100");
        assert!(is_precompile(SpecId::OSAKA, &p256) && !is_precompile(SpecId::PRAGUE, &p256));
        assert!(named_precompiles(SpecId::OSAKA).any(|named| named == ("P256VERIFY", p256)));
        assert_eq!(named_precompiles(SpecId::FRONTIER).count(), 4);
    }
}
