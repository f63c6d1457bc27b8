//! What traces hold, by the flags that go-ethereum's `evm` has for it.

use clap::Args;
use portico_tracers::TraceFields;

#[derive(Debug, Args)]
pub(super) struct FieldArgs {
    /// Leave memory out [default: true]
    #[arg(long = "trace.nomemory", alias = "nomemory", value_name = "BOOL", num_args = 0..=1,
          require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    no_memory: bool,
    /// Leave the stack out
    #[arg(long = "trace.nostack", alias = "nostack", value_name = "BOOL", num_args = 0..=1,
          require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    no_stack: bool,
    /// Leave out what calls returned [default: true]
    #[arg(long = "trace.noreturndata", alias = "noreturndata", value_name = "BOOL", num_args = 0..=1,
          require_equals = true, default_value_t = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    no_return_data: bool,
}

impl FieldArgs {
    pub(super) fn fields(&self) -> TraceFields {
        TraceFields { memory: !self.no_memory, stack: !self.no_stack, return_data: !self.no_return_data }
    }
}
