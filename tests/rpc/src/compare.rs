//! Comparing answers as clients see them.

use serde_json::Value;

/// How closely an answer must resemble the recorded one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Every value.
    Exact,
    /// Only names and types.
    Shape,
}

/// Why `found` is not the answer that was recorded. Error texts may differ; codes and data may not.
pub fn compare(expected: &Value, found: &Value, comparison: Comparison) -> Result<(), String> {
    match (expected.get("error"), found.get("error")) {
        (Some(expected), Some(found)) => compare_errors(expected, found),
        (None, None) => values(&expected["result"], &found["result"], comparison, "result"),
        (Some(expected), None) => Err(format!("an answer where error {expected} was expected")),
        (None, Some(found)) => Err(format!("error {found}")),
    }
}

fn compare_errors(expected: &Value, found: &Value) -> Result<(), String> {
    for field in ["code", "data"] {
        if expected.get(field).is_some_and(|expected| found.get(field) != Some(expected)) {
            return Err(format!("error {found}, expected {expected}"));
        }
    }
    Ok(())
}

fn values(expected: &Value, found: &Value, comparison: Comparison, path: &str) -> Result<(), String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => {
            if let Some(missing) = expected.keys().find(|key| !found.contains_key(*key)) {
                return Err(format!("{path}.{missing} is missing"));
            }
            if let Some(extra) = found.keys().find(|key| !expected.contains_key(*key)) {
                return Err(format!("{path}.{extra} is too much: {}", found[extra]));
            }
            expected.iter().try_for_each(|(key, expected)| {
                values(expected, &found[key], comparison, &format!("{path}.{key}"))
            })
        }
        (Value::Array(expected), Value::Array(found)) => {
            if comparison == Comparison::Exact && expected.len() != found.len() {
                return Err(format!("{path} has {} elements, expected {}", found.len(), expected.len()));
            }
            let pairs = expected.iter().zip(found).enumerate();
            pairs.into_iter().try_for_each(|(index, (expected, found))| {
                values(expected, found, comparison, &format!("{path}[{index}]"))
            })
        }
        (expected, found) if comparison == Comparison::Exact && expected != found => {
            Err(format!("{path} is {found}, expected {expected}"))
        }
        (expected, found) if std::mem::discriminant(expected) != std::mem::discriminant(found) => {
            Err(format!("{path} is {found}, expected something like {expected}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn exact_answers_must_be_equal_but_for_error_texts() {
        let exact = |expected, found| compare(&expected, &found, Comparison::Exact);
        assert!(
            exact(json!({ "result": { "a": 1, "b": [2] } }), json!({ "result": { "b": [2], "a": 1 } }))
                .is_ok()
        );
        let error = exact(json!({ "result": { "a": [1] } }), json!({ "result": { "a": [2] } })).unwrap_err();
        assert_eq!(error, "result.a[0] is 2, expected 1");
        assert!(exact(json!({ "result": {} }), json!({ "result": { "a": null } })).is_err());
        assert!(exact(json!({ "result": [1] }), json!({ "result": [1, 1] })).is_err());
        assert!(exact(json!({ "result": null }), json!({ "error": { "code": 1 } })).is_err());
        let reverted = json!({ "error": { "code": 3, "message": "x", "data": "0x" } });
        assert!(
            exact(reverted.clone(), json!({ "error": { "code": 3, "message": "y", "data": "0x" } })).is_ok()
        );
        assert!(exact(reverted, json!({ "error": { "code": 3, "message": "x" } })).is_err());
    }

    #[test]
    fn shapes_ignore_values() {
        let shape = |expected, found| compare(&expected, &found, Comparison::Shape);
        assert!(shape(json!({ "result": { "a": "1" } }), json!({ "result": { "a": "2" } })).is_ok());
        assert!(shape(json!({ "result": { "a": "1" } }), json!({ "result": { "a": null } })).is_err());
        assert!(shape(json!({ "result": { "a": "1" } }), json!({ "result": { "b": "1" } })).is_err());
    }
}
