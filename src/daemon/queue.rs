//! The order of jobs: users take turns, so that a flood from one does not starve another.
//!
//! The callers bound the queue: each connection has one job here at a time, and each user a limited number of
//! connections.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Jobs of several users.
#[derive(Debug)]
pub struct Queue<T> {
    turns: Mutex<Turns<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Turns<T> {
    jobs: BTreeMap<u32, VecDeque<T>>,
    /// The users with jobs, in the order of their turns.
    order: VecDeque<u32>,
    closed: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        let turns = Turns { jobs: BTreeMap::new(), order: VecDeque::new(), closed: false };
        Self { turns: Mutex::new(turns), changed: Condvar::new() }
    }
}

impl<T> Queue<T> {
    /// Queues a job of a user after this user's others.
    pub fn push(&self, user: u32, job: T) {
        let mut turns = self.lock();
        let own = turns.jobs.entry(user).or_default();
        own.push_back(job);
        if own.len() == 1 {
            turns.order.push_back(user);
        }
        self.changed.notify_all();
    }

    /// The job whose turn it is; waits for one. `None` once it is closed.
    pub fn pop(&self) -> Option<T> {
        let mut turns = self.lock();
        loop {
            if turns.closed {
                return None;
            }
            if let Some(job) = turns.pop_if(|_| true) {
                return Some(job);
            }
            turns = self.changed.wait(turns).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next job, if `wanted` takes it; waits for one until `deadline`.
    pub fn pop_until(&self, deadline: Instant, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let mut turns = self.lock();
        loop {
            if turns.closed {
                return None;
            }
            if !turns.order.is_empty() {
                return turns.pop_if(wanted);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            turns = self.changed.wait_timeout(turns, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Closes the queue: nobody gets a job any more. Gives the jobs that are left.
    pub fn close(&self) -> Vec<T> {
        let mut turns = self.lock();
        turns.closed = true;
        turns.order.clear();
        self.changed.notify_all();
        std::mem::take(&mut turns.jobs).into_values().flatten().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Turns<T>> {
        // No code under this lock panics half-way.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Turns<T> {
    fn pop_if(&mut self, wanted: impl Fn(&T) -> bool) -> Option<T> {
        let user = *self.order.front()?;
        let own = self.jobs.get_mut(&user)?;
        if !own.front().is_some_and(wanted) {
            return None;
        }
        let job = own.pop_front();
        self.order.pop_front();
        if own.is_empty() {
            self.jobs.remove(&user);
        } else {
            self.order.push_back(user);
        }
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_take_turns() {
        let queue = Queue::default();
        for number in 0..3 {
            queue.push(1, (1, number));
        }
        queue.push(2, (2, 0));
        queue.push(3, (3, 0));
        let order: Vec<(u32, i32)> = (0..5).filter_map(|_| queue.pop()).collect();
        assert_eq!(order, [(1, 0), (2, 0), (3, 0), (1, 1), (1, 2)]);
    }

    #[test]
    fn what_is_not_wanted_keeps_its_turn() {
        let queue = Queue::default();
        queue.push(1, 1);
        queue.push(2, 2);
        let soon = || Instant::now() + std::time::Duration::from_millis(1);
        assert_eq!(queue.pop_until(soon(), |job| *job == 2), None);
        assert_eq!(queue.pop(), Some(1));
        assert_eq!(queue.pop_until(soon(), |job| *job == 2), Some(2));
        assert_eq!(queue.pop_until(soon(), |_| true), None);
        queue.push(1, 3);
        assert_eq!(queue.close(), [3]);
        assert_eq!(queue.pop(), None);
    }
}
