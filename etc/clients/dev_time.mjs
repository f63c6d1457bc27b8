// Blocks, time and snapshots, as tests for Hardhat do it with ethers.
import { Contract, ContractFactory, JsonRpcProvider, Wallet } from 'ethers';
import { createTestClient, http, publicActions } from 'viem';
import { hardhat } from 'viem/chains';
import { Token, account, failure, note, printSent } from './dev.mjs';
import { assert, httpUrl } from './facts.mjs';

const provider = new JsonRpcProvider(httpUrl, undefined, { pollingInterval: 50, cacheTimeout: -1 });
const [owner, other] = [8, 9].map(index => new Wallet(account(index).key, provider));
const send = (method, ...params) => provider.send(method, params);
const head = () => provider.getBlock('latest');
const mined = async sending => (await sending).wait();
const keep = receipt => { note(receipt.hash, receipt.type, receipt.status, receipt.blockNumber); return receipt; };

const token = await new ContractFactory(Token.abi, Token.bytecode, owner).deploy('Time', 1000n);
keep(await token.deploymentTransaction().wait());

// Blocks on demand.
const before = await head();
await send('evm_mine');
assert((await head()).number === before.number + 1, 'evm_mine makes a block');
await send('hardhat_mine', '0x5');
assert((await head()).number === before.number + 6, 'hardhat_mine makes many');
await send('hardhat_mine', '0x3', '0x3c');
const [third, first] = [await head(), await provider.getBlock(before.number + 7)];
assert(third.number === before.number + 9 && third.timestamp - first.timestamp === 120, 'a minute between them');

// The clock.
const now = (await head()).timestamp;
await send('evm_setNextBlockTimestamp', now + 1000);
await send('evm_mine');
assert((await head()).timestamp === now + 1000, 'the next block has the time that was set');
const past = await failure(() => send('evm_setNextBlockTimestamp', now));
assert(/timestamp/i.test(past.message), `time goes on only: ${past.message}`);
await send('evm_increaseTime', 86400);
await send('evm_mine', []).catch(() => send('evm_mine'));
const later = (await head()).timestamp;
assert(later >= now + 1000 + 86400 && later < now + 1000 + 86400 + 60, `a day later: ${later - now}`);
await send('evm_mine', later + 50);
assert((await head()).timestamp === later + 50, 'evm_mine takes a time');

// Snapshots: what was done since is gone, with its blocks, logs, receipts and nonces.
const height = (await head()).number;
const snapshot = await send('evm_snapshot');
assert(/^0x[0-9a-f]+$/.test(snapshot), `a snapshot is named by a number: ${snapshot}`);
const nonce = await owner.getNonce();
const gone = await mined(token.transfer(other, 400n));
assert(await token.balanceOf(other) === 400n, 'the transfer is done');
const inner = await send('evm_snapshot');
const more = await mined(token.transfer(other, 100n));
assert(await send('evm_revert', inner) === true, 'the inner one');
assert(await token.balanceOf(other) === 400n, 'the second transfer is gone');
assert(await send('evm_revert', inner) === false, 'a snapshot is used once');
assert(await send('evm_revert', snapshot) === true, 'the outer one');
assert(await token.balanceOf(other) === 0n && await token.balanceOf(owner) === 1000n, 'the first one too');
assert((await head()).number === height, 'the blocks are gone');
assert(await owner.getNonce() === nonce && await owner.getNonce('pending') === nonce, 'the nonce is as it was');
for (const { hash, blockHash } of [gone, more]) {
  assert(await provider.getTransactionReceipt(hash) === null, 'the receipt is gone');
  assert((await provider.getLogs({ blockHash }).catch(() => [])).length === 0, 'the logs are gone');
}
assert((await token.queryFilter('Transfer')).length === 1, 'only the first event is there');
const fresh = await send('evm_snapshot');
assert(fresh !== inner && fresh !== snapshot, 'numbers of snapshots are not used twice');
// The same nonce again, in another transaction.
const taken = keep(await mined(token.transfer(other, 250n)));
assert(taken.blockNumber === height + 1 && await token.balanceOf(other) === 250n, 'the chain goes on from there');

// Mining when told only.
await send('evm_setAutomine', false);
const waiting = await token.transfer(other, 50n);
const second = await owner.sendTransaction({ to: other, value: 1n });
await new Promise(next => setTimeout(next, 500));
assert(await provider.getTransactionReceipt(waiting.hash) === null, 'nothing is mined by itself');
assert((await send('txpool_status')).pending === '0x2', 'both wait');
const tokens = blockTag => token.balanceOf(other, { blockTag });
assert(await tokens('pending') === 300n && await tokens('latest') === 250n, 'the pending state has what waits');
const next = await send('eth_getBlockByNumber', 'pending', false);
assert(next.hash === null && next.transactions.join() === [waiting.hash, second.hash].join(), 'and so has the pending block');
await send('evm_mine');
const [one, two] = [keep(await waiting.wait()), keep(await second.wait())];
assert(one.blockNumber === two.blockNumber && one.index === 0 && two.index === 1, 'both are in one block, in order');
await send('evm_setAutomine', true);

// The same by viem's client for tests.
for (const mode of ['hardhat', 'anvil']) {
  const test = createTestClient({ chain: { ...hardhat, id: 1337 }, mode, transport: http(httpUrl) }).extend(publicActions);
  const [number, id] = [await test.getBlockNumber({ cacheTime: 0 }), await test.snapshot()];
  await test.mine({ blocks: 2 });
  await test.increaseTime({ seconds: 30 });
  const { timestamp } = await test.getBlock();
  await test.setNextBlockTimestamp({ timestamp: timestamp + 77n });
  await test.mine({ blocks: 1 });
  assert((await test.getBlock()).timestamp === timestamp + 77n, 'the time that was set');
  await test.setIntervalMining({ interval: 1 });
  for (let turn = 0; (await test.getBlockNumber({ cacheTime: 0 })) < number + 4n; turn++) {
    assert(turn < 100, 'blocks come by the clock');
    await new Promise(next => setTimeout(next, 100));
  }
  await test.setIntervalMining({ interval: 0 });
  await test.revert({ id });
  assert((await test.getBlockNumber({ cacheTime: 0 })) === number, 'back again');
}
keep(await mined(owner.sendTransaction({ to: other, value: 2n })));
provider.destroy();
printSent();
