//! Limits how many services are acted on at a time.
//!
//! Each service waits for the bus, and the bus limits the answers that one connection may wait for (dbus-daemon(1),
//! `max_replies_per_connection`: 128 on the system bus).

use std::sync::{Condvar, Mutex, PoisonError};

/// As many permits as may be held at once.
pub(super) struct Semaphore {
    left: Mutex<usize>,
    given_back: Condvar,
}

/// One of them, until it is dropped.
pub(super) struct Exclusive<'t>(&'t Semaphore);

impl Semaphore {
    pub const fn new(number: usize) -> Self {
        Self { left: Mutex::new(number), given_back: Condvar::new() }
    }

    /// Waits for one.
    pub fn take(&self) -> Exclusive<'_> {
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let none_left = |left: &mut usize| *left == 0;
        *self.given_back.wait_while(left, none_left).unwrap_or_else(PoisonError::into_inner) -= 1;
        Exclusive(self)
    }
}

impl Drop for Exclusive<'_> {
    fn drop(&mut self) {
        *self.0.left.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_are_taken_than_there_are_and_a_broken_one_gives_its_own_back() {
        let (semaphore, now, most) = (Semaphore::new(3), AtomicUsize::new(0), AtomicUsize::new(0));
        let one = |number: usize| {
            let _turn = semaphore.take();
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::yield_now();
            now.fetch_sub(1, Ordering::SeqCst);
            assert!(!number.is_multiple_of(7), "it breaks down");
        };
        let one = &one;
        let broken = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..30).map(|number| scope.spawn(move || one(number))).collect();
            threads.into_iter().filter_map(|thread| thread.join().err()).count()
        });
        assert_eq!(broken, 5);
        assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
    }
}
