//! Reading a document, and refusing it when looking at it would be much work already.
//!
//! ```text
//!  text ──> brackets (the parser goes as deep as they do) ──> parser ──> fields, with fragments where they are spread
//! ```
//! What the fields cost is not judged here but by the schema's limits on depth and complexity, which walk through the
//! document with its fragments spread: thirty fragments of two lines can be a document of a thousand million fields.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::{
        parse_query,
        types::{
            BaseType, DocumentOperations, ExecutableDocument, FragmentDefinition, OperationType, Selection,
            SelectionSet, Type,
        },
    },
};

use crate::GraphqlError;

/// Bytes of a document.
const BYTES_MAX: usize = 1 << 20;
/// Brackets within brackets.
const BRACKETS_MAX: usize = 100;
/// Fields and fragments, counted wherever they are spread.
const SELECTIONS_MAX: usize = 20_000;
/// Fragments within fragments.
const FRAGMENTS_MAX: usize = 32;
/// Lists of the schema's parts within such lists: a type's fields and their types, but not those types' fields.
const INTROSPECTION_DEPTH_MAX: usize = 1;

/// Parses a document.
///
/// # Errors
/// [`GraphqlError::Syntax`]; [`GraphqlError::TooComplex`].
pub(crate) fn parse(text: &str) -> Result<ExecutableDocument, GraphqlError> {
    check(text.len(), BYTES_MAX, "bytes")?;
    check(brackets(text), BRACKETS_MAX, "brackets within brackets")?;
    let mut document = parse_query(text).map_err(|error| GraphqlError::Syntax {
        position: error.positions().next(),
        reason: error.to_string(),
    })?;
    let mut measured = Measured { fragments: &document.fragments, known: HashMap::new(), spread: 0 };
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set);
    for set in operations.chain(fragments) {
        let size = measured.selections(&set.node);
        check(size.selections, SELECTIONS_MAX, "fields")?;
        check(size.introspection, INTROSPECTION_DEPTH_MAX, "introspection within introspection")?;
    }
    accept_besu_names(&mut document);
    Ok(document)
}

/// Whether nothing in the document can change anything.
pub(crate) fn has_only_queries(document: &ExecutableDocument) -> bool {
    document.operations.iter().all(|(_, operation)| operation.node.ty == OperationType::Query)
}

fn check(found: usize, max: usize, what: &'static str) -> Result<(), GraphqlError> {
    if found <= max { Ok(()) } else { Err(GraphqlError::TooComplex { what, max }) }
}

/// How deep brackets are nested, strings and comments aside.
fn brackets(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' => rest = after_line(after),
            b'"' if after.starts_with(b"\"\"") => rest = after_block_string(&after[2..]),
            b'"' => rest = after_string(after),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn after_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    &text[end.unwrap_or(text.len())..]
}

fn after_string(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        match first {
            b'"' | b'\n' | b'\r' => return after,
            b'\\' => rest = after.get(1..).unwrap_or_default(),
            _ => rest = after,
        }
    }
    rest
}

fn after_block_string(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(b"\"\"\"") {
            return after;
        }
        rest = rest.strip_prefix(b"\\\"\"\"").unwrap_or(&rest[1..]);
    }
    rest
}

/// What selections come to with their fragments spread.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    selections: usize,
    /// Lists of the schema's parts within one another.
    introspection: usize,
}

impl Size {
    const ENDLESS: Self = Self { selections: usize::MAX, introspection: 0 };

    fn beside(self, other: Self) -> Self {
        Self {
            selections: self.selections.saturating_add(other.selections),
            introspection: self.introspection.max(other.introspection),
        }
    }
}

/// Measures each fragment once.
struct Measured<'d> {
    fragments: &'d HashMap<Name, Positioned<FragmentDefinition>>,
    /// None for one that is being measured: it spreads itself.
    known: HashMap<&'d str, Option<Size>>,
    /// Fragments that are being measured.
    spread: usize,
}

impl<'d> Measured<'d> {
    fn selections(&mut self, set: &'d SelectionSet) -> Size {
        set.items.iter().map(|item| self.selection(&item.node)).fold(Size::default(), Size::beside)
    }

    fn selection(&mut self, selection: &'d Selection) -> Size {
        let mut size = match selection {
            Selection::Field(field) => {
                let mut size = self.selections(&field.node.selection_set.node);
                // Data has no lists of these names.
                let is_list = ["fields", "inputFields", "interfaces", "possibleTypes"]
                    .contains(&field.node.name.node.as_str());
                size.introspection += usize::from(is_list);
                size
            }
            Selection::InlineFragment(fragment) => self.selections(&fragment.node.selection_set.node),
            Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
        };
        size.selections = size.selections.saturating_add(1);
        size
    }

