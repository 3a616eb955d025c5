//! Independent pieces of work, several at a time.

use anyhow::Result;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

/// Does `work` on every item with `workers` threads and hands each result to `done`, in the calling thread, as it is finished.
///
/// One worker is the calling thread itself. libtorch's OpenMP has a team of threads for each thread that asks it for parallel work, and
/// counts all of them: where they are more than cores, a team sleeps between two operations instead of waiting ready, and training takes
/// 1.3 to 1.5 times as long. So the thread that has read the data, which made a team, is the one that trains.
///
/// # Errors
/// The first one of `work` or `done`; items already begun are finished, the others are not begun.
pub fn side_by_side<T: Send, R: Send>(
    items: Vec<T>,
    workers: usize,
    work: impl Fn(&T) -> Result<R> + Sync,
    mut done: impl FnMut(usize, R) -> Result<()>,
) -> Result<()> {
    if workers <= 1 {
        return items.iter().enumerate().try_for_each(|(index, item)| done(index, work(item)?));
    }
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    // Each item is taken by one worker; a Mutex makes that possible for items that may be sent but not shared.
    let items: Vec<Mutex<T>> = items.into_iter().map(Mutex::new).collect();
    let (sender, receiver) = mpsc::channel();
    let mut first_error = None;
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, items.len().max(1)) {
            let (sender, items, next, stop, work) = (sender.clone(), &items, &next, &stop, &work);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    let result = work(&item.lock().unwrap_or_else(PoisonError::into_inner));
                    if sender.send((index, result)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (index, result) in receiver {
            if let Err(error) = result.and_then(|result| done(index, result)) {
                stop.store(true, Ordering::Relaxed);
                first_error.get_or_insert(error);
            }
        }
    });
    first_error.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_done_once_and_an_error_stops_the_rest() {
        let mut seen = vec![0; 20];
        side_by_side(
            (0..20).collect(),
            3,
            |item: &usize| Ok(item * 2),
            |index, result| {
                assert_eq!(result, index * 2);
                seen[index] += 1;
                Ok(())
            },
        )
        .expect("no item fails");
        assert_eq!(seen, [1; 20]);
        let begun = AtomicUsize::new(0);
        let fail = |item: &usize| {
            begun.fetch_add(1, Ordering::Relaxed);
            anyhow::ensure!(*item != 1, "item 1 is bad");
            std::thread::sleep(std::time::Duration::from_millis(5));
            Ok(())
        };
        let error = side_by_side((0..100).collect(), 2, fail, |_, ()| Ok(())).expect_err("item 1 fails");
        assert_eq!(error.to_string(), "item 1 is bad");
        assert!(begun.load(Ordering::Relaxed) < 100, "the rest is not begun");
    }

    #[test]
    fn one_worker_is_the_calling_thread() {
        let caller = std::thread::current().id();
        let mut seen = Vec::new();
        let work = |item: &usize| {
            assert_eq!(std::thread::current().id(), caller);
            anyhow::ensure!(*item < 3, "item {item} is bad");
            Ok(*item)
        };
        let error = side_by_side((0..9).collect(), 1, work, |index, item| {
            seen.push((index, item));
            Ok(())
        });
        assert_eq!(error.expect_err("item 3 fails").to_string(), "item 3 is bad");
        assert_eq!(seen, [(0, 0), (1, 1), (2, 2)]);
    }
}
