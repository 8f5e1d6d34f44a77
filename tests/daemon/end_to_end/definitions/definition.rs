//! One operation as the vendor publishes it, and what an exchange has against it.
//!
//! The published schemas are those of OpenAPI 2, which are JSON Schema draft 4 but for two things
//! that are added here: an object has no other properties than those listed (or a misspelt name
//! would pass, since nearly all are optional), and `int32` is a range.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use boon::{Compiler, Draft, Schemas};
use serde_json::{Value, json};

/// A request as it was on the wire, and its answer.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub status: u16,
    pub answer_type: String,
    pub answer: Vec<u8>,
}

/// A parameter of the query.
#[derive(Debug, Clone)]
struct Parameter {
    required: bool,
    integer: bool,
}

#[derive(Debug, Clone)]
pub struct Definition {
    pub name: String,
    method: String,
    /// Segments of the path; `None` where any id stands.
    path: Vec<Option<String>>,
    query: BTreeMap<String, Parameter>,
    /// Headers of the API itself, lower case, and whether each must be there.
    headers: BTreeMap<String, bool>,
    /// Groups of headers of which one stands for the other.
    instead: BTreeMap<String, String>,
    consumes: String,
    body: Option<String>,
    answers: BTreeMap<u16, BodyShape>,
    schemas: Value,
}

/// What the answers of one status are.
#[derive(Debug, Clone)]
enum BodyShape {
    /// An object of this schema.
    Object(String),
    /// The status is published, and no schema with it.
    Untold,
    /// Nothing that can be held against anything.
    Free,
}

/// What HTTP itself needs.
const PLAIN_HEADERS: &[&str] =
    &["host", "accept", "accept-encoding", "user-agent", "content-type", "content-length"];

impl Definition {
    /// Reads a published file.
    pub fn read(name: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/definitions")
            .join(format!("{name}.json"));
        let text =
            std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let whole: Value = serde_json::from_slice(&text).expect("JSON");
        let paths = whole["paths"].as_object().expect("paths");
        let (path, methods) = paths.iter().next().expect("one path");
        let (method, operation) =
            methods.as_object().and_then(|methods| methods.iter().next()).expect("one method");
        assert_eq!(operation["operationId"], name);
        let mut definition = Self {
            name: name.to_owned(),
            method: method.to_uppercase(),
            path: path
                .split('/')
                .map(|part| (!part.starts_with('{')).then(|| part.to_owned()))
                .collect(),
            query: BTreeMap::new(),
            headers: BTreeMap::new(),
            instead: BTreeMap::new(),
            consumes: serde_json::from_str::<Vec<String>>(
                whole["consumes"].as_str().expect("a text"),
            )
            .expect("a list")
            .remove(0),
            body: None,
            answers: BTreeMap::new(),
            schemas: strict(&whole["definitions"]),
        };
        for parameter in operation["parameters"].as_array().expect("parameters") {
            let name = parameter["name"].as_str().expect("a name");
            let required = parameter["required"] == true;
            match parameter["in"].as_str().expect("a place") {
                "query" => drop(definition.query.insert(
                    name.to_owned(),
                    Parameter { required, integer: parameter["type"] == "integer" },
                )),
                "header" => drop(definition.headers.insert(name.to_lowercase(), required)),
                "body" => definition.body = Some(referred(&parameter["schema"]).expect("a schema")),
                "path" => {}
                other => panic!("a parameter in {other}"),
            }
        }
        for (status, answer) in operation["responses"].as_object().expect("responses") {
            definition.answers.insert(
                status.parse().expect("a status"),
                referred(&answer["schema"]).map_or(BodyShape::Untold, BodyShape::Object),
            );
        }
        definition
    }

    /// The vendor's own example of a success, as published.
    pub fn example(name: &str) -> Value {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/definitions")
            .join(format!("{name}.json"));
        let whole: Value =
            serde_json::from_slice(&std::fs::read(file).expect("readable")).expect("JSON");
        let operation = whole["paths"]
            .as_object()
            .and_then(|paths| paths.values().next()?.as_object()?.values().next());
        let responses =
            operation.and_then(|operation| operation["responses"].as_object()).expect("responses");
        let success =
            responses.iter().find(|(status, _)| status.starts_with('2')).expect("a success").1;
        success["examples"]["application/json"].clone()
    }

