//! Independent pieces of work, several at a time.

use anyhow::Result;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Calls `work` on every item from `workers` threads, starting items in order; results are in the order of completion. With several
/// workers, each has one libtorch thread.
///
/// One worker is the calling thread itself. libtorch's OpenMP has a team of threads for each thread that asks it for parallel work, and
/// counts all of them: where they are more than cores, a team sleeps between two operations instead of waiting ready, and training takes
/// 1.3 to 1.5 times as long. So the thread that has read the data, which made a team, is one that trains.
///
/// # Errors
/// The first one of `work`; items already begun are finished, the others are not begun.
pub fn side_by_side<T: Send, R: Send>(items: Vec<T>, workers: usize, work: impl Fn(T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let (items, results) = (Mutex::new(items.into_iter()), Mutex::new(Vec::new()));
    let take = || lock(&items).next();
    let threads = tch::get_num_threads();
    let worker = || {
        tch::set_num_threads(if workers > 1 { 1 } else { threads });
        while let Some(item) = take() {
            let result = work(item);
            if result.is_err() {
                lock(&items).by_ref().for_each(drop);
            }
            lock(&results).push(result);
        }
    };
    std::thread::scope(|scope| {
        (1..workers).for_each(|_| drop(scope.spawn(worker)));
        worker();
    });
    tch::set_num_threads(threads);
    std::mem::take(&mut *lock(&results)).into_iter().collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn every_item_is_done_once_and_an_error_stops_the_rest() {
        let mut results = side_by_side((0..20).collect(), 3, |item: usize| Ok(item * 2)).expect("no item fails");
        results.sort();
        assert_eq!(results, (0..20).map(|item| item * 2).collect::<Vec<_>>());
        let begun = AtomicUsize::new(0);
        let fail = |item: usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            anyhow::ensure!(item != 1, "item 1 is bad");
            thread::sleep(Duration::from_millis(5));
            Ok(())
        };
        let error = side_by_side((0..100).collect(), 2, fail).expect_err("item 1 fails");
        assert_eq!(error.to_string(), "item 1 is bad");
        assert!(begun.load(Ordering::Relaxed) < 100, "the rest is not begun");
    }

    #[test]
    fn one_worker_is_the_calling_thread() {
        let seen = Mutex::new(Vec::new());
        let work = |item: usize| {
            lock(&seen).push((item, thread::current().id()));
            // So long that each of two workers takes some.
            thread::sleep(Duration::from_millis(2));
            anyhow::ensure!(item != 30, "item {item} is bad");
            Ok(item)
        };
        let caller = thread::current().id();
        for workers in [1, 2] {
            let error = side_by_side((0..40).collect(), workers, work).expect_err("item 30 fails");
            assert_eq!(error.to_string(), "item 30 is bad");
            let seen = std::mem::take(&mut *lock(&seen));
            let of_caller = seen.iter().filter(|(_, thread)| *thread == caller).count();
            assert!(if workers == 1 { of_caller == 31 } else { of_caller > 0 && of_caller < seen.len() }, "{of_caller} of {}", seen.len());
            assert!(workers > 1 || seen.iter().map(|(item, _)| *item).eq(0..=30), "in their order");
        }
    }
}
