//! The body of a message, in the shape that its receiver reads.
//!
//! Invariants: pure; whatever stands in a name or a reason is text in every shape, never markup, a
//! mention, a link or a new field: characters that act are taken out once, for all shapes, and
//! every text becomes a value of JSON, or fills a text of the administrator's map *after* that was
//! parsed. A body has at most [`BODY_MAX`] bytes: texts are cut until it fits.
//!
//! Deliberately not here: sending it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::draw::Notification;
use crate::domain::notify::{Gravity, MessageShape, Piece, pieces};
use crate::words::text::{clean, cut};

/// Largest body.
pub const BODY_MAX: usize = 20_000;

/// Characters that one text may have, tried one after the other until the body fits.
const LONGEST: [usize; 3] = [400, 120, 30];

/// Characters of a summary that PagerDuty takes.
const PAGER_SUMMARY_MAX: usize = 1_024;

/// What a body is made of beside the notice.
#[derive(Debug, Clone, Copy)]
pub struct Letterhead<'a> {
    /// How browsers name the daemon; `None`: no link.
    pub origin: Option<&'a str>,
    /// PagerDuty's routing key.
    pub routing_key: &'a str,
}

/// The body.
pub fn body(shape: &MessageShape, notice: &Notification, head: &Letterhead<'_>) -> Vec<u8> {
    let made = LONGEST.map(|longest| {
        let texts = Texts::of(notice, head.origin, longest);
        let value = match shape {
            MessageShape::Json => texts.json(notice),
            MessageShape::Slack => texts.slack(),
            MessageShape::Teams => texts.teams(),
            MessageShape::PagerDuty => texts.pagerduty(notice, head.routing_key),
            MessageShape::Free(map) => texts.filled(map),
        };
        serde_json::to_vec(&value).expect("texts, lists and maps can be written")
    });
    let [longest, shorter, shortest] = made;
    [longest, shorter].into_iter().find(|body| body.len() <= BODY_MAX).unwrap_or(shortest)
}

