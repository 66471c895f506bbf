#!/usr/bin/env bash
# Installs what the tests need beyond a Rust toolchain, a C compiler and Python 3: Debian packages by apt-get where
# root, and Python packages in the virtual environment that the argument names. Says what is missing where it cannot.
set -euo pipefail
cd "$(dirname "$0")"
venv=${1:?usage: tests/setup.sh DIRECTORY-OF-VENV}
case $venv in /*) ;; *) venv=../$venv ;; esac

# A check that fails where something is missing, and the package that brings it.
missing=()
need() {
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
need redis-server command -v redis-server
need redis-tools command -v redis-cli
need redis-tools command -v redis-benchmark
need memcached command -v memcached
need nutcracker test -x /usr/sbin/nutcracker
need haproxy test -x /usr/sbin/haproxy
need systemd command -v systemd-analyze
need netcat-openbsd command -v nc
need gcc command -v gcc
need g++ command -v g++
need clang command -v clang++
need valgrind command -v valgrind
need pkg-config command -v pkg-config
need groff-base command -v groff
need python3-venv python3 -c 'import ensurepip, venv'
# Tests that want these say so and are skipped where they cannot be had.
if [ "$(id -u)" -eq 0 ]; then
  need chromium command -v chromium
  need tmux command -v tmux
  need strace command -v strace
fi

if [ ${#missing[@]} -gt 0 ]; then
  mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "The tests need these Debian packages, or what they contain: ${missing[*]}" >&2
    exit 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update
  apt-get -qq install --yes --no-install-recommends "${missing[@]}"
fi

# Made once, and again when the pinned versions change.
if ! cmp -s requirements.txt "$venv/requirements.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
  cp requirements.txt "$venv/requirements.txt"
fi
