//! Reading JSON bodies: required fields, their types, and the order of their keys.

use super::answer::ApiError;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A JSON object of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Object(pub Map<String, Value>);

impl Object {
    pub fn parse(bytes: &[u8]) -> Result<Object, ApiError> {
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(map)) => Ok(Object(map)),
            _ => Err(ApiError::new(400, "invalid-format")),
        }
    }

    pub fn from_value(value: &Value, key: &str) -> Result<Object, ApiError> {
        value.as_object().cloned().map(Object).ok_or_else(|| ApiError::parameter(key))
    }

    /// Refuses fields that are not in the list.
    pub fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                Err(ApiError { parameter: Some(key.clone()), ..ApiError::new(400, "invalid-format") })
            }
            None => Ok(()),
        }
    }

    /// The value, unless it is missing or null.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    pub fn need(&self, key: &str) -> Result<&Value, ApiError> {
        self.get(key).ok_or_else(|| ApiError::parameter(key))
    }

    pub fn text(&self, key: &str) -> Result<&str, ApiError> {
        self.need(key)?.as_str().filter(|text| !text.is_empty()).ok_or_else(|| ApiError::parameter(key))
    }

    pub fn text_or_none(&self, key: &str) -> Result<Option<&str>, ApiError> {
        self.get(key).map(|_| self.text(key)).transpose()
    }

    pub fn one_of<'a>(&'a self, key: &str, allowed: &[&str]) -> Result<&'a str, ApiError> {
        let text = self.text(key)?;
        if allowed.contains(&text) { Ok(text) } else { Err(ApiError::parameter(key)) }
    }

    /// An integer: a string of digits is refused.
    pub fn integer(&self, key: &str) -> Result<u64, ApiError> {
        self.need(key)?.as_u64().ok_or_else(|| ApiError::parameter(key))
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>, ApiError> {
        self.get(key).map(|value| value.as_bool().ok_or_else(|| ApiError::parameter(key))).transpose()
    }

    /// ISO 8601 with zone.
    pub fn date(&self, key: &str) -> Result<OffsetDateTime, ApiError> {
        OffsetDateTime::parse(self.text(key)?, &Rfc3339).map_err(|_| ApiError::parameter(key))
    }

    pub fn date_or_none(&self, key: &str) -> Result<Option<OffsetDateTime>, ApiError> {
        self.get(key).map(|_| self.date(key)).transpose()
    }

    /// A list that is not empty.
    pub fn list(&self, key: &str) -> Result<&[Value], ApiError> {
        let list = self.need(key)?.as_array().filter(|list| !list.is_empty());
        list.map(Vec::as_slice).ok_or_else(|| ApiError::parameter(key))
    }

    pub fn texts(&self, key: &str) -> Result<Vec<String>, ApiError> {
        let texts = self.list(key)?.iter().map(|value| value.as_str().map(str::to_owned));
        texts.collect::<Option<_>>().ok_or_else(|| ApiError::parameter(key))
    }

    pub fn objects(&self, key: &str) -> Result<Vec<Object>, ApiError> {
        self.list(key)?.iter().map(|value| Object::from_value(value, key)).collect()
    }
}

/// Whether the keys of every object in the JSON text are sorted and none is repeated.
pub fn keys_are_sorted(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Sorted>(bytes).is_ok_and(|sorted| sorted.0)
}

struct Sorted(bool);

impl<'de> Deserialize<'de> for Sorted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sorted, D::Error> {
        deserializer.deserialize_any(SortedVisitor)
    }
}

struct SortedVisitor;

impl<'de> Visitor<'de> for SortedVisitor {
    type Value = Sorted;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sorted, A::Error> {
        let mut sorted = true;
        let mut last: Option<String> = None;
        while let Some((key, Sorted(inner))) = map.next_entry::<String, Sorted>()? {
            sorted &= inner && last.is_none_or(|last| last < key);
            last = Some(key);
        }
        Ok(Sorted(sorted))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Sorted, A::Error> {
        let mut sorted = true;
        while let Some(Sorted(inner)) = list.next_element()? {
            sorted &= inner;
        }
        Ok(Sorted(sorted))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Sorted, E> {
        Ok(Sorted(true))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Sorted, E> {
        Ok(Sorted(true))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Sorted, E> {
        Ok(Sorted(true))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Sorted, E> {
        Ok(Sorted(true))
    }

    fn visit_str<E>(self, _: &str) -> Result<Sorted, E> {
        Ok(Sorted(true))
    }

    fn visit_unit<E>(self) -> Result<Sorted, E> {
        Ok(Sorted(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_keys_are_told_from_unsorted_ones() {
        for (text, sorted) in [
            (r#"{"a":1,"b":[{"c":null,"d":"z","e":-1.5}],"f":true}"#, true),
            (r#"{"codes":["z","a"]}"#, true),
            (r#"{"b":1,"a":1}"#, false),
            (r#"{"a":[{"y":1,"x":2}]}"#, false),
            (r#"{"a":1,"a":2}"#, false),
            ("{", false),
        ] {
            assert_eq!(keys_are_sorted(text.as_bytes()), sorted, "{text}");
        }
    }
}
