#!/bin/sh
# Builds the binary in a profile, and no path of this machine is in it: those of the checkout, of cargo's home, of the compiler, of the
# user's home and of the build's products are written otherwise, and what came out is looked through.
# Usage: scripts/build.sh PROFILE [arguments of cargo build]
# CARGO may have an argument of its own, as `cargo auditable`.
set -eu
cd "$(dirname "$0")/.."
profile="$1"
shift

cargo="${CARGO:-cargo}"
target="${CARGO_TARGET_DIR:-target}"
mkdir -p "$target"
# Where the binaries come to lie: in a folder of its own for a target that is named.
folder="$profile"
[ "$profile" != dev ] || folder=debug
products="$target/$folder"
before=""
for argument in "$@"; do
    [ "$before" != --target ] || products="$target/$argument/$folder"
    before="$argument"
done
# What is written in place of each path. Of several that fit the compiler takes the last, so the widest comes first.
paths="${HOME:-/}=/home
$(rustc --print sysroot)=/rust
${CARGO_HOME:-${HOME:-}/.cargo}=/cargo
$PWD=/sealift
$(cd "$target" && pwd)=/target"

# The compiler's flags are parted by a character that no path has; those of the caller, and those for C, by blanks.
unit=$(printf '\037')
flags="${CARGO_ENCODED_RUSTFLAGS:-$(printf '%s' "${RUSTFLAGS:-}" | tr -s ' ' "$unit")}"
cflags="${CFLAGS:-}"
blanks="$IFS"
IFS='
'
for path in $paths; do
    case "$path" in
        /=*) ;;
        *)
            flags="$flags${flags:+$unit}--remap-path-prefix=$path"
            cflags="$cflags -ffile-prefix-map=$path"
            ;;
    esac
done
IFS="$blanks"
# shellcheck disable=SC2086 # a command and perhaps its verb
CARGO_ENCODED_RUSTFLAGS="$flags" CFLAGS="$cflags" $cargo build --profile "$profile" --locked "$@"

found=0
IFS='
'
for binary in "$products"/*; do
    [ -f "$binary" ] && [ -x "$binary" ] || continue
    for path in $paths; do
        path="${path%=*}"
        if [ -n "${path%/}" ] && LC_ALL=C grep -q -a -F -e "${path%/}/" "$binary"; then
            echo "$binary names ${path%/}/, a path of this machine" >&2
            found=1
        fi
    done
done
exit "$found"
