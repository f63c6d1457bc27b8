// What the scripts ask about, and the forms in which they write down what they learned.

export const httpUrl = process.env.RPC_HTTP;
export const wsUrl = process.env.RPC_WS;

/// The questions, which the first script chose from the chain: `make clients` gives them to all.
export const plan = JSON.parse(process.env.PLAN ?? 'null');

export function assert(condition, what) {
  if (!condition) throw new Error(`not so: ${what}`);
}

/// Numbers as decimal texts, hexadecimal in small letters, so that clients' own types do not matter.
export function print(facts) {
  const plain = (_, value) => (typeof value === 'bigint' || typeof value === 'number') ? value.toString() : value;
  console.log(JSON.stringify(facts, plain));
}
