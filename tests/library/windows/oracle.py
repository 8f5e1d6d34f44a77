"""The published rule of windows, told a second time: croniter for the fields, zoneinfo for the zones.

Reads cases as JSON, one a line, and answers each with a line. It shares nothing with what it checks: another reader of
cron expressions, another reader of time zones, and the rule for nights when clocks change written down anew:

- a fixed time that the clock skips starts at the first instant after the gap; one that comes twice starts once, at its
  first pass;
- an expression whose minute or hour begins with `*` starts whenever the clock matches: nothing in a gap, both passes of
  a repeated hour;
- a window is open for new work from a start until its duration less its cutoff has passed, half-open, in elapsed time;
  a freeze wins: it begins at the first instant that shows its `from`, and ends at the last that shows its `to`.

`direct` is what croniter itself says when it is given the zone; the caller explains where that differs from the rule.
"""

import json
import sys
from bisect import bisect_right
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterBadDateError, CroniterError

EPOCH = datetime(1970, 1, 1)
# No change of clocks in the zones that are asked of is larger than this.
MARGIN = timedelta(hours=3)
# Stretches that are joined before an end is told; the caller is asked for no longer chains.
JOINED_MAX = 90


def seconds(naive_utc):
    return round((naive_utc - EPOCH).total_seconds())


def local(instant, zone):
    """What the clock shows, and in which pass."""
    return datetime.fromtimestamp(instant, timezone.utc).astimezone(zone)


def instants(civil, zone):
    """Every instant at which the clock shows this time: none, one or two, in their order."""
    found = set()
    for fold in (0, 1):
        moment = civil.replace(tzinfo=zone, fold=fold)
        naive_utc = (moment - moment.utcoffset()).replace(tzinfo=None)
        at = seconds(naive_utc)
        if local(at, zone).replace(tzinfo=None) == civil:
            found.add(at)
    return sorted(found)


def end_of_gap(civil, zone):
    """The instant at which the clock jumped over this time."""
    offsets = [civil.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)]
    # Read with the smaller offset the time is after the jump, with the larger one before it.
    low, high = seconds(civil - max(offsets)), seconds(civil - min(offsets))
    before = local(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if local(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def walk(text, first, last):
    """Every match on a clock without a zone, from `first` to `last`."""
    told = croniter(text, first - timedelta(seconds=1))
    while True:
        try:
            civil = told.get_next(datetime)
        except CroniterBadDateError:
            return
        if civil > last:
            return
        yield civil


def starts(text, zone, begin, end):
    minute, hour = text.split()[:2]
    interval = minute.startswith("*") or hour.startswith("*")
    first = local(begin, zone).replace(tzinfo=None) - MARGIN
    last = local(end, zone).replace(tzinfo=None) + MARGIN
    found = set()
    for civil in walk(text, first, last):
        shown = instants(civil, zone)
        if interval:
            found.update(shown)
        elif shown:
            found.add(shown[0])
        else:
            found.add(end_of_gap(civil, zone))
    return sorted(at for at in found if begin <= at < end)


def direct(text, zone, begin, end):
    """croniter with the zone, by itself."""
    told = croniter(text, local(begin - 1, zone))
    found = []
    while True:
        try:
            moment = told.get_next(datetime)
        except CroniterBadDateError:
            return found
        at = seconds((moment - moment.utcoffset()).replace(tzinfo=None))
        if at >= end:
            return found
        found.append(at)


def edge(civil, zone, which):
    shown = instants(civil, zone)
    return shown[which] if shown else end_of_gap(civil, zone)


class Calendar:
    def __init__(self, case, begun):
        self.windows = [(begun[n], window["duration"], window["cutoff"]) for n, window in enumerate(case["windows"])]
        zones = [(freeze, ZoneInfo(freeze["zone"])) for freeze in case["freezes"]]
        read = datetime.fromisoformat
        self.freezes = [(edge(read(f["from"]), zone, 0), edge(read(f["to"]), zone, -1)) for f, zone in zones]

    def frozen(self, at):
        return any(begin <= at < end for begin, end in self.freezes)

    def window_end(self, at, less_cutoff):
        """The latest end among the windows that cover this instant."""
        latest = None
        for begun, duration, cutoff in self.windows:
            place = bisect_right(begun, at)
            if place == 0:
                continue
            end = begun[place - 1] + duration - (cutoff if less_cutoff else 0)
            if at < end and (latest is None or end > latest):
                latest = end
        return latest

    def said(self, at):
        """`[word, until]`; `until` is null where more is joined than the caller asks for."""
        if self.frozen(at):
            return ["freeze", None]
        if self.window_end(at, True) is None:
            return ["cutoff" if self.window_end(at, False) is not None else "window", None]
        reached = at
        for _ in range(JOINED_MAX):
            end = self.window_end(reached, True)
            if end is None:
                break
            reached = end
        else:
            return ["open", None]
        return ["open", min([reached] + [begin for begin, _ in self.freezes if begin > at])]


def answer(case):
    if "accepts" in case:
        try:
            croniter(case["accepts"])
            return {"accepted": True}
        except (CroniterError, ValueError):
            return {"accepted": False}
    begun, raw = [], []
    for window in case["windows"]:
        zone = ZoneInfo(window["zone"])
        # A window may have begun before the stretch that is looked at.
        begin = case["begin"] - window["duration"]
        begun.append(starts(window["spelt"], zone, begin, case["end"]))
        raw.append(begun[-1] if window["spelt"] == window["cron"] else starts(window["cron"], zone, begin, case["end"]))
    first = case["windows"][0]
    calendar = Calendar(case, begun)
    return {
        "starts": begun,
        "raw": raw,
        "direct": direct(first["spelt"], ZoneInfo(first["zone"]), case["begin"], case["end"]),
        "said": [calendar.said(at) for at in case["asked"]],
    }


def main():
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line)), separators=(",", ":")))


main()
