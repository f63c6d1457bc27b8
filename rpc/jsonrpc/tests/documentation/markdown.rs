//! `docs/rpc.md`.

use std::fmt::Write;

use crate::source::{Method, Param};

const HEAD: &str = "\
# JSON-RPC methods

Made from the source: refresh with `UPDATE_GOLDEN=1 cargo test -p portico-jsonrpc --test documentation`.

A namespace is served where `--http.api`, `--ws.api` name it; the IPC socket serves all of them. The class says which of
the governor's threads work on a call (`--rpc.limit CLASS.BOUND=NUMBER`); without one the answer is known already. *Streamed* answers leave over HTTP while they are
computed. *Needs* names data that pruning may have deleted or that is not indexed yet; a call that meets such a gap gets an
error that says what is missing and the first block that is there, never an empty answer. A parameter in [brackets]
may be left out. `rpc_discover` gives the same as an OpenRPC document.
";

/// Methods of other crates; a test of theirs looks for their names here.
const TAIL: &str = "
## Nodes that make blocks

A node with an Engine API also has these.

| method | parameters | |
| --- | --- | --- |
| `debug_setHead` | number | Goes to another block of the head's chain. |
| `testing_buildBlockV1` | parent, attributes, [transactions], [extraData] | Builds a block of the given transactions, or of the pool's; the head stays where it is. |

A development network (`--dev`) also has these, in `eth` and `evm`. Hardhat and Anvil agree where nothing else is said.

| method | parameters | |
| --- | --- | --- |
| `eth_accounts` |  | The ten accounts whose keys everybody knows. |
| `eth_sendTransaction` | request | Fills in, signs and sends a transaction. When blocks are made for transactions, it is in one when this returns; so it is after `eth_sendRawTransaction`. |
| `eth_sendTransactionSync` | request, [timeout] | The same, and waits for the receipt, so many milliseconds. |
| `eth_signTransaction` | request | Fills in and signs a transaction. |
| `eth_sign` | address, message | Signs a message (EIP-191). |
| `evm_mine` | [timestamp], or {timestamp, blocks} | Makes a block, or some. |
| `hardhat_mine`, `anvil_mine` | [blocks], [seconds] | Makes blocks, so many seconds apart. |
| `evm_snapshot` |  | Remembers the head; the snapshot's number. |
| `evm_revert` | number | Goes back to a snapshot, and forgets it, later ones and the pool; whether there was one. |
| `evm_setNextBlockTimestamp` | timestamp | Time of the next block, from which the clock goes on. |
| `evm_increaseTime` | seconds | Moves the clock on. |
| `evm_setAutomine` | enabled | Whether blocks are made for transactions. |
| `evm_setIntervalMining` | interval | Makes blocks by the clock, every so many seconds (Anvil), or milliseconds from 1,000 on (Hardhat); 0 ends it. |
";

/// Whose dialect a namespace speaks where clients differ.
fn dialect(namespace: &str) -> &'static str {
    match namespace {
        "eth" => "The execution API specification; go-ethereum where it is silent.",
        "debug" => {
            "go-ethereum; methods that only Erigon has (`accountAt`, `accountRange` with its parameters) as Erigon."
        }
        "trace" => {
            "OpenEthereum, as Erigon answers: union of `fromAddress` and `toAddress` by default, no limit on ranges."
        }
        "ots" => "Otterscan, level 8.",
        "erigon" => "Erigon.",
        "parity" => "OpenEthereum, as Erigon has it.",
        "txpool" | "admin" => "go-ethereum.",
        "net" | "web3" | "rpc" => "All clients agree.",
        other => panic!("say whose dialect {other} is"),
    }
}

pub fn document(methods: &[Method]) -> String {
    let mut text = HEAD.to_owned();
    for namespace in methods.chunk_by(|left, right| left.namespace == right.namespace) {
        let name = &namespace[0].namespace;
        write!(text, "\n## {name}\n\n{}\n\n", dialect(name)).unwrap();
        text.push_str("| method | parameters | class | needs | |\n| --- | --- | --- | --- | --- |\n");
        for method in namespace {
            row(&mut text, method);
        }
    }
    text.push_str(TAIL);
    text
}

fn row(text: &mut String, method: &Method) {
    let class = method.class.as_deref().unwrap_or("-");
    let class = if method.is_streamed { format!("{class}, streamed") } else { class.to_owned() };
    let params: Vec<_> = method.params.iter().map(param).collect();
    let names: Vec<_> = method.names().iter().map(|name| format!("`{name}`")).collect();
    writeln!(
        text,
        "| {} | {} | {class} | {} | {} |",
        names.join(", "),
        params.join(", "),
        method.needs.join(", "),
        method.words.replace('|', "\\|")
    )
    .unwrap();
}

fn param(param: &Param) -> String {
    if param.is_required { param.name.clone() } else { format!("[{}]", param.name) }
}
