//! Pictures drawn here, for machines without the data sets and for tests.
//!
//! They are about as hard as what they stand in for, but no result on them is one on the real thing. Each function is a whole data set
//! from one seed: the same everywhere, and its first pictures are the same however many are asked for.

mod cats_dogs;
mod digits;

pub use cats_dogs::cats_dogs;
pub use digits::digits;

use super::Examples;
use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use tch::{Device, Kind, Tensor};

/// Draws `count` images chunk by chunk on all cores, for `part` 0, training, or 1, test.
///
/// Each chunk, of `[images, channels, height, width]`, has its own random stream: so the first images are the same however many are
/// asked for, and the memory for them is small (and stays in the processor's caches). `artist` is called once in each thread, for
/// tensors are not shared between threads; what it returns draws the chunk of a position: uint8 images of that size with their labels.
fn draw_in_chunks<Draw>(count: i64, part: u64, chunk: [i64; 4], artist: impl Fn() -> Draw + Sync) -> Examples
where
    Draw: Fn(u64) -> (Tensor, Tensor),
{
    let count = count.max(0);
    let [size, channels, height, width] = chunk;
    let images = Tensor::empty([count, channels, height, width], (Kind::Uint8, Device::Cpu));
    let labels = Tensor::empty([count], (Kind::Int64, Device::Cpu));
    // The chunks are views of the whole; each is filled by whichever thread takes it.
    let chunks = Mutex::new(images.split(size, 0).into_iter().zip(labels.split(size, 0)).enumerate());
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(8).min((count / size + 1) as usize);
    let _alone = OneThreadPerOperation::new();
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let draw = artist();
                let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some((chunk, (mut images, mut labels))) = next() {
                    // Training and test take turns in the stream's positions.
                    let (drawn, classes) = draw(2 * chunk as u64 + part);
                    images.copy_(&drawn.narrow(0, 0, images.size()[0]));
                    labels.copy_(&classes.narrow(0, 0, labels.size()[0]));
                }
            });
        }
    });
    Examples { images, labels }
}

/// While it lives, libtorch does each operation in one thread: the drawing is parallel over chunks, and a chunk's operations are so
/// short that sharing them out costs more than it gains, three times as much where other programs hold the cores.
struct OneThreadPerOperation {
    threads: i32,
    /// The number of threads is the whole process's: two changing it at once might each restore the other's 1.
    _one_at_a_time: MutexGuard<'static, ()>,
}

impl OneThreadPerOperation {
    fn new() -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = tch::get_num_threads();
        tch::set_num_threads(1);
        Self { threads, _one_at_a_time: guard }
    }
}

impl Drop for OneThreadPerOperation {
    fn drop(&mut self) {
        tch::set_num_threads(self.threads);
    }
}

/// Uniform numbers `[n, columns]`, a row for each image, handed out column by column.
struct Columns {
    numbers: Tensor,
    taken: i64,
}

impl Columns {
    /// `numbers`: from 0 to 1.
    fn new(numbers: Tensor) -> Self {
        Self { numbers, taken: 0 }
    }

    /// `[n, count]`, uniform from `low` to `high`.
    fn uniform(&mut self, count: i64, low: f64, high: f64) -> Tensor {
        let columns = self.numbers.narrow(1, self.taken, count);
        self.taken += count;
        columns * (high - low) + low
    }

    /// `[n, count]`, about normal with mean 0: the sum of four uniform numbers, so never further than 3.5 deviations.
    fn normal(&mut self, count: i64, deviation: f64) -> Tensor {
        let sum = self.uniform(4 * count, -0.5, 0.5).reshape([-1, count, 4]).sum_dim_intlist(2, false, Kind::Float);
        sum * (deviation * 3f64.sqrt())
    }

    /// `[n, 1]`, 1 with this probability and else 0.
    fn happens(&mut self, probability: f64) -> Tensor {
        self.uniform(1, 0.0, 1.0).lt(probability).to_kind(Kind::Float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn bytes(images: &Tensor) -> Vec<u8> {
        Vec::try_from(images.flatten(0, -1)).expect("bytes")
    }

    pub(super) fn classes(labels: &Tensor) -> Vec<i64> {
        Vec::try_from(labels).expect("labels")
    }

    #[test]
    fn libtorch_keeps_its_threads() {
        // What is restored when nobody draws, for another test may be drawing just now.
        let restored = || OneThreadPerOperation::new().threads;
        let before = restored();
        // Not 1, so that it shows where it is not restored.
        OneThreadPerOperation::new().threads = 3;
        digits(10, 10, 0);
        assert_eq!(restored(), 3);
        // Whoever begins meanwhile waits, so as not to take the 1 for the number to restore. (A thread remembers its own number; a new
        // one is given the process's.)
        let meanwhile = OneThreadPerOperation::new();
        let other = thread::spawn(move || OneThreadPerOperation::new().threads);
        thread::sleep(std::time::Duration::from_millis(50));
        drop(meanwhile);
        // Another test's drawing may have come in between, which restores the number from before.
        let taken = other.join().expect("no panic");
        assert!(taken == 3 || taken == before, "{taken} threads");
        OneThreadPerOperation::new().threads = before;
        let _alone = OneThreadPerOperation::new();
        assert_eq!(tch::get_num_threads(), 1);
    }
}
