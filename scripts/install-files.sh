#!/bin/sh
# Installs all that belongs on a host below a folder: the list that `make install`, the Debian package and the rpm share.
# The manual and the completions are written by the binary itself. SEALIFT_SBOM: the list of its parts (scripts/supply.sh).
# Usage: scripts/install-files.sh BINARY DESTDIR
set -eu
cd "$(dirname "$0")/.."
binary="$1"
root="$2"

put() { # mode, file, place
    install -D -m "$1" "$2" "$root/$3"
}

put 0755 "$binary" usr/bin/sealift
put 0644 systemd/sealift.service usr/lib/systemd/system/sealift.service
put 0644 systemd/sealift.sysusers usr/lib/sysusers.d/sealift.conf
# Readable by all: it says where secrets are, and holds none.
put 0644 systemd/sealift.yaml etc/sealift/sealift.yaml
install -d -m 0755 "$root/etc/sealift/plans.d"

for page in README.md docs/*.md docs/*.yaml docs/*.csv docs/*.json; do
    put 0644 "$page" "usr/share/doc/sealift/$(basename "$page")"
done
for page in docs/reference/*.md; do
    put 0644 "$page" "usr/share/doc/sealift/reference/$(basename "$page")"
done
for plan in plans/*; do
    put 0644 "$plan" "usr/share/doc/sealift/examples/$(basename "$plan")"
done
# What watches it, where it is made.
for file in packaging/prometheus/*.yaml packaging/prometheus/*.yml packaging/grafana/*.json; do
    [ -e "$file" ] || continue
    put 0644 "$file" "usr/share/sealift/$(basename "$(dirname "$file")")/$(basename "$file")"
done
if [ -n "${SEALIFT_SBOM:-}" ]; then
    put 0644 "$SEALIFT_SBOM" usr/share/doc/sealift/sealift.cdx.json
fi

man="$root/usr/share/man/man1"
install -d -m 0755 "$man"
"$binary" man "$man"
completions() { # shell, place
    install -d -m 0755 "$(dirname "$root/$2")"
    "$binary" completions "$1" >"$root/$2"
    chmod 0644 "$root/$2"
}
completions bash usr/share/bash-completion/completions/sealift
# Debian has a folder of its own for what packages bring.
completions zsh "${SEALIFT_ZSH:-usr/share/zsh/vendor-completions}/_sealift"
completions fish usr/share/fish/vendor_completions.d/sealift.fish
