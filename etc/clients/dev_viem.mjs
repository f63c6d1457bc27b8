// A developer with viem on the development network.
import { createTestClient, createWalletClient, http, parseEventLogs, publicActions, webSocket } from 'viem';
import { privateKeyToAccount } from 'viem/accounts';
import { hardhat } from 'viem/chains';
import { Token, Workshop, account, failure, note, printSent } from './dev.mjs';
import { assert, httpUrl, wsUrl } from './facts.mjs';

const chain = { ...hardhat, id: 1337 };
const [owner, other] = [4, 5].map(index => privateKeyToAccount(account(index).key));
const transport = http(httpUrl);
const [client, second] = [owner, other].map(account =>
  createWalletClient({ account, chain, transport, pollingInterval: 50 }).extend(publicActions));

async function mined(hash, type) {
  const receipt = await client.waitForTransactionReceipt({ hash });
  assert(receipt.status === 'success', `${hash} is done`);
  assert(receipt.type === type, `${hash} has type ${type}, not ${receipt.type}`);
  const number = { legacy: 0, eip2930: 1, eip1559: 2, eip4844: 3, eip7702: 4 }[type];
  note(hash, number, 1, receipt.blockNumber);
  return receipt;
}

const { contractAddress: address } = await mined(
  await client.deployContract({ abi: Token.abi, bytecode: Token.bytecode, args: ['Viem', 1_000_000n] }), 'eip1559');
// Without a key: the node signs.
const unlocked = createWalletClient({ account: owner.address, chain, transport });
const { contractAddress: workshop } = await mined(
  await unlocked.deployContract({ abi: Workshop.abi, bytecode: Workshop.bytecode }), 'eip1559');
const token = { address, abi: Token.abi };
const read = (functionName, args, at = {}) => client.readContract({ ...token, functionName, args, ...at });
const write = (functionName, args, rest = {}) => client.writeContract({ ...token, functionName, args, ...rest });

const socket = createWalletClient({ chain, transport: webSocket(wsUrl) }).extend(publicActions);
const seen = [];
const stop = socket.watchContractEvent({ ...token, eventName: 'Transfer', onLogs: logs => seen.push(...logs) });
// Its answer comes after the subscription's.
await socket.getBlockNumber();

const { request, result } = await client.simulateContract({ ...token, functionName: 'transfer', args: [other.address, 1000n] });
assert(result === true, 'the simulation gives what the call returns');
const simulated = await client.writeContract(request);
await mined(simulated, 'eip1559');
await mined(await write('transfer', [other.address, 2000n], { type: 'legacy' }), 'legacy');
const accessList = [{ address, storageKeys: ['0x' + '00'.repeat(31) + '03'] }];
await mined(await write('transfer', [other.address, 10n], { type: 'eip2930', accessList }), 'eip2930');
await mined(await write('approve', [other.address, 500n]), 'eip1559');
await mined(await second.writeContract({ ...token, functionName: 'transferFrom', args: [owner.address, other.address, 400n] }), 'eip1559');
await mined(await write('deposit', [], { value: 10n ** 17n }), 'eip1559');
await mined(await write('withdraw', [10n ** 16n]), 'eip1559');
assert(await read('balanceOf', [other.address]) === 3410n, 'the balance of all transfers');

const failed = await failure(() => second.simulateContract({ ...token, functionName: 'transfer', args: [owner.address, 10n ** 30n] }));
const cause = failed.walk(error => error.name === 'ContractFunctionRevertedError');
assert(cause?.data?.errorName === 'InsufficientBalance', `the error is decoded: ${failed.message}`);
const hash = await second.writeContract({ ...token, functionName: 'transfer', args: [owner.address, 10n ** 30n], gas: 100_000n });
const receipt = await client.waitForTransactionReceipt({ hash });
assert(receipt.status === 'reverted' && receipt.logs.length === 0, 'a failed transaction has a receipt');
note(hash, 2, 0, receipt.blockNumber);

// Code for an account of its own, which sends the transaction itself.
const authorization = await second.signAuthorization({ contractAddress: workshop, executor: 'self' });
const steps = [{ to: owner.address, value: 5n, data: '0x' }, { to: workshop, value: 6n, data: '0x' }];
await mined(await second.writeContract({
  address: other.address, abi: Workshop.abi, functionName: 'run', args: [steps], authorizationList: [authorization],
}), 'eip7702');
const code = await client.getCode({ address: other.address });
assert(code.toLowerCase() === '0xef0100' + workshop.slice(2).toLowerCase(), 'the account is delegated');
const made = await mined(await client.writeContract(
  { address: workshop, abi: Workshop.abi, functionName: 'make', args: ['Inner', 9n] }), 'eip1559');
assert(parseEventLogs({ abi: Workshop.abi, logs: made.logs, eventName: 'Made' })[0].args.name === 'Inner', 'the event is decoded');

const logs = await client.getContractEvents({ ...token, eventName: 'Transfer', fromBlock: 0n });
const told = logs => logs.map(log => `${log.blockNumber}/${log.logIndex}/${log.args.value}`).join();
// The first one was before anybody listened.
for (let turn = 0; seen.length < logs.length - 1 && turn < 100; turn++) await new Promise(next => setTimeout(next, 50));
assert(logs.length === 7 && told(seen) === told(logs.slice(1)), `listening gave ${told(seen)}, asking ${told(logs)}`);
stop();
const test = createTestClient({ chain, mode: 'hardhat', transport });
assert(Object.keys((await test.getTxpoolContent()).pending).length === 0, 'nothing waits');
(await socket.transport.getRpcClient()).close();
printSent();
