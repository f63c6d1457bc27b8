//! The schema page, from the table list.

use std::fmt::Write;

use crate::{SCHEMA_VERSION, tables::TABLES};

/// `docs/schema.md`.
pub fn schema_markdown() -> String {
    let mut page = format!(
        "# Database schema, version {SCHEMA_VERSION}\n\nGenerated from `storage/db/src/tables.rs`; \
         refresh with `UPDATE_GOLDEN=1 cargo test -p portico-db schema`.\n\
         Integers in keys are big-endian. A varint is unsigned LEB128.\n"
    );
    let mut group = "";
    for table in TABLES {
        if table.group != group {
            group = table.group;
            write!(page, "\n## {}{}\n", group[..1].to_uppercase(), &group[1..]).expect("writing to memory");
        }
        let (key, value) = table.types;
        let duplicates = if table.dup_sort { ", sorted duplicates" } else { "" };
        write!(page, "\n### `{}`\n\n`{key}` → `{value}`{duplicates}\n\n", table.name)
            .expect("writing to memory");
        for line in table.doc.lines() {
            writeln!(page, "{}  ", line.trim()).expect("writing to memory");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, schema_markdown()).unwrap();
        }
        let stored = std::fs::read_to_string(path).unwrap_or_default();
        assert!(stored == schema_markdown(), "run UPDATE_GOLDEN=1 cargo test -p portico-db schema");
    }
}
