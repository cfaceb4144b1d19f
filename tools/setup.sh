#!/usr/bin/env bash
# Installs what building dpkde needs: Debian packages (apt) and the source archive of FAISS (third_party/distdir).
# tools/test and tools/quickstart call it. Where everything is there it does nothing, quickly, and needs no root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PACKAGES=(
  bazel-bootstrap bazel-platforms bazel-rules-java bazel-rules-proto bazel-skylib
  ca-certificates git
  libabsl-dev libbenchmark-dev libboost-dev libboost-random-dev libgmock-dev libgtest-dev libhwy-dev
  libopenblas-dev libpng-dev libprotobuf-dev libssl-dev protobuf-compiler
)

# The name that the URL in dpkde_deps.bzl ends with, and the hash that stands there.
readonly FAISS_ARCHIVE=third_party/distdir/v1.7.3.tar.gz
readonly FAISS_SHA256=3e4fac26d8c9e9008ecea4ae5fc414c658998fce4ba75835058b1a71d3516002

say() { printf 'setup: %s\n' "$*" >&2; }

fail() {
  say "$*"
  exit 1
}

scratch=
trap '[[ -z $scratch ]] || rm -rf "$scratch"' EXIT

# Where the output of apt goes; made when it is first needed, deleted by whoever sees success.
log=
start_log() {
  [[ -n $log ]] || log=$(mktemp "${TMPDIR:-/tmp}/dpkde-setup-XXXXXX.log") || fail "cannot write to ${TMPDIR:-/tmp}"
}

check_machine() {
  [[ $(uname -m) == x86_64 ]] || fail "dpkde runs on x86-64 only; this machine is $(uname -m)."
  grep -qw avx2 /proc/cpuinfo || fail "dpkde needs a CPU with AVX2 (x86-64-v3); this machine's CPU has none."
  if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    local name
    name=$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null | tr -d '"') || true
    fail "this machine (${name:-unknown system}) has no apt. Setup knows Debian 12; elsewhere, install Bazel 4.2.3 and what" \
      "these Debian packages contain, then run 'bazel test //...': ${PACKAGES[*]}"
  fi
}

missing_packages() {
  local installed package
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${PACKAGES[@]}" 2>/dev/null) || true
  for package in "${PACKAGES[@]}"; do
    grep -qxF "installed $package" <<<"$installed" || printf '%s\n' "$package"
  done
}

install_packages() {
  local missing=() unavailable=() package root=() system updated=yes
  mapfile -t missing < <(missing_packages)
  ((${#missing[@]})) || return 0
  local command="apt-get install --no-install-recommends ${missing[*]}"

  if ((EUID != 0)); then
    command -v sudo >/dev/null ||
      fail "packages are missing, and this user may not install them (no sudo here). As root, run: $command"
    root=(sudo)
    say "installing packages with sudo apt-get (nothing else runs as root): ${missing[*]}"
    if ! sudo -n true 2>/dev/null; then
      [[ -t 0 ]] || fail "sudo wants a password, and there is no terminal to ask on. As root, run: $command"
      sudo true || fail "sudo did not let this user in. As root, run: $command"
    fi
  else
    say "installing packages with apt-get: ${missing[*]}"
  fi

  start_log
  local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update </dev/null >>"$log" 2>&1 || updated=no
  for package in "${missing[@]}"; do
    apt-cache show "$package" >/dev/null 2>&1 || unavailable+=("$package")
  done
  if ((${#unavailable[@]})); then
    system=$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release | tr -d '"')
    [[ $updated == yes ]] || fail "'apt-get update' failed: check the network and /etc/apt, then run this again. Log: $log"
    fail "the package sources of this machine ($system) do not offer: ${unavailable[*]}." \
      "dpkde is built and tested on Debian 12; use that, or a container of it."
  fi
  "${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null >>"$log" 2>&1 ||
    fail "'$command' failed: run it by hand as root to see why, then run this again. Log: $log"
  [[ -z $(missing_packages) ]] || fail "apt-get ended well, yet these are still missing: $(missing_packages | xargs). Log: $log"
  rm -f "$log"
  log=
}

have_faiss() { [[ -f $FAISS_ARCHIVE ]] && sha256sum --check --status <<<"$FAISS_SHA256  $FAISS_ARCHIVE"; }

# Writes into folder $1 the machine's own package sources, as sources of source packages.
write_source_lists() {
  local file n=0
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [[ -r $file ]] || continue
    n=$((n + 1))
    case $file in
      *.sources) awk 'tolower($1) == "types:" { print "Types: deb-src"; next } { print }' "$file" >"$1/$n.sources" ;;
      *) awk '($1 == "deb" || $1 == "deb-src") && !/cdrom:/ { $1 = "deb-src"; print }' "$file" >"$1/$n.list" ;;
    esac
  done
}

# Debian's source package of FAISS carries upstream's archive byte for byte. Everything that apt reads or writes here
# is in a temporary folder, so the machine's configuration stays as it is and no root is needed.
fetch_faiss() {
  ! have_faiss || return 0
  say "fetching FAISS's source archive with apt-get source"
  local folder
  folder=$(dirname "$FAISS_ARCHIVE")
  mkdir -p "$folder" 2>/dev/null || true
  [[ -w $folder ]] || fail "cannot write to $PWD/$folder; run this as the user who owns the checkout."
  start_log
  scratch=$(mktemp -d)
  mkdir -p "$scratch/parts" "$scratch/lists/partial" "$scratch/cache/archives/partial"
  write_source_lists "$scratch/parts"
  # The user _apt, to which apt changes when root calls it, cannot write here.
  local apt=(
    env LC_ALL=C apt-get -q -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$scratch/parts"
    -o Dir::State::Lists="$scratch/lists" -o Dir::Cache="$scratch/cache" -o APT::Sandbox::User=root
    -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30
  )
  # Not every source of the machine need have source packages: what counts is whether FAISS arrived.
  "${apt[@]}" update </dev/null >>"$log" 2>&1 || true
  (cd "$scratch" && "${apt[@]}" source --download-only --tar-only faiss) </dev/null >>"$log" 2>&1 || true
  local archive=$scratch/faiss_1.7.3.orig.tar.gz
  if [[ -f $archive ]] && sha256sum --check --status <<<"$FAISS_SHA256  $archive"; then
    # In two steps, so that an interrupted copy never bears the name.
    cp "$archive" "$FAISS_ARCHIVE.part" || fail "cannot write $PWD/$FAISS_ARCHIVE.part: is the disk full?"
    mv "$FAISS_ARCHIVE.part" "$FAISS_ARCHIVE"
    rm -f "$log"
  else
    rm -f "$FAISS_ARCHIVE"
    say "FAISS 1.7.3 could not be had from this machine's package sources (log: $log); Bazel will download it from GitHub."
  fi
}

check_machine
install_packages
fetch_faiss
