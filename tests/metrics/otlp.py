"""Reads what the daemon sent with OpenTelemetry's own classes.

Given are files, one request each. Printed is one JSON document a line, one for each span. A byte
that the classes cannot read, or a field that they do not know, is an error.
"""

import json
import sys

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


def check(message, place):
    """Fails where a message, or one within it, has a field that its class does not know."""
    if len(UnknownFieldSet(message)) > 0:
        raise SystemExit(f"{place} has a field that OpenTelemetry does not know")
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            inner = value if hasattr(value, "__len__") and not hasattr(value, "ListFields") else [value]
            for one in inner:
                check(one, f"{place}.{field.name}")


def attributes(listed):
    """As a dictionary; a key that stands twice becomes a list."""
    found = {}
    for one in listed:
        found.setdefault(one.key, []).append(one.value.string_value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def main():
    for name in sys.argv[1:]:
        with open(name, "rb") as file:
            request = ExportTraceServiceRequest.FromString(file.read())
        check(request, "request")
        for resource_spans in request.resource_spans:
            service = attributes(resource_spans.resource.attributes)["service.name"]
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    print(json.dumps({
                        "service": service,
                        "scope": scope_spans.scope.name,
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": span.parent_span_id.hex(),
                        "name": span.name,
                        "kind": span.kind,
                        "began": span.start_time_unix_nano,
                        "ended": span.end_time_unix_nano,
                        "attributes": attributes(span.attributes),
                        "events": [
                            {"at": event.time_unix_nano, "name": event.name, **attributes(event.attributes)}
                            for event in span.events
                        ],
                        "status": span.status.code,
                        "message": span.status.message,
                    }))


if __name__ == "__main__":
    main()
