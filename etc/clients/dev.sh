#!/bin/sh
# Developers' tools against the development network (`portico node --dev`): dev.sh PORTICO FOLDER
#
# Each tool deploys contracts, uses them and looks at what became of it. Then everything that can be asked about the chain
# is held against everything else, before and after a restart. run.sh has installed the tools in FOLDER.
set -eu
portico=$(realpath "$1")
folder=$(realpath "$2")
. "$folder/common.sh"
cd "$folder"

data=$folder/dev-data
rm -rf "$data"
http=$(free_port)
RPC_HTTP=http://127.0.0.1:$http
RPC_WS=ws://127.0.0.1:$http
auth=$(free_port)
sockets=$(mktemp -d)
export RPC_HTTP RPC_WS
node=
stop() {
    [ -z "$node" ] || { kill "$node" 2>/dev/null; wait "$node"; } || echo "the node ended with $?" >&2
    node=
}
trap 'stop; rm -rf "$sockets"' EXIT
start() {
    "$portico" node --dev --datadir "$data" --http --http.port "$http" --graphql --authrpc.port "$auth" \
        --http.api eth,net,web3,debug,trace,txpool,evm --ipc.path "$sockets/portico.ipc" "$@" >>"$folder/dev-node.log" 2>&1 &
    node=$!
    wait_healthy "$node" "$folder/dev-node.log"
}

: >"$folder/dev-node.log"
start
learn dev-cast node dev_cast.mjs
learn dev-ethers node dev_ethers.mjs
learn dev-viem node dev_viem.mjs
learn dev-web3.py venv/bin/python dev_web3.py
learn dev-time node dev_time.mjs
none_failed
learn dev-agree node dev_agree.mjs dev-cast.json dev-ethers.json dev-viem.json dev-web3.py.json dev-time.json
none_failed

echo "== the development network after restarts"
stop
start --dev.period 3600
learn dev-agree-again node dev_agree.mjs dev-cast.json dev-ethers.json dev-viem.json dev-web3.py.json dev-time.json
node dev_pending.mjs send
stop
start --dev.period 3600
node dev_pending.mjs check
none_failed
node compare.mjs dev-agree.json dev-agree-again.json
stop
start
node dev_pending.mjs mined
