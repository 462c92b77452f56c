#!/bin/sh
# Runs every fuzz target of the module, one after another, for the given time (10s) or number of inputs (100000x).
set -eu

time=$1
go=${GO:-go}

# Before Go 1.27 the end of the time can be reported as a failure, without a failing input (go.dev/issue/75804).
fuzz() {
	for _ in 1 2 3; do
		if output=$($go test "$1" -run '^$' -fuzz "^$2\$" -fuzztime "$time" 2>&1); then
			echo "$1 $2: $(echo "$output" | sed -n 's/.*\(execs: [0-9]*\).*/\1/p' | tail -1)"
			return
		fi
		case $output in
		*"Failing input written"*) break ;;
		*"context deadline exceeded"*) ;;
		*) break ;;
		esac
	done
	echo "$output" >&2
	return 1
}

# `go test -list` prints the names of a package's targets before the name of the package.
listed=$($go test -list '^Fuzz' ./...)
targets=$(echo "$listed" | awk '/^Fuzz/ { names[n++] = $1 } /^ok/ { for (i = 0; i < n; i++) print $2, names[i]; n = 0 }')
test -n "$targets"

echo "$targets" | while read -r package target; do fuzz "$package" "$target"; done
echo "fuzz: $(echo "$targets" | wc -l) targets, $time each, no failures"
