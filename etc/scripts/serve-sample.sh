#!/bin/sh
# Serves the sample chain and says what to try.
set -eu
portico=$1 sample=$2 http=$3 metrics=$4

cat <<TXT

  JSON-RPC   http://127.0.0.1:$http
  GraphQL    http://127.0.0.1:$http/graphql
  metrics    http://127.0.0.1:$metrics/metrics

Three things to try in another terminal:

  1. The head, which moves: a dev network goes on from the sample chain, with two transfers a second.
     curl -s -H 'content-type: application/json' http://127.0.0.1:$http -d '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}'

  2. All token transfers of ten blocks, through the log index:
     curl -s -H 'content-type: application/json' http://127.0.0.1:$http -d '{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[{"fromBlock":"0x10","toBlock":"0x19","topics":["0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"]}]}'

  3. How far each stage is, and what every table takes:
     $portico db stats --datadir $sample/data

Ctrl-C stops the node.

TXT
exec "$portico" node --chain "$sample/genesis.json" --datadir "$sample/data" \
    --dev --dev.period 2 --dev.stream 2 --http --http.port "$http" --http.api eth,net,web3,debug,trace,txpool,ots,evm \
    --graphql --metrics "127.0.0.1:$metrics"
