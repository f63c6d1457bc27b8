#!/bin/sh
# Runs every published block and state test: conformance.sh PORTICO FIXTURES
# Goes on behind an archive with failures, prints every report, and fails when any of them had one.
set -u
portico=$1
fixtures=$2
failed=

run() {
    archive=$1
    shift
    echo "== $archive: portico evm $*"
    "$portico" evm "$@" "$fixtures/$archive" || failed="$failed $archive"
}

if [ ! -d "$fixtures/eest" ]; then
    echo "no fixtures in $fixtures: set PORTICO_FIXTURES" >&2
    exit 1
fi
for archive in "$fixtures"/eest/*.tar.zst; do
    name=eest/$(basename "$archive")
    case $name in
        eest/state*) run "$name" statetest ;;
        *) run "$name" blocktest ;;
    esac
done
run ethereum-tests/ethereum-tests.tar.zst blocktest
run ethereum-tests/legacy-cancun.tar.zst blocktest --one-by-one
# With reorganisations and proof of work: every chain also back to genesis and forward again.
run ethereum-tests/legacy-constantinople.tar.zst blocktest --unwind

if [ -n "$failed" ]; then
    echo "not in agreement:$failed" >&2
    exit 1
fi
echo "all archives agree"
