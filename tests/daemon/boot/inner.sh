#!/bin/bash
# Runs in the booted Debian: installs the package, works with it as people would, disturbs it, and takes it away. Each thing
# that was looked at is one line of /out/found, `ok` or `FAILED`; what the emulated cloud saw is in /out/ledger.json.
set -u
ip link set lo up 2>/dev/null || true
cd /root || exit 1
export DEBIAN_FRONTEND=noninteractive
old=/packages/1.deb
new=/packages/2.deb
# The names of releases, as the pages have them.
ln -s "$old" sealift_0.1.0-1_amd64.deb
ln -s "$new" sealift_0.2.0-1_amd64.deb
echo 'APT::Get::Assume-Yes "true";' >/etc/apt/apt.conf.d/assume-yes

found() { # outcome, what
    printf '%s\t%s\n' "$1" "$2" >>/out/found
    echo "=== $(cut -d' ' -f1 /proc/uptime) $1 $2"
}
check() { # what, command…
    local what="$1"
    shift
    if "$@"; then found ok "$what"; else found FAILED "$what"; fi
}
fails() { ! "$@"; }
says() { # text, command…: the command says it, whatever it ends with
    local text="$1" said
    shift
    said=$("$@" 2>&1)
    grep -q -F -e "$text" <<<"$said" || {
        echo "looked for: $text; found: $said"
        false
    }
}
until_it() { # seconds, command…
    local left=$(($1 * 10))
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        sleep 0.1
    done
}
# A command as a page of the documentation has it (pages.rs looks that each is here).
typed() { # page, command
    grep -q -F -e "$2" "/$1" || {
        echo "$1 says nothing of: $2"
        return 1
    }
    eval "$2"
}
sudo() { if [ "$1" = -u ]; then runuser -u "$2" -- "${@:3}"; else "$@"; fi; }
# No verb waits for longer, whatever is wrong with the daemon.
sealift() { timeout 60 /usr/bin/sealift "$@"; }
as() { # user, command…
    runuser -u "$1" -- timeout 60 "${@:2}"
}
pid() { systemctl show --property=MainPID --value sealift.service; }
another_runs() { # than that with this pid
    local now
    now=$(pid)
    [ "$now" != 0 ] && [ "$now" != "$1" ]
}
state() { systemctl show --property=ActiveState --value sealift.service; }
active() { systemctl is-active --quiet sealift; }
is() { [ "$1" = "$2" ] || { echo "$1 is not $2" && false; }; }
done_ones() { # how many proxies are done
    sealift status night -o json 2>/dev/null | tr -d ' \n' | grep -o '"succeeded":[0-9]*' | head -1 | cut -d: -f2
}
further() { [ "$(done_ones)" -gt "$1" ] 2>/dev/null; }
running() { sealift status night -o json | tr -d ' \n' | grep -q -E '"phase":"(advancing|soaking)"'; }

# --- what an installation leaves behind
check "apt installs it" typed docs/install.md 'sudo apt install ./sealift_0.1.0-1_amd64.deb'
check "the service is up after the installation" active
check "status answers without an account" sealift status --wait 0s
check "it starts with the machine" systemctl is-enabled --quiet sealift
check "the configuration is readable by all" is "$(stat -c %a:%U /etc/sealift/sealift.yaml)" 644:root
check "the manual of a verb is there" test -e /usr/share/man/man1/sealift-apply.1.gz
for completion in bash-completion/completions/sealift zsh/vendor-completions/_sealift fish/vendor_completions.d/sealift.fish; do
    check "completions: $completion" test -s "/usr/share/$completion"
done
check "nothing is wrong with the unit" systemd-analyze verify --man=no sealift.service

