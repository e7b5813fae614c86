#!/usr/bin/env bash
# A private PostgreSQL for the tests: own data directory, own port on 127.0.0.1, gone afterwards.
#
#   tests/support/postgres.sh CMD ARGS…   runs CMD with INTERLINE_TEST_POSTGRES set; its exit status is ours
#   tests/support/postgres.sh             prints the variable and keeps the server until interrupted
#   tests/support/postgres.sh --find      prints where the server's programs are, or fails
#
# If INTERLINE_TEST_POSTGRES is set already, that server is used and none is started: it must be one whose
# databases may be thrown away.
#
# fsync stays on: the tests are about what survives, and the numbers about what that costs.
set -euo pipefail

find_programs() {
  local dir
  # The newest one installed; Debian keeps initdb and postgres out of PATH.
  for dir in ${PG_BIN:+"$PG_BIN"} $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -t/ -k5 -rn) \
    $(pg_config --bindir 2>/dev/null || true) $(dirname "$(command -v initdb || echo /nowhere/initdb)"); do
    if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && [ -x "$dir/pg_ctl" ]; then
      echo "$dir"
      return 0
    fi
  done
  echo "postgres.sh: no PostgreSQL server here: run tests/support/install.sh" >&2
  return 1
}

if [ "${1:-}" = --find ]; then
  find_programs
  exit
fi
if [ -n "${INTERLINE_TEST_POSTGRES:-}" ]; then
  [ $# -gt 0 ] && exec "$@"
  echo "export INTERLINE_TEST_POSTGRES=$INTERLINE_TEST_POSTGRES"
  exit 0
fi

bin=$(find_programs)

# PostgreSQL refuses to run as root: it then runs as `postgres` (Debian's package makes that user) or `nobody`.
as_user=()
home=${TMPDIR:-/tmp}
if [ "$(id -u)" -eq 0 ]; then
  user=nobody
  id postgres >/dev/null 2>&1 && user=postgres
  as_user=(runuser -u "$user" --)
  home=/tmp # root's TMPDIR need not be open to that user
fi
as_server() { (cd / && "${as_user[@]}" "$@"); }

dir=$(mktemp -d "$home/interline-postgres.XXXXXX")
child=
# The server is stopped and its directory removed however this script ends, but for SIGKILL.
clean_up() {
  local status=$?
  trap - EXIT INT TERM HUP
  if [ -n "$child" ] && kill -0 "$child" 2>/dev/null; then
    kill -TERM "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  [ -f "$dir/data/postmaster.pid" ] && as_server "$bin/pg_ctl" -D "$dir/data" -m immediate -w -s stop >/dev/null 2>&1
  rm -rf "$dir"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

[ ${#as_user[@]} -eq 0 ] || chown "$user" "$dir"
as_server "$bin/initdb" -D "$dir/data" -U interline -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1 ||
  { cat "$dir/initdb.log" >&2; exit 1; }
# Trust, but only from this machine, over TCP, to this server.
echo 'host all all 127.0.0.1/32 trust' | as_server tee "$dir/data/pg_hba.conf" >/dev/null
as_server tee -a "$dir/data/postgresql.conf" >/dev/null <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 200
fsync = on
synchronous_commit = on
full_page_writes = on
CONF

# Below the range the kernel hands out, so no client's port is in the way; another try when one is taken.
for try in 1 2 3 4 5 6 7 8 9 10; do
  port=$((20000 + (RANDOM % 12000)))
  if as_server "$bin/pg_ctl" -D "$dir/data" -o "-p $port" -l "$dir/data/server.log" -w -s start >/dev/null 2>&1; then break; fi
  if [ "$try" -eq 10 ]; then
    tail -20 "$dir/data/server.log" >&2
    echo "postgres.sh: the server did not start" >&2
    exit 1
  fi
done
export INTERLINE_TEST_POSTGRES="postgres://interline@127.0.0.1:$port/postgres"

if [ $# -eq 0 ]; then
  echo "export INTERLINE_TEST_POSTGRES=$INTERLINE_TEST_POSTGRES"
  sleep infinity &
else
  "$@" <&0 &
fi
# In the background, so that a signal ends the command and the server at once and not after the command.
child=$!
status=0
wait "$child" || status=$?
child=
exit "$status"
