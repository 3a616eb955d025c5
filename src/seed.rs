//! Random streams: one purpose, one stream.
//!
//! Every random choice is drawn by libtorch's generator, seeded anew from (seed, purpose, position). So a draw depends on nothing drawn
//! before it: not on the number of threads, not on what another trial draws at the same time, and epoch 7's order can be had without
//! epochs 1 to 6. Everything is drawn on the CPU, and so is the same for every device, but for dropped units: these are drawn where the
//! network is, since they are as many as its values.

use std::sync::Mutex;

/// The purpose of a random stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Which examples are for training and which for validation.
    Split = 1,
    /// Initial parameters.
    Initialization = 2,
    /// The order of the examples; position: the epoch.
    Shuffle = 3,
    /// Random changes of training images; position: the epoch.
    Augmentation = 4,
    /// Dropped units; position: 256 times the minibatch, plus the layer.
    Dropout = 5,
    /// Hyperparameters of a random search; position: the trial.
    Search = 6,
    /// The drawn stand-ins for data sets that are not there.
    Embedded = 7,
    /// Stretch, shear, shift and elastic displacements of training images; position: the epoch.
    Distortion = 8,
    /// Where cutout puts its squares; position: the epoch.
    Cutout = 9,
}

/// libtorch has one generator for all threads, so seeding it and drawing from it is one critical section.
static GENERATOR: Mutex<()> = Mutex::new(());

/// Runs `draw` with libtorch's generator set to the start of the stream (`seed`, `purpose`, `position`).
pub fn draw<T>(seed: u64, purpose: Purpose, position: u64, draw: impl FnOnce() -> T) -> T {
    let _guard = GENERATOR.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    tch::manual_seed(mix(mix(mix(seed) ^ purpose as u64) ^ position) as i64);
    draw()
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood 2014): neighbouring seeds become unrelated ones.
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    fn numbers(seed: u64, purpose: Purpose, position: u64) -> Vec<f32> {
        let drawn = draw(seed, purpose, position, || Tensor::rand([4], (Kind::Float, tch::Device::Cpu)));
        Vec::try_from(drawn).expect("four numbers")
    }

    #[test]
    fn a_stream_is_repeatable_and_its_own() {
        let first = numbers(1, Purpose::Shuffle, 3);
        assert_ne!(first, numbers(2, Purpose::Shuffle, 3));
        assert_ne!(first, numbers(1, Purpose::Dropout, 3));
        assert_ne!(first, numbers(1, Purpose::Shuffle, 4));
        assert_eq!(first, numbers(1, Purpose::Shuffle, 3), "whatever was drawn in between");
    }
}
