#!/usr/bin/env bash
# Runs a command beside a `mailstack dev` of its own: a free port, a data folder that is removed afterwards, no rate
# limit. The command finds the server in MAILSTACK_URL and MAILSTACK_API_KEY, and the server's log in MAILSTACK_LOG.
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
    wait "$server" || { echo "the server did not end well; its log:" >&2; tail -n 20 "$folder/log" >&2; status=1; }
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

# What to paste is printed once the server answers.
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
