#!/bin/sh
# Runs real clients, unchanged, against a node with a sample chain: run.sh PORTICO FOLDER
#
# Each script says what it learned; all must have learned the same. Then each waits for new heads while blocks are
# imported. Then they write: see dev.sh. Packages go to FOLDER; where they cannot be installed, that is said and nothing
# is run.
set -eu
portico=$1
folder=$2
here=$(dirname "$0")
blocks=200
served=190

skip() {
    echo "SKIPPED: $*" >&2
    exit 0
}

for program in node npm python3; do
    command -v "$program" >/dev/null || skip "$program is not installed"
done
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cp "$here"/package.json "$here"/requirements.txt "$here"/*.mjs "$here"/*.py "$here"/common.sh \
    "$here"/contracts/contracts.json "$folder"
. "$folder/common.sh"
(cd "$folder" && npm install --no-audit --no-fund --ignore-scripts >npm.log 2>&1) ||
    skip "npm cannot install the packages, see $folder/npm.log"
if ! [ -x "$folder/venv/bin/python" ]; then
    python3 -m venv "$folder/venv" >"$folder/pip.log" 2>&1 || skip "python3 cannot make an environment"
fi
"$folder/venv/bin/pip" install --quiet -r "$folder/requirements.txt" >>"$folder/pip.log" 2>&1 ||
    skip "pip cannot install the packages, see $folder/pip.log"
CAST=$(find "$folder/node_modules/@foundry-rs" -type f -name cast | head -n 1)
export CAST

sample=$folder/sample
data=$folder/data
[ -f "$sample/chain.rlp" ] || "$portico" bench generate --blocks "$blocks" --out "$sample"
rm -rf "$data"
"$portico" import --chain "$sample/genesis.json" --datadir "$data" --to "$served" "$sample/chain.rlp"

http=$(free_port)
ws=$(free_port)
RPC_HTTP=http://127.0.0.1:$http
RPC_WS=ws://127.0.0.1:$ws
# A socket's path has at most 108 bytes.
sockets=$(mktemp -d)
RPC_IPC=$sockets/portico.ipc
export RPC_HTTP RPC_WS RPC_IPC
# Blocks are imported beside it.
"$portico" node --chain "$sample/genesis.json" --datadir "$data" --authrpc.disable --graphql \
    --http --http.port "$http" --http.api eth,net,web3,debug,trace \
    --ws --ws.port "$ws" --ws.api eth,net,web3,debug,trace --ipc.path "$RPC_IPC" >"$folder/node.log" 2>&1 &
node=$!
files=
finish() {
    kill "$node" $files 2>/dev/null || true
    wait "$node" 2>/dev/null || true
    rm -rf "$sockets"
}
trap finish EXIT
wait_healthy "$node" "$folder/node.log"

PLAN=$(node "$folder/plan.mjs")
export PLAN
learn ethers node "$folder/ethers.mjs"
learn viem node "$folder/viem.mjs"
learn web3.py "$folder/venv/bin/python" "$folder/web3_facts.py"
learn cast node "$folder/cast.mjs"
none_failed
(cd "$folder" && node compare.mjs ethers.json viem.json web3.py.json cast.json)

echo "== new heads"
count=$((blocks - served))
# What an earlier run left says "subscribed" too, and the new one may not have emptied its file yet when that is read.
rm -f "$folder"/heads-*.json "$folder"/heads-*.log
watch() {
    name=$1
    shift
    "$@" "$count" >"$folder/heads-$name.json" 2>"$folder/heads-$name.log" &
    watchers="${watchers:-} $!"
    waited=0
    until grep -q -s subscribed "$folder/heads-$name.json"; do
        waited=$((waited + 1))
        [ "$waited" -lt 60 ] || { echo "$name does not subscribe" >&2; cat "$folder/heads-$name.log" >&2; exit 1; }
        sleep 1
    done
}
watch ethers timeout 180 node "$folder/heads.mjs" ethers
watch viem timeout 180 node "$folder/heads.mjs" viem
watch web3.py timeout 180 "$folder/venv/bin/python" "$folder/web3_heads.py"
# Two of them tell that they asked for heads and then got the answer to another question, which may overtake the first.
sleep 1
"$portico" import --chain "$sample/genesis.json" --datadir "$data" "$sample/chain.rlp"
for watcher in $watchers; do
    wait "$watcher" || {
        for log in "$folder"/heads-*.log; do
            echo "$log: $(grep -c / "$log") of $count heads" >&2
            cat "$log" >&2
        done
        exit 1
    }
done
(cd "$folder" && node compare.mjs heads-ethers.json heads-viem.json heads-web3.py.json)

if command -v chromium >/dev/null; then
    echo "== the GraphQL page"
    # Without GraphiQL's files, then with them: the packages' own, from a server in place of the usual one.
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout "$sockets/key.pem" \
        -out "$sockets/certificate.pem" 2>"$folder/openssl.log"
    (cd "$folder" && exec node graphiql_files.mjs "$sockets/key.pem" "$sockets/certificate.pem" >graphiql.port 2>graphiql.log) &
    files=$!
    while [ ! -s "$folder/graphiql.port" ]; do sleep 0.1; done
    page() {
        chromium --headless --no-sandbox --disable-gpu --virtual-time-budget=20000 --window-size=1280,800 \
            --ignore-certificate-errors --host-resolver-rules="MAP cdn.jsdelivr.net $1" \
            --user-data-dir="$sockets/browser" --dump-dom "$RPC_HTTP/graphql#run" >"$2" 2>"$folder/page.log"
    }
    page 127.0.0.1:9 "$folder/simple.html"
    grep -q '"number": "0x' "$folder/simple.html" ||
        { echo "the simple page shows no answer, see $folder/simple.html" >&2; exit 1; }
    page "127.0.0.1:$(cat "$folder/graphiql.port")" "$folder/graphiql.html"
    grep -q 'class="graphiql-container' "$folder/graphiql.html" ||
        { echo "the page does not show GraphiQL, see $folder/graphiql.html and graphiql.log" >&2; exit 1; }
    kill "$files"
    echo "shows an answer by itself, and GraphiQL where its files can be had"
else
    echo "SKIPPED: the GraphQL page, chromium is not installed" >&2
fi

"$here/dev.sh" "$portico" "$folder"
