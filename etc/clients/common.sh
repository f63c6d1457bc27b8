# What the scripts here share; sourced.

free_port() {
    node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
}

# Waits until the node with process id $1, whose output goes to $2, answers at $RPC_HTTP.
wait_healthy() {
    waited=0
    until node -e 'fetch(process.env.RPC_HTTP + "/health").then(r => process.exit(r.ok ? 0 : 1), () => process.exit(1))'; do
        kill -0 "$1" 2>/dev/null || { cat "$2" >&2; exit 1; }
        waited=$((waited + 1))
        [ "$waited" -lt 60 ] || { echo "the node does not answer, see $2" >&2; exit 1; }
        sleep 1
    done
}

# Runs the rest of the arguments, whose output goes to $1.json; remembers what failed.
failed=
learn() {
    name=$1
    shift
    echo "== $name"
    "$@" >"$folder/$name.json" || failed="$failed $name"
}

none_failed() {
    [ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
}
