#!/usr/bin/env bash
# Compares the published document with contracttests/released.yaml, the released spec, and fails when the change would break a
# client. First it proves that the comparison works: every breakage of a list must be caught, and every addition that
# the spec announces must pass.
#
#     contracttests/breaking/run.sh OASDIFF
set -euo pipefail
cd "$(dirname "$0")/../.."
oasdiff=$1
released=contracttests/released.yaml
published=gen/openapi/openapi.yaml
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Where our judgment differs from oasdiff's:
# - enums of responses may grow, since the spec says so and lists the planned values;
# - removing a documented response, a tag or an operationId breaks generated clients, and requiring a key breaks clients
#   that send none.
cat >"$folder/levels" <<'END'
response-property-enum-value-added info
response-non-success-status-removed err
api-operation-id-removed err
api-tag-removed err
api-security-added err
END

compare() {
  "$oasdiff" breaking --fail-on WARN --format singleline --color never --allow-external-refs=false \
    --severity-levels "$folder/levels" "$1" "$2" >"$folder/report" 2>&1
}

# changed makes a copy with a sed script, which must change something.
changed() {
  sed -E "$1" "$released" >"$folder/changed.yaml"
  if cmp -s "$released" "$folder/changed.yaml"; then
    echo "this script changes nothing, adapt it: $1" >&2
    exit 1
  fi
}

caught=0
while IFS= read -r script; do
  changed "$script"
  if compare "$released" "$folder/changed.yaml"; then
    echo "not caught as breaking: $script" >&2
    exit 1
  fi
  grep -q '\[[a-z-]*\]' "$folder/report" || { cat "$folder/report" >&2; exit 1; }
  caught=$((caught + 1))
done <<'END'
s|^  /v1/billing/usage:|  /v1/usage:|
s|operationId: getUsage|operationId: readUsage|
s|tags: \[billing\]|tags: [usage]|
s|providerMessageId|sesMessageId|
s|required: \[from, to, subject\]|required: [from, to, subject, text]|
/^    Scope:/,/^    Usage:/s|^        - billing:read$||
/operationId: createDomain/,/operationId: getDomain/s|"201":|"200":|
/operationId: createDomain/,/operationId: getDomain/s|"409":|"422":|
s|maxLength: 998|maxLength: 78|
s|maxItems: 100|maxItems: 10|
/^    QueuedEmail:/,/^    SendStatus:/s|required: \[id, status\]|required: [id]|
/^    Usage:/,/^    Health:/s|type: integer|type: string|
/^    TooManyRequests:/,/^    InternalError:/s|^        Retry-After:|        Try-Later:|
/operationId: getHealth/,/operationId: getReadiness/s|security: \[\]|security: [apiKey: []]|
/^    DomainStatus:/,/^    DnsRecord:/s|type: string|type: integer|
s|format: mailbox$|format: email|
END

allowed=0
while IFS= read -r script; do
  changed "$script"
  if ! compare "$released" "$folder/changed.yaml"; then
    echo "allowed, but reported as breaking: $script" >&2
    cat "$folder/report" >&2
    exit 1
  fi
  allowed=$((allowed + 1))
done <<'END'
s|enum: \[Pending, Verified, Failed\]|enum: [Pending, Verified, Failed, Blocked]|
s|^( *)- malformed-json$|\1- malformed-json\n\1- brand-new|
/^    Health:/,/^    Problem:/s|^        status:|        since:\n          type: string\n        status:|
s|maxLength: 998|maxLength: 999|
/^    CreateDomainRequest:/,/^    DomainList:/s|^        domain:|        note:\n          type: string\n        domain:|
END

if ! compare "$released" "$published"; then
  cat "$folder/report" >&2
  echo "$published breaks clients of $released" >&2
  exit 1
fi
echo "oasdiff: 0 breaking changes; $caught of $caught breakages caught, $allowed of $allowed additions allowed"
