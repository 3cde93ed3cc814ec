//! The clocks of a boot, which nobody sets.
//!
//! Which one counts what:
//!
//! | what | clock | since |
//! |---|---|---|
//! | how long something is held still, and its budget | `CLOCK_BOOTTIME` | whoever waits, waits through a suspend too |
//! | time limits of steps and commands, pauses, patience with others | `CLOCK_MONOTONIC` | a machine that is suspended does no work, and what it was doing is no slower for it |
//! | when something happened, expiry, schedules | the wall clock | people read it |
//!
//! A process in a time namespace sees both clocks shifted, and with them the start times in `/proc` (`time_namespaces(7)`).
//! What is written down for another process is therefore taken back to the machine's own.

use std::{fs, path::Path, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// A moment of this process, by a clock that goes on while the machine is suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since(Duration);

impl Since {
    /// Now.
    pub fn now() -> Self {
        Self(read(ClockId::Boottime))
    }

    /// How long ago it was.
    pub fn elapsed(self) -> Duration {
        read(ClockId::Boottime).saturating_sub(self.0)
    }

    /// The same in milliseconds.
    pub fn elapsed_ms(self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// Milliseconds of this boot without those asleep, the same for every process of the machine.
pub(super) fn awake_ms() -> u64 {
    let seen = i128::try_from(read(ClockId::Monotonic).as_nanos()).unwrap_or(i128::MAX);
    let own = seen.saturating_sub(Offsets::here(Path::new(PROC)).monotonic);
    u64::try_from(own / 1_000_000).unwrap_or_default()
}

/// By how many nanoseconds the clocks of this process are ahead of the machine's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Offsets {
    monotonic: i128,
    pub(super) boottime: i128,
}

impl Offsets {
    /// As a process table says; none where the kernel has no time namespaces.
    pub(super) fn here(proc: &Path) -> Self {
        fs::read_to_string(proc.join("self/timens_offsets"))
            .map(|text| Self::parse(&text))
            .unwrap_or_default()
    }

    /// A line for each clock: its name, seconds, nanoseconds.
    fn parse(text: &str) -> Self {
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_default();
            let mut numbers = line.split_ascii_whitespace().map_while(|number| number.parse::<i128>().ok());
            let (seconds, rest) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            seconds.saturating_mul(1_000_000_000).saturating_add(rest)
        };
        Self { monotonic: of("monotonic"), boottime: of("boottime") }
    }
}

const PROC: &str = "/proc";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_in_seconds_and_nanoseconds_and_may_be_negative() {
        let text = "monotonic       -10         0\nboottime     100000  500000000\n";
        let wanted = Offsets { monotonic: -10_000_000_000, boottime: 100_000_500_000_000 };
        assert_eq!(Offsets::parse(text), wanted);
        assert_eq!(Offsets::parse("nonsense"), Offsets::default());
        assert_eq!(Offsets::here(Path::new("/nonexistent")), Offsets::default());
    }

    #[test]
    fn time_passes() {
        let (since, awake) = (Since::now(), awake_ms());
        std::thread::sleep(Duration::from_millis(20));
        assert!(since.elapsed_ms() >= 20 && awake_ms() >= awake + 20);
    }
}