    /// Whether a request is one of this operation, as far as method and path tell.
    pub fn is_of(&self, exchange: &Exchange) -> bool {
        let given: Vec<&str> = exchange.path.split('/').collect();
        exchange.method == self.method
            && given.len() == self.path.len()
            && self.path.iter().zip(given).all(|(published, given)| match published {
                Some(word) => word == given,
                None => !given.is_empty(),
            })
    }

    /// Lets an object have one more property, or a property look otherwise. Does nothing where
    /// there is no such object.
    pub fn property(&mut self, object: &str, name: &str, schema: Value) {
        if let Some(properties) =
            self.schemas.get_mut(object).and_then(|object| object.get_mut("properties"))
        {
            properties[name] = schema;
        }
    }

    /// Lets an object do without a property that is published as required.
    pub fn optional(&mut self, object: &str, name: &str) {
        if let Some(Value::Array(required)) =
            self.schemas.get_mut(object).and_then(|object| object.get_mut("required"))
        {
            required.retain(|required| required != name);
            // Draft 4 knows no empty list here.
            if required.is_empty() {
                self.schemas[object].as_object_mut().expect("an object").remove("required");
            }
        }
    }

    pub fn object(&mut self, name: &str, schema: &Value) {
        self.schemas[name] = strict(schema);
    }

    /// Lets an answer have a status that is not published, or one that is published without a
    /// schema; without an object its body is not judged.
    pub fn status(&mut self, status: u16, object: Option<&str>) {
        self.answers.insert(
            status,
            object.map_or(BodyShape::Free, |object| BodyShape::Object(object.to_owned())),
        );
    }

    /// Lets a header stand in for another.
    pub fn instead_of(&mut self, published: &str, given: &str) {
        self.instead.insert(published.to_owned(), given.to_owned());
    }

    /// Lets a request have another header.
    pub fn header(&mut self, name: &str) {
        self.headers.insert(name.to_owned(), false);
    }

    /// Lets a body have another type.
    pub fn body_type(&mut self, content_type: &str) {
        content_type.clone_into(&mut self.consumes);
    }

    /// All that a request of this operation, and its answer, have against the definition.
    pub fn complaints(&self, exchange: &Exchange) -> Vec<String> {
        let mut found = self.query_complaints(&exchange.query);
        found.extend(self.header_complaints(&exchange.headers));
        found.extend(self.body_complaints(exchange));
        found.extend(self.answer_complaints(exchange));
        found.into_iter().map(|what| format!("{} {}: {what}", self.name, exchange.status)).collect()
    }

