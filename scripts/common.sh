# Sourced by the scripts beside it: what they share. Bash 5, Debian 12 and 13.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' green='' red='' plain=''
fi

say() { printf '%s==> %s%s\n' "$bold" "$*" "$plain"; }
fail() {
  printf '%s%s: %s%s\n' "$red" "$(basename "$0")" "$*" "$plain" >&2
  exit 1
}

# Runs a command as root: directly, or by sudo, which may ask for a password.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo --preserve-env=PATH,HOME,ZONECTL,ORCHESTRATOR,ZONES_ONLY,ZONES_FULL,DEBIAN_FRONTEND env "PATH=$PATH" "$@"
  else
    fail "'$1' needs root and there is no sudo; run this as root, or install sudo"
  fi
}

# need_packages NAME…: installs those that are missing, asking apt for a fresh list only where the old one does not do.
need_packages() {
  local missing=() name
  for name in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing by apt: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  local install=(apt-get -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 --no-install-recommends install)
  as_root "${install[@]}" "${missing[@]}" </dev/null && return 0
  say "refreshing apt's package lists, then trying again"
  # A third party's dead source is no reason to stop: what we need is Debian's.
  as_root apt-get -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update </dev/null || true
  as_root "${install[@]}" "${missing[@]}" </dev/null || fail "apt could not install ${missing[*]} (see above)"
}

# debian_mirror CODENAME: the address from which this machine's own apt takes a suite of Debian's, so that a mirror nearby
# is used for what we take of Debian too; nothing where it has none.
debian_mirror() {
  # shellcheck disable=SC2016 # apt's own names of fields
  apt-get indextargets --format '$(CODENAME) $(REPO_URI) $(ORIGIN)' 2>/dev/null |
    awk -v codename="$1" '$1 == codename && $3 == "Debian" && !found { print $2; found = 1 }'
}

# find_debian: sets `release` and `debian`, this machine's release of Debian and where its packages come from.
find_debian() {
  release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  [ -n "$release" ] || fail "/etc/os-release names no VERSION_CODENAME: a Debian release is needed"
  debian=$(debian_mirror "$release")
  if [ -z "$debian" ]; then
    # It is told from apt's lists, which an image may have been stripped of.
    as_root apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update </dev/null || true
    debian=$(debian_mirror "$release")
  fi
}
debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# private_apt FOLDER PROGRAM ARGUMENT…: apt with the sources in FOLDER/sources.list and folders of its own: nothing of this
# machine's packages is asked or changed.
private_apt() {
  local at=$1 program=$2
  shift 2
  mkdir -p "$at/lists/partial" "$at/cache/archives/partial"
  "$program" -qq -o Dir::Etc::SourceList="$at/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State="$at" \
    -o Dir::State::status=/dev/null -o Dir::Cache="$at/cache" -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

need_swift() {
  command -v swift >/dev/null || fail "there is no swift on the PATH; install Swift 6.3 from https://www.swift.org/install/linux/"
  local version
  version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p')
  local major minor
  IFS=. read -r major minor <<<"${version:-0.0}"
  [ "$major" -gt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -ge 3 ]; } ||
    fail "Swift 6.3 or later is needed, and 'swift --version' says ${version:-nothing that we understand}; see https://www.swift.org/install/linux/"
}

# What the build itself needs beside Swift.
build_packages=(git ca-certificates gcc libc6-dev libseccomp-dev zlib1g-dev libzstd-dev musl-dev libsqlite3-dev)

# `ZONES_ONLY=runtime` leaves the fleet half out, here as in Package.swift.
runtime_only() { [ "${ZONES_ONLY:-}" = runtime ]; }

# zonectl is built apart from all else: as Embedded Swift (see Package.swift).
build_zonectl() { ZONES_ONLY=zonectl swift build -c release --scratch-path "$top/.build/zonectl" "$@" </dev/null; }

# Builds the static release zonectl and, unless ZONES_ONLY=runtime, the orchestrator, and puts them side by side into
# .build/bin, since each finds the other as its sibling. The orchestrator is a debug build: a release of its
# dependencies takes six times as long, and no start of a zone runs through it that is timed.
build_programs() {
  cd "$top"
  say "building zonectl (release, static, Embedded Swift)"
  build_zonectl --product zonectl
  local bin=$top/.build/bin
  mkdir -p "$bin"
  place "$(build_zonectl --show-bin-path)/zonectl" "$bin/zonectl"
  ln -sf zonectl "$bin/zone-oci"
  if ! runtime_only; then
    say "building the orchestrator (debug)"
    swift build --product orchestrator </dev/null
    place "$(swift build --show-bin-path)/orchestrator" "$bin/orchestrator"
  fi
  export ZONECTL=$bin/zonectl ORCHESTRATOR=$bin/orchestrator
}

# Replaces by rename: a program that runs cannot be written over (ETXTBSY), and zones may be running. Written at one go,
# so that the page cache holds it in large folios: a start's page faults then cost 0.7 us each, and not 5.
place() {
  cmp -s "$1" "$2" && return 0
  dd if="$1" of="$2.new" bs=64M status=none
  chmod 755 "$2.new"
  mv -f "$2.new" "$2"
}
