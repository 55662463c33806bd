//! JSON: read as another parser reads it, or refused by a rule that it has not.

#![no_main]

use std::fmt;

use libfuzzer_sys::fuzz_target;
use lime_jwt::{MAX_DEPTH, MAX_MEMBERS, Object, Value};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value as Json;

fuzz_target!(|data: &[u8]| {
    let theirs = serde_json::from_slice::<Json>(data);
    let Ok(ours) = Object::parse(data) else {
        if let Ok(theirs) = theirs {
            // They keep one member of each name, so fewer than were written if one is repeated.
            let written: Members = serde_json::from_slice(data).expect("read before");
            let repeated = written.0 != members(&theirs);
            assert!(!theirs.is_object() || repeated || exceeds(&theirs, MAX_DEPTH), "{theirs}");
        }
        return;
    };
    let theirs = theirs.expect("what we read is JSON");
    let written = ours.to_json().expect("parsed numbers are finite");
    assert!(same(&Value::Object(ours), &theirs), "{theirs}");
    let again = Object::parse(&written).expect("what we write can be read");
    assert!(same(&Value::Object(again), &theirs), "{theirs}");
});

fn same(ours: &Value<'_>, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Value::Null, Json::Null) => true,
        (Value::Bool(ours), Json::Bool(theirs)) => ours == theirs,
        (Value::Int(ours), Json::Number(theirs)) => Some(*ours) == theirs.as_i64(),
        // Its last digits are nobody's business: no check of ours accepts a float.
        (Value::Float(_), Json::Number(theirs)) => theirs.as_i64().is_none(),
        (Value::Text(ours), Json::String(theirs)) => ours == theirs,
        (Value::List(ours), Json::Array(theirs)) => {
            ours.len() == theirs.len()
                && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        (Value::Object(ours), Json::Object(theirs)) => {
            ours.iter().count() == theirs.len()
                && ours
                    .iter()
                    .all(|(name, value)| theirs.get(name).is_some_and(|theirs| same(value, theirs)))
        }
        _ => false,
    }
}

/// Whether it goes deeper than `depth`, or has an object of too many members.
fn exceeds(json: &Json, depth: usize) -> bool {
    match json {
        Json::Array(items) => depth == 0 || items.iter().any(|item| exceeds(item, depth - 1)),
        Json::Object(members) => {
            depth == 0
                || members.len() > MAX_MEMBERS
                || members.values().any(|value| exceeds(value, depth - 1))
        }
        _ => false,
    }
}

fn members(json: &Json) -> usize {
    match json {
        Json::Array(items) => items.iter().map(members).sum(),
        Json::Object(found) => found.len() + found.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

/// How many members all objects of a text have together.
struct Members(usize);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self(0))
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self, A::Error> {
        while let Some(item) = items.next_element::<Self>()? {
            self.0 += item.0;
        }
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut found: A) -> Result<Self, A::Error> {
        while found.next_key::<IgnoredAny>()?.is_some() {
            self.0 += 1 + found.next_value::<Self>()?.0;
        }
        Ok(self)
    }
}
