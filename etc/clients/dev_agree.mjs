// Holds every way of asking against the others, for all that is on the development network: dev_agree.mjs FILE...
//
// The files say what was sent. Receipts, logs, both dialects of traces and GraphQL must tell the same of each
// transaction; and two ledgers, kept from genesis on by what traces and logs say, must have every balance at every block.
import { readFileSync } from 'node:fs';
import { AbiCoder, Interface, id, keccak256 } from 'ethers';
import { Token, account } from './dev.mjs';
import { assert, httpUrl } from './facts.mjs';

const hex = number => '0x' + number.toString(16);
const lower = value => value === null || value === undefined ? null : value.toLowerCase();
const number = value => value === null || value === undefined ? null : BigInt(value);
const post = async (path, body) => {
  const headers = { 'content-type': 'application/json' };
  return (await fetch(httpUrl + path, { method: 'POST', headers, body: JSON.stringify(body) })).json();
};

async function rpc(method, ...params) {
  const { result, error } = await post('', { jsonrpc: '2.0', id: 1, method, params });
  assert(!error, `${method}(${JSON.stringify(params)}): ${JSON.stringify(error)}`);
  return result;
}

async function batch(method, list) {
  if (!list.length) return [];
  const answers = await post('', list.map((params, id) => ({ jsonrpc: '2.0', id, method, params })));
  const failed = answers.find(answer => answer.error);
  assert(!failed, `${method}: ${JSON.stringify(failed?.error)}`);
  return answers.sort((a, b) => a.id - b.id).map(answer => answer.result);
}

async function graphql(query) {
  const { data, errors } = await post('/graphql', { query });
  assert(!errors, `${query}: ${JSON.stringify(errors)}`);
  return data;
}

/// Texts in which every number is one, so that what is equal looks equal.
const text = value => JSON.stringify(value, (_, value) => typeof value === 'bigint' ? value.toString() : value);
function same(what, ...told) {
  const texts = told.map(text);
  assert(texts.every(one => one === texts[0]), `${what}: all tell the same:\n  ${texts.join('\n  ')}`);
}

const log = (address, topics, data, index) => ({ address: lower(address), topics: topics.map(lower), data: lower(data), index });

/// The logs of a call and of all within it, in the order in which they were made.
function logsOf(call) {
  const own = (call.logs ?? []).map(one => ({ at: Number(one.position), logs: [one] }));
  const inner = (call.calls ?? []).map((one, index) => ({ at: index + 0.5, logs: logsOf(one) }));
  // A log's position is the number of calls before it.
  return [...own.map(one => ({ ...one, at: one.at })), ...inner].sort((a, b) => a.at - b.at).flatMap(one => one.logs);
}

/// Who gave how much to whom, in order, of what was not taken back.
function flowsOfCalls(call) {
  if (call.error) return [];
  const moves = call.type !== 'DELEGATECALL' && call.type !== 'STATICCALL' && call.type !== 'CALLCODE';
  const own = moves && number(call.value ?? 0) ? [[lower(call.from), lower(call.to), number(call.value)]] : [];
  return [...own, ...(call.calls ?? []).flatMap(flowsOfCalls)];
}

function flowsOfTraces(traces) {
  const failed = traces.filter(one => one.error).map(one => one.traceAddress.join('/'));
  const within = path => failed.some(prefix => prefix === '' || path === prefix || path.startsWith(prefix + '/'));
  const kept = traces.filter(one => !within(one.traceAddress.join('/')));
  const flows = kept.map(({ type, action, result }) => {
    if (type === 'suicide') return [lower(action.address), lower(action.refundAddress), number(action.balance)];
    if (type === 'create') return [lower(action.from), lower(result.address), number(action.value)];
    const moves = action.callType === 'call';
    return [lower(action.from), lower(action.to), moves ? number(action.value) : 0n];
  });
  return flows.filter(([, , value]) => value);
}

const TRANSACTION = `hash index nonce type value gas gasPrice inputData maxFeePerGas maxPriorityFeePerGas from { address }
  to { address } block { number hash } status gasUsed cumulativeGasUsed effectiveGasPrice blobGasUsed blobGasPrice
  createdContract { address } logs { index account { address } topics data transaction { hash } } raw`;

