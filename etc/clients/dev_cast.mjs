// A developer with foundry's cast on the development network. $CAST is the program.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { Token, Workshop, account, failure, note, printSent } from './dev.mjs';
import { assert, httpUrl } from './facts.mjs';

const [owner, other] = [account(0), account(1)];
const cast = (command, ...words) =>
  execFileSync(process.env.CAST, [command, '--rpc-url', httpUrl, ...words],
    { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] }).trim();
const local = (...words) => execFileSync(process.env.CAST, words, { encoding: 'utf8' }).trim();
const json = (...words) => JSON.parse(cast(...words));
const first = text => text.split(/\s/)[0];
const unlocked = ['--unlocked', '--from', owner.address];
const signed = ['--private-key', owner.key];

function send(...words) {
  const receipt = json('send', '--json', ...words);
  note(receipt.transactionHash, receipt.type, receipt.status, receipt.blockNumber);
  return receipt;
}
const done = (receipt, type) => {
  assert(Number(receipt.status) === 1, `${receipt.transactionHash} is done`);
  assert(Number(receipt.type) === type, `${receipt.transactionHash} has type ${type}, not ${receipt.type}`);
  return receipt;
};

const deployed = done(send(...unlocked, '--create', Token.bytecode, 'constructor(string,uint256)', 'Cast', '1000000'), 2);
const token = deployed.contractAddress;
const workshop = done(send(...signed, '--create', Workshop.bytecode), 2).contractAddress;
const balance = (address, ...at) => Number(first(cast('call', token, 'balanceOf(address)(uint256)', address, ...at)));
assert(cast('call', token, 'name()(string)') === '"Cast"', 'the token has its name');
assert(balance(owner.address) === 1_000_000, 'all is the deployer\'s');
assert(cast('code', token).length > 1000, 'the token has code');

const transfer = done(send(...unlocked, token, 'transfer(address,uint256)', other.address, '1000'), 2);
done(send(...signed, token, 'transfer(address,uint256)', other.address, '2000'), 2);
done(send('--legacy', ...signed, token, 'transfer(address,uint256)', other.address, '3000'), 0);
// cast makes these of type 1 only when it is told to pay one price.
const list = [{ address: token, storageKeys: ['0x' + '00'.repeat(31) + '03'] }];
done(send('--access-list', JSON.stringify(list), '--legacy', ...signed, token, 'transfer(address,uint256)', other.address, '10'), 1);
done(send('--access-list', JSON.stringify(list), ...signed, token, 'transfer(address,uint256)', other.address, '20'), 2);
done(send(...signed, token, 'approve(address,uint256)', other.address, '500'), 2);
done(send('--private-key', other.key, token, 'transferFrom(address,address,uint256)', owner.address, other.address, '400'), 2);
done(send(...signed, token, 'deposit()', '--value', '0.5ether'), 2);
done(send(...signed, token, 'withdraw(uint256)', '200000000000000000'), 2);
done(send(...signed, other.address, '--value', '1gwei'), 2);
const asynchronous = cast('send', '--async', ...unlocked, other.address, '--value', '5');
const waited = json('receipt', asynchronous, '--json');
note(asynchronous, waited.type, waited.status, waited.blockNumber);
done(send('--sync', ...signed, other.address, '--value', '6'), 2);
done(send('--sync', ...unlocked, other.address, '--value', '7'), 2);

// What fails: before it is sent, with the reason; and in the chain, when a gas limit is named.
const refused = await failure(() => cast('estimate', '--from', other.address, token, 'transfer(address,uint256)', owner.address, '10000000'));
assert(/InsufficientBalance|0xdb42144d|revert/i.test(refused.stderr), `the estimate tells the reason: ${refused.stderr}`);
const reason = await failure(() => cast('call', '--from', other.address, token, 'transferFrom(address,address,uint256)', owner.address, other.address, '101'));
assert(/allowance is too small/.test(reason.stderr), `the call tells the reason: ${reason.stderr}`);
const failed = send('--gas-limit', '100000', ...signed, token, 'transfer(address,uint256)', other.address, '99999999999999999999');
assert(Number(failed.status) === 0 && failed.logs.length === 0, 'a failed transaction is in the chain, without logs');

