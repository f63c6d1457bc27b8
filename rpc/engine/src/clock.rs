//! What time it is on a development network: the system's, moved by whoever tests what waits for time.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

/// See the module. Times are seconds since 1970.
#[derive(Debug, Default)]
pub(crate) struct Clock(Mutex<State>);

/// What was set.
#[derive(Debug, Default)]
struct State {
    /// Seconds that we are ahead of the system.
    ahead: i64,
    /// Of the next block.
    next: Option<u64>,
}

#[expect(clippy::disallowed_methods, reason = "new blocks are of now")]
pub(crate) fn system_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

impl Clock {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time.
    pub fn now(&self) -> u64 {
        system_now().saturating_add_signed(self.ahead())
    }

    /// Seconds that it is ahead of the system's time.
    pub fn ahead(&self) -> i64 {
        self.lock().ahead
    }

    /// Time of a block that is made now upon one of `parent`.
    pub fn next_after(&self, parent: u64) -> u64 {
        let state = self.lock();
        let now = system_now().saturating_add_signed(state.ahead);
        state.next.unwrap_or(now).max(parent.saturating_add(1))
    }

    /// Notes that a block of this time was made: it is not earlier than that any more. So a day later is a day after the head,
    /// however many blocks were made in a second.
    pub fn made(&self, timestamp: u64) {
        let mut state = self.lock();
        let ahead = difference(timestamp, system_now());
        if state.next.take_if(|next| *next <= timestamp).is_some() || ahead > state.ahead {
            state.ahead = ahead;
        }
    }

    /// Sets the time of the next block; the clock goes on from it.
    pub fn set_next(&self, timestamp: u64) {
        self.lock().next = Some(timestamp);
    }

    /// Moves on by some seconds; gives by how many it is ahead then.
    pub fn increase(&self, seconds: u64) -> i64 {
        let mut state = self.lock();
        state.ahead = state.ahead.saturating_add_unsigned(seconds);
        state.ahead
    }

    /// Goes back to having been so many seconds ahead.
    pub fn reset(&self, ahead: i64) {
        *self.lock() = State { ahead, next: None };
    }
}

fn difference(later: u64, earlier: u64) -> i64 {
    i64::try_from(i128::from(later) - i128::from(earlier)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_one_second_move_the_clock() {
        let clock = Clock::default();
        let mut head = system_now();
        for _ in 0..100 {
            let next = clock.next_after(head);
            assert!(next > head);
            clock.made(next);
            head = next;
        }
        assert!(clock.now() >= head, "a hundred blocks are a hundred seconds at least");
        clock.increase(86_400);
        assert!(clock.next_after(head) >= head + 86_400);
    }

    #[test]
    fn a_time_that_was_set_is_that_of_one_block_and_the_clock_goes_on_from_it() {
        let clock = Clock::default();
        let head = system_now();
        for set in [head + 1_000, head + 5_000] {
            clock.set_next(set);
            assert_eq!(clock.next_after(head), set);
            assert_eq!(clock.next_after(head), set, "looking does not use it up");
            clock.made(set);
            assert!((set + 1..set + 60).contains(&clock.next_after(set)));
        }
        // One that is before the clock's, but after the head.
        clock.set_next(head + 5_001);
        clock.made(head + 5_001);
        assert!(clock.now() < head + 5_061);
        clock.reset(0);
        assert!(clock.now() < head + 60);
    }

    #[test]
    fn absurd_times_do_no_harm() {
        let clock = Clock::default();
        clock.set_next(u64::MAX);
        assert_eq!(clock.next_after(0), u64::MAX);
        clock.made(u64::MAX);
        assert_eq!(clock.increase(u64::MAX), i64::MAX);
        assert_eq!(clock.next_after(u64::MAX), u64::MAX);
    }
}
