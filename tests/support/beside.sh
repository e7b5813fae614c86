# Sourced by the scripts here that run a command beside a server of its own.

# beside DIR SERVER_PID CMD ARGS…: runs CMD, then stops the server and removes DIR, however this ends but for SIGKILL.
# Exits with CMD's status.
beside() {
  beside_dir=$1 beside_server=$2 beside_child=
  shift 2
  trap beside_clean_up EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  # In the background, so that a signal ends the command and the server at once and not after the command.
  "$@" <&0 &
  beside_child=$!
  local status=0
  wait "$beside_child" || status=$?
  beside_child=
  exit "$status"
}

beside_clean_up() {
  local status=$? pid
  trap - EXIT INT TERM HUP
  for pid in $beside_child $beside_server; do
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  rm -rf "$beside_dir"
  exit "$status"
}

# Below the range the kernel hands out, so no client's port is in the way.
some_port() { echo $((20000 + (RANDOM % 12000))); }
