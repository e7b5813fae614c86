#!/usr/bin/env bash
# A private clamd for the tests: it knows one signature, EICAR's, and is gone afterwards.
#
#   tests/support/clamd.sh CMD ARGS…   runs CMD with INTERLINE_TEST_CLAMD (tcp://…) and INTERLINE_TEST_CLAMD_SOCKET
#                                      (unix://…) set; its exit status is ours
set -euo pipefail
. "$(dirname "$0")/beside.sh"

[ -z "${INTERLINE_TEST_CLAMD:-}" ] || exec "$@"
clamd=$(command -v clamd || echo /usr/sbin/clamd)
[ -x "$clamd" ] || { echo "clamd.sh: no clamd here: run tests/support/install.sh" >&2; exit 1; }

dir=$(mktemp -d /tmp/interline-clamd.XXXXXX)
mkdir "$dir/signatures"
# No signatures are fetched: the hash of EICAR's test file, its length, its name (clamav's .hdb form).
echo '44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature' >"$dir/signatures/test.hdb"

for try in 1 2 3 4 5 6 7 8 9 10; do
  port=$(some_port)
  cat >"$dir/clamd.conf" <<CONF
DatabaseDirectory $dir/signatures
OfficialDatabaseOnly no
TCPSocket $port
TCPAddr 127.0.0.1
LocalSocket $dir/clamd.sock
PidFile $dir/clamd.pid
LogFile $dir/clamd.log
TemporaryDirectory $dir
StreamMaxLength 30M
MaxFileSize 30M
Foreground yes
CONF
  # As root it would look for a user to become; it stays who it is.
  "$clamd" --config-file="$dir/clamd.conf" >"$dir/out" 2>&1 &
  server=$!
  for _ in $(seq 150); do
    kill -0 "$server" 2>/dev/null || break
    # zPING, answered with PONG.
    answer=$( { exec 3<>"/dev/tcp/127.0.0.1/$port" && printf 'zPING\0' >&3 && head -c 4 <&3; } 2>/dev/null || true)
    [ "$answer" = PONG ] && break 2
    sleep 0.2
  done
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  if [ "$try" -eq 10 ]; then
    cat "$dir/out" "$dir/clamd.log" >&2 || true
    rm -rf "$dir"
    echo "clamd.sh: the scanner did not start" >&2
    exit 1
  fi
done

export INTERLINE_TEST_CLAMD="tcp://127.0.0.1:$port" INTERLINE_TEST_CLAMD_SOCKET="unix://$dir/clamd.sock"
beside "$dir" "$server" "$@"
