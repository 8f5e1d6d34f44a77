#!/bin/sh
# Builds the container image of a static binary, without a network; the last line is its digest, the same for the same binary.
# It holds the binary, the authorities of the host that builds it, the configuration, and a name for its user.
# Usage: scripts/image.sh BINARY [NAME]
set -eu
cd "$(dirname "$0")/.."
binary="$1"
name="${2:-localhost/sealift:$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)}"
authorities="${SEALIFT_AUTHORITIES:-/etc/ssl/certs/ca-certificates.crt}"

context="$(mktemp -d)"
trap 'rm -rf "$context"' EXIT
put() { # mode, file, place
    install -D -m "$1" "$2" "$context/root/$3"
}
put 0755 "$binary" usr/bin/sealift
put 0644 "$authorities" etc/ssl/certs/ca-certificates.crt
put 0644 systemd/sealift.yaml etc/sealift/sealift.yaml
install -d -m 0755 "$context/root/etc/sealift/plans.d" "$context/root/var/lib" "$context/root/run" "$context/state"
install -d -m 1777 "$context/root/tmp"
echo 'sealift:x:65532:65532:Sealift:/var/lib/sealift:/' >"$context/root/etc/passwd"
echo 'sealift:x:65532:' >"$context/root/etc/group"
cp packaging/container/Containerfile "$context"
# The moment of every file and of the image is the same, whenever it is built.
buildah build --quiet --isolation chroot --pull=never --timestamp 0 --format oci --tag "$name" "$context" >/dev/null
buildah inspect --type image --format '{{.FromImageDigest}}{{"\n"}}' "$name"
