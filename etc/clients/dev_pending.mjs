// What waits for a block outlives a restart: dev_pending.mjs send|check|mined
import { readFileSync, writeFileSync } from 'node:fs';
import { JsonRpcProvider, Wallet } from 'ethers';
import { createPublicClient, http } from 'viem';
import { account } from './dev.mjs';
import { assert, httpUrl } from './facts.mjs';

const provider = new JsonRpcProvider(httpUrl, undefined, { pollingInterval: 50, cacheTimeout: -1 });
const [owner, other] = [8, 9].map(index => new Wallet(account(index).key, provider));
const FILE = 'dev-waiting.json';
const [step] = process.argv.slice(2);

if (step === 'send') {
  const [nonce, gap] = [await owner.getNonce(), await other.getNonce()];
  const waiting = await owner.sendTransaction({ to: other, value: 10n ** 18n });
  const next = await owner.sendTransaction({ to: other, value: 11n });
  const queued = await other.sendTransaction({ to: owner, value: 12n, nonce: gap + 2 });
  assert(next.nonce === nonce + 1, 'the next nonce counts what waits');
  const balances = [owner, other].map(wallet => provider.getBalance(wallet));
  writeFileSync(FILE, JSON.stringify({ waiting: [waiting.hash, next.hash], queued: queued.hash, nonce, gap,
    balances: (await Promise.all(balances)).map(String) }));
}
const { waiting, queued, nonce, gap, balances } = JSON.parse(readFileSync(FILE, 'utf8'));
if (step === 'mined') {
  const receipts = await Promise.all(waiting.map(hash => provider.waitForTransaction(hash, 1, 20000)));
  assert(receipts.every(receipt => receipt.status === 1), 'what waited is in the chain');
  const content = await provider.send('txpool_content', []);
  assert(content.queued[other.address][gap + 2].hash === queued, 'what lacks others waits still');
} else {
  const content = await provider.send('txpool_content', []);
  assert(content.pending[owner.address][nonce].hash === waiting[0], 'the first one is pending');
  assert(content.pending[owner.address][nonce + 1].hash === waiting[1], 'the second one is pending');
  assert(content.queued[other.address][gap + 2].hash === queued, 'the one with a gap is queued');
  for (const hash of [...waiting, queued]) {
    const transaction = await provider.getTransaction(hash);
    assert(transaction.blockNumber === null, 'one that waits has no block');
    assert(await provider.getTransactionReceipt(hash) === null, 'and no receipt');
  }
  assert(await owner.getNonce('pending') === nonce + 2 && await owner.getNonce() === nonce, 'nonces with and without them');
  assert((await provider.getBalance(owner)) === BigInt(balances[0]), 'the balance is as it was');
  const received = 10n ** 18n + 11n;
  assert((await provider.getBalance(other)) === BigInt(balances[1]), 'the other one\'s too');
  assert((await provider.getBalance(other, 'pending')) === BigInt(balances[1]) + received, 'the pending one is not');
  const viem = createPublicClient({ transport: http(httpUrl) });
  const [mine, theirs] = [await provider.getBlock('pending', true), await viem.getBlock({ blockTag: 'pending' })];
  assert(mine.hash === null && theirs.hash === null, 'the pending block has no hash');
  assert(mine.number === await provider.getBlockNumber() + 1 && theirs.number === BigInt(mine.number), 'it is the next one');
  for (const hashes of [mine.transactions, theirs.transactions]) {
    assert(hashes.join() === waiting.join(), 'and has what waits, in its order');
  }
}
provider.destroy();
console.error(`${step}: so it is`);
