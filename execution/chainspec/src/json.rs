//! Reading untrusted JSON one level at a time, without losing digits.
//!
//! Values stay as their text until their field is known: `58750000000000000000000` is a legal JSON number that no
//! machine number holds. Nesting costs no stack, keys are compared in lower case as Besu does, and every error names
//! the dotted path of the field.

use crate::ChainSpecError;
use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap, fmt};

/// Longest text repeated in an error message, in characters.
const SHOWN_MAX: usize = 80;

/// One value: its text and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    /// Dotted path.
    pub path: String,
    raw: &'a str,
}

impl<'a> Field<'a> {
    /// The whole text.
    pub fn root(json: &'a str) -> Self {
        Self { path: String::new(), raw: json }
    }

    /// Walks over the entries of an object in their order, keys as written.
    pub fn for_each(
        &self,
        visit: impl FnMut(&str, Field<'a>) -> Result<(), ChainSpecError>,
    ) -> Result<(), ChainSpecError> {
        let mut failed = None;
        let mut deserializer = serde_json::Deserializer::from_str(self.raw);
        let walk = Walk { path: &self.path, visit, failed: &mut failed };
        let result = walk.deserialize(&mut deserializer).and_then(|()| deserializer.end());
        match (failed, result) {
            (Some(error), _) => Err(error),
            (None, Err(source)) => Err(ChainSpecError::Json { field: self.path.clone(), source }),
            (None, Ok(())) => Ok(()),
        }
    }

    /// The object's entries by lower-case key; entries that are `null` are left out.
    pub fn object(&self) -> Result<Object<'a>, ChainSpecError> {
        self.object_where(|_| true)
    }

    /// As [`Self::object`] with these (lower-case) keys only; others may be anything, even twice.
    pub fn object_of(&self, keys: &[&str]) -> Result<Object<'a>, ChainSpecError> {
        self.object_where(|key| keys.contains(&key))
    }

    fn object_where(&self, wanted: impl Fn(&str) -> bool) -> Result<Object<'a>, ChainSpecError> {
        let mut fields = BTreeMap::new();
        self.for_each(|key, field| {
            let key = key.to_ascii_lowercase();
            if field.raw == "null" || !wanted(&key) {
                return Ok(());
            }
            let path = field.path.clone();
            match fields.insert(key, field) {
                None => Ok(()),
                Some(_) => Err(ChainSpecError::DuplicateKey { field: path }),
            }
        })?;
        Ok(Object { path: self.path.clone(), fields })
    }

    /// Any value, with keys of objects at the first level in lower case.
    pub fn section(&self) -> Result<serde_json::Map<String, serde_json::Value>, ChainSpecError> {
        let mut section = serde_json::Map::new();
        for (key, field) in self.object()?.fields {
            section.insert(key, field.value()?);
        }
        Ok(section)
    }

    /// Any value as parsed JSON; nesting beyond 128 levels is an error.
    pub fn value(&self) -> Result<serde_json::Value, ChainSpecError> {
        serde_json::from_str(self.raw)
            .map_err(|source| ChainSpecError::Json { field: self.path.clone(), source })
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Result<bool, ChainSpecError> {
        match self.raw {
            "true" | "\"true\"" => Ok(true),
            "false" | "\"false\"" => Ok(false),
            _ => Err(self.invalid("true or false")),
        }
    }

    /// A non-negative integer: a JSON number, or a string of decimal or `0x`-prefixed digits.
    pub fn u256(&self) -> Result<U256, ChainSpecError> {
        const EXPECTED: &str = "a number of at most 256 bits, decimal or 0x-prefixed";
        let text = self.text(EXPECTED)?;
        let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some("") => Some(U256::ZERO),
            Some(digits) => parse_digits(digits, 16),
            None => parse_digits(&text, 10),
        };
        parsed.ok_or_else(|| self.invalid(EXPECTED))
    }

    /// As [`Self::u256`], at most 64 bits.
    pub fn u64(&self) -> Result<u64, ChainSpecError> {
        u64::try_from(self.u256()?).map_err(|_| self.invalid("a number of at most 64 bits"))
    }

    /// A string of hexadecimal bytes, `0x` prefix optional.
    pub fn bytes(&self) -> Result<Bytes, ChainSpecError> {
        const EXPECTED: &str = "a string of hexadecimal bytes";
        hex::decode(self.string(EXPECTED)?.as_ref()).map(Bytes::from).map_err(|_| self.invalid(EXPECTED))
    }

    /// A string of exactly 20 bytes.
    pub fn address(&self) -> Result<Address, ChainSpecError> {
        const EXPECTED: &str = "an address of 20 hexadecimal bytes";
        parse_address(&self.string(EXPECTED)?).ok_or_else(|| self.invalid(EXPECTED))
    }

    /// A string of at most 32 bytes, filled up with zeros on the left.
    pub fn word(&self) -> Result<B256, ChainSpecError> {
        const EXPECTED: &str = "at most 32 hexadecimal bytes";
        parse_word(&self.string(EXPECTED)?).ok_or_else(|| self.invalid(EXPECTED))
    }

    /// The error that this value is not what `expected` says.
    pub fn invalid(&self, expected: &'static str) -> ChainSpecError {
        let mut value: String = self.raw.chars().take(SHOWN_MAX).collect();
        if value.len() < self.raw.len() {
            value.push('…');
        }
        ChainSpecError::InvalidField { field: self.path.clone(), value, expected }
    }

    /// The text of a string or number.
    fn text(&self, expected: &'static str) -> Result<Cow<'a, str>, ChainSpecError> {
        if self.raw.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok(Cow::Borrowed(self.raw));
        }
        self.string(expected)
    }

    fn string(&self, expected: &'static str) -> Result<Cow<'a, str>, ChainSpecError> {
        if !self.raw.starts_with('"') {
            return Err(self.invalid(expected));
        }
        let inner = &self.raw[1..self.raw.len() - 1];
        if !inner.contains('\\') {
            return Ok(Cow::Borrowed(inner));
        }
        serde_json::from_str(self.raw)
            .map(Cow::Owned)
            .map_err(|source| ChainSpecError::Json { field: self.path.clone(), source })
    }
}

