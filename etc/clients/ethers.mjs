// What users of ethers do.
import { JsonRpcProvider, WebSocketProvider, toBeHex } from 'ethers';
import { assert, httpUrl, plan, print, wsUrl } from './facts.mjs';

const provider = new JsonRpcProvider(httpUrl);
const { block: number, transaction: hash, sender, contract, topic, call } = plan;

const block = await provider.getBlock(number, true);
const transaction = await provider.getTransaction(hash);
const receipt = await provider.getTransactionReceipt(hash);
const logs = await provider.getLogs({ fromBlock: number - 5, toBlock: number, topics: [topic] });
const history = await provider.send('eth_feeHistory', ['0x5', toBeHex(number), [25, 75]]);
const proof = await provider.send('eth_getProof', [sender, [], toBeHex(number)]);
const trace = await provider.send('debug_traceTransaction', [hash, { tracer: 'callTracer' }]);
const traces = await provider.send('trace_block', [toBeHex(number)]);
const network = await provider.getNetwork();
const fees = await provider.getFeeData();

assert(block.prefetchedTransactions.length === block.transactions.length, 'blocks come with their transactions');
assert(transaction.blockHash === block.hash, 'a transaction knows its block');
assert(receipt.logs.length > 0, 'the receipt has logs');
assert((await provider.getBlock(block.hash)).number === number, 'blocks are found by hash');
assert((await provider.getTransactionReceipt('0x' + '77'.repeat(32))) === null, 'an unknown receipt is null');
assert((await provider.getBlock(10_000_000)) === null, 'a block of the future is null');
assert(fees.gasPrice > 0n && fees.maxFeePerGas > 0n, 'there are fees');
// Batches: ethers puts calls of one tick into one request.
const balances = await Promise.all([0, 1, number - 1, number].map(at => provider.getBalance(sender, at)));
const reverted = await provider.call({ to: contract, data: '0xdeadbeef' }).then(() => null, error => error);
assert(reverted === null || reverted.code === 'CALL_EXCEPTION', `a revert is a CALL_EXCEPTION: ${reverted?.code}`);

const socket = new WebSocketProvider(wsUrl);
assert((await socket.getBlockNumber()) === (await provider.getBlockNumber()), 'both transports see the same head');
await socket.destroy();

print({
  chainId: network.chainId,
  head: await provider.getBlockNumber(),
  blockHash: block.hash,
  transactions: block.transactions.join(),
  baseFee: block.baseFeePerGas,
  gasUsed: block.gasUsed,
  balances: balances.join(),
  nonce: await provider.getTransactionCount(sender, number),
  code: (await provider.getCode(contract)).length,
  slot: await provider.getStorage(contract, 0, number),
  call: await provider.call({ to: contract, data: call, blockTag: number }),
  estimate: await provider.estimateGas({ from: sender, to: sender, value: 1n }),
  logs: logs.map(log => `${log.blockNumber}/${log.index}`).join(),
  status: receipt.status,
  receiptGas: receipt.gasUsed,
  baseFees: history.baseFeePerGas.map(BigInt).join(),
  rewards: history.reward.length,
  proofBalance: BigInt(proof.balance),
  proofNodes: proof.accountProof.length,
  traceGas: BigInt(trace.gasUsed),
  traces: traces.length,
});
provider.destroy();
