#!/bin/sh
# Runs fuzz targets guided by coverage (libFuzzer), beside each other: fuzz-guided.sh FOLDER SECONDS [TARGET…]
# FOLDER/TARGET has the inputs to start from (`portico-fuzz seeds`); FOLDER/guided gets those that reach new code, what
# was found and the logs. It stands in for cargo-fuzz: the same build, but by the stable toolchain and without a sanitizer.
set -u
folder=$(cd "$1" && pwd) || exit
seconds=$2
shift 2
host=$(rustc -vV | sed -n 's/^host: //p')
build=$folder/guided/build
cd "$(dirname "$0")/../../fuzz" || exit
coverage='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4'
coverage="$coverage -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
coverage="$coverage -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="$coverage --cfg fuzzing" CARGO_TARGET_DIR=$build \
    cargo build --release --locked --target "$host" --bins || exit

if [ $# = 0 ]; then
    for source in fuzz_targets/*.rs; do
        set -- "$@" "$(basename "$source" .rs)"
    done
fi
mkdir -p "$folder/guided/log" "$folder/guided/found"
cd "$folder/guided" || exit
pids=
for target; do
    mkdir -p "inputs/$target"
    "build/$host/release/$target" "inputs/$target" "$folder/$target" -max_total_time="$seconds" -timeout=30 \
        -rss_limit_mb=2048 -reload=0 -print_final_stats=1 -artifact_prefix="found/$target-" >"log/$target" 2>&1 &
    pids="$pids $!"
done
trap 'kill $pids' INT TERM
waiting=$pids
failed=
for target; do
    waiting=${waiting# }
    wait "${waiting%% *}" || failed="$failed $target"
    waiting=${waiting#"${waiting%% *}"}
    executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "log/$target")
    echo "$target: ${executed:-?} inputs, $(grep -Eo 'cov: [0-9]+' "log/$target" | tail -1)"
done
if [ -n "$failed" ]; then
    echo "found something:$failed (see $folder/guided/found and $folder/guided/log)" >&2
    exit 1
fi