const TRANSFER = id('Transfer(address,address,uint256)');
const token = new Interface(Token.abi);
const wei = new Map();
const add = (ledger, key, value) => ledger.set(key, (ledger.get(key) ?? 0n) + value);

/// Holds all that is told of one transaction against each other, and books it.
async function transaction(block, hash, index, blockLogs) {
  const name = `transaction ${index} of block ${number(block.number)}`;
  const [tx, receipt, raw] = [await rpc('eth_getTransactionByHash', hash), await rpc('eth_getTransactionReceipt', hash),
    await rpc('eth_getRawTransactionByHash', hash)];
  const call = await rpc('debug_traceTransaction', hash, { tracer: 'callTracer', tracerConfig: { withLog: true } });
  const flat = await rpc('debug_traceTransaction', hash, { tracer: 'flatCallTracer' });
  const steps = await rpc('debug_traceTransaction', hash, { disableStack: true, disableStorage: true });
  const traces = await rpc('trace_transaction', hash);
  const replay = await rpc('trace_replayTransaction', hash, ['trace']);
  const graph = (await graphql(`{ transaction(hash: "${hash}") { ${TRANSACTION} } }`)).transaction;

  const done = number(receipt.status) === 1n;
  same(`${name}: status`, done, number(graph.status) === 1n, !call.error, !traces[0].error, !steps.failed, !flat[0].error,
    !replay.trace[0].error);
  same(`${name}: gas used`, ...[receipt.gasUsed, graph.gasUsed, call.gasUsed, steps.gas].map(number));
  same(`${name}: gas so far`, ...[receipt.cumulativeGasUsed, graph.cumulativeGasUsed].map(number));
  same(`${name}: price`, ...[receipt.effectiveGasPrice, graph.effectiveGasPrice, tx.gasPrice, graph.gasPrice].map(number));
  same(`${name}: blobs`, ...[receipt, graph].map(one => [number(one.blobGasUsed), number(one.blobGasPrice)]));
  same(`${name}: type`, ...[tx.type, receipt.type, graph.type].map(number));
  same(`${name}: place`, [hash, number(block.number), block.hash, BigInt(index)],
    ...[tx, receipt].map(one => [one.hash ?? one.transactionHash, number(one.blockNumber), one.blockHash, number(one.transactionIndex)]),
    [graph.hash, number(graph.block.number), graph.block.hash, number(graph.index)],
    [traces[0].transactionHash, number(traces[0].blockNumber), traces[0].blockHash, number(traces[0].transactionPosition)]);
  same(`${name}: parties`, [lower(tx.from), lower(tx.to)], [lower(receipt.from), lower(receipt.to)],
    [lower(graph.from.address), lower(graph.to?.address)], [lower(call.from), tx.to === null ? null : lower(call.to)]);
  same(`${name}: what was sent`, [lower(tx.input), number(tx.value), number(tx.gas), number(tx.nonce)],
    [lower(graph.inputData), number(graph.value), number(graph.gas), number(graph.nonce)],
    [lower(call.input), number(call.value), number(call.gas), number(tx.nonce)]);
  same(`${name}: bytes`, raw, graph.raw);
  same(`${name}: hash of the bytes`, hash, keccak256(raw));
  const created = done ? lower(receipt.contractAddress) : null;
  if (tx.to === null && done) {
    same(`${name}: created`, created, lower(graph.createdContract.address), lower(call.to), lower(traces[0].result.address));
  } else {
    same(`${name}: created`, null, graph.createdContract, tx.to === null ? null : receipt.contractAddress);
  }
  same(`${name}: traces`, traces.map(one => [one.type, one.action, one.result, one.error, one.traceAddress, one.subtraces]),
    replay.trace.map(one => [one.type, one.action, one.result, one.error, one.traceAddress, one.subtraces]));
  const logs = receipt.logs.map(one => log(one.address, one.topics, one.data, number(one.logIndex)));
  same(`${name}: logs`, logs,
    blockLogs.filter(one => one.transactionHash === hash).map(one => log(one.address, one.topics, one.data, number(one.logIndex))),
    graph.logs.map(one => log(one.account.address, one.topics, one.data, number(one.index))),
    logsOf(call).map((one, position) => log(one.address, one.topics, one.data, (logs[position]?.index ?? null))));
  assert(graph.logs.every(one => one.transaction.hash === hash), `${name}: logs know their transaction`);
  const flows = flowsOfCalls(call);
  same(`${name}: value`, flows, flowsOfTraces(traces), flowsOfTraces(flat));

  const [gas, price, base] = [number(receipt.gasUsed), number(receipt.effectiveGasPrice), number(block.baseFeePerGas)];
  const blobs = (number(receipt.blobGasUsed) ?? 0n) * (number(receipt.blobGasPrice) ?? 0n);
  add(wei, lower(tx.from), -gas * price - blobs);
  add(wei, lower(block.miner), gas * (price - base));
  for (const [from, to, value] of flows) {
    add(wei, from, -value);
    add(wei, to, value);
  }
  return { type: Number(tx.type), status: Number(receipt.status), block: Number(block.number), receipt };
}

