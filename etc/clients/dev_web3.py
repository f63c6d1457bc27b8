"""A developer with web3.py on the development network."""

import json
import os
import pathlib

from eth_account import Account
from web3 import Web3
from web3.exceptions import ContractCustomError, ContractLogicError

CONTRACTS = json.loads(pathlib.Path(__file__).with_name("contracts.json").read_text())["contracts"]
PHRASE = "test test test test test test test test test test test junk"

web3 = Web3(Web3.HTTPProvider(os.environ["RPC_HTTP"]))
web3.eth.poll_latency = 0.05
Account.enable_unaudited_hdwallet_features()
owner, other = (Account.from_mnemonic(PHRASE, account_path=f"m/44'/60'/0'/0/{index}") for index in (6, 7))
sent = []


def mined(tx_hash, kind, status=1):
    receipt = web3.eth.wait_for_transaction_receipt(tx_hash, timeout=30, poll_latency=0.05)
    assert receipt["status"] == status, receipt
    assert receipt["type"] == kind, receipt
    sent.append({"hash": receipt["transactionHash"].to_0x_hex(), "type": kind, "status": status, "block": receipt["blockNumber"]})
    return receipt


def signed(account, transaction, blobs=None):
    """Signs what the node lets us fill in."""
    filled = {"chainId": web3.eth.chain_id, "nonce": web3.eth.get_transaction_count(account.address, "pending"), **transaction}
    raw = account.sign_transaction(filled, blobs=blobs) if blobs else account.sign_transaction(filled)
    return web3.eth.send_raw_transaction(raw.raw_transaction)


def fails(error, ask):
    try:
        ask()
    except error as caught:
        return caught
    raise AssertionError(f"{error} was not raised")


def contract(name, **where):
    return web3.eth.contract(abi=CONTRACTS[name]["abi"], bytecode=CONTRACTS[name]["bytecode"], **where)


# By an account that the node has, then by a key.
unlocked = {"from": owner.address}
deployed = mined(contract("Token").constructor("web3.py", 1_000_000).transact(unlocked), 2)
token = contract("Token")(address=deployed["contractAddress"])
creation = contract("Workshop").constructor().build_transaction({"from": owner.address, "nonce": web3.eth.get_transaction_count(owner.address)})
workshop = contract("Workshop")(address=mined(signed(owner, creation), 2)["contractAddress"])
assert token.functions.name().call() == "web3.py"
listening = token.events.Transfer.create_filter(from_block="latest")

mined(token.functions.transfer(other.address, 1000).transact(unlocked), 2)
price = web3.eth.gas_price
mined(token.functions.transfer(other.address, 2000).transact({**unlocked, "gasPrice": price}), 0)
access_list = [{"address": token.address, "storageKeys": ["0x" + "00" * 31 + "03"]}]
listed = token.functions.transfer(other.address, 10).build_transaction(
    {"from": owner.address, "gasPrice": price, "accessList": access_list, "nonce": web3.eth.get_transaction_count(owner.address)})
mined(signed(owner, listed), 1)
mined(token.functions.approve(other.address, 500).transact(unlocked), 2)
mined(token.functions.transferFrom(owner.address, other.address, 400).transact({"from": other.address}), 2)
mined(token.functions.deposit().transact({**unlocked, "value": 10**17}), 2)
mined(token.functions.withdraw(10**16).transact(unlocked), 2)
assert token.functions.balanceOf(other.address).call() == 3410
assert token.functions.balanceOf(other.address).call(block_identifier=deployed["blockNumber"]) == 0

# What fails.
broke = fails(ContractCustomError, lambda: token.functions.transfer(owner.address, 10**30).call({"from": other.address}))
assert broke.args[0].startswith(Web3.keccak(text="InsufficientBalance(address,uint256,uint256)")[:4].to_0x_hex()), broke
words = fails(ContractLogicError, lambda: token.functions.transferFrom(owner.address, other.address, 101).transact({"from": other.address}))
assert "allowance is too small" in str(words), words
failed = mined(token.functions.transfer(owner.address, 10**30).transact({"from": other.address, "gas": 100_000}), 2, status=0)
assert not failed["logs"]

# Blobs, and code for an account of its own.
fees = {"maxFeePerGas": 10**10, "maxPriorityFeePerGas": 10**9}
blob = b"portico".ljust(32, b"\0") + bytes(4096 * 32 - 32)
mined(signed(owner, {"type": 3, "to": other.address, "value": 3, "gas": 21_000, "maxFeePerBlobGas": 10**9, **fees}, [blob]), 3)
authorization = owner.sign_authorization(
    {"chainId": web3.eth.chain_id, "address": workshop.address, "nonce": web3.eth.get_transaction_count(owner.address) + 1})
mined(signed(owner, {"type": 4, "to": owner.address, "value": 0, "gas": 100_000, "authorizationList": [authorization], **fees}), 4)
assert web3.eth.get_code(owner.address) == bytes.fromhex("ef0100") + bytes.fromhex(workshop.address[2:])
made = mined(workshop.functions.make("Inner", 9).transact(unlocked), 2)
assert workshop.events.Made().process_log(made["logs"][-1])["args"]["name"] == "Inner"

# The same events by a filter that was asked before, and by asking now.
fresh = [(log["blockNumber"], log["logIndex"], log["args"]["value"]) for log in listening.get_new_entries()]
found = [(log["blockNumber"], log["logIndex"], log["args"]["value"]) for log in token.events.Transfer.get_logs(from_block=0)]
assert found[1:] == fresh and len(found) == 7, (found, fresh)
pending = web3.eth.get_block("pending")
assert pending["hash"] is None and pending["number"] == web3.eth.block_number + 1 and not pending["transactions"], pending
print(json.dumps({"sent": sent}))
