//! Receipts: what execution adds to a transaction.
//!
//! ```text
//!  head (bits 0-2 transaction type, bit 3 success) ‖ cumulative gas used varint ‖ log count varint ‖ per log:
//!  address 20 ‖ topic count ‖ per topic: known topic code, or 0x80 + n ‖ word ‖ data (see `compress`)
//! ```
//! The first topic of most logs is one of a few event signatures; those are one byte (`KNOWN_TOPICS`). Other
//! topics are words without their leading or trailing zeros.

use alloy_consensus::{EthereumReceipt, TxType};
use alloy_primitives::{B256, Bytes, Log, LogData, b256};

use super::{
    Reader,
    compress::{put_compressed, put_word, take_compressed, take_word},
    put_varint,
};
use crate::{DecodeError, Value, models::Receipt};

const SUCCESS: u8 = 1 << 3;
/// Code of a topic that is not in the list; a word follows.
const OTHER_TOPIC: u8 = 0;

/// Event signatures that have a code (their position plus one). Only ever append: positions are stored.
const KNOWN_TOPICS: [B256; 12] = [
    // Transfer(address,address,uint256)
    b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
    // Approval(address,address,uint256)
    b256!("8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"),
    // Swap(address,uint256,uint256,uint256,uint256,address)
    b256!("d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822"),
    // Sync(uint112,uint112)
    b256!("1c411e9a96e071241c2f21f7726b17ae89e3cab4c78be50e062b03a9fffbbad1"),
    // Swap(address,address,int256,int256,uint160,uint128,int24)
    b256!("c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67"),
    // Deposit(address,uint256)
    b256!("e1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c"),
    // Withdrawal(address,uint256)
    b256!("7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65"),
    // TransferSingle(address,address,address,uint256,uint256)
    b256!("c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"),
    // TransferBatch(address,address,address,uint256[],uint256[])
    b256!("4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"),
    // ApprovalForAll(address,address,bool)
    b256!("17307eab39ab6107e8899845ad3d59bd9653f200f220920489ca2b5937696c31"),
    // OwnershipTransferred(address,address)
    b256!("8be0079c531659141344cd1fd0a4f28419497f9722a3daafe3b4186f6b6457e0"),
    // UserOperationEvent(bytes32,address,address,uint256,bool,uint256,uint256)
    b256!("49628fd1471006c1482da88028e9ce4dbb080b815c9b0344d39e5a8e6ec1419f"),
];

impl Value for Receipt {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.tx_type as u8 | if self.success { SUCCESS } else { 0 });
        put_varint(out, self.cumulative_gas_used);
        put_varint(out, self.logs.len() as u64);
        for log in &self.logs {
            out.extend_from_slice(log.address.as_slice());
            put_topics(out, log.data.topics());
            put_compressed(out, &log.data.data);
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let head = reader.byte("receipt head")?;
        let tx_type =
            TxType::try_from(head & 7).map_err(|_| DecodeError::Malformed { what: "receipt type" })?;
        if head >> 4 != 0 {
            return Err(DecodeError::Malformed { what: "receipt head" });
        }
        let cumulative_gas_used = reader.varint("cumulative gas")?;
        let count = reader.count(22, "log count")?;
        let mut logs = Vec::with_capacity(count);
        for _ in 0..count {
            let address = reader.address("log address")?;
            let topics = take_topics(&mut reader)?;
            let data = Bytes::from(take_compressed(&mut reader, "log data")?);
            logs.push(Log { address, data: LogData::new_unchecked(topics, data) });
        }
        reader.finish("receipt")?;
        Ok(EthereumReceipt { tx_type, success: head & SUCCESS != 0, cumulative_gas_used, logs })
    }
}

fn put_topics(out: &mut Vec<u8>, topics: &[B256]) {
    out.push(topics.len() as u8);
    for topic in topics {
        match KNOWN_TOPICS.iter().position(|known| known == topic) {
            Some(position) => out.push(position as u8 + 1),
            None => {
                out.push(OTHER_TOPIC);
                put_word(out, topic.as_slice());
            }
        }
    }
}

fn take_topics(reader: &mut Reader<'_>) -> Result<Vec<B256>, DecodeError> {
    let count = reader.byte("topic count")?;
    if count > 4 {
        return Err(DecodeError::Malformed { what: "topic count" });
    }
    let topics = (0..count).map(|_| match reader.byte("topic")? {
        OTHER_TOPIC => Ok(B256::from(take_word(reader, "topic")?)),
        code => KNOWN_TOPICS
            .get(usize::from(code) - 1)
            .copied()
            .ok_or(DecodeError::Malformed { what: "topic code" }),
    });
    topics.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(receipt: &Receipt) -> Vec<u8> {
        let mut out = Vec::new();
        receipt.encode(&mut out);
        out
    }

    fn any_log() -> impl Strategy<Value = Log> {
        let topic = prop_oneof![
            any::<[u8; 32]>().prop_map(B256::from),
            any::<u64>().prop_map(|n| B256::from(alloy_primitives::U256::from(n))),
            (0..KNOWN_TOPICS.len()).prop_map(|i| KNOWN_TOPICS[i]),
        ];
        (any::<[u8; 20]>(), proptest::collection::vec(topic, 0..=4), any::<Vec<u8>>()).prop_map(
            |(address, topics, data)| Log {
                address: address.into(),
                data: LogData::new_unchecked(topics, data.into()),
            },
        )
    }

    proptest! {
        #[test]
        fn receipts_round_trip(kind in 0u8..5, success: bool, gas: u64, logs in proptest::collection::vec(any_log(), 0..5)) {
            let tx_type = TxType::try_from(kind).unwrap();
            let receipt = EthereumReceipt { tx_type, success, cumulative_gas_used: gas, logs };
            prop_assert_eq!(Receipt::decode(&encoded(&receipt)).unwrap(), receipt);
        }

        #[test]
        fn decoding_never_panics(bytes: Vec<u8>) {
            let _ = Receipt::decode(&bytes);
        }
    }

    #[test]
    fn a_plain_transfer_has_its_golden_bytes() {
        let receipt = EthereumReceipt {
            tx_type: TxType::Eip1559,
            success: true,
            cumulative_gas_used: 21000,
            logs: vec![],
        };
        assert_eq!(encoded(&receipt), [0x0a, 0x88, 0xa4, 0x01, 0]);
    }

    #[test]
    fn a_token_transfer_is_small() {
        let party = |byte| B256::from(alloy_primitives::U256::from_be_slice(&[byte; 20]));
        let data = LogData::new_unchecked(
            vec![KNOWN_TOPICS[0], party(1), party(2)],
            B256::from(alloy_primitives::U256::from(10).pow(alloy_primitives::U256::from(18))).0.into(),
        );
        let logs = vec![Log { address: [7; 20].into(), data }];
        let receipt =
            EthereumReceipt { tx_type: TxType::Eip1559, success: true, cumulative_gas_used: 1 << 20, logs };
        assert_eq!(encoded(&receipt).len(), 5 + 20 + 1 + 1 + 2 * 22 + 2 + 9);
    }
}
