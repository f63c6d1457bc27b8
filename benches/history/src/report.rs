//! The table that is printed.

use crate::store::ReadCost;

/// One form, or a form written once more.
pub(crate) struct Line {
    pub name: String,
    /// Seconds to build or to write once more.
    pub seconds: f64,
    pub bytes: Vec<(&'static str, u64)>,
    pub sparse: ReadCost,
    pub dense: ReadCost,
}

/// Columns: size, seconds, and per read: faults that waited for the disk, other faults, microseconds cold and warm.
pub(crate) fn print_table(lines: &[Line]) {
    println!(
        "\nper read: page faults from disk + from memory, µs with nothing in memory, µs when read again\n"
    );
    println!(
        "{:<14}{:>8}{:>8}   {:<34}{:<34}",
        "form", "MiB", "s", "slots with 1-3 changes", "slots with 100 changes and more"
    );
    for line in lines {
        let total = line.bytes.iter().map(|(_, bytes)| bytes).sum::<u64>();
        println!(
            "{:<14}{:>8.1}{:>8.1}   {:<34}{:<34}{}",
            line.name,
            mib(total),
            line.seconds,
            reads(line.sparse),
            reads(line.dense),
            tables(&line.bytes),
        );
    }
}

fn reads(cost: ReadCost) -> String {
    let ReadCost { major_faults, minor_faults, cold_us, warm_us } = cost;
    format!("{major_faults:.2} + {minor_faults:.2}, {cold_us:.1} µs, {warm_us:.2} µs")
}

fn tables(bytes: &[(&str, u64)]) -> String {
    if bytes.len() < 2 {
        return String::new();
    }
    let tables: Vec<String> =
        bytes.iter().map(|(name, bytes)| format!("{name} {:.1}", mib(*bytes))).collect();
    tables.join(", ")
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1 << 20) as f64
}
