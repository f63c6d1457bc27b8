// Compares what the clients learned: compare.mjs FILE...
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

const files = process.argv.slice(2);
const learned = files.map(file => JSON.parse(readFileSync(file, 'utf8').trim().split('\n').at(-1)));
const names = new Set(learned.flatMap(Object.keys));
let differ = 0;
for (const name of names) {
  const values = learned.map(facts => facts[name]);
  if (new Set(values).size > 1) {
    differ++;
    console.error(`${name} differs:`);
    files.forEach((file, index) => console.error(`  ${basename(file)}: ${values[index]}`));
  }
}
if (differ || !names.size) process.exit(1);
console.log(`${names.size} answers are the same for ${files.map(file => basename(file, '.json')).join(', ')}`);