/// The entries of an object by lower-case key.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    path: String,
    fields: BTreeMap<String, Field<'a>>,
}

impl<'a> Object<'a> {
    /// Takes out the entry with this key (in any case).
    pub fn take(&mut self, key: &str) -> Option<Field<'a>> {
        self.fields.remove(&key.to_ascii_lowercase())
    }

    /// Takes out an entry that must be there.
    pub fn require(&mut self, key: &str) -> Result<Field<'a>, ChainSpecError> {
        self.take(key).ok_or_else(|| ChainSpecError::MissingField { field: join(&self.path, key) })
    }

    /// Takes out an entry and reads it, if it is there.
    pub fn read<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Field<'a>) -> Result<T, ChainSpecError>,
    ) -> Result<Option<T>, ChainSpecError> {
        self.take(key).as_ref().map(read).transpose()
    }

    /// Takes out a number that has several spellings, which must agree.
    pub fn read_u64_of(&mut self, keys: &[&'static str]) -> Result<Option<u64>, ChainSpecError> {
        let mut found: Option<(&'static str, u64)> = None;
        for &key in keys {
            let Some(value) = self.read(key, Field::u64)? else { continue };
            match found {
                Some((first, earlier)) if earlier != value => {
                    return Err(ChainSpecError::ConflictingKeys { first, second: key });
                }
                _ => found = Some((key, value)),
            }
        }
        Ok(found.map(|(_, value)| value))
    }

    /// What was not taken, by lower-case key.
    pub fn rest(self) -> BTreeMap<String, Field<'a>> {
        self.fields
    }
}

/// 20 bytes in hexadecimal digits, `0x` prefix optional.
pub(crate) fn parse_address(text: &str) -> Option<Address> {
    let mut address = Address::ZERO;
    hex::decode_to_slice(text, address.as_mut_slice()).ok()?;
    Some(address)
}

/// At most 32 bytes in hexadecimal digits, `0x` prefix optional, any number of digits.
pub(crate) fn parse_word(text: &str) -> Option<B256> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    if digits.is_empty() {
        return Some(B256::ZERO);
    }
    parse_digits(digits, 16).map(B256::from)
}

fn parse_digits(digits: &str, radix: u64) -> Option<U256> {
    // `U256::from_str_radix` skips underscores and takes an empty string for zero.
    let only_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !only_digits {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    if significant.len() > 78 {
        return None;
    }
    U256::from_str_radix(if significant.is_empty() { "0" } else { significant }, radix).ok()
}

fn join(path: &str, key: &str) -> String {
    let key: String = key.chars().take(SHOWN_MAX).collect();
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// A visitor that hands each entry to `visit` and keeps its error apart from the parser's.
struct Walk<'w, F> {
    path: &'w str,
    visit: F,
    failed: &'w mut Option<ChainSpecError>,
}

impl<'de, F> DeserializeSeed<'de> for Walk<'_, F>
where
    F: FnMut(&str, Field<'de>) -> Result<(), ChainSpecError>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, F> Visitor<'de> for Walk<'_, F>
where
    F: FnMut(&str, Field<'de>) -> Result<(), ChainSpecError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let raw: &RawValue = map.next_value()?;
            let field = Field { path: join(self.path, &key), raw: raw.get() };
            if let Err(error) = (self.visit)(&key, field) {
                *self.failed = Some(error);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(raw: &str) -> Field<'_> {
        Field { path: "x".to_owned(), raw }
    }

    #[test]
    fn numbers_keep_every_digit() {
        let ttd = "58750000000000000000000";
        assert_eq!(field(ttd).u256().unwrap().to_string(), ttd);
        assert_eq!(field("\"0x000000000000000\"").u64().unwrap(), 0);
        assert_eq!(field("\"0x\"").u64().unwrap(), 0);
        assert_eq!(
            field("\"90000000000000000000000\"").u256().unwrap().to_string(),
            "90000000000000000000000"
        );
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        let long = format!("\"0x{}\"", "f".repeat(65));
        let huge = "9".repeat(100_000);
        for raw in [
            "-1", "1.5", "1e3", "\"\"", "\"1_0\"", "\"a\"", "\"0x-1\"", "null", "[]", "{}", "true", &long,
            &huge,
        ] {
            assert!(field(raw).u256().is_err(), "{}", &raw[..raw.len().min(20)]);
        }
        assert!(field("18446744073709551616").u64().is_err());
    }

    #[test]
    fn duplicate_keys_are_refused_in_any_case() {
        let error = Field::root(r#"{"chainId":1,"chainID":2}"#).object().unwrap_err();
        assert_eq!(error.to_string(), "genesis has the key `chainID` twice");
    }

    #[test]
    fn deep_nesting_is_no_stack_overflow() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(1_000_000), "]".repeat(1_000_000));
        let object = Field::root(&deep).object().unwrap();
        assert!(object.fields["a"].value().is_err());
    }
}
