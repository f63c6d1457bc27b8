//! Logs of a call, with transfers of ether among them.

use alloy_primitives::{Address, B256, Bytes, Log, LogData, U256, address, b256};
use revm::{
    Inspector,
    context::{ContextTr, JournalTr},
    interpreter::{CallInputs, CallOutcome, CreateInputs, CreateOutcome, interpreter::EthInterpreter},
};

/// Who logs transfers.
const TRANSFER_EMITTER: Address = address!("eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
/// `Transfer(address,address,uint256)`.
const TRANSFER_TOPIC: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

/// A log and its number in the block.
pub(super) type Numbered = (u64, Log);

/// Collects logs, and transfers if they are wanted, in the order in which they happen. Those of calls that fail are
/// dropped, and leave a gap in the numbers, as in go-ethereum.
#[derive(Debug, Default)]
pub(super) struct CallLogs {
    transfers: bool,
    next: u64,
    /// One list per call that is under way, the outermost first.
    frames: Vec<Vec<Numbered>>,
    done: Vec<Numbered>,
}

impl CallLogs {
    /// Of one block.
    pub fn new(transfers: bool) -> Self {
        Self { transfers, ..Self::default() }
    }

    /// What was collected since the last time.
    pub fn take(&mut self) -> Vec<Numbered> {
        self.frames.clear();
        std::mem::take(&mut self.done)
    }

    fn transfer(&mut self, from: Address, to: Address, value: U256) {
        if value.is_zero() || !self.transfers {
            return;
        }
        let topics = vec![TRANSFER_TOPIC, from.into_word(), to.into_word()];
        let data = Bytes::from(value.to_be_bytes::<32>());
        self.push(Log { address: TRANSFER_EMITTER, data: LogData::new_unchecked(topics, data) });
    }

    fn push(&mut self, log: Log) {
        if let Some(frame) = self.frames.last_mut() {
            frame.push((self.next, log));
            self.next += 1;
        }
    }

    fn end(&mut self, succeeded: bool) {
        let logs = self.frames.pop().filter(|_| succeeded).unwrap_or_default();
        match self.frames.last_mut() {
            Some(outer) => outer.extend(logs),
            None => self.done.extend(logs),
        }
    }
}

impl<CTX: ContextTr> Inspector<CTX, EthInterpreter> for CallLogs {
    fn log(&mut self, _: &mut CTX, log: Log) {
        self.push(log);
    }

    fn call(&mut self, _: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.frames.push(Vec::new());
        if let Some(value) = inputs.transfer_value() {
            self.transfer(inputs.transfer_from(), inputs.transfer_to(), value);
        }
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.end(outcome.result.result.is_ok());
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.frames.push(Vec::new());
        // The creator's nonce names the contract; it was loaded to create anything.
        let nonce = context.journal_mut().load_account(inputs.caller()).ok()?.data.info.nonce;
        self.transfer(inputs.caller(), inputs.created_address(nonce), inputs.value());
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.end(outcome.result.result.is_ok());
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.transfer(contract, target, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_failed_calls_are_dropped_and_the_others_keep_their_order() {
        let mut logs = CallLogs::new(true);
        let (a, b) = (Address::repeat_byte(1), Address::repeat_byte(2));
        logs.frames.push(Vec::new());
        logs.transfer(a, b, U256::from(1));
        logs.frames.push(Vec::new());
        logs.transfer(a, b, U256::from(2));
        logs.end(false);
        logs.frames.push(Vec::new());
        logs.transfer(a, b, U256::from(3));
        logs.end(true);
        logs.transfer(a, b, U256::ZERO);
        logs.transfer(b, a, U256::from(4));
        logs.end(true);
        let found = logs.take().into_iter();
        let found: Vec<_> =
            found.map(|(number, log)| (number, U256::from_be_slice(&log.data.data).to())).collect();
        assert_eq!(found, [(0, 1u64), (2, 3), (3, 4)]);
        assert!(logs.take().is_empty());
    }
}
