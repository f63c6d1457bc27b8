// Chooses what to ask about from the chain: prints the plan as JSON.
import { assert, httpUrl } from './facts.mjs';

async function call(method, ...params) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
  const response = await fetch(httpUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  const { result, error } = await response.json();
  assert(!error, `${method}: ${JSON.stringify(error)}`);
  return result;
}
const hex = number => '0x' + number.toString(16);

const head = Number(await call('eth_blockNumber'));
assert(head > 40, 'the sample chain has blocks');
let found;
for (let number = head - 20; number > 20 && !found; number--) {
  const logs = await call('eth_getLogs', { fromBlock: hex(number), toBlock: hex(number) });
  const log = logs.find(log => log.topics.length === 3);
  if (log) found = log;
}
assert(found, 'the sample chain has logs of transfers');
const transaction = await call('eth_getTransactionByHash', found.transactionHash);
console.log(JSON.stringify({
  block: Number(found.blockNumber),
  transaction: found.transactionHash,
  sender: transaction.from,
  contract: found.address,
  topic: found.topics[0],
  // balanceOf(sender), as of every token.
  call: '0x70a08231' + transaction.from.slice(2).padStart(64, '0'),
}));
