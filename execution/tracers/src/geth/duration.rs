//! Durations as Go writes them: `5s`, `300ms`, `1m30s`.

use std::time::Duration;

use crate::TracerError;

/// Units with their nanoseconds; longer names first where one begins with another.
const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];

/// # Errors
/// [`TracerError::Unusable`] for what is no duration.
pub(super) fn parse(text: &str) -> Result<Duration, TracerError> {
    let invalid = || TracerError::Unusable(format!("invalid duration {text:?}"));
    let mut rest = text;
    let mut nanoseconds = 0.0;
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
        rest = &rest[digits..];
        let known = UNITS.iter().find(|(unit, _)| rest.starts_with(unit));
        let (unit, size) = known.ok_or_else(invalid)?;
        nanoseconds += number * size;
        rest = &rest[unit.len()..];
    }
    Duration::try_from_secs_f64(nanoseconds / 1e9).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, milliseconds) in
            [("5s", 5_000), ("300ms", 300), ("1m30s", 90_000), ("1.5s", 1_500), ("2h", 7_200_000), ("0", 0)]
        {
            assert_eq!(parse(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1x", "1..5s", "5 s", "99999999999999999999999h"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
