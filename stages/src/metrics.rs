//! What the pipeline measures. Each metric's unit and meaning is told to the recorder by [`describe`].

use std::time::{Duration, Instant};

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::{BlockRange, StageId, StageOutput};

/// Describes all metrics of the stages; call once, after a recorder was installed.
pub fn describe() {
    describe_counter!("portico_stage_blocks_total", Unit::Count, "blocks that a stage has done");
    describe_counter!(
        "portico_stage_transactions_total",
        Unit::Count,
        "transactions that passed through a stage"
    );
    describe_counter!("portico_stage_gas_total", Unit::Count, "gas that a stage has executed");
    describe_counter!("portico_stage_rows_total", Unit::Count, "rows that a stage has written");
    describe_histogram!(
        "portico_stage_seconds",
        Unit::Seconds,
        "time that a stage took for its part of a cycle"
    );
    describe_gauge!("portico_stage_checkpoint", Unit::Count, "last block that a stage has done");
    describe_gauge!("portico_head_block", Unit::Count, "last block that is done by all stages");
}

pub(crate) fn stage(id: StageId, range: BlockRange, output: StageOutput, elapsed: Duration) {
    let stage = id.name();
    counter!("portico_stage_blocks_total", "stage" => stage).increment(output.reached - range.done);
    counter!("portico_stage_transactions_total", "stage" => stage).increment(output.counters.transactions);
    counter!("portico_stage_gas_total", "stage" => stage).increment(output.counters.gas);
    counter!("portico_stage_rows_total", "stage" => stage).increment(output.counters.rows);
    histogram!("portico_stage_seconds", "stage" => stage).record(elapsed.as_secs_f64());
    gauge!("portico_stage_checkpoint", "stage" => stage).set(output.reached as f64);
}

pub(crate) fn head(block_number: u64) {
    gauge!("portico_head_block").set(block_number as f64);
}

/// Times what is not a stage.
pub(crate) fn observe<T>(name: &'static str, run: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let result = run();
    histogram!("portico_stage_seconds", "stage" => name).record(started.elapsed().as_secs_f64());
    result
}
