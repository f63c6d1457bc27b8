// A developer with ethers on the development network.
import { Contract, ContractFactory, Interface, JsonRpcProvider, NonceManager, Wallet, WebSocketProvider, id } from 'ethers';
import { Token, Workshop, account, failure, note, printSent } from './dev.mjs';
import { assert, httpUrl, wsUrl } from './facts.mjs';

const provider = new JsonRpcProvider(httpUrl, undefined, { pollingInterval: 50, cacheTimeout: -1 });
const [owner, other] = [2, 3].map(index => new Wallet(account(index).key, provider));

async function mined(sending, type) {
  const response = await sending;
  const receipt = await response.wait();
  assert(receipt.status === 1, `${response.hash} is done`);
  assert(receipt.type === type && response.type === type, `${response.hash} has type ${type}, not ${receipt.type}`);
  note(receipt.hash, receipt.type, receipt.status, receipt.blockNumber);
  return receipt;
}

// By a key, and by an account that the node has.
const token = await new ContractFactory(Token.abi, Token.bytecode, owner).deploy('Ethers', 1_000_000n);
await mined(token.deploymentTransaction(), 2);
await token.waitForDeployment();
const unlocked = await provider.getSigner(owner.address);
const workshop = await new ContractFactory(Workshop.abi, Workshop.bytecode, unlocked).deploy();
await mined(workshop.deploymentTransaction(), 2);
const address = await token.getAddress();
assert(await token.name() === 'Ethers' && await token.totalSupply() === 1_000_000n, 'the token is there');
assert((await provider.listAccounts()).length === 10, 'ten accounts are unlocked');

// Events over WebSocket, before and after.
const socket = new WebSocketProvider(wsUrl);
const seen = [];
const heard = new Contract(address, Token.abi, socket);
await heard.on('Transfer', (from, to, value, event) => seen.push(`${event.log.blockNumber}/${event.log.index}/${value}`));
const hashes = new Set();
await socket.on('pending', hash => hashes.add(hash));
// Its answer comes after the subscriptions'.
await socket.getBlockNumber();

await mined(token.transfer(other, 1000n), 2);
await mined(token.connect(unlocked).transfer(other, 2000n), 2);
await mined(token.transfer(other, 3000n, { type: 0 }), 0);
const accessList = [{ address, storageKeys: ['0x' + '00'.repeat(31) + '03'] }];
await mined(token.transfer(other, 10n, { type: 1, accessList }), 1);
await mined(token.approve(other, 500n), 2);
await mined(token.connect(other).transferFrom(owner, other, 400n), 2);
assert(await token.allowance(owner, other) === 100n, 'what is left of the allowance');
await mined(token.deposit({ value: 10n ** 17n }), 2);
await mined(owner.sendTransaction({ to: address, value: 10n ** 16n }), 2);
await mined(token.withdraw(5n * 10n ** 16n), 2);

// Many at once: the pool has them in their order.
const manager = new NonceManager(owner);
const many = await Promise.all(Array.from({ length: 20 }, (_, index) => token.connect(manager).transfer(other, BigInt(index + 1))));
for (const response of many) await mined(response, 2);
assert(await owner.getNonce('pending') === await owner.getNonce('latest'), 'nothing waits');

// What fails: with its reason, before it is sent; and in the chain, when a gas limit is named.
const custom = await failure(() => token.connect(other).transfer(owner, 10n ** 30n));
assert(custom.code === 'CALL_EXCEPTION' && custom.action === 'estimateGas', `the estimate fails: ${custom.code}`);
assert(token.interface.parseError(custom.data).args.needed === 10n ** 30n, 'the error has its data');
const decoded = await failure(() => token.connect(other).transfer.staticCall(owner, 10n ** 30n));
assert(decoded.revert?.name === 'InsufficientBalance' && decoded.revert.args.needed === 10n ** 30n, 'the error is decoded');
const words = await failure(() => token.connect(other).transferFrom.staticCall(owner, other, 101n));
assert(words.reason === 'allowance is too small', `the reason is told: ${words.reason}`);
const sent = await token.connect(other).transfer(owner, 10n ** 30n, { gasLimit: 100_000n });
const failed = await failure(() => sent.wait());
assert(failed.code === 'CALL_EXCEPTION' && failed.receipt.status === 0, 'a failed transaction has a receipt');
assert(failed.receipt.logs.length === 0, 'and no logs');
note(failed.receipt.hash, failed.receipt.type, failed.receipt.status, failed.receipt.blockNumber);
// The state then tells why, as explorers ask for it.
const again = await failure(() => provider.call({ ...sent.toJSON(), from: other.address, gasPrice: null, maxFeePerGas: null,
  maxPriorityFeePerGas: null, accessList: null, authorizationList: null, blockTag: failed.receipt.blockNumber }));
assert(new Interface(Token.abi).parseError(again.data).name === 'InsufficientBalance', 'the call fails as the transaction did');
const poor = Wallet.createRandom(provider);
const broke = await failure(() => poor.sendTransaction({ to: owner, value: 1n, gasLimit: 21000n }));
assert(broke.code === 'INSUFFICIENT_FUNDS', `who has nothing cannot send: ${broke.code} ${broke.message}`);
const old = await failure(() => owner.sendTransaction({ to: other, value: 1n, nonce: 0 }));
assert(old.code === 'NONCE_EXPIRED', `a nonce is used once: ${old.code} ${old.message}`);

// Code for an account of its own.
const workshopAddress = await workshop.getAddress();
const authorize = async (to, wallet = other) => wallet.authorize({ address: to, nonce: await wallet.getNonce() });
await mined(owner.sendTransaction({ to: other, type: 4, authorizationList: [await authorize(workshopAddress)] }), 4);
assert((await provider.getCode(other)).toLowerCase() === '0xef0100' + workshopAddress.slice(2).toLowerCase(), 'delegated');
const own = new Contract(other.address, Workshop.abi, other);
const call = value => token.interface.encodeFunctionData('transfer', [owner.address, value]);
const both = await mined(own.run([[address, 0n, call(1n)], [address, 0n, call(2n)], [owner.address, 77n, '0x']]), 2);
assert(both.logs.length === 2 && both.logs.every(log => log.address === address), 'one transaction with two transfers');
const made = await mined(workshop.make('Inner', 9n), 2);
const event = made.logs.map(log => workshop.interface.parseLog(log)).find(log => log?.name === 'Made');
assert(await new Contract(event.args.token, Token.abi, provider).balanceOf(unlocked) === 9n, 'a contract made a token');
await mined(owner.sendTransaction({ to: other, type: 4, authorizationList: [await authorize('0x' + '00'.repeat(20))] }), 4);

// The same events by asking and by listening.
const found = await token.queryFilter('Transfer', (await token.deploymentTransaction().wait()).blockNumber + 1);
const expected = found.map(log => `${log.blockNumber}/${log.index}/${log.args.value}`);
assert(expected.length === 30, `transfers: ${expected.length}`);
for (let turn = 0; seen.length < expected.length && turn < 100; turn++) await new Promise(next => setTimeout(next, 50));
assert(seen.join() === expected.join(), `listening gave ${seen}, asking ${expected}`);
const outgoing = await token.queryFilter(token.filters.Transfer(other, null));
assert(outgoing.length === 2 && outgoing[0].topics[0] === id('Transfer(address,address,uint256)'), 'filters by sender');
assert(many.every(response => hashes.has(response.hash)), 'pending transactions were announced');
await socket.destroy();
provider.destroy();
printSent();
