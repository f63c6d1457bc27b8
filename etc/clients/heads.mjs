// New heads over WebSocket: heads.mjs ethers|viem COUNT. Says "subscribed", then the hashes of the next heads.
import { WebSocketProvider } from 'ethers';
import { createPublicClient, webSocket } from 'viem';
import { wsUrl } from './facts.mjs';

const [library, count] = [process.argv[2], Number(process.argv[3])];
const heads = [];
const note = (number, hash) => {
  heads.push(`${number}/${hash}`);
  console.error(heads.at(-1));
  if (heads.length < count) return;
  console.log(JSON.stringify({ heads: heads.join() }));
  process.exit(0);
};

// Both tell numbers; users then ask for the block.
let asked = Promise.resolve();
const next = (number, ask) => { asked = asked.then(async () => note(number, (await ask()).hash)); };

if (library === 'ethers') {
  const provider = new WebSocketProvider(wsUrl);
  await provider.on('block', number => next(number, () => provider.getBlock(number)));
  await provider.getBlockNumber();
} else {
  const client = createPublicClient({ transport: webSocket(wsUrl) });
  client.watchBlockNumber({
    onBlockNumber: blockNumber => next(blockNumber, () => client.getBlock({ blockNumber })),
    onError: error => { throw error; },
  });
  await client.getBlockNumber();
}
console.log('subscribed');
