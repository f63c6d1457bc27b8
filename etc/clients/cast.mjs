// What users of foundry's cast do. $CAST is the program.
import { execFileSync } from 'node:child_process';
import { assert, httpUrl, plan, print } from './facts.mjs';

const { block: number, transaction: hash, sender, contract, topic, call } = plan;
const cast = (...words) =>
  execFileSync(process.env.CAST, [...words, '--rpc-url', httpUrl], { encoding: 'utf8', maxBuffer: 1 << 28 }).trim();
const json = (...words) => JSON.parse(cast(...words, '--json'));
const at = block => ['--block', String(block)];
const first = text => text.split(/\s/)[0];

const block = json('block', String(number), '--full');
const receipt = json('receipt', hash);
const logs = json('logs', '--from-block', String(number - 5), '--to-block', String(number), topic);
const history = JSON.parse(cast('rpc', 'eth_feeHistory', '0x5', '0x' + number.toString(16), '[25,75]'));
const proof = JSON.parse(cast('proof', sender, ...at(number)));
const trace = JSON.parse(cast('rpc', 'debug_traceTransaction', hash, '{"tracer":"callTracer"}'));
const traces = JSON.parse(cast('rpc', 'trace_block', '0x' + number.toString(16)));

assert(json('tx', hash).blockHash === block.hash, 'a transaction knows its block');
assert(cast('client').startsWith('Portico/'), 'the client says its name');
assert(BigInt(first(cast('gas-price'))) > 0n, 'there is a gas price');
assert(cast('age', String(number)).length > 0, 'a block has an age');
assert(Number(cast('find-block', String(Number(block.timestamp)))) === number, 'a block is found by its time');
// Runs the transaction itself, on the state that it asks for.
assert(/Gas used: \d+/.test(cast('run', hash, '--quick')), 'a transaction can be replayed');

print({
  chainId: cast('chain-id'),
  head: cast('block-number'),
  blockHash: block.hash,
  transactions: block.transactions.map(one => one.hash).join(),
  baseFee: BigInt(block.baseFeePerGas),
  gasUsed: BigInt(block.gasUsed),
  balances: [0, 1, number - 1, number].map(block => first(cast('balance', sender, ...at(block)))).join(),
  nonce: cast('nonce', sender, ...at(number)),
  code: cast('code', contract).length,
  slot: cast('storage', contract, '0', ...at(number)),
  call: cast('call', contract, '--data', call, ...at(number)),
  estimate: cast('estimate', sender, '--from', sender, '--value', '1'),
  logs: logs.map(log => `${Number(log.blockNumber)}/${Number(log.logIndex)}`).join(),
  status: Number(receipt.status),
  receiptGas: BigInt(receipt.gasUsed),
  baseFees: history.baseFeePerGas.map(BigInt).join(),
  rewards: history.reward.length,
  proofBalance: BigInt(proof.balance),
  proofNodes: proof.accountProof.length,
  traceGas: BigInt(trace.gasUsed),
  traces: traces.length,
});