# --- init speaks of the service that is here
sealift init first 2>first.next >/dev/null
check "init begins no second daemon" fails grep -q 'sealift serve' first.next
(
    cd first || exit 1
    cp /etc/sealift/sealift.yaml ../packaged.yaml
    next() { # what the line begins with: it is typed
        line=$(grep -F -e "  $1" ../first.next | head -1)
        eval "${line%%  #*}" >/dev/null
    }
    check "init says how the service gets the token" next 'sudo install'
    check "and how it gets the lane" next 'sed -n'
    check "which is good then" next 'sealift config'
    check "under the name that the plan has" says "lanes.emulated" sealift config
    cp ../packaged.yaml /etc/sealift/sealift.yaml
    rm /etc/sealift/token
)

# --- who may
useradd ada
check "a person comes into the group" typed docs/install.md 'sudo usermod -aG sealift ada'
useradd mallory
check "a member of the group acts" as ada sealift stop --reason drill
check "under their own name" says "by ada" sealift status
check "another user does not" says "no access to the daemon" as mallory sealift start --reason drill --wait 0s
check "and reads nothing" fails as mallory cat /var/lib/sealift/queue/store
check "all goes on" as ada sealift start --reason drill

# --- a lane, as an administrator writes it
cat >/root/faults.yaml <<'EOF'
job_time: {min: 800ms, max: 1500ms}
error_500_after: [{on: 5%, call: switch}]
EOF
systemd-run --quiet --unit=cloud --working-directory=/root sealift emulate --proxies 48 --instances 24 --faults faults.yaml
check "a secret for the daemon alone" \
    typed docs/install.md 'echo emulated-token | sudo install -m 600 -o sealift /dev/stdin /etc/sealift/emulated.token'
# The door and the people of docs/metrics.md, on this machine alone.
sed -i 's/^  socket: .*/&\n  tokens_file: \/var\/lib\/sealift\/tokens.yaml\n  listen: 127.0.0.1:7633\n  people: [{name: prometheus, may: [read]}, {group: sealift, may: [read, operate]}, {unix: root, may: [read, operate]}]/' \
    /etc/sealift/sealift.yaml
cat >>/etc/sealift/sealift.yaml <<'EOF'
lanes:
  - {name: emulated, endpoint: "http://127.0.0.1:7634", project_id: 056538411200d4cd2f79c003c7606412,
     credentials: {token: {file: emulated.token}}, settle: 1s, poll: 300ms, poll_max: 1s}
  - {name: counted, endpoint: "http://127.0.0.1:7634", project_id: 156538411200d4cd2f79c003c7606412,
     credentials: {token: {file: emulated.token}}, quota: {requests: 1000, per: 1h, headroom: 0%}}
EOF
# A frozen daemon is noticed sooner, and one that ended is back sooner, than under the shipped unit, which waits for 30 s and 5 s.
mkdir -p /etc/systemd/system/sealift.service.d
printf '[Service]\nWatchdogSec=8\nRestartSec=1\n' >/etc/systemd/system/sealift.service.d/sooner.conf
systemctl daemon-reload
check "the lane is good" typed docs/install.md 'sealift config'
check "the daemon takes it" typed docs/install.md 'sudo systemctl restart sealift'
check "the account's proxies" typed docs/install.md 'sealift discover --lane emulated --into fleet.csv'
check "a link to the page" typed docs/install.md 'sealift open'
cat >/root/night.yaml <<'EOF'
version: 1
name: night
ssl_option: true
targets: {files: [fleet.csv]}
strategy: {max_in_flight: 4, max_failures: 48, waves: [{name: all, size: rest}]}
EOF
chmod -R a+rX /root
check "it is reloaded" systemctl reload sealift
check "and says so" until_it 5 says "are read again" journalctl -u sealift --no-pager
check "a call of the counted lane" sealift discover --lane counted --name 'nobody-*'
check "is counted" until_it 5 says "lane counted  1 of 1000" sealift status
check "a rollout is submitted" as ada sealift apply /root/night.yaml --yes --detach
check "it comes further" until_it 20 further 3

# --- upgraded over, and the upgrade is broken off in its middle
before=$(pid)
check "the new version is unpacked" dpkg --unpack "$new"
check "the daemon works on" is "$(pid)" "$before"
check "the new version is configured" dpkg --configure -a
check "another daemon runs" another_runs "$before"
check "the service is up after the upgrade" active
check "the edited configuration was kept" grep -q counted /etc/sealift/sealift.yaml
check "the quota's level is still known" until_it 5 says "lane counted  1 of 1000" sealift status
check "the rollout goes on" until_it 20 further "$(done_ones)"