/// All texts of a notice, clean and cut, by their placeholders.
struct Texts(BTreeMap<&'static str, String>);

impl Texts {
    fn of(notice: &Notification, origin: Option<&str>, longest: usize) -> Self {
        let Notification { word, at, sequence, summary, command, why, by, path, about, counts } =
            notice;
        let number = |n: u64| if n == 0 { String::new() } else { n.to_string() };
        let link = origin.map_or_else(String::new, |origin| format!("{origin}{path}"));
        let texts = [
            ("event", word.as_str().to_owned()),
            ("summary", summary.clone()),
            ("command", command.clone()),
            ("link", link),
            ("plan", about.plan.clone()),
            ("revision", number(u64::from(about.revision))),
            ("rollout", about.rollout.clone()),
            ("phase", about.phase.clone()),
            ("wave", about.wave.clone()),
            ("lane", about.lane.clone()),
            ("by", by.clone()),
            ("why", why.clone()),
            ("change_ref", about.change_ref.clone()),
            ("owner", about.owner.clone()),
            ("at", at.to_string()),
            ("counts", counts.clone()),
            ("sequence", number(*sequence)),
        ];
        // What somebody types or follows is whole or not there at all.
        let fitted = |name: &str, text: String| match name {
            "command" | "link" | "rollout" => {
                Some(clean(&text)).filter(|text| text.len() <= BODY_MAX / 8).unwrap_or_default()
            }
            _ => cut(&clean(&text), longest),
        };
        Self(texts.into_iter().map(|(name, text)| (name, fitted(name, text))).collect())
    }

    fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The lines of a chat: what happened, how it stands, what to type.
    fn lines(&self) -> impl Iterator<Item = &str> {
        ["counts", "command"].into_iter().map(|name| self.get(name)).filter(|text| !text.is_empty())
    }

    fn json(&self, notice: &Notification) -> Value {
        let written = self.0.iter().filter(|(name, text)| {
            !text.is_empty() && !matches!(**name, "at" | "revision" | "sequence")
        });
        let mut data: serde_json::Map<String, Value> =
            written.map(|(name, text)| ((*name).to_owned(), text.as_str().into())).collect();
        for (name, number) in
            [("revision", u64::from(notice.about.revision)), ("sequence", notice.sequence)]
        {
            data.extend((number > 0).then(|| (name.to_owned(), number.into())));
        }
        json!({ "type": format!("sealift.{}", notice.word), "timestamp": self.get("at"), "data": data })
    }

    /// Rich text is shown as it stands; `text` is what a phone shows first, where three characters
    /// have a meaning.
    fn slack(&self) -> Value {
        let summary = self.get("summary");
        let mut elements =
            vec![json!({ "type": "text", "text": summary, "style": { "bold": true } })];
        let texts = [
            json!({ "type": "text", "text": self.get("counts") }),
            json!({ "type": "text", "text": self.get("command"), "style": { "code": true } }),
        ];
        for text in texts.into_iter().filter(|text| text["text"] != "") {
            elements.push(json!({ "type": "text", "text": "\n" }));
            elements.push(text);
        }
        if !self.get("link").is_empty() {
            elements.push(json!({ "type": "text", "text": "\n" }));
            elements.push(json!({ "type": "link", "url": self.get("link"), "text": "Open" }));
        }
        let plain = summary.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let section = json!({ "type": "rich_text_section", "elements": elements });
        json!({
            "text": plain,
            "mrkdwn": false,
            "unfurl_links": false,
            "blocks": [{ "type": "rich_text", "elements": [section] }],
        })
    }

    /// A text block would read Markdown; runs of a rich text block do not.
    fn teams(&self) -> Value {
        let run = |text: &str, weight: &str, font: &str| json!({ "type": "TextRun", "text": text, "weight": weight, "fontType": font });
        let block = |run: Value| json!({ "type": "RichTextBlock", "inlines": [run] });
        let mut body = vec![block(run(self.get("summary"), "Bolder", "Default"))];
        for (name, font) in [("counts", "Default"), ("command", "Monospace")] {
            body.extend(
                (!self.get(name).is_empty()).then(|| block(run(self.get(name), "Default", font))),
            );
        }
        let link = self.get("link");
        let action = json!({ "type": "Action.OpenUrl", "title": "Open", "url": link });
        let actions = if link.is_empty() { Vec::new() } else { vec![action] };
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "fallbackText": self.get("summary"),
            "body": body,
            "actions": actions,
        });
        json!({
            "type": "message",
            "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "content": card }],
        })
    }

    /// One incident a rollout: what wants a person opens it, what goes on or is over closes it.
    fn pagerduty(&self, notice: &Notification, routing_key: &str) -> Value {
        let (action, severity) = match notice.word.gravity() {
            Gravity::Error => ("trigger", "critical"),
            Gravity::Warning => ("trigger", "warning"),
            Gravity::Fine => ("resolve", "info"),
        };
        let component =
            if self.get("lane").is_empty() { self.get("plan") } else { self.get("lane") };
        let details: BTreeMap<&str, &str> = self
            .0
            .iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        let (link, summary) = (self.get("link"), self.get("summary").to_owned());
        let line = self.lines().fold(summary, |all, line| format!("{all} · {line}"));
        let links = if link.is_empty() {
            json!([])
        } else {
            json!([{ "href": link, "text": "Open in Sealift" }])
        };
        json!({
            "routing_key": routing_key,
            "event_action": action,
            "dedup_key": notice.thread(),
            "client": "Sealift",
            "links": links,
            "payload": {
                "summary": cut(&line, PAGER_SUMMARY_MAX),
                "source": "sealift",
                "severity": severity,
                "timestamp": self.get("at"),
                "component": component,
                "class": self.get("event"),
                "custom_details": details,
            },
        })
    }

    fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => items.iter().map(|item| self.filled(item)).collect(),
            Value::Object(map) => {
                map.iter().map(|(key, value)| (key.clone(), self.filled(value))).collect()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn fill(&self, text: &str) -> String {
        pieces(text)
            .map(|piece| match piece {
                Piece::Text(text) => text,
                Piece::Placeholder(name) => self.get(name),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
