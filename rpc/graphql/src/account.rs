//! An account as of a block.

use async_graphql::{Context, Object, Result};
use portico_query::Snapshot;

use crate::{
    Reader,
    reader::StateAfter,
    scalars::{Address, BigInt, Bytes, Bytes32, Long},
};

/// An Ethereum account at a particular block.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    pub(crate) address: alloy_primitives::Address,
    pub(crate) after: StateAfter,
}

impl Account {
    /// The account after `block`, or after the head.
    pub(crate) async fn at(
        context: &Context<'_>,
        address: alloy_primitives::Address,
        block: Option<Long>,
    ) -> Result<Self> {
        let block_number = match block {
            Some(Long(number)) => {
                context.data::<Reader>()?.read(move |snapshot| snapshot.require(number.into())).await?
            }
            None => context.data::<Reader>()?.read(|snapshot| Ok(snapshot.head())).await?,
        };
        Ok(Self { address, after: StateAfter::Block(block_number) })
    }

    async fn state(&self, context: &Context<'_>) -> Result<portico_query::Account> {
        let Self { address, after } = *self;
        let read = move |snapshot: &Snapshot<'_>| {
            after.read(snapshot, |snapshot, block_number| snapshot.account(&address, block_number))
        };
        Ok(context.data::<Reader>()?.read(read).await?.unwrap_or_default())
    }
}

/// Account is an Ethereum account at a particular block.
#[Object]
impl Account {
    /// Address is the address owning the account.
    async fn address(&self) -> Address {
        Address(self.address)
    }

    /// Balance is the balance of the account, in wei.
    async fn balance(&self, context: &Context<'_>) -> Result<BigInt> {
        Ok(BigInt(self.state(context).await?.balance))
    }

    /// TransactionCount is the number of transactions sent from this account, or in the case of a contract, the
    /// number of contracts created. Otherwise known as the nonce.
    async fn transaction_count(&self, context: &Context<'_>) -> Result<Long> {
        let Self { address, after } = *self;
        if after == StateAfter::Pending {
            let reader = context.data::<Reader>()?;
            return Ok(Long(reader.read(move |snapshot| snapshot.pending_nonce(address)).await?));
        }
        Ok(Long(self.state(context).await?.nonce))
    }

    /// Code contains the smart contract code for this account, if the account is a (non-self-destructed) contract.
    async fn code(&self, context: &Context<'_>) -> Result<Bytes> {
        let Self { address, after } = *self;
        let read = move |snapshot: &Snapshot<'_>| {
            after.read(snapshot, |snapshot, block_number| snapshot.code(&address, block_number))
        };
        Ok(Bytes(context.data::<Reader>()?.read(read).await?))
    }

    /// Storage provides access to the storage of a contract account, indexed by its 32 byte slot identifier.
    async fn storage(&self, context: &Context<'_>, slot: Bytes32) -> Result<Bytes32> {
        let Self { address, after } = *self;
        let read = move |snapshot: &Snapshot<'_>| {
            after.read(snapshot, |snapshot, block_number| snapshot.storage(&address, &slot.0, block_number))
        };
        Ok(Bytes32(context.data::<Reader>()?.read(read).await?.into()))
    }
}
