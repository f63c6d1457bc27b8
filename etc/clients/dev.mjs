// What the scripts for the development network share: its accounts, the contracts, and the list of what was sent.
import { readFileSync } from 'node:fs';
import { HDNodeWallet } from 'ethers';

export const { Token, Workshop } = JSON.parse(readFileSync(new URL('contracts.json', import.meta.url), 'utf8')).contracts;

/// The accounts of the phrase that every developer's network has. Each script has two of its own.
export function account(index) {
  const wallet = HDNodeWallet.fromPhrase('test test test test test test test test test test test junk', undefined,
    `m/44'/60'/0'/0/${index}`);
  return { address: wallet.address, key: wallet.privateKey };
}

const sent = [];

/// Notes a transaction that is in the chain, for `agree.mjs`: what its sender saw of it.
export function note(hash, type, status, block) {
  sent.push({ hash, type: Number(type), status: Number(status), block: Number(block) });
}

/// Prints what was noted.
export function printSent() {
  console.log(JSON.stringify({ sent }));
}

/// Whatever `ask` throws; it must throw.
export async function failure(ask) {
  const error = await Promise.resolve().then(ask).then(() => null, error => error);
  if (!error) throw new Error(`not so: this fails: ${ask}`);
  return error;
}
