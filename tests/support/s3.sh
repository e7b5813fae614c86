#!/usr/bin/env bash
# A private S3-compatible store for the tests (moto), with one bucket, `interline`; gone afterwards.
#
#   tests/support/s3.sh CMD ARGS…   runs CMD with INTERLINE_TEST_S3 (http://…) set; its exit status is ours
set -euo pipefail
. "$(dirname "$0")/beside.sh"

[ -z "${INTERLINE_TEST_S3:-}" ] || exec "$@"
moto=$(cd "$(dirname "$0")/../.." && realpath -m "${CARGO_TARGET_DIR:-target}")/test-venv/bin/moto_server
[ -x "$moto" ] || { echo "s3.sh: no moto_server here: run tests/support/install.sh" >&2; exit 1; }

dir=$(mktemp -d /tmp/interline-s3.XXXXXX)
for try in 1 2 3 4 5 6 7 8 9 10; do
  port=$(some_port)
  "$moto" -H 127.0.0.1 -p "$port" >"$dir/out" 2>&1 &
  server=$!
  for _ in $(seq 150); do
    kill -0 "$server" 2>/dev/null || break
    # It takes any keys; the bucket is made by the first request.
    curl -sf -o "$dir/made" -X PUT "http://127.0.0.1:$port/interline" \
      -H 'Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request' && break 2
    sleep 0.2
  done
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  if [ "$try" -eq 10 ]; then
    tail -20 "$dir/out" >&2 || true
    rm -rf "$dir"
    echo "s3.sh: the store did not start" >&2
    exit 1
  fi
done

export INTERLINE_TEST_S3="http://127.0.0.1:$port"
beside "$dir" "$server" "$@"
