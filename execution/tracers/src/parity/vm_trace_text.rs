//! A replayed transaction as JSON. Its trace of instructions is most of the text by far, and is written here rather
//! than by the general serializer, which takes longer for it than the execution does.

use std::io::{self, Write};

use alloy_rpc_types_trace::parity::{
    MemoryDelta, StorageDelta, TraceResultsWithTransactionHash, VmExecutedOperation, VmInstruction, VmTrace,
};

use crate::text::{write_bytes, write_number, write_word};

/// Bytes that are handed on at once.
const PIECE: usize = 16 << 10;

/// Writes what the serializer would write of `results`.
///
/// # Errors
/// Those of `out`.
pub fn write_results(results: &TraceResultsWithTransactionHash, out: &mut dyn Write) -> io::Result<()> {
    let TraceResultsWithTransactionHash { full_trace, transaction_hash } = results;
    out.write_all(b"{\"output\":")?;
    serde_json::to_writer(&mut *out, &full_trace.output)?;
    out.write_all(b",\"stateDiff\":")?;
    serde_json::to_writer(&mut *out, &full_trace.state_diff)?;
    out.write_all(b",\"trace\":")?;
    serde_json::to_writer(&mut *out, &full_trace.trace)?;
    out.write_all(b",\"vmTrace\":")?;
    match &full_trace.vm_trace {
        Some(trace) => write_vm_trace(trace, out)?,
        None => out.write_all(b"null")?,
    }
    write!(out, ",\"transactionHash\":\"{transaction_hash}\"}}")
}

fn write_vm_trace(trace: &VmTrace, out: &mut dyn Write) -> io::Result<()> {
    let mut text = Text { text: Vec::with_capacity(2 * PIECE), out };
    text.trace(trace)?;
    text.hand_on()
}

struct Text<'w> {
    text: Vec<u8>,
    out: &'w mut dyn Write,
}

impl Text<'_> {
    fn hand_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.text)?;
        self.text.clear();
        Ok(())
    }

    fn put(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, name: &str, number: u64) {
        self.put(name);
        write_number(&mut self.text, number);
    }

    /// Calls go as deep as the machine lets them: 1,024 frames.
    fn trace(&mut self, trace: &VmTrace) -> io::Result<()> {
        self.put("{\"code\":");
        write_bytes(&mut self.text, &trace.code)?;
        self.put(",\"ops\":[");
        for (index, instruction) in trace.ops.iter().enumerate() {
            if index > 0 {
                self.put(",");
            }
            if self.text.len() >= PIECE {
                self.hand_on()?;
            }
            self.instruction(instruction)?;
        }
        self.put("]}");
        Ok(())
    }

    fn instruction(&mut self, instruction: &VmInstruction) -> io::Result<()> {
        let VmInstruction { cost, ex, pc, sub, op, idx } = instruction;
        self.number("{\"cost\":", *cost);
        self.put(",\"ex\":");
        match ex {
            Some(executed) => self.executed(executed)?,
            None => self.put("null"),
        }
        self.number(",\"pc\":", *pc as u64);
        self.put(",\"sub\":");
        match sub {
            Some(trace) => self.trace(trace)?,
            None => self.put("null"),
        }
        for (name, word) in [(",\"op\":\"", op), (",\"idx\":\"", idx)] {
            if let Some(word) = word {
                // Names of instructions and their numbers have nothing to escape.
                self.put(name);
                self.put(word);
                self.put("\"");
            }
        }
        self.put("}");
        Ok(())
    }

    fn executed(&mut self, executed: &VmExecutedOperation) -> io::Result<()> {
        let VmExecutedOperation { used, push, mem, store } = executed;
        self.number("{\"used\":", *used);
        self.put(",\"push\":[");
        for (index, word) in push.iter().enumerate() {
            if index > 0 {
                self.put(",");
            }
            write_word(&mut self.text, word);
        }
        self.put("],\"mem\":");
        match mem {
            Some(MemoryDelta { off, data }) => {
                self.number("{\"off\":", *off as u64);
                self.put(",\"data\":");
                write_bytes(&mut self.text, data)?;
                self.put("}");
            }
            None => self.put("null"),
        }
        self.put(",\"store\":");
        match store {
            Some(StorageDelta { key, val }) => {
                self.put("{\"key\":");
                write_word(&mut self.text, key);
                self.put(",\"val\":");
                write_word(&mut self.text, val);
                self.put("}");
            }
            None => self.put("null"),
        }
        self.put("}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, Bytes, U256};
    use alloy_rpc_types_trace::parity::TraceResults;

    use super::*;

    fn instruction(ex: Option<VmExecutedOperation>, sub: Option<VmTrace>) -> VmInstruction {
        let (op, idx) = (Some("opcode 0x0c not defined".to_owned()), Some("0-17".to_owned()));
        VmInstruction { cost: 21_000, ex, pc: 3, sub, op, idx }
    }

    fn executed(push: Vec<U256>) -> VmExecutedOperation {
        let mem = Some(MemoryDelta { off: 64, data: Bytes::from(vec![0xab; 700]) });
        let store = Some(StorageDelta { key: U256::ZERO, val: U256::MAX });
        VmExecutedOperation { used: u64::MAX, push, mem, store }
    }

    fn trace() -> VmTrace {
        let bare = VmInstruction { op: None, idx: None, ..instruction(None, None) };
        let plain = VmExecutedOperation { mem: None, store: None, ..executed(Vec::new()) };
        let inner = VmTrace { code: Bytes::new(), ops: vec![bare, instruction(Some(plain), None)] };
        let word = |number: u64| U256::from(number);
        let push = vec![word(0), word(15), word(16), word(u64::MAX), U256::MAX];
        let mut ops = vec![instruction(Some(executed(push)), Some(inner))];
        // More than is handed on at once.
        ops.extend((0..500).map(|_| instruction(Some(executed(vec![word(1)])), None)));
        VmTrace { code: Bytes::from(vec![0x5b; 1000]), ops }
    }

    #[test]
    fn the_text_is_the_serializers() {
        for vm_trace in [None, Some(VmTrace::default()), Some(trace())] {
            let full_trace = TraceResults {
                output: Bytes::from(vec![1, 2]),
                state_diff: Some(Default::default()),
                trace: Vec::new(),
                vm_trace,
            };
            let results =
                TraceResultsWithTransactionHash { full_trace, transaction_hash: B256::repeat_byte(7) };
            let mut text = Vec::new();
            write_results(&results, &mut text).unwrap();
            let expected = serde_json::to_string(&results).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
