#!/usr/bin/env bash
# Installs what the tests need and this machine does not have: Debian packages (PostgreSQL, clamd, Chromium, …), a
# Python environment in target/ and the npm packages of tests/browser. Quick when everything is there. Wants root, or
# sudo, only if a package is missing.
#
#   tests/support/install.sh            everything that `make test` needs
#   tests/support/install.sh --check    installs nothing; exit 1 and a list if something is missing
set -euo pipefail
cd "$(dirname "$0")/../.."

check_only=false
[ "${1:-}" = --check ] && check_only=true

has() { command -v "$1" >/dev/null 2>&1; }

# cargo and node are the developer's choice of version, so nobody's package manager is told to bring them.
if ! has cargo; then
  echo "install: cargo is missing; install Rust $(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) or later (rustup.rs)" >&2
  exit 1
fi
if ! has npm || ! node -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' 2>/dev/null; then
  echo "install: Node.js 20 or later with npm is missing; the browser tests need it" >&2
  exit 1
fi

packages=()
has cc || packages+=(build-essential)                                   # aws-lc-sys and SQLite are compiled C
has "${CHROMIUM:-chromium}" || packages+=(chromium fonts-dejavu-core)   # the browser of tests/browser, and letters for it
tests/support/postgres.sh --find >/dev/null 2>&1 || packages+=(postgresql)
python3 -c 'import tomllib' 2>/dev/null || packages+=(python3)          # tests/support/licenses.py
has curl || packages+=(curl)                                            # docs/operate/tour.sh
has jq || packages+=(jq)
[ -x "$(command -v clamd || echo /usr/sbin/clamd)" ] || packages+=(clamav-daemon)   # tests/support/clamd.sh
has sipp || packages+=(sip-tester)                                      # callers and agents on the telephone
has baresip || packages+=(baresip-core)                                 # people with a softphone
has openssl || packages+=(openssl)                                      # certificates for them
has espeak-ng || packages+=(espeak-ng)                                  # the offline voice of prompts
python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)                 # for the one below

if [ ${#packages[@]} -gt 0 ]; then
  echo "install: missing Debian packages: ${packages[*]}" >&2
  $check_only && exit 1
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! has sudo; then
      echo "install: neither root nor sudo; ask an administrator for: apt-get install ${packages[*]}" >&2
      exit 1
    fi
    as_root=(sudo)
  fi
  if ! has apt-get; then
    echo "install: no apt-get here; install the like of these yourself: ${packages[*]}" >&2
    exit 1
  fi
  "${as_root[@]}" apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
  python3 -c 'import tomllib' || { echo "install: python3 is older than 3.11" >&2; exit 1; }
fi

# The S3-compatible store of tests/support/s3.sh.
venv=${CARGO_TARGET_DIR:-target}/test-venv
moto='moto[s3,server]==5.2.5'
if [ "$(cat "$venv/installed" 2>/dev/null)" != "$moto" ]; then
  if $check_only; then
    echo "install: $moto is missing in $venv" >&2
    exit 1
  fi
  rm -rf "$venv"
  python3 -m venv "$venv"
  for try in 1 2 3; do
    if "$venv/bin/pip" install --quiet --disable-pip-version-check "$moto"; then break; fi
    [ "$try" -eq 3 ] && { echo "install: pip install failed three times" >&2; exit 1; }
    sleep $((try * 5))
  done
  echo "$moto" >"$venv/installed"
fi

# `npm ci` empties node_modules first, so it runs only when the lock file is not the one that was installed.
for folder in tests/browser widget; do
  stamp=$folder/node_modules/.installed-lock
  cmp -s "$folder/package-lock.json" "$stamp" && continue
  if $check_only; then
    echo "install: the npm packages of $folder are missing or old" >&2
    exit 1
  fi
  for try in 1 2 3; do
    if npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error; then break; fi
    [ "$try" -eq 3 ] && { echo "install: npm ci failed three times" >&2; exit 1; }
    sleep $((try * 5))
  done
  cp "$folder/package-lock.json" "$stamp"
done

has cargo-nextest || echo "install: cargo-nextest is not here; the tests run with cargo test instead" >&2
