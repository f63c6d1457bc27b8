//! What other programs do on this machine: figures of a busy one say less.

/// Processor time up to now, in ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProcessorTime {
    /// Of all processors, whoever used them or not.
    all: u64,
    /// Used by anybody.
    busy: u64,
    /// Used by this process.
    own: u64,
}

impl ProcessorTime {
    /// `None` where the system does not say.
    pub fn now() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        let times: Vec<u64> =
            stat.lines().next()?.split_whitespace().skip(1).map_while(|part| part.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are in user and nice already.
        let times = times.get(..8)?;
        let all: u64 = times.iter().sum();
        let own = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The program's name, in brackets, may hold anything.
        let own: Vec<&str> = own.rsplit_once(')')?.1.split_whitespace().collect();
        let own: u64 = own.get(11)?.parse::<u64>().ok()? + own.get(12)?.parse::<u64>().ok()?;
        Some(Self { all, busy: all - times[3] - times[4], own })
    }

    /// The part of all processors that other programs used since `earlier`.
    pub fn others_since(&self, earlier: &Self) -> f64 {
        let others =
            (self.busy - earlier.busy.min(self.busy)).saturating_sub(self.own.saturating_sub(earlier.own));
        others as f64 / (self.all.saturating_sub(earlier.all)).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_our_own_is_others() {
        let earlier = ProcessorTime { all: 1000, busy: 500, own: 100 };
        let now = ProcessorTime { all: 1200, busy: 650, own: 150 };
        assert!((now.others_since(&earlier) - 0.5).abs() < 1e-9);
        assert!(earlier.others_since(&earlier).abs() < 1e-9);
    }
}