    fn query_complaints(&self, query: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut given = BTreeSet::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match self.query.get(&*name) {
                None => found.push(format!("the query has {name}, which is not published")),
                Some(_) if value.is_empty() => found.push(format!("{name} of the query is empty")),
                Some(Parameter { integer: true, .. }) if value.parse::<i32>().is_err() => {
                    found.push(format!("{name} of the query is {value} and no integer"));
                }
                Some(_) => {}
            }
            if !given.insert(name.clone().into_owned()) {
                found.push(format!("the query has {name} twice"));
            }
        }
        let missing = self
            .query
            .iter()
            .filter(|(name, parameter)| parameter.required && !given.contains(*name));
        found.extend(missing.map(|(name, _)| format!("the query lacks {name}")));
        found
    }

    fn header_complaints(&self, headers: &BTreeMap<String, String>) -> Vec<String> {
        let mut found = Vec::new();
        for (name, required) in &self.headers {
            let stands_in = self.instead.get(name).is_some_and(|other| headers.contains_key(other));
            if *required && !headers.contains_key(name) && !stands_in {
                found.push(format!("the header {name} is missing"));
            }
        }
        for name in headers.keys() {
            let stands_in = self.instead.values().any(|other| other == name);
            if !PLAIN_HEADERS.contains(&name.as_str())
                && !self.headers.contains_key(name)
                && !stands_in
            {
                found.push(format!("the header {name} is not published"));
            }
        }
        // The values are published in words only.
        if headers
            .get("x-language")
            .is_some_and(|language| !["en-us", "zh-cn"].contains(&language.as_str()))
        {
            found.push(format!("the language is {}", headers["x-language"]));
        }
        found
    }

    fn body_complaints(&self, exchange: &Exchange) -> Vec<String> {
        let Some(object) = &self.body else {
            return if exchange.body.is_empty() {
                Vec::new()
            } else {
                vec!["the request has a body".into()]
            };
        };
        let mut found: Vec<String> = self
            .held_against(object, &exchange.body)
            .into_iter()
            .map(|what| format!("the request: {what}"))
            .collect();
        let given = exchange.headers.get("content-type").map_or("", String::as_str);
        if !given.eq_ignore_ascii_case(&self.consumes) {
            found.push(format!("the request's type is {given:?} and not {:?}", self.consumes));
        }
        found
    }

    fn answer_complaints(&self, exchange: &Exchange) -> Vec<String> {
        match self.answers.get(&exchange.status) {
            None => vec!["the answer's status is not published".into()],
            Some(BodyShape::Free) => Vec::new(),
            Some(BodyShape::Untold) => {
                vec!["the answer's status is published without a schema".into()]
            }
            Some(BodyShape::Object(object)) => {
                let mut found = self.held_against(object, &exchange.answer);
                if !exchange.answer_type.to_lowercase().starts_with("application/json") {
                    found.push(format!("the answer's type is {:?}", exchange.answer_type));
                }
                found
            }
        }
    }

    fn held_against(&self, object: &str, body: &[u8]) -> Vec<String> {
        let value = match serde_json::from_slice::<Value>(body) {
            Ok(value) => value,
            Err(error) => return vec![format!("no JSON: {error}")],
        };
        self.judge(object, &value)
    }

    /// What a document has against an object's schema.
    pub fn judge(&self, object: &str, value: &Value) -> Vec<String> {
        const PLACE: &str = "http://published/definitions.json";
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V4);
        compiler.add_resource(PLACE, json!({ "definitions": self.schemas })).expect("a document");
        let mut schemas = Schemas::new();
        let index = compiler
            .compile(&format!("{PLACE}#/definitions/{object}"), &mut schemas)
            .expect("a schema");
        match schemas.validate(value, index) {
            Ok(()) => Vec::new(),
            // The first line names the schema, which the caller knows.
            Err(error) => error
                .to_string()
                .lines()
                .skip(1)
                .map(|line| line.trim_start_matches([' ', '-']).to_owned())
                .collect(),
        }
    }

    /// The object that a success is.
    pub fn success(&self) -> &str {
        let success = self.answers.iter().find(|(status, _)| (200..300).contains(*status));
        match success {
            Some((_, BodyShape::Object(object))) => object,
            other => panic!("{} has no success with a schema: {other:?}", self.name),
        }
    }
}

/// Last part of a schema's reference.
fn referred(schema: &Value) -> Option<String> {
    schema["$ref"].as_str()?.strip_prefix("#/definitions/").map(str::to_owned)
}

/// A schema in which nothing is allowed by silence.
fn strict(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut strict: serde_json::Map<String, Value> =
                fields.iter().map(|(key, value)| (key.clone(), self::strict(value))).collect();
            if strict.get("properties").is_some_and(Value::is_object)
                && strict.get("properties").is_some_and(|inner| inner.get("$ref").is_none())
            {
                strict.entry("type").or_insert_with(|| "object".into());
                strict.entry("additionalProperties").or_insert(false.into());
            }
            if strict.get("format").is_some_and(|format| format == "int32") {
                strict.insert("minimum".into(), i32::MIN.into());
                strict.insert("maximum".into(), i32::MAX.into());
            }
            Value::Object(strict)
        }
        Value::Array(items) => Value::Array(items.iter().map(strict).collect()),
        other => other.clone(),
    }
}
