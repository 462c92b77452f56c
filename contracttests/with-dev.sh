#!/usr/bin/env bash
# Runs a command beside a `mailstack dev` of its own, on a free port, with a data folder that is removed afterwards and
# without a rate limit. MAILSTACK_URL and MAILSTACK_API_KEY tell the command where the server is, MAILSTACK_LOG where
# its log is.
#
#     contracttests/with-dev.sh COMMAND [ARGUMENT…]
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
folder=$(mktemp -d)
server=

finish() {
  status=$?
  trap - EXIT
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" || { echo "the server exited with an error; its log:" >&2; tail -n 20 "$folder/log" >&2; status=1; }
  fi
  rm -rf "$folder"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

: >"$folder/printed"
MAILSTACK_ADDR=127.0.0.1:0 MAILSTACK_DATA_DIR="$folder/data" MAILSTACK_RATE_LIMIT=0 \
  "$root/bin/mailstack" dev >"$folder/printed" 2>"$folder/log" &
server=$!

# The server prints its URL and key once it responds.
for ((tries = 0; ; tries++)); do
  if grep -q '^export MAILSTACK_API_KEY=' "$folder/printed"; then break; fi
  if [ "$tries" -ge 600 ] || ! kill -0 "$server" 2>/dev/null; then
    echo "mailstack dev did not start:" >&2
    cat "$folder/log" >&2
    exit 1
  fi
  sleep 0.1
done
eval "$(grep '^export ' "$folder/printed")"
export MAILSTACK_LOG="$folder/log"
"$@"
