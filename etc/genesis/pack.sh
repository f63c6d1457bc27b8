#!/bin/sh
# Packs the allocations of the built-in networks into execution/chainspec/data/.
#
# usage: etc/genesis/pack.sh DIR    DIR holds mainnet.json, sepolia.json and hoodi.json (genesis files)
#
# The accepted result is pinned by the state roots in execution/chainspec/src/builtin.rs and by that crate's tests.
set -eu
source_dir=${1:?usage: etc/genesis/pack.sh DIR}
cd "$(dirname "$0")/../.."
for network in mainnet sepolia hoodi; do
    cargo run --quiet -p portico-chainspec --example pack_genesis -- \
        "$source_dir/$network.json" "execution/chainspec/data/$network.zst"
done
