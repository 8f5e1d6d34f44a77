#!/bin/sh
# Drives Debian's Chromium over the operator's page: the real daemon, the emulated cloud, verbs by keyboard, a kill, two browsers, axe in
# both themes, a phone. Screenshots lie in target/page then. Installs what it needs: Chromium, fonts, two packages of npm's.
set -eu
cd "$(dirname "$0")/.."

packages=""
command -v chromium >/dev/null 2>&1 || packages="$packages chromium"
[ -d /usr/share/fonts/opentype/inter ] || [ -d /usr/share/fonts/truetype/inter ] || packages="$packages fonts-inter"
[ -d /usr/share/fonts/truetype/jetbrains-mono ] || packages="$packages fonts-jetbrains-mono"
command -v pdftotext >/dev/null 2>&1 || packages="$packages poppler-utils"
command -v node >/dev/null 2>&1 || packages="$packages nodejs npm"
if [ -n "$packages" ]; then
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # shellcheck disable=SC2086 # the list is made of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages
fi
[ -d tests/page/node_modules ] || (cd tests/page && npm ci --ignore-scripts --no-audit --no-fund --silent)
SEALIFT="${CARGO_TARGET_DIR:-$PWD/target}/debug/sealift" node --test --test-concurrency=1 tests/page/*.test.mjs
