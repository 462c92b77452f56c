#!/bin/sh
# Makes Cargo.lock from versions.lock, which pins every version and checksum but names no place to download from: cargo
# puts in the one that it is set up with. With --update, takes the newest versions into versions.lock instead.
set -eu
rm -f Cargo.lock
cargo generate-lockfile --quiet
if [ "${1:-}" = --update ]; then
  grep -v '^source = ' Cargo.lock >versions.lock
  exit
fi
source=$(grep -m 1 '^source = ' Cargo.lock)
sed "s|^checksum = |$source\n&|" versions.lock >Cargo.lock