    fn fragment(&mut self, name: &'d str) -> Size {
        match self.known.get(name) {
            Some(Some(size)) => return *size,
            Some(None) => return Size::ENDLESS,
            None if self.spread >= FRAGMENTS_MAX => return Size::ENDLESS,
            None => {}
        }
        let Some(fragment) = self.fragments.get(name) else { return Size::default() };
        self.known.insert(name, None);
        self.spread += 1;
        let size = self.selections(&fragment.node.selection_set.node);
        self.spread -= 1;
        self.known.insert(name, Some(size));
        size
    }
}

/// Besu calls `Hash` what the schema calls `Bytes32` where it is a hash; clients see the name in variables only.
fn accept_besu_names(document: &mut ExecutableDocument) {
    let operations: Vec<_> = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    for operation in operations {
        for variable in &mut operation.node.variable_definitions {
            rename_hash(&mut variable.node.var_type.node);
        }
    }
}

fn rename_hash(kind: &mut Type) {
    match &mut kind.base {
        BaseType::Named(name) if name == "Hash" => *name = Name::new("Bytes32"),
        BaseType::Named(_) => {}
        BaseType::List(element) => rename_hash(element),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        for (text, depth) in [
            ("", 0),
            ("{a{b}}{c}", 2),
            ("{a(x:\"}}}\"){b{c}}}", 3),
            ("{a(x:\"\\\"}}}\"){b{c}}}", 3),
            ("{a(x:\"\"){b{c}}}", 3),
            ("{a(x:\"\"\"}}\"}\\\"\"\"}}\"\"\"){b{c}}}", 3),
            ("{ # }}}\n a{b{c}}}", 3),
            ("{a(x:\"{{{{", 2),
            ("{a(x:\"\"\"{{{{", 2),
            ("}}}{a}", 1),
        ] {
            assert_eq!(brackets(text), depth, "{text}");
        }
    }

    #[test]
    fn absurd_documents_are_refused_before_they_cost_anything() {
        let refused = |text: &str, what: &str| {
            let error = parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        };
        refused(&"{a".repeat(300_000), "brackets within brackets");
        refused(&format!("{{a(x:{}", "[".repeat(500_000)), "brackets within brackets");
        refused(&" ".repeat(BYTES_MAX + 1), "bytes");
        refused(&format!("{{{}}}", "a ".repeat(SELECTIONS_MAX + 1)), "fields");
        let doubling: String =
            (0..30).map(|n| format!("fragment f{n} on Block {{ ...f{m} ...f{m} }}\n", m = n + 1)).collect();
        refused(&format!("{{ block {{ ...f0 }} }} {doubling} fragment f30 on Block {{ hash }}"), "fields");
        refused(
            "{ block { ...a } } fragment a on Block { ...b ...b } fragment b on Block { ...a ...a }",
            "fields",
        );
        let chain: String =
            (0..20_000).map(|n| format!("fragment f{n} on Block {{ ...f{m} }}\n", m = n + 1)).collect();
        refused(&format!("{{ block {{ ...f0 }} }} {chain} fragment f20000 on Block {{ hash }}"), "fields");
        refused("{ block { ...a } } fragment a on Block { parent { ...a } }", "fields");
    }

    #[test]
    fn introspection_goes_through_the_schema_once() {
        let cross_product = "{ __schema { types { fields { type { fields { name }}}}}}";
        assert!(matches!(parse(cross_product), Err(GraphqlError::TooComplex { .. })));
        let once = "{ __schema { types { ...t } } __type(name: \"Block\") { ...t } }
            fragment t on __Type { fields { args { type { name ofType { name } } } type { name } }
            inputFields { name } interfaces { name } possibleTypes { name } }";
        assert!(parse(once).is_ok());
    }

    #[test]
    fn a_hash_may_be_declared_as_besu_names_it() {
        let document =
            parse("query q($a: Hash!, $b: [[Hash!]!], $c: Long) { block(hash: $a) { hash } }").unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let types: Vec<_> = operation
            .node
            .variable_definitions
            .iter()
            .map(|variable| variable.node.var_type.node.to_string())
            .collect();
        assert_eq!(types, ["Bytes32!", "[[Bytes32!]!]", "Long"]);
    }

    #[test]
    fn syntax_errors_say_where() {
        for text in ["", "{", "{ block { } }", "query", "\u{0}", "{ block(number: ) { hash } }"] {
            assert!(matches!(parse(text), Err(GraphqlError::Syntax { position: Some(_), .. })), "{text:?}");
        }
    }
}
