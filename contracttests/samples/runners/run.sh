# Runs every sample in a folder.
set -euo pipefail
for sample in "$1"/*.sh; do
  echo "$sample"
  bash -eu "$sample"
  echo
done
