# Brings the daemon up on what was installed: anew, if it runs, so that a rollout is adopted by the new program; but only if
# that takes configuration and store as they are. One that somebody stopped, for a repair or because the store goes on
# elsewhere, stays down.
# Usage: bring_up SERVICE_COMMAND, which knows `restart UNIT`
bring_up() {
    systemctl --system daemon-reload >/dev/null || true
    if [ -e /run/sealift.stopped ]; then
        rm -f /run/sealift.stopped
        echo "sealift: the daemon was stopped before, and stays so; to start it: systemctl start sealift" >&2
    elif said=$(runuser -u sealift -- /usr/bin/sealift config 2>&1 >/dev/null); then
        "$1" restart sealift.service >/dev/null || true
    else
        echo "sealift: the daemon was not restarted, because \`sealift config\` refuses:" >&2
        echo "$said" | sed 's/^/  /' >&2
        echo "sealift: what runs goes on with the program from before; mend it, then: systemctl restart sealift" >&2
    fi
}

# Whether somebody stopped it is asked before anything is changed.
note_a_stop() {
    if [ "$(systemctl show --property=ActiveState --value sealift.service)" = inactive ]; then
        : >/run/sealift.stopped
    fi
}
