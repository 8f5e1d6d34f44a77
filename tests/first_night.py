#!/usr/bin/env python3
"""Plays a newcomer's first night against the emulated cloud, and prints it as docs/first-night.md.

    python3 tests/first_night.py SEALIFT FOLDER [PROXIES] > docs/first-night.md

Every command runs on a terminal of 80 columns. One that does not end as the night expects ends the script with 1, and
what it said is on standard error. FOLDER must not be there.
"""

import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from fcntl import ioctl

COLUMNS, ROWS = 80, 50
# A listing longer than this is cut in the page, with a line that says so.
LINES_MAX = 24
# Longer than any step takes on a busy machine.
STEP_MAX = 600

REDRAWN = re.compile("\x1b\\[\\d+A\x1b\\[J")
ESCAPE = re.compile("\x1b\\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, words, cwd):
        self.words = words
        ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = dict(os.environ, NO_COLOR="1", TERM="xterm", SEALIFT_CONFIG="sealift.yaml")
        environment.pop("SEALIFT_ADDR", None)
        self.process = subprocess.Popen(
            words, cwd=cwd, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.ours, self.said = ours, b""
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        while True:
            try:
                part = os.read(self.ours, 65536)
            except OSError:  # the last writer has closed the terminal
                return
            if not part:
                return
            self.said += part

    def screen(self):
        """What stands on the terminal: of a view that is drawn anew, the last picture."""
        text = self.said.decode("utf-8", "replace").replace("\r\n", "\n")
        kept = REDRAWN.split(text)[-1]
        lines = [line.rsplit("\r", 1)[-1] for line in ESCAPE.sub("", kept).split("\n")]
        return "\n".join(line.rstrip() for line in lines).strip("\n")

    def wait_for(self, text):
        """Until the terminal shows this."""
        end = time.monotonic() + STEP_MAX
        while text not in self.screen():
            if self.process.poll() is not None and text not in self.screen():
                fail(f"{' '.join(self.words)} ended with {self.process.returncode} before it showed {text!r}:\n{self.screen()}")
            if time.monotonic() > end:
                fail(f"{' '.join(self.words)} never showed {text!r}:\n{self.screen()}")
            time.sleep(0.1)

    def type(self, text):
        """A line, as a person types it."""
        os.write(self.ours, f"{text}\n".encode())

    def end(self):
        try:
            code = self.process.wait(STEP_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            fail(f"{' '.join(self.words)} did not end:\n{self.screen()}")
        self.reader.join(5)
        os.close(self.ours)
        return code


class Night:
    def __init__(self, sealift, folder, proxies):
        self.folder, self.proxies = folder, proxies
        os.makedirs(folder)
        # The name under which a user has it, and a place that an upgrade can replace.
        self.bin = os.path.join(folder, ".bin")
        os.makedirs(self.bin)
        shutil.copy(sealift, os.path.join(self.bin, "sealift"))
        os.environ["PATH"] = self.bin + os.pathsep + os.environ["PATH"]
        self.daemon = self.cloud = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    # What the page has.

    def say(self, text):
        print(f"\n{text}")

    def shown(self, command, text, code):
        lines = [self.plain(line) for line in text.split("\n")] if text else []
        # As a terminal breaks them.
        lines = [line[at : at + COLUMNS] for line in lines for at in range(0, max(len(line), 1), COLUMNS)]
        if len(lines) > LINES_MAX:
            cut = len(lines) - LINES_MAX + 1
            half = (LINES_MAX - 1) // 2
            lines = lines[:half] + [f"[{cut} more lines]"] + lines[cut + half :]
        print("\n```console")
        print(f"$ {command}")
        for line in lines:
            print(line)
        if code:
            print(f"[exit code {code}]")
        print("```")
        sys.stdout.flush()

    def plain(self, line):
        return line.replace(os.path.realpath(self.folder), "/home/you/night").replace(self.folder, "/home/you/night")

    def run(self, command, code=0, show=True):
        """A command as it is typed, and what it answers."""
        terminal = Terminal(["sh", "-c", command], self.folder)
        got = terminal.end()
        text = terminal.screen()
        if got != code:
            fail(f"$ {command}\n{text}\nended with {got}, {code} was expected\n{self.log()}")
        if show:
            self.shown(command, text, got)
        return text

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def file(self, name, text):
        self.write(name, text)
        print(f"\n```yaml\n# {name}\n{text}```")

    def value(self, file, key):
        """Of a YAML file that Sealift wrote."""
        with open(os.path.join(self.folder, file), encoding="utf-8") as text:
            return next(line.split(":", 1)[1].strip() for line in text if line.startswith(f"{key}:"))

    # What runs beside.

    def log(self):
        try:
            with open(os.path.join(self.folder, "daemon.log"), encoding="utf-8") as log:
                return "the daemon's log ends so:\n" + "".join(log.readlines()[-20:])
        except FileNotFoundError:
            return ""

    def start(self, words, log):
        with open(os.path.join(self.folder, log), "ab") as out:
            environment = dict(os.environ, SEALIFT_CONFIG="sealift.yaml")
            return subprocess.Popen(words, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def serve(self):
        self.daemon = self.start(["sealift", "serve"], "daemon.log")
        end = time.monotonic() + STEP_MAX
        while subprocess.run(
            ["sealift", "status", "-o", "json"], cwd=self.folder, capture_output=True,
            env=dict(os.environ, SEALIFT_CONFIG="sealift.yaml"), check=False,
        ).returncode:
            if self.daemon.poll() is not None or time.monotonic() > end:
                fail(f"the daemon does not answer\n{self.log()}")
            time.sleep(0.1)

    def close(self):
        for process in (self.daemon, self.cloud):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()


def fail(text):
    print(text, file=sys.stderr)
    sys.exit(1)


def play(night):
    proxies, instances = night.proxies, night.proxies // 2
    print("# A first night, from nothing to proof and back")
    night.say(
        f"""This page is what a terminal of 80 columns showed while `tests/first_night.py` played it: {proxies:,} proxies in
{instances} instances at an emulated cloud where 3 % of all jobs fail (of two proxies every one), 5 % of all calls are answered with 500, and 3,000
calls a minute are let in. `make first-night` plays it again and writes this page. Nothing leaves the machine."""
    )

    night.say("## A folder to begin with")
    night.run("sealift init .")
    night.say("The emulated cloud misbehaves as its file of faults says, in a second terminal:")
    night.file(
        "faults.yaml",
        """job_time: {min: 1s, max: 4s}
job_fails: [{on: 100%, match: 0017po01}, {on: 3%}]
error_500_before: 4%
error_500_after: [{on: 1%, call: switch}]
quota: {requests: 3000, per: 1m}
""",
    )
    night.emulate = (
        f"sealift emulate --proxies {proxies} --instances {instances} --faults faults.yaml --wire-ca ca.pem --listen 127.0.0.1:{night.port}"
    )
    night.cloud = night.start(night.emulate.split(), "cloud.log")
    night.shown(night.emulate.replace(f" --listen 127.0.0.1:{night.port}", ""), f"http://127.0.0.1:7634", 0)
    config = os.path.join(night.folder, "sealift.yaml")
    with open(config, encoding="utf-8") as file:
        text = file.read()
    text = text.replace("127.0.0.1:7634", f"127.0.0.1:{night.port}")
    text = text.replace("    settle: 1s\n", "    quota: {requests: 3000, per: 1m}\n    settle: 1s\n")
    night.write("sealift.yaml", text)
    night.say(
        """The lane in `sealift.yaml` gets the line `quota: {requests: 3000, per: 1m}`, which is what the account gives, and
the daemon starts in a third terminal: `sealift serve`."""
    )
    night.serve()

    night.say("## The fleet, and a plan")
    os.remove(os.path.join(night.folder, "fleet.csv"))
    night.run("sealift discover --into fleet.csv")
    night.say("A plan in which three things are wrong. `check` says all of them at once:")
    wrong = f"""version: 1
name: night
ssl_option: true
targets: {{files: [fleet.csv], max: {proxies}}}
strategy:
  max_in_flight: 40
  max_failures: {{wave: 20%, rollout: 20%}}
  waves:
    - {{name: canary, size: 5, soak: 5s, promote: manuel}}
    - {{name: rest, sise: rest}}
retry: {{max_attempts: 2, initial: 1 sec}}
verify: {{wire: {{min_tls: "1.2", ca_file: ca.pem}}}}
"""
    night.file("night.yaml", wrong)
    night.run("sealift check night.yaml", code=1)
    night.say("Mended:")
    right = wrong.replace("manuel", "manual").replace("sise", "size").replace("1 sec", "1s")
    night.file("night.yaml", right)
    night.run("sealift check night.yaml")
    night.run("sealift plan night.yaml")

    night.say("## Go or no-go")
    night.run("sealift preflight night.yaml")

    night.say("## The canary")
    night.say("`apply` submits the plan and follows it until a person is wanted:")
    night.run("sealift apply night.yaml --yes", code=7)
    night.run("sealift status night")
    night.run("sealift promote night --reason 'the canary connects'")

    night.say("## The daemon dies, and is replaced, while somebody watches")
    watch = Terminal(["sealift", "watch", "night"], night.folder)
    watch.wait_for("wave 2/2")
    time.sleep(2)
    night.daemon.kill()
    night.daemon.wait()
    watch.wait_for("away since")
    night.say("In the middle of it `kill -9`:")
    night.shown("sealift watch night", watch.screen(), 0)
    night.serve()
    watch.wait_for("advancing")
    time.sleep(3)
    night.say(
        """A start later the same `watch` goes on: what was in flight is looked up, nothing is sent twice. An upgrade is the
same, but kinder: the new binary is put in place, and the daemon is restarted (SIGTERM, then a start)."""
    )
    shutil.copy(os.path.join(night.bin, "sealift"), os.path.join(night.bin, "sealift.new"))
    os.replace(os.path.join(night.bin, "sealift.new"), os.path.join(night.bin, "sealift"))
    night.daemon.send_signal(signal.SIGTERM)
    if night.daemon.wait(STEP_MAX) != 0:
        fail(f"the daemon did not end well\n{night.log()}")
    night.serve()
    watch.wait_for("advancing")

    night.say("## Stop everything, now")
    night.run("sealift stop --reason 'an incident in the region'")
    night.run("sealift status")
    night.run("sealift start --reason 'the region is well again'")
    night.say("`watch`, which was there all the time, ends with the rollout. Its last picture:")
    code = watch.end()
    if code != 3:
        fail(f"watch ended with {code}:\n{watch.screen()}\n{night.log()}")
    night.shown("sealift watch night", watch.screen(), code)

    night.say("## What failed, to be sent on")
    night.run("sealift changes night --state failed")
    night.run("sealift changes night --state failed -o csv > failed.csv")
    night.run("head -n 3 failed.csv | fold -w 80")
    night.say("## And back")
    night.say("A rollout that is over is put back by a plan of its own, which is looked at like any other:")
    night.run("sealift revert night --write back.yaml")
    night.run("sealift check back.yaml")
    night.say("Off is the dangerous direction, so the plan's name is typed once more:")
    name = night.value("back.yaml", "name")
    back = Terminal(["sealift", "apply", "back.yaml"], night.folder)
    back.wait_for("Type its name")
    night.shown("sealift apply back.yaml", f"{back.screen()} {name}", 0)
    back.type(name)
    night.say("It is followed like any other:")
    ended = back.end()
    if ended not in (0, 3):
        fail(f"apply ended with {ended}:\n{back.screen()}\n{night.log()}")
    night.shown("sealift apply back.yaml", back.screen(), ended)
    night.say("Who did what, and when:")
    night.run("sealift journal night | grep -v po01 | grep -v release$ | tr -s ' ' | fold -sw 80")


def main():
    if len(sys.argv) not in (3, 4):
        fail(__doc__)
    night = Night(sys.argv[1], os.path.abspath(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else 1200)
    try:
        play(night)
    finally:
        night.close()


if __name__ == "__main__":
    main()
