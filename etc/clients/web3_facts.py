"""What users of web3.py do: over HTTP, then over IPC, and both must agree."""

import json
import os

from web3 import Web3
from web3.exceptions import BlockNotFound, TransactionNotFound

PLAN = json.loads(os.environ["PLAN"])


def fails(error, ask):
    try:
        ask()
    except error:
        return True
    return False


def learn(web3):
    number, tx_hash, contract = PLAN["block"], PLAN["transaction"], Web3.to_checksum_address(PLAN["contract"])
    sender = Web3.to_checksum_address(PLAN["sender"])
    eth = web3.eth
    block = eth.get_block(number, full_transactions=True)
    receipt = eth.get_transaction_receipt(tx_hash)
    logs = eth.get_logs({"fromBlock": number - 5, "toBlock": number, "topics": [PLAN["topic"]]})
    history = eth.fee_history(5, number, [25, 75])
    proof = eth.get_proof(sender, [], number)
    trace = web3.manager.request_blocking("debug_traceTransaction", [tx_hash, {"tracer": "callTracer"}])
    traces = web3.tracing.trace_block(number)

    assert web3.is_connected()
    assert web3.client_version.startswith("Portico/")
    assert eth.get_transaction(tx_hash)["blockHash"] == block["hash"]
    assert fails(TransactionNotFound, lambda: eth.get_transaction("0x" + "77" * 32))
    assert fails(BlockNotFound, lambda: eth.get_block(10_000_000))
    assert eth.gas_price > 0 and eth.max_priority_fee >= 0

    balances = [eth.get_balance(sender, at) for at in (0, 1, number - 1, number)]
    facts = {
        "chainId": eth.chain_id,
        "head": eth.block_number,
        "blockHash": block["hash"].to_0x_hex(),
        "transactions": ",".join(one["hash"].to_0x_hex() for one in block["transactions"]),
        "baseFee": block["baseFeePerGas"],
        "gasUsed": block["gasUsed"],
        "balances": ",".join(map(str, balances)),
        "nonce": eth.get_transaction_count(sender, number),
        "code": len(eth.get_code(contract).to_0x_hex()),
        "slot": "0x" + eth.get_storage_at(contract, 0, number).hex().removeprefix("0x").rjust(64, "0"),
        "call": eth.call({"to": contract, "data": PLAN["call"]}, number).to_0x_hex(),
        "estimate": eth.estimate_gas({"from": sender, "to": sender, "value": 1}),
        "logs": ",".join(f"{log['blockNumber']}/{log['logIndex']}" for log in logs),
        "status": receipt["status"],
        "receiptGas": receipt["gasUsed"],
        "baseFees": ",".join(map(str, history["baseFeePerGas"])),
        "rewards": len(history["reward"]),
        "proofBalance": proof["balance"],
        "proofNodes": len(proof["accountProof"]),
        "traceGas": int(trace["gasUsed"], 16),
        "traces": len(traces),
    }
    return {name: str(value) for name, value in facts.items()}


http = learn(Web3(Web3.HTTPProvider(os.environ["RPC_HTTP"])))
ipc = learn(Web3(Web3.IPCProvider(os.environ["RPC_IPC"])))
assert http == ipc, f"HTTP and IPC differ: {http} {ipc}"
print(json.dumps(http))
