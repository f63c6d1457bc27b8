//! What a sync shows: one live line on a terminal, log lines otherwise.

use std::{
    io::IsTerminal,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use portico_stages::{
    BlockRange, Counters, FORWARD, PipelineObserver, Progress, StageError, StageId, StageOutput,
};

/// How often the live line changes.
const REDRAW: Duration = Duration::from_millis(100);
/// How often there is a log line within a batch when there is no terminal.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Shows a pipeline at work and sums up what each stage did.
pub(crate) struct SyncProgress {
    line: Option<ProgressBar>,
    started: Instant,
    /// Last block that is expected, when the source can tell.
    expected: Option<u64>,
    state: Mutex<State>,
}

struct State {
    stage: StageId,
    range: BlockRange,
    stage_started: Instant,
    drawn: Instant,
    cycle: Counters,
    totals: Vec<(StageId, StageTotal)>,
    first: Option<u64>,
}

/// What a stage did in all cycles.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StageTotal {
    pub blocks: u64,
    pub counters: Counters,
    pub elapsed: Duration,
}

impl SyncProgress {
    pub(crate) fn new(expected: Option<u64>) -> Self {
        let line = live_line();
        let now = Instant::now();
        let state = State {
            stage: StageId::Headers,
            range: BlockRange { done: 0, to: 0 },
            stage_started: now,
            drawn: now,
            cycle: Counters::default(),
            totals: FORWARD.map(|stage| (stage, StageTotal::default())).to_vec(),
            first: None,
        };
        Self { line, started: now, expected, state: Mutex::new(state) }
    }

    /// What each stage did, and the time since the start.
    pub(crate) fn totals(&self) -> (Vec<(StageId, StageTotal)>, Duration) {
        (self.lock().totals.clone(), self.started.elapsed())
    }

    /// Removes the live line.
    pub(crate) fn finish(&self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    fn draw(&self, state: &State, block_number: u64, counters: Counters) {
        let Some(line) = &self.line else { return };
        let position = FORWARD.iter().position(|stage| *stage == state.stage).unwrap_or_default() + 1;
        let seconds = state.stage_started.elapsed().as_secs_f64().max(0.001);
        let mut text =
            format!("stage {position}/{} {:<14} block {block_number}", FORWARD.len(), state.stage.name());
        if let Some(expected) = self.expected.filter(|expected| *expected > 0) {
            text += &format!("  {:.1}%", (block_number.min(expected) as f64 / expected as f64) * 100.0);
        }
        if counters.gas > 0 {
            text += &format!("  {:.0} Mgas/s", counters.gas as f64 / seconds / 1e6);
        }
        if counters.transactions > 0 {
            text += &format!("  {:.0} tx/s", counters.transactions as f64 / seconds);
        }
        if let Some(eta) = self.eta(state, block_number) {
            text += &format!("  ETA {}", human_seconds(eta));
        }
        line.set_message(text);
        line.tick();
    }

    fn log(&self, state: &State, block_number: u64) {
        let percent = self.expected.filter(|expected| *expected > 0).map(|expected| {
            let share = block_number.min(expected) as f64 / expected as f64;
            format!("{:.1}", share * 100.0)
        });
        tracing::info!(stage = %state.stage, block_number, to = state.range.to, percent, "at work");
    }

    /// Seconds left, from the blocks that have gone through execution so far.
    fn eta(&self, state: &State, block_number: u64) -> Option<u64> {
        let (expected, first) = (self.expected?, state.first?);
        let done = block_number.checked_sub(first).filter(|done| *done > 0)?;
        let left = expected.saturating_sub(block_number);
        Some((self.started.elapsed().as_secs_f64() / done as f64 * left as f64) as u64)
    }
}

impl Progress for SyncProgress {
    fn at(&self, block_number: u64, counters: Counters) {
        let every = if self.line.is_some() { REDRAW } else { LOG_EVERY };
        let mut state = self.lock();
        if state.drawn.elapsed() < every {
            return;
        }
        state.drawn = Instant::now();
        match self.line {
            Some(_) => self.draw(&state, block_number, counters),
            None => self.log(&state, block_number),
        }
    }
}

impl PipelineObserver for SyncProgress {
    fn stage_started(&self, stage: StageId, range: BlockRange) {
        let mut state = self.lock();
        state.stage = stage;
        state.range = range;
        state.stage_started = Instant::now();
        state.first.get_or_insert(range.done);
        tracing::debug!(%stage, from = range.first(), to = range.to, "stage begins");
        self.draw(&state, range.done, Counters::default());
    }

    fn stage_finished(&self, stage: StageId, range: BlockRange, output: StageOutput, elapsed: Duration) {
        let mut state = self.lock();
        let total = state.totals.iter_mut().find(|(id, _)| *id == stage).map(|(_, total)| total);
        if let Some(total) = total {
            total.blocks += output.reached - range.done;
            total.elapsed += elapsed;
            total.counters.transactions += output.counters.transactions;
            total.counters.gas += output.counters.gas;
            total.counters.rows += output.counters.rows;
        }
        if stage == StageId::Execution {
            state.cycle = output.counters;
        }
        let elapsed_ms = elapsed.as_millis() as u64;
        tracing::debug!(%stage, from = range.first(), to = output.reached, elapsed_ms, rows = output.counters.rows, "stage done");
    }

    fn committed(&self, head: u64, elapsed: Duration) {
        let state = self.lock();
        let Counters { gas, transactions, .. } = state.cycle;
        let seconds = elapsed.as_secs_f64().max(0.001);
        let mgas_per_second = (gas as f64 / seconds / 1e6).round() as u64;
        let log = || {
            tracing::info!(
                block_number = head,
                transactions,
                mgas_per_second,
                elapsed_ms = elapsed.as_millis() as u64,
                "committed"
            );
        };
        match &self.line {
            Some(line) => line.suspend(log),
            None => log(),
        }
    }

    fn retrying(&self, to: u64, error: &StageError) {
        tracing::warn!(to, %error, "a bad block: doing the blocks before it again");
    }
}

/// A line on a terminal that changes as the work goes on; none when nobody looks.
pub(crate) fn live_line() -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template("{spinner} {msg}").expect("a template without errors"));
        bar
    })
}

/// `75` → `1m15s`.
pub(crate) fn human_seconds(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

/// `1536` → `1.5 KiB`.
pub(crate) fn human_bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let power = (bytes.max(1).ilog2() / 10).min(4) as usize;
    if power == 0 {
        return format!("{bytes} B");
    }
    format!("{:.1} {}", bytes as f64 / 1024f64.powi(power as i32), units[power])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(human_seconds(59), "59s");
        assert_eq!(human_seconds(75), "1m15s");
        assert_eq!(human_seconds(7260), "2h01m");
        assert_eq!(human_bytes(12), "12 B");
        assert_eq!(human_bytes(1536), "1.5 KiB");
        assert_eq!(human_bytes(3 << 30), "3.0 GiB");
    }
}
