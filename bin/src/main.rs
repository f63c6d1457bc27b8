//! The `portico` binary.

use std::process::ExitCode;

/// Execution allocates for every transaction; the system's allocator shows in its profile, this one does not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    portico::cli::main()
}