// A blob, and code for an account of its own.
writeFileSync('blob.txt', 'a blob '.repeat(1000));
done(send('--blob', '--path', 'blob.txt', '--blob-gas-price', '1gwei', ...signed, other.address), 3);
done(send('--auth', workshop, ...signed, owner.address), 4);
assert(cast('code', owner.address).toLowerCase() === '0xef0100' + workshop.slice(2).toLowerCase(), 'the account is delegated');
const data = amount => local('calldata', 'transfer(address,uint256)', other.address, amount);
const steps = `[(${token},0,${data('1')}),(${token},0,${data('2')}),(${other.address},77,0x)]`;
const both = done(send(...signed, owner.address, 'run((address,uint256,bytes)[])', steps), 2);
assert(both.logs.length === 2, 'one transaction with two transfers');
const made = done(send(...signed, workshop, 'make(string,uint256)', 'Inner', '9'), 2);
assert(made.logs.length === 3, 'the attempt that failed left no log');
done(send('--auth', '0x' + '00'.repeat(20), ...signed, owner.address), 4);
assert(cast('code', owner.address) === '0x', 'the account is its own again');

// What one looks at afterwards.
const hash = transfer.transactionHash;
assert(balance(other.address, '--block', String(Number(transfer.blockNumber))) === 1000, 'the balance as of the first transfer');
assert(balance(other.address) === 6433, `the balance of all transfers: ${balance(other.address)}`);
assert(/^(1|true)\b/.test(cast('receipt', hash, 'status')), 'the receipt has a status');
assert(json('tx', hash, '--json').to.toLowerCase() === token.toLowerCase(), 'the transaction is found');
const transfers = json('logs', '--json', '--from-block', '0', '--address', token, 'Transfer(address indexed,address indexed,uint256)', owner.address);
assert(transfers.length === 9, `transfers of the owner: ${transfers.length}`);
const run = cast('run', hash);
assert(/Gas used: \d+/.test(run) && run.includes('Transfer('), `the transaction runs again: ${run}`);
assert(Number(/Gas used: (\d+)/.exec(run)[1]) === Number(transfer.gasUsed), 'with the same gas');
const trace = json('rpc', 'debug_traceTransaction', hash, '{"tracer":"callTracer","tracerConfig":{"withLog":true}}');
assert(trace.logs.length === 1 && BigInt(trace.gasUsed) === BigInt(transfer.gasUsed), 'the trace has its log');
const traces = json('rpc', 'trace_transaction', hash);
assert(traces.length === 1 && traces[0].action.to.toLowerCase() === token.toLowerCase(), 'the trace of the transfer');
const estimate = Number(cast('estimate', '--from', owner.address, token, 'transfer(address,uint256)', other.address, '1'));
assert(estimate >= 21000 && estimate < 100000, `the estimate: ${estimate}`);
const accessed = json('access-list', '--json', '--from', owner.address, token, 'transfer(address,uint256)', other.address, '1');
assert(JSON.stringify(accessed).toLowerCase().includes(token.slice(2).toLowerCase()), 'the access list has the token');
assert(BigInt(cast('storage', token, '1')) > 0n, 'the supply is in its slot');
assert(Number(cast('nonce', other.address)) === 1, 'the nonce counts what was sent');
assert(first(cast('balance', token)) === '300000000000000000', 'what was deposited and not withdrawn');
assert(Number(json('block', 'pending', '--json').number) === Number(cast('block-number')) + 1, 'there is a pending block');
assert(json('rpc', 'eth_accounts').length === 10, 'ten accounts are unlocked');
printSent();
