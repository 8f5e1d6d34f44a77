"""Takes the dashboard through Grafana's own schema classes and back.

What the classes do not know vanishes on the way, so whatever differs afterwards is a key or a value
that Grafana does not know either. Every expression is printed, one a line, for the test to ask.
"""

import json
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(place, before, after):
    """Places of what is no longer there, or is something else."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after and value is not None:
                yield f"{place}.{key}"
            else:
                yield from lost(f"{place}.{key}", value, after.get(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after)):
            yield from lost(f"{place}[{number}]", one, other)
    elif before != after:
        yield f"{place}: {before!r} became {after!r}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        before = json.load(file)
    register_default_plugins()
    after = json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(before)))
    found = list(lost("dashboard", before, after))
    for place in found:
        print(place, file=sys.stderr)
    for panel in before["panels"]:
        for target in panel.get("targets", []):
            print(target["expr"])
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
