//! Reading documents: every finding is collected, each with the JSON path of the property that it is about.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::rc::Rc;

use livedata_arm::ArmError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::duration;
use crate::errors::{self, Code, Outcome};

/// Longest text in a document, so that one alone never fills what ARM lets through.
const MAX_TEXT_BYTES: usize = 4096;
/// Longest text in an array, for the same reason.
const MAX_ELEMENT_BYTES: usize = 256;

/// What is wrong with one document.
#[derive(Clone, Debug, Default)]
pub struct Findings(Rc<RefCell<Vec<ArmError>>>);

impl Findings {
    pub fn add(&self, code: &Code, target: impl Into<String>, message: impl Into<String>) {
        self.0.borrow_mut().push(code.at(target, message));
    }

    /// A required property of a wire type.
    pub fn required<T>(&self, target: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            let message = format!("The property '{target}' is required.");
            self.add(&errors::MISSING_REQUIRED_PROPERTY, target, message);
        }
        value
    }

    /// One finding stays itself; several become one error with `details` (rule 93).
    pub fn verdict(&self) -> Result<(), ArmError> {
        ArmError::several(self.0.take()).map_or(Ok(()), Err)
    }
}

/// One object of a document. Reading a property takes note of its name; [`Reader::finish`] reports the others as unknown.
/// `null` is the same as absent.
pub struct Reader<'a> {
    path: String,
    object: &'a Map<String, Value>,
    known: BTreeSet<&'static str>,
    findings: Findings,
}

impl<'a> Reader<'a> {
    pub fn new(path: &str, object: &'a Map<String, Value>, findings: &Findings) -> Self {
        Self { path: path.to_owned(), object, known: BTreeSet::new(), findings: findings.clone() }
    }

    /// JSON path of a property of this object.
    pub fn target(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    pub fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.insert(name);
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Properties that only the provider sets: a client that sends back what it read is not blamed (rule 41).
    pub fn read_only(&mut self, names: &[&'static str]) {
        self.known.extend(names);
    }

    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.value(name)?;
        match value.as_str() {
            Some(text) => match flaw(text) {
                None => Some(text.to_owned()),
                Some(expected) => self.wrong(name, &expected),
            },
            None => self.wrong(name, "a text"),
        }
    }

    pub fn required_text(&mut self, name: &'static str) -> Option<String> {
        self.required(name).then(|| self.text(name)).flatten()
    }

    /// A required text of an object that stands in an array: a short one, because there may be many.
    pub fn required_element(&mut self, name: &'static str) -> Option<String> {
        let text = self.required_text(name)?;
        if text.len() > MAX_ELEMENT_BYTES {
            return self.wrong(name, &format!("a text of at most {MAX_ELEMENT_BYTES} bytes"));
        }
        Some(text)
    }

    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        let value = self.value(name)?;
        value.as_bool().or_else(|| self.wrong(name, "true or false"))
    }

    /// A whole number from 1 to `most`.
    pub fn count(&mut self, name: &'static str, most: u64) -> Option<u64> {
        self.number(name, 1..=most)
    }

    /// A whole number within bounds.
    pub fn number(&mut self, name: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(name)?;
        match value.as_u64() {
            Some(number) if bounds.contains(&number) => Some(number),
            _ => self.wrong(name, &format!("a whole number from {} to {}", bounds.start(), bounds.end())),
        }
    }

    /// An ISO 8601 duration within bounds, in seconds.
    pub fn duration(&mut self, name: &'static str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(name)?;
        let seconds = duration::parse(&text).filter(|seconds| bounds.contains(seconds));
        seconds.or_else(|| {
            let (from, to) = (duration::format(*bounds.start()), duration::format(*bounds.end()));
            let expected =
                format!("an ISO 8601 duration of days, hours, minutes and seconds, from {from} to {to}");
            self.wrong(name, &expected)
        })
    }

    /// An array of at most `most` texts, each read by `parse`, which says what is wrong with it.
    pub fn texts<T, E: std::fmt::Display>(
        &mut self,
        name: &'static str,
        most: usize,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let expected = format!("an array of at most {most} texts of at most {MAX_ELEMENT_BYTES} bytes each");
        let Some(elements) = self.value(name)?.as_array().filter(|elements| elements.len() <= most) else {
            return self.wrong(name, &expected);
        };
        let mut texts = Vec::with_capacity(elements.len());
        for (at, element) in elements.iter().enumerate() {
            let Some(text) = element.as_str().filter(|text| text.len() <= MAX_ELEMENT_BYTES) else {
                return self.wrong(name, &expected);
            };
            match parse(text) {
                Ok(read) => texts.push(read),
                Err(error) => {
                    let target = format!("{}[{at}]", self.target(name));
                    let message = format!("'{text}' cannot be used: {error}.");
                    self.findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
                }
            }
        }
        (texts.len() == elements.len()).then_some(texts)
    }

