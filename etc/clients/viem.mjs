// What users of viem do.
import { createPublicClient, http, webSocket } from 'viem';
import { assert, httpUrl, plan, print, wsUrl } from './facts.mjs';

const client = createPublicClient({ transport: http(httpUrl, { batch: true }) });
const { block: number, transaction: hash, sender, contract, topic, call } = plan;
const blockNumber = BigInt(number);

const block = await client.getBlock({ blockNumber, includeTransactions: true });
const receipt = await client.getTransactionReceipt({ hash });
const transaction = await client.getTransaction({ hash });
const logs = (await client.getLogs({ fromBlock: blockNumber - 5n, toBlock: blockNumber }))
  .filter(log => log.topics[0] === topic);
const history = await client.getFeeHistory({ blockCount: 5, blockNumber, rewardPercentiles: [25, 75] });
const proof = await client.getProof({ address: sender, storageKeys: [], blockNumber });
const trace = await client.request({ method: 'debug_traceTransaction', params: [hash, { tracer: 'callTracer' }] });
const traces = await client.request({ method: 'trace_block', params: ['0x' + number.toString(16)] });
const simulated = await client.call({ to: contract, data: call, blockNumber });
const balances = await Promise.all(
  [0n, 1n, blockNumber - 1n, blockNumber].map(at => client.getBalance({ address: sender, blockNumber: at })));

assert(transaction.blockHash === block.hash, 'a transaction knows its block');
assert(block.transactions.every(one => one.blockNumber === blockNumber), 'transactions know their block');
const missing = await client.getTransaction({ hash: '0x' + '77'.repeat(32) }).then(() => null, error => error);
assert(missing?.name === 'TransactionNotFoundError', `an unknown transaction is not found: ${missing?.name}`);
const future = await client.getBlock({ blockNumber: 10_000_000n }).then(() => null, error => error);
assert(future?.name === 'BlockNotFoundError', `a block of the future is not found: ${future?.name}`);
assert((await client.getGasPrice()) > 0n, 'there is a gas price');
assert((await client.estimateMaxPriorityFeePerGas()) >= 0n, 'there is a tip');
const list = await client.createAccessList({ account: sender, to: contract, data: call });
assert(list.gasUsed > 0n, 'access lists can be made');

const socket = createPublicClient({ transport: webSocket(wsUrl) });
assert((await socket.getChainId()) === (await client.getChainId()), 'both transports know the chain');
(await socket.transport.getRpcClient()).close();

print({
  chainId: await client.getChainId(),
  head: await client.getBlockNumber(),
  blockHash: block.hash,
  transactions: block.transactions.map(one => one.hash).join(),
  baseFee: block.baseFeePerGas,
  gasUsed: block.gasUsed,
  balances: balances.join(),
  nonce: await client.getTransactionCount({ address: sender, blockNumber }),
  code: (await client.getCode({ address: contract })).length,
  slot: await client.getStorageAt({ address: contract, slot: '0x0', blockNumber }),
  call: simulated.data ?? '0x',
  estimate: await client.estimateGas({ account: sender, to: sender, value: 1n }),
  logs: logs.map(log => `${log.blockNumber}/${log.logIndex}`).join(),
  status: receipt.status === 'success' ? 1 : 0,
  receiptGas: receipt.gasUsed,
  baseFees: history.baseFeePerGas.join(),
  rewards: history.reward.length,
  proofBalance: proof.balance,
  proofNodes: proof.accountProof.length,
  traceGas: BigInt(trace.gasUsed),
  traces: traces.length,
});
