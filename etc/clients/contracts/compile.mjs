// Compiles Contracts.sol with the solc package: `npm install solc@0.8.30 && node compile.mjs >contracts.json`.
// The result lies beside it, so that nobody needs the compiler to run the clients.
import { readFileSync } from 'node:fs';
import solc from 'solc';

const content = readFileSync(new URL('Contracts.sol', import.meta.url), 'utf8');
const output = JSON.parse(solc.compile(JSON.stringify({
  language: 'Solidity',
  sources: { 'Contracts.sol': { content } },
  settings: {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: 'cancun',
    metadata: { bytecodeHash: 'none', appendCBOR: false },
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'storageLayout'] } },
  },
})));
for (const error of output.errors ?? []) console.error(error.formattedMessage);

const contracts = {};
for (const [name, contract] of Object.entries(output.contracts['Contracts.sol'])) {
  const slots = Object.fromEntries(contract.storageLayout.storage.map(row => [row.label, Number(row.slot)]));
  contracts[name] = { abi: contract.abi, bytecode: '0x' + contract.evm.bytecode.object, slots };
}
console.log(JSON.stringify({ compiler: solc.version(), contracts }, null, 1));
