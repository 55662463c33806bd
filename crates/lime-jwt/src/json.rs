//! JSON with one meaning only.
//!
//! RFC 8259 leaves it open what a repeated member name means, and two parsers that disagree are two
//! readings of one signature. Here a repeated name is an error, and so is anything that could be
//! used to spend time or stack: depth and members have budgets.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::Error;

/// Most objects and arrays within each other. A passport needs two.
pub const MAX_DEPTH: usize = 8;

/// Most members of one object, so that looking for repeated names stays cheap.
pub const MAX_MEMBERS: usize = 128;

/// A JSON value that borrows its text from where it was parsed, if it can.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`, which is never an integer here
    Bool(bool),
    /// A number written without fraction and exponent, within 64 signed bits
    Int(i64),
    /// Every other number
    Float(f64),
    /// A string
    Text(Cow<'a, str>),
    /// An array
    List(Vec<Value<'a>>),
    /// An object
    Object(Object<'a>),
}

impl Value<'_> {
    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

/// The members of a JSON object in their order; when parsed, each name is there once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Object<'a> {
    /// Parse a JSON text that is one object and nothing more.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is not UTF-8, not JSON, not an object, repeats a member name at
    /// any depth, or exceeds [`MAX_DEPTH`] or [`MAX_MEMBERS`].
    pub fn parse(json: &'a [u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(json).map_err(|_| Error::Malformed("not UTF-8"))?;
        let mut parser = serde_json::Deserializer::from_str(text);
        // The parser's own message may quote the text, so only the rule is reported.
        let value = AnyValue { depth: 0 }
            .deserialize(&mut parser)
            .map_err(|_| Error::Malformed("not JSON with unique names within the limits"))?;
        parser.end().map_err(|_| Error::Malformed("more than one JSON value"))?;
        match value {
            Value::Object(object) => Ok(object),
            _ => Err(Error::Malformed("not a JSON object")),
        }
    }

    /// The member of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// The member of this name, if it is a string.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_text)
    }

    /// Whether there is a member of this name, `null` included.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All members, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// The object as JSON, without white space.
    ///
    /// # Errors
    /// [`Error::Claims`] for a float that JSON has no spelling for. Such a value cannot be parsed,
    /// only made.
    pub fn to_json(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|_| Error::Claims("a number is not finite"))
    }
}

impl<'a, N: Into<Cow<'a, str>>> FromIterator<(N, Value<'a>)> for Object<'a> {
    fn from_iter<I: IntoIterator<Item = (N, Value<'a>)>>(members: I) -> Self {
        Self(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            // serde_json would write `null`, and the claim would mean something else.
            Self::Float(value) if !value.is_finite() => {
                Err(serde::ser::Error::custom("not finite"))
            }
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(value) => serializer.serialize_str(value),
            Self::List(values) => serializer.collect_seq(values),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

/// Parses any value that is `depth` containers deep.
#[derive(Clone, Copy)]
struct AnyValue {
    depth: usize,
}

impl AnyValue {
    fn inside<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for AnyValue {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        // Above 63 bits it joins the numbers that the parser cannot hold in 64 either.
        #[allow(clippy::cast_precision_loss)] // No check of ours accepts a float.
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value<'de>, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value<'de>, A::Error> {
        let inside = self.inside()?;
        // Room for a passport's claims at once. There are not many objects within it, unless
        // somebody wants them to be dear.
        let room = if self.depth == 0 { 16 } else { 0 };
        let mut object: Vec<(Cow<'de, str>, Value<'de>)> = Vec::with_capacity(room);
        while let Some(name) = members.next_key_seed(Name)? {
            if object.len() == MAX_MEMBERS {
                return Err(de::Error::custom("too many members"));
            }
            if object.iter().any(|(other, _)| *other == name) {
                return Err(de::Error::custom("a repeated name"));
            }
            object.push((name, members.next_value_seed(inside)?));
        }
        Ok(Value::Object(Object(object)))
    }
}

/// Parses a member name.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        // A name written with escapes: `\u0061` is the same name as `a`.
        Ok(Cow::Owned(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_DEPTH, MAX_MEMBERS, Object, Value};

    #[test]
    fn an_object_is_written_as_it_was_read() {
        let json = br#"{"a":null,"b":[true,-1,"x\n"],"c":{"d":0.5},"e":"\u00e9"}"#;
        let object = Object::parse(json).expect("valid");
        assert_eq!(object.get("a"), Some(&Value::Null));
        assert_eq!(object.text("e"), Some("é"));
        assert_eq!(object.text("a"), None);
        let written = object.to_json().expect("finite");
        assert_eq!(Object::parse(&written), Ok(object.clone()));
    }

    #[test]
    fn a_repeated_name_is_refused_at_any_depth_and_in_any_spelling() {
        for json in [
            &br#"{"a":1,"a":1}"#[..],
            br#"{"b":{"a":1,"a":2}}"#,
            br#"{"b":[{"a":1,"a":2}]}"#,
            br#"{"a":1,"\u0061":2}"#,
        ] {
            assert!(Object::parse(json).is_err(), "{}", String::from_utf8_lossy(json));
        }
    }

    #[test]
    fn what_is_not_exactly_one_json_object_is_refused() {
        for json in [
            &b""[..],
            b"{}{}",
            b"{} x",
            b"[]",
            b"1",
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            br#"{"a":"\ud800"}"#,
            br#"{"a":NaN}"#,
            br#"{"a":1e999}"#,
            br#"{"a":01}"#,
            br#"{"a":1,}"#,
            br"{a:1}",
        ] {
            assert!(Object::parse(json).is_err(), "{}", String::from_utf8_lossy(json));
        }
        assert!(Object::parse(b" {} \n").is_ok(), "white space around it is no other value");
    }

    #[test]
    fn depth_and_members_have_budgets() {
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n)).into_bytes();
        assert!(Object::parse(&deep(MAX_DEPTH - 1)).is_ok());
        assert!(Object::parse(&deep(MAX_DEPTH)).is_err());
        assert!(Object::parse(&deep(10_000)).is_err());
        let wide = |n: usize| {
            let members: Vec<_> = (0..n).map(|i| format!("\"{i}\":{i}")).collect();
            format!("{{{}}}", members.join(",")).into_bytes()
        };
        assert!(Object::parse(&wide(MAX_MEMBERS)).is_ok());
        assert!(Object::parse(&wide(MAX_MEMBERS + 1)).is_err());
    }

    #[test]
    fn only_a_plain_64_bit_number_is_an_integer() {
        let of = |number: &str| {
            let json = format!("{{\"n\":{number}}}");
            Object::parse(json.as_bytes()).ok().and_then(|o| match o.get("n") {
                Some(Value::Int(int)) => Some(*int),
                _ => None,
            })
        };
        assert_eq!(of("9223372036854775807"), Some(i64::MAX));
        assert_eq!(of("-9223372036854775808"), Some(i64::MIN));
        for other in ["9223372036854775808", "18446744073709551616", "1.0", "1e3", "true"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn a_number_that_json_cannot_spell_is_not_written() {
        for value in [f64::NAN, f64::INFINITY] {
            let object: Object<'_> = [("x", Value::Float(value))].into_iter().collect();
            assert!(object.to_json().is_err());
        }
    }
}
