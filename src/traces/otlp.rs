//! OTLP's protobuf, as far as traces need it.
//!
//! Invariant: numbers of fields are those of opentelemetry/proto/trace/v1/trace.proto 1.x, which
//! never change; OpenTelemetry's own classes read what comes out (`tests/metrics/otlp.py`).
//!
//! Deliberately not here: what a span means (`story`). Written by hand, because the generated
//! classes with their runtime are sixty times as much.

use super::story::{Attribute, Drawn, Span};

/// Wire types of protobuf.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;

/// `SPAN_KIND_INTERNAL`.
const INTERNAL: u64 = 1;

/// A message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3 | VARINT);
        self.varint(value);
        self
    }

    fn fixed(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3 | FIXED64);
        self.0.extend(value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | BYTES);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn message(self, field: u64, value: Self) -> Self {
        self.bytes(field, &value.0)
    }

    fn each<T>(self, field: u64, values: &[T], write: fn(&T) -> Self) -> Self {
        values.iter().fold(self, |message, value| message.message(field, write(value)))
    }
}

/// `ExportTraceServiceRequest` with these traces.
pub(super) fn request(traces: &[Drawn]) -> Vec<u8> {
    let service = [
        Attribute::text("service.name", "sealift"),
        Attribute::text("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let resource = Message::default().each(1, &service, attribute);
    let scope = Message::default().bytes(1, b"sealift");
    let spans: Vec<&Span> = traces.iter().flat_map(|trace| &trace.spans).collect();
    let scope_spans = Message::default().message(1, scope).each(2, &spans, |one| span(one));
    let resource_spans = Message::default().message(1, resource).message(2, scope_spans);
    Message::default().message(1, resource_spans).0
}

fn span(span: &Span) -> Message {
    let mut message = Message::default().bytes(1, &span.trace).bytes(2, &span.id);
    if let Some(parent) = &span.parent {
        message = message.bytes(4, parent);
    }
    let message = message
        .bytes(5, span.name.as_bytes())
        .number(6, INTERNAL)
        .fixed(7, span.began)
        .fixed(8, span.ended)
        .each(9, &span.attributes, attribute)
        .each(11, &span.events, |event| {
            let message = Message::default().fixed(1, event.at).bytes(2, event.name.as_bytes());
            message.each(3, &event.attributes, attribute)
        });
    match &span.failed {
        // `STATUS_CODE_OK` and `STATUS_CODE_ERROR`.
        None => message.message(15, Message::default().number(3, 1)),
        Some(why) => message.message(15, Message::default().bytes(2, why.as_bytes()).number(3, 2)),
    }
}

fn attribute(attribute: &Attribute) -> Message {
    let value = Message::default().bytes(1, attribute.value.as_bytes());
    Message::default().bytes(1, attribute.key.as_bytes()).message(2, value)
}
