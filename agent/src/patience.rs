//! How long to wait before something is tried again: longer each time, and not all hosts at the same time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

/// The first wait.
const FIRST: Duration = Duration::from_millis(100);
/// The longest.
const LAST: Duration = Duration::from_secs(10);

/// How long to wait the next time.
#[derive(Clone, Debug)]
pub struct Patience {
    next: Duration,
    last: Duration,
    /// Differs from host to host.
    seed: u64,
}

impl Patience {
    /// Of somebody.
    #[must_use]
    pub fn new(who: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        who.hash(&mut hasher);
        Self { next: FIRST, last: LAST, seed: hasher.finish() }
    }

    /// The next time is the first one again.
    pub fn restore(&mut self) {
        self.next = FIRST;
    }

    /// How long it is this time: between half of it and all of it.
    pub fn take(&mut self) -> Duration {
        let whole = self.next;
        self.next = (whole * 2).min(self.last);
        // A step of an LCG (Knuth's MMIX): all that is wanted is that hosts differ.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let share = u32::try_from(self.seed >> 40).unwrap_or_default() % 1000;
        whole / 2 + whole / 2 * share / 1000
    }

    /// Waits.
    pub async fn wait(&mut self) {
        tokio::time::sleep(self.take()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_up_to_the_last_and_begins_again() {
        let mut patience = Patience::new("web1");
        let waits: Vec<Duration> = (0..12).map(|_| patience.take()).collect();
        assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST);
        assert!(waits[11] >= LAST / 2 && waits[11] <= LAST);
        patience.restore();
        assert!(patience.take() <= FIRST);
        assert_ne!(Patience::new("web2").take(), waits[0]);
    }
}