const tokens = new Map();
const parties = new Set();

/// Books transfers; gives what is to be asked of every token.
function book(logs) {
  for (const { address, topics, data } of logs.filter(one => one.topics[0] === TRANSFER)) {
    const ledger = tokens.get(lower(address)) ?? new Map();
    tokens.set(lower(address), ledger);
    const [from, to] = [topics[1], topics[2]].map(word => '0x' + word.slice(26));
    [from, to].forEach(party => parties.add(party));
    add(ledger, from, -BigInt(data));
    add(ledger, to, BigInt(data));
  }
}

const ZERO = '0x' + '00'.repeat(20);
const slotOf = holder =>
  keccak256(AbiCoder.defaultAbiCoder().encode(['address', 'uint256'], [holder, Token.slots.balanceOf]));
const slots = new Map();

/// Every balance after a block, of ether and tokens, in each way of asking.
async function balances(at) {
  const holders = [...wei.keys()];
  const told = await batch('eth_getBalance', holders.map(holder => [holder, hex(at)]));
  const nonces = await batch('eth_getTransactionCount', holders.map(holder => [holder, hex(at)]));
  const graph = await graphql(`{ block(number: ${at}) {
    ${holders.map((holder, index) => `a${index}: account(address: "${holder}") { balance transactionCount }`).join('\n')} } }`);
  holders.forEach((holder, index) => {
    const one = graph.block[`a${index}`];
    same(`ether of ${holder} after block ${at}`, wei.get(holder), number(told[index]), number(one.balance));
    same(`nonce of ${holder} after block ${at}`, number(nonces[index]), number(one.transactionCount));
  });

  const asked = [...tokens].flatMap(([address, ledger]) => [...ledger].map(([holder, value]) => ({ address, holder, value })));
  const data = holder => token.encodeFunctionData('balanceOf', [holder]);
  const rows = asked.filter(({ holder }) => holder !== ZERO);
  const called = await batch('eth_call', rows.map(({ address, holder }) => [{ to: address, data: data(holder) }, hex(at)]));
  const stored = await batch('eth_getStorageAt', rows.map(({ address, holder }) => {
    if (!slots.has(holder)) slots.set(holder, slotOf(holder));
    return [address, slots.get(holder), hex(at)];
  }));
  for (let begin = 0; begin < rows.length; begin += 20) {
    const page = rows.slice(begin, begin + 20);
    const graph = await graphql(`{ block(number: ${at}) { ${page.map(({ address, holder }, index) => `
      c${index}: call(data: { to: "${address}", data: "${data(holder)}" }) { data status }
      s${index}: account(address: "${address}") { storage(slot: "${slots.get(holder)}") }`).join('')} } }`);
    page.forEach(({ address, holder, value }, index) => {
      same(`tokens ${address} of ${holder} after block ${at}`, value, number(called[begin + index]),
        number(stored[begin + index]), number(graph.block[`c${index}`].data), number(graph.block[`s${index}`].storage));
    });
  }
  // What came from nowhere and is not back there is the supply.
  const supplies = await batch('eth_call', [...tokens.keys()].map(address =>
    [{ to: address, data: token.encodeFunctionData('totalSupply') }, hex(at)]));
  [...tokens.values()].forEach((ledger, index) => same(`supply after block ${at}`, -(ledger.get(ZERO) ?? 0n), number(supplies[index])));
}