    /// An array of at most `most` objects, each read by `read`, which leaves what is wrong with one to the findings.
    pub fn objects<T>(
        &mut self,
        name: &'static str,
        most: usize,
        read: impl Fn(&mut Reader<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let elements = self.value(name)?.as_array().filter(|elements| elements.len() <= most);
        let objects = elements.and_then(|elements| {
            elements.iter().map(Value::as_object).collect::<Option<Vec<&'a Map<String, Value>>>>()
        });
        let Some(objects) = objects else {
            return self.wrong(name, &format!("an array of at most {most} objects"));
        };
        let target = self.target(name);
        let mut taken = Vec::with_capacity(objects.len());
        for (at, object) in objects.into_iter().enumerate() {
            let mut reader = Reader::new(&format!("{target}[{at}]"), object, &self.findings);
            taken.extend(read(&mut reader));
            reader.finish();
        }
        Some(taken)
    }

    /// A text in a form of its own; `parse` says what is expected.
    pub fn parsed<T>(
        &self,
        name: &str,
        text: &str,
        parse: impl Fn(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        parse(text).map_or_else(|expected| self.wrong(name, expected), Some)
    }

    /// One of the words, ignoring case.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)).map(|(_, value)| *value);
        found.or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(name, &format!("one of {}", words.join(", ")))
        })
    }

    pub fn object(&mut self, name: &'static str) -> Option<Reader<'a>> {
        let value = self.value(name)?;
        match value.as_object() {
            Some(object) => Some(Reader::new(&self.target(name), object, &self.findings)),
            None => self.wrong(name, "an object"),
        }
    }

    /// Whether the property is there; its absence is a finding.
    pub fn required(&mut self, name: &'static str) -> bool {
        let there = self.value(name).is_some();
        if !there {
            let target = self.target(name);
            self.findings.add(
                &errors::MISSING_REQUIRED_PROPERTY,
                &target,
                format!("The property '{target}' is required."),
            );
        }
        there
    }

    /// The whole object as a wire type. What it cannot take, and what it does not know, become findings.
    pub fn typed<T: DeserializeOwned>(self) -> Option<T> {
        self.typed_but(&[])
    }

    /// The same, without what only the provider sets and the type does not have.
    pub fn typed_but<T: DeserializeOwned>(self, passed_over: &[&str]) -> Option<T> {
        let mut whole = self.object.clone();
        whole.retain(|name, _| !passed_over.contains(&name.as_str()));
        let whole = Value::Object(whole);
        let (mut unknown, mut track) = (Vec::new(), serde_path_to_error::Track::new());
        let deserializer = serde_path_to_error::Deserializer::new(&whole, &mut track);
        let read = serde_ignored::deserialize(deserializer, |path| unknown.push(path.to_string()));
        for name in unknown {
            // An optional object stands as `?` in its path.
            let target = self.target(&name.replace("?.", ""));
            let message = format!("The property '{target}' is not known in this api-version.");
            self.findings.add(&errors::UNKNOWN_PROPERTY, target, message);
        }
        let mut flaws = Vec::new();
        flaws_of(&whole, &self.path, &mut flaws);
        for (target, expected) in flaws {
            let message = format!("The property '{target}' must be {expected}.");
            self.findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
        }
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                let target = self.target(&track.path().to_string());
                // What was sent may be a secret.
                let said =
                    if is_secret(&target) { "it must be a text".to_owned() } else { error.to_string() };
                let message = format!("The property '{target}' cannot be used: {said}.");
                self.findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
                None
            }
        }
    }

    pub fn finish(self) {
        for name in self.object.keys().filter(|name| !self.known.contains(name.as_str())) {
            let target = self.target(name);
            let message = format!("The property '{target}' is not known in this api-version.");
            self.findings.add(&errors::UNKNOWN_PROPERTY, target, message);
        }
    }

    fn wrong<T>(&self, name: &str, expected: &str) -> Option<T> {
        let target = self.target(name);
        let message = format!("The property '{target}' must be {expected}.");
        self.findings.add(&errors::INVALID_PROPERTY_VALUE, target, message);
        None
    }
}

/// Whether a property of this name may hold a secret.
fn is_secret(target: &str) -> bool {
    let name = target.rsplit('.').next().unwrap_or(target).to_lowercase();
    ["password", "secret", "token", "accesskey", "accountkey", "signature"]
        .iter()
        .any(|part| name.ends_with(part))
}

/// What a text must be, if it is not: of a bounded length, so that every page of a list stays far below what ARM lets through,
/// and without characters that no name, path or description has.
fn flaw(text: &str) -> Option<String> {
    if text.len() > MAX_TEXT_BYTES {
        return Some(format!("a text of at most {MAX_TEXT_BYTES} bytes"));
    }
    let forbidden = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t');
    text.contains(forbidden).then(|| "a text without control characters".to_owned())
}

fn flaws_of(value: &Value, path: &str, flaws: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => flaws.extend(flaw(text).map(|flaw| (path.to_owned(), flaw))),
        Value::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                flaws_of(element, &format!("{path}[{at}]"), flaws);
            }
        }
        Value::Object(object) => {
            for (name, value) in object {
                flaws_of(value, &format!("{path}.{name}"), flaws);
            }
        }
        _ => {}
    }
}

/// A wire type as `properties`.
pub fn properties<T: Serialize>(wire: &T) -> Outcome<Map<String, Value>> {
    match serde_json::to_value(wire)? {
        Value::Object(properties) => Ok(properties),
        _ => Ok(Map::new()),
    }
}

/// A wire type of which every property may be left out: what is required is checked after reading, so that one answer names
/// everything that is missing.
#[macro_export]
macro_rules! wire_type {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident : $kind:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$field_meta])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $field: Option<$kind>),*
        }
    };
}