# --- an installation over a configuration with a mistake
cp /etc/sealift/sealift.yaml /root/good.yaml
echo 'nonsense: true' >>/etc/sealift/sealift.yaml
before=$(pid)
check "the mistake is told" says "nonsense" dpkg --install "$new"
check "the daemon was not restarted onto it" is "$(pid)" "$before"
cp /root/good.yaml /etc/sealift/sealift.yaml

# --- killed and frozen
check "it still runs before the kill" running
systemctl kill --kill-whom=main --signal=KILL sealift
check "killed, it is there again" until_it 20 another_runs "$before"
check "it comes further after the kill" until_it 20 further "$(done_ones)"
before=$(pid)
check "it still runs before it is frozen" running
kill -STOP "$before"
check "frozen, the watchdog ends it" until_it 45 another_runs "$before"
check "the watchdog it was" says "watchdog" journalctl -u sealift --no-pager
check "the rollout ends" sealift watch night
check "its log by priority" typed docs/metrics.md 'journalctl -u sealift -p warning' >/dev/null
check "its log by lane" typed docs/metrics.md 'journalctl -u sealift LANE=prod-sg -o json' >/dev/null
mkdir -p /etc/prometheus /var/lib/prometheus/node-exporter
check "a token for Prometheus" \
    typed docs/metrics.md 'sudo -u sealift sealift token new --name prometheus --may read --label scrape > /etc/prometheus/sealift.token'
check "a file for node_exporter" \
    typed docs/metrics.md 'sealift metrics > sealift.prom.new && mv sealift.prom.new /var/lib/prometheus/node-exporter/sealift.prom'
sealift status night -o json >/out/status.json
sealift jobs night -o csv >/out/jobs.csv
curl -sf http://127.0.0.1:7634/_emulator/ledger >/out/ledger.json

# --- stopped by a person, it stays so
check "a person stops it" systemctl stop sealift
check "an installation lets it be" dpkg --install "$new"
check "it is still down" is "$(state)" inactive

# --- the store of a newer program
cp /var/lib/sealift/queue/store /root/store
sed -i 's/"schema":[0-9]*/"schema":99/; s/"needs":"[^"]*"/"needs":"9.8.7"/' /var/lib/sealift/queue/store
check "a newer store is refused" fails systemctl start sealift
check "in one sentence with the version" says "needs sealift 9.8.7" journalctl -u sealift --no-pager
check "and not tried again" is "$(state)" failed
check "an installation tells it too" says "needs sealift 9.8.7" dpkg --install "$new"
install -o sealift -m 0600 /root/store /var/lib/sealift/queue/store
check "the right program starts again" dpkg --install "$new"
check "it is up" active

# --- taken away
check "it is removed" typed docs/install.md 'sudo apt remove sealift'
check "and down" fails active
check "its journal stays" test -s /var/lib/sealift/queue/journal/000000000001.jsonl
check "its configuration stays" test -e /etc/sealift/sealift.yaml
check "installed again, it goes on" typed docs/install.md 'sudo apt install ./sealift_0.2.0-1_amd64.deb'
check "and is up" active
check "with its journal" says "night" sealift list
check "purging tells how to remove the journal" says "rm -r /var/lib/sealift" typed docs/install.md 'sudo apt purge sealift'
check "and keeps it" test -s /var/lib/sealift/queue/journal/000000000001.jsonl
check "the user stays" id -u sealift
check "the secret stays" test -e /etc/sealift/emulated.token
rm -r /var/lib/sealift
check "installed anew" dpkg --install "$new"
check "it is up anew" active
check "purged without entries" dpkg --purge sealift
check "nothing of the state is left" fails test -e /var/lib/sealift
journalctl -u sealift --no-pager >/out/journal
echo "$SECONDS" >/out/seconds
found ok "the script came to its end"