const genesis = Array.from({ length: 10 }, (_, index) => account(index).address.toLowerCase());
for (const address of genesis) wei.set(address, number(await rpc('eth_getBalance', address, '0x0')));

const head = Number(await rpc('eth_blockNumber'));
const seen = new Map();
const all = [];
for (let at = 1; at <= head; at++) {
  const block = await rpc('eth_getBlockByNumber', hex(at), false);
  const logs = await rpc('eth_getLogs', { blockHash: block.hash });
  const graph = (await graphql(`{ block(number: ${at}) { hash gasUsed transactionCount transactions { hash }
    logs(filter: {}) { index account { address } topics data } }
    logs(filter: { fromBlock: ${at}, toBlock: ${at} }) { index account { address } topics data } }`));
  const plain = list => list.map(one => log(one.account?.address ?? one.address, one.topics, one.data, number(one.index ?? one.logIndex)));
  same(`logs of block ${at}`, plain(logs), plain(graph.block.logs), plain(graph.logs), logs.map((one, index) => plain([{ ...one, logIndex: hex(index) }])[0]));
  same(`transactions of block ${at}`, block.transactions, graph.block.transactions.map(one => one.hash));
  const receipts = await rpc('eth_getBlockReceipts', hex(at));
  const traced = await rpc('debug_traceBlockByNumber', hex(at), { tracer: 'callTracer', tracerConfig: { withLog: true } });
  const traces = await rpc('trace_block', hex(at));
  same(`traced transactions of block ${at}`, block.transactions, traced.map(one => one.txHash),
    [...new Set(traces.filter(one => one.transactionHash).map(one => one.transactionHash))]);
  let gas = 0n;
  for (const [index, hash] of block.transactions.entries()) {
    const told = await transaction(block, hash, index, logs);
    same(`receipt ${index} of block ${at}`, told.receipt, receipts[index]);
    gas += number(told.receipt.gasUsed);
    same(`gas so far after transaction ${index} of block ${at}`, gas, number(told.receipt.cumulativeGasUsed));
    seen.set(hash, told);
  }
  same(`gas of block ${at}`, gas, number(block.gasUsed), number(graph.block.gasUsed));
  book(logs);
  all.push(...logs);
  await balances(at);
}

same('logs of all blocks', all, await rpc('eth_getLogs', { fromBlock: '0x0', toBlock: 'latest' }));
const transfers = await rpc('eth_getLogs', { fromBlock: '0x0', topics: [TRANSFER], address: [...tokens.keys()] });
same('all transfers', all.filter(one => one.topics[0] === TRANSFER), transfers);
const types = new Set();
for (const file of process.argv.slice(2)) {
  for (const sent of JSON.parse(readFileSync(file, 'utf8').trim().split('\n').at(-1)).sent) {
    const found = seen.get(sent.hash);
    assert(found, `${file}: ${sent.hash} is in the chain`);
    same(`${file}: ${sent.hash}`, sent, { hash: sent.hash, type: found.type, status: found.status, block: found.block });
    types.add(found.type);
  }
}
if (process.argv.length > 2) same('types of transactions', [...types].sort(), [0, 1, 2, 3, 4]);
console.error(`${head} blocks, ${seen.size} transactions of ${types.size} types, ${all.length} logs, ${tokens.size} tokens, ` +
  `${wei.size} accounts: receipts, logs, traces and GraphQL agree`);
console.log(JSON.stringify({ head: (await rpc('eth_getBlockByNumber', hex(head), false)).hash, transactions: seen.size, logs: all.length }));
