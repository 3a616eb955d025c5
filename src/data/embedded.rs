//! Digits, cats and dogs drawn here, for machines without the data sets and for tests.
//!
//! A small network tells them apart about as well as what they stand in for, but no result on them is one on the real thing. Each
//! function is a whole data set from one seed: the same everywhere, and its first images are the same however many are asked for.

use super::Examples;
use crate::seed::{self, Purpose};
use std::f64::consts::TAU;
use std::sync::{Mutex, PoisonError};
use tch::{Device, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Images drawn at once, which is part of what a seed means.
const CHUNK: i64 = 25;

/// Draws `training` and `test` digits, uint8 `[n, 1, 28, 28]`, ink 255 on 0, with labels drawn at random; a negative count is taken as 0.
pub fn digits(training: i64, test: i64, seed: u64) -> (Examples, Examples) {
    let part = |count, part| in_chunks(count, [1, DIGIT_SIDE], |chunk| seed::draw(seed, Purpose::Embedded, 2 * chunk + part, draw_digits));
    (part(training, 0), part(test, 1))
}

/// Draws `training` and `test` heads of cats and dogs, uint8 `[n, 3, 64, 64]`, with labels drawn at random: 0 for a cat, 1 for a dog; a
/// negative count is taken as 0.
pub fn cats_dogs(training: i64, test: i64, seed: u64) -> (Examples, Examples) {
    // The positions before are the digits'.
    let first = 1 << 32;
    let part =
        |count, part| in_chunks(count, [3, HEAD_SIDE], |chunk| seed::draw(seed, Purpose::Embedded, first + 2 * chunk + part, draw_heads));
    (part(training, 0), part(test, 1))
}

/// `count` images, of which `draw` gives [`CHUNK`] at a time: the memory for drawing them is small, whatever the count.
fn in_chunks(count: i64, [channels, side]: [i64; 2], draw: impl Fn(u64) -> (Tensor, Tensor)) -> Examples {
    let count = count.max(0);
    let images = Tensor::empty([count, channels, side, side], (Kind::Uint8, Device::Cpu));
    let labels = Tensor::empty([count], (Kind::Int64, Device::Cpu));
    with_one_thread(|| {
        for (position, (mut images, mut labels)) in (0..).zip(images.split(CHUNK, 0).into_iter().zip(labels.split(CHUNK, 0))) {
            let (drawn, classes) = draw(position);
            images.copy_(&(drawn.clamp(0.0, 1.0) * 255.0).round().narrow(0, 0, images.size()[0]));
            labels.copy_(&classes.narrow(0, 0, labels.size()[0]));
        }
    });
    Examples { images, labels }
}

/// Runs `draw` with each of libtorch's operations in one thread: they are so short that sharing them out costs more than it gains, forty
/// times as much where other programs hold the cores.
fn with_one_thread(draw: impl FnOnce()) {
    // The number of threads is the whole process's: two changing it at once might each restore the other's 1.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let threads = tch::get_num_threads();
    tch::set_num_threads(1);
    draw();
    tch::set_num_threads(threads);
}

/// For each image so many numbers from `low` to `high`, `[n, size...]`.
fn uniform(size: &[i64], low: f64, high: f64) -> Tensor {
    Tensor::rand([&[CHUNK], size].concat(), FLOAT) * (high - low) + low
}

/// For each image so many normal numbers with mean 0, `[n, size...]`.
fn normal(size: &[i64], deviation: f64) -> Tensor {
    Tensor::randn([&[CHUNK], size].concat(), FLOAT) * deviation
}

/// For each image 1 with this probability and else 0, `[n, 1, 1]`.
fn happens(probability: f64) -> Tensor {
    uniform(&[1, 1], 0.0, 1.0).lt(probability).to_kind(Kind::Float)
}

/// Height and width of a digit's image, in pixels.
const DIGIT_SIDE: i64 = 28;

/// Points of the pen's path.
const POINTS: i64 = 40;

/// Each digit as it is written without lifting the pen: x and y of one corner of the path after the other, to the right and downwards, in
/// hundredths of the digit's height.
const PATHS: [&[u8]; 10] = [
    &[50, 0, 28, 8, 13, 30, 10, 55, 20, 85, 45, 100, 72, 90, 87, 60, 85, 30, 72, 8, 45, 2],
    &[25, 25, 40, 15, 55, 0, 54, 30, 54, 65, 55, 100],
    &[12, 25, 28, 5, 55, 0, 78, 15, 75, 40, 55, 65, 30, 85, 8, 100, 50, 97, 95, 98],
    &[14, 12, 42, 0, 74, 8, 76, 30, 60, 43, 36, 47, 65, 52, 85, 68, 80, 90, 54, 100, 10, 90],
    &[62, 0, 36, 34, 8, 66, 50, 66, 95, 65, 66, 66, 66, 30, 65, 0, 66, 50, 66, 100],
    &[85, 3, 55, 2, 25, 4, 20, 25, 16, 45, 45, 38, 74, 45, 84, 68, 74, 92, 45, 100, 10, 92],
    &[70, 0, 42, 16, 20, 45, 14, 75, 28, 96, 55, 98, 78, 82, 74, 60, 50, 52, 26, 62, 16, 80],
    &[8, 6, 46, 5, 88, 3, 75, 25, 62, 46, 52, 72, 44, 100],
    &[70, 10, 48, 0, 24, 10, 26, 32, 50, 46, 74, 60, 80, 82, 52, 100, 22, 86, 24, 64, 50, 46, 72, 30, 70, 10],
    &[78, 18, 58, 0, 30, 4, 18, 24, 30, 46, 58, 44, 78, 18, 76, 55, 72, 78, 66, 100],
];

/// Float `[n, 1, 28, 28]`, 0 to 1 and a little beyond, with their labels: the paths bent, slanted, scaled and shifted at random, and drawn
/// with pens of several widths.
fn draw_digits() -> (Tensor, Tensor) {
    let labels = Tensor::randint(10, [CHUNK], (Kind::Int64, Device::Cpu));
    let paths = PATHS.map(|corners| {
        let corners: Vec<f32> = corners.iter().map(|coordinate| f32::from(*coordinate) / 100.0 - 0.5).collect();
        Tensor::from_slice(&corners).view([1, -1, 2]).transpose(1, 2).upsample_linear1d(POINTS, true, None).transpose(1, 2)
    });
    let mut points = Tensor::cat(&paths, 0).index_select(0, &labels);
    for _ in 0..2 {
        let phases = points.bmm(&normal(&[2, 2], 0.55 * TAU)) + uniform(&[1, 2], 0.0, TAU);
        points += phases.sin() * normal(&[1, 2], 0.07);
    }
    // Breadth and height in pixels, and how much the digit is turned and slanted.
    let form =
        Tensor::from_slice2(&[[14.5_f32, 0.0], [-2.0, 18.5]]) + normal(&[2, 2], 1.0) * Tensor::from_slice2(&[[2.0_f32, 1.8], [3.5, 1.3]]);
    let points = points.bmm(&form);
    let middle = (points.amax([1], true) + points.amin([1], true)) * 0.5;
    let points = points - middle + normal(&[1, 2], 0.6) + (DIGIT_SIDE - 1) as f64 / 2.0;
    let ink = (ink(&points, &uniform(&[1, 1], 0.75, 1.35)) - 0.22) * uniform(&[1, 1], 1.6, 3.2);
    let ink = ink.clamp(0.0, 1.0) * (1.0 - spot());
    // The ink takes unevenly on the paper, and a little dirt is anywhere.
    let grain = uniform(&[DIGIT_SIDE, DIGIT_SIDE], 0.0, 1.0);
    let image: Tensor = ink * (1.0 - &grain * 0.25) + (grain - 0.97).clamp_min(0.0) * 8.0;
    (image.unsqueeze(1), labels)
}

/// The ink along `points` (`[n, points, 2]`), `[n, 28, 28]`, 1 in the middle of a straight stroke.
///
/// A Gaussian pen of `width` (`[n, 1, 1]`) s leaves at pixel (x, y) the sum over points p of w_p exp(-((x - x_p)^2 + (y - y_p)^2) / 2 s^2):
/// a batched product of a matrix for the rows and one for the columns.
fn ink(points: &Tensor, width: &Tensor) -> Tensor {
    let steps = points.diff(1, 1, None::<Tensor>, None::<Tensor>).square().sum_dim_intlist(2, true, Kind::Float).sqrt();
    // Each point stands for half of the way to either side.
    let way = (steps.constant_pad_nd([0, 0, 1, 0]) + steps.constant_pad_nd([0, 0, 0, 1])) * 0.5;
    (gaussian(points, 1, width) * way / (width * TAU.sqrt())).transpose(1, 2).bmm(&gaussian(points, 0, width))
}

/// exp(-(d / width)^2 / 2) for the distance d of each column or row from each of `points` (`[n, points, 2]`): `[n, points, 28]`.
fn gaussian(points: &Tensor, axis: i64, width: &Tensor) -> Tensor {
    let mut distance = (points.narrow(2, axis, 1) - Tensor::arange(DIGIT_SIDE, FLOAT)) / width;
    // Products of denormal numbers take ten times as long.
    (distance.square_() * -0.5).clamp_min_(-30.0).exp_()
}

/// The part of a digit that is rubbed out, `[n, 28, 28]`, 0 to 1: on some images a round spot.
fn spot() -> Tensor {
    let (center, radius) = (uniform(&[1, 2], 6.0, 21.0), uniform(&[1, 1], 1.0, 2.4));
    gaussian(&center, 1, &radius).transpose(1, 2) * gaussian(&center, 0, &radius) * happens(0.1)
}

/// Height and width of the image of a head, in pixels.
const HEAD_SIDE: i64 = 64;

/// An ellipse: x and y of its center and its two radii, where the head goes from about -1 to 1. What has a center aside is there twice, on
/// the left and on the right.
type Ellipse = [f32; 4];

enum Paint {
    /// Red, green and blue.
    Color([f32; 3]),
    /// The fur's color times this.
    Fur(f64),
}
use Paint::{Color, Fur};

/// The parts of a head, back to front, each with its form in a cat and in a dog: body, ears, head, muzzle, mouth, nose, eyes, pupils and
/// their glint.
const PARTS: [(Ellipse, Ellipse, Paint); 9] = [
    ([0.0, 1.75, 1.0, 1.1], [0.0, 1.75, 1.0, 1.1], Fur(0.7)),
    ([0.62, -0.75, 0.26, 0.52], [0.88, 0.05, 0.28, 0.66], Fur(0.6)),
    ([0.0, 0.0, 0.96, 0.84], [0.0, 0.0, 0.84, 0.94], Fur(1.0)),
    ([0.0, 0.4, 0.48, 0.3], [0.0, 0.5, 0.42, 0.48], Fur(1.2)),
    ([0.0, 0.5, 0.24, 0.05], [0.0, 0.7, 0.22, 0.1], Color([0.3, 0.1, 0.1])),
    ([0.0, 0.24, 0.13, 0.09], [0.0, 0.3, 0.22, 0.15], Color([0.1, 0.07, 0.07])),
    ([0.42, -0.14, 0.21, 0.16], [0.36, -0.16, 0.15, 0.15], Color([0.6, 0.65, 0.3])),
    ([0.42, -0.14, 0.06, 0.15], [0.36, -0.16, 0.1, 0.1], Color([0.05, 0.05, 0.05])),
    ([0.37, -0.2, 0.05, 0.05], [0.31, -0.2, 0.05, 0.05], Color([0.95, 0.95, 0.95])),
];

/// Float `[n, 3, 64, 64]`, 0 to 1 and a little beyond, with their labels.
///
/// Fur, background, place, size and light are drawn alike for both classes: only forms tell them apart, and no form is sure, for any part
/// may have the other class's, and something may lie over the head.
fn draw_heads() -> (Tensor, Tensor) {
    let labels = Tensor::randint(2, [CHUNK], (Kind::Int64, Device::Cpu));
    let along = (Tensor::arange(HEAD_SIDE, FLOAT) + 0.5) * (2.0 / HEAD_SIDE as f64) - 1.0;
    let whole = (along.view([1, 1, -1]), along.view([1, -1, 1]));
    let slope = &whole.0 * normal(&[1, 1], 0.4) + &whole.1 * normal(&[1, 1], 0.4) + 0.5;
    let mut image = color().lerp_tensor(&color(), &slope.clamp(0.0, 1.0).unsqueeze(1));
    let things = |image: Tensor, count: usize, probability: f64| {
        (0..count).fold(image, |image, _| {
            let form = Tensor::cat(&[uniform(&[2], -1.1, 1.1), uniform(&[2], 0.1, 0.5)], 1);
            image.lerp_tensor(&color(), &(cover(&whole, &form) * happens(probability)).unsqueeze(1))
        })
    };
    image = things(image, 4, 0.6);

    let size = uniform(&[1, 1], 0.42, 0.66);
    let (x, y) = ((&whole.0 - normal(&[1, 1], 0.17)) / &size, (&whole.1 - normal(&[1, 1], 0.17) - 0.08) / &size);
    let turn = normal(&[1, 1], 0.22);
    let (sine, cosine) = (turn.sin(), turn.cos());
    let head = ((&x * &cosine + &y * &sine).abs(), y * cosine - x * sine);
    let grain = normal(&[1, HEAD_SIDE, HEAD_SIDE], 0.05);
    let fur = color() + &grain;
    for (cat, dog, paint) in PARTS {
        let class = (&labels + happens(0.08).flatten(0, -1).to_kind(Kind::Int64)).remainder(2);
        let form = Tensor::from_slice2(&[cat, dog]).index_select(0, &class) + normal(&[4], 0.03);
        let paint = match paint {
            Color(color) => Tensor::from_slice(&color).view([1, 3, 1, 1]),
            Fur(light) => &fur * light,
        };
        image = image.lerp_tensor(&paint, &cover(&head, &form).unsqueeze(1));
    }
    image = things(image, 1, 0.5);
    let (contrast, light) = (uniform(&[1, 1, 1], 0.6, 1.15), normal(&[3, 1, 1], 0.08));
    ((image - 0.5) * contrast + light + 0.5 + normal(&[3, HEAD_SIDE, HEAD_SIDE], 0.03), labels)
}

/// Any color that is not too bright, `[n, 3, 1, 1]`.
fn color() -> Tensor {
    let color = uniform(&[3, 1, 1], 0.05, 0.95);
    color.lerp(&color.mean_dim(1, true, Kind::Float), 0.5)
}

/// Coverage of each pixel, at x and y (which broadcast to `[n, 64, 64]`), by an ellipse `form` (`[n, 4]`), 0 to 1, with a soft edge.
fn cover((x, y): &(Tensor, Tensor), form: &Tensor) -> Tensor {
    let number = |index| form.narrow(1, index, 1).unsqueeze(2);
    let radius = |index| number(index).clamp_min(0.02);
    let squared = ((x - number(0)) / radius(2)).square() + ((y - number(1)) / radius(3)).square();
    // The squared distance from the center is 1 on the edge and changes there by 2 with each radius.
    let steepness = radius(2).minimum(&radius(3)) * (HEAD_SIDE as f64 / 4.0);
    ((squared - 1.0) * -steepness + 0.5).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Draw = fn(i64, i64, u64) -> (Examples, Examples);
    const BOTH: [(Draw, [i64; 3]); 2] = [(digits, [1, 28, 28]), (cats_dogs, [3, 64, 64])];

    /// The bytes of the images from `first` on.
    fn bytes(examples: &Examples, first: i64, count: i64) -> Vec<u8> {
        Vec::try_from(examples.images.narrow(0, first, count).flatten(0, -1)).expect("bytes")
    }

    fn classes(examples: &Examples, count: i64) -> Vec<i64> {
        Vec::try_from(examples.labels.narrow(0, 0, count)).expect("labels")
    }

    #[test]
    fn a_seed_means_the_same_images_however_many() {
        for (draw, [channels, height, width]) in BOTH {
            let ((few, few_test), (many, many_test)) = (draw(10, 7, 3), draw(CHUNK + 10, CHUNK + 7, 3));
            assert_eq!(many.images.size(), [CHUNK + 10, channels, height, width]);
            assert_eq!((many.images.kind(), many.labels.kind(), many.len()), (Kind::Uint8, Kind::Int64, CHUNK + 10));
            assert_eq!(classes(&many, 10), classes(&few, 10));
            assert!(bytes(&many, 0, 10) == bytes(&few, 0, 10) && bytes(&many_test, 0, 7) == bytes(&few_test, 0, 7));
            let (again, _) = draw(CHUNK + 10, 0, 3);
            assert_eq!(classes(&again, CHUNK + 10), classes(&many, CHUNK + 10));
            assert!(bytes(&again, 0, CHUNK + 10) == bytes(&many, 0, CHUNK + 10));
        }
    }

    #[test]
    fn seeds_parts_and_chunks_differ() {
        for (draw, _) in BOTH {
            let ((training, test), (other, _)) = (draw(CHUNK + 10, 10, 3), draw(10, 0, 4));
            let first = bytes(&training, 0, 10);
            assert!(first != bytes(&other, 0, 10) && first != bytes(&test, 0, 10) && first != bytes(&training, CHUNK, 10));
        }
    }

    #[test]
    fn no_images_is_an_answer() {
        for (draw, [channels, height, width]) in BOTH {
            let (none, negative) = draw(0, -1, 0);
            assert!(none.is_empty() && negative.is_empty());
            assert_eq!(negative.images.size(), [0, channels, height, width]);
        }
    }

    #[test]
    fn libtorch_keeps_its_threads() {
        let before = tch::get_num_threads();
        tch::set_num_threads(3);
        digits(10, 10, 0);
        let after = tch::get_num_threads();
        tch::set_num_threads(before);
        assert_eq!(after, 3);
    }

    #[test]
    fn digits_fill_their_images_as_mnists_do() {
        let (examples, _) = digits(2000, 0, 0);
        let images = examples.images.to_kind(Kind::Float) / 255.0;
        // MNIST's mean is 0.1307.
        let mean = images.mean(Kind::Float).double_value(&[]);
        assert!((0.10..0.16).contains(&mean), "{mean}");
        let emptiest = images.flatten(1, -1).sum_dim_intlist(1, false, Kind::Float).min().double_value(&[]);
        assert!(emptiest > 10.0, "an image with {emptiest} pixels of ink");
        let classes = examples.labels.bincount::<Tensor>(None, 10);
        assert_eq!(classes.size(), [10]);
        let (rarest, commonest) = (classes.min().int64_value(&[]), classes.max().int64_value(&[]));
        assert!(rarest > 150 && commonest < 250 && rarest < commonest, "{rarest} to {commonest}");
    }

    #[test]
    fn digits_are_neither_trivial_nor_random() {
        let (training, test) = digits(4000, 1000, 0);
        let flat = |images: &Tensor| images.to_kind(Kind::Float).flatten(1, -1) / 255.0;
        let one_hot = training.labels.one_hot(10).to_kind(Kind::Float);
        let means = one_hot.tr().matmul(&flat(&training.images)) / one_hot.sum_dim_intlist(0, false, Kind::Float).unsqueeze(1);
        let nearest = Tensor::cdist(&flat(&test.images), &means, 2.0, None).argmin(1, false);
        let accuracy = nearest.eq_tensor(&test.labels).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
        // MNIST: 0.82.
        assert!((0.6..0.9).contains(&accuracy), "nearest class mean: {accuracy}");
    }

    #[test]
    fn an_ellipse_covers_its_area() {
        let along = (Tensor::arange(HEAD_SIDE, FLOAT) + 0.5) * (2.0 / HEAD_SIDE as f64) - 1.0;
        let (x, y) = (along.view([1, 1, -1]), along.view([1, -1, 1]));
        for (x, [center, radius]) in [(x.shallow_clone(), [0.1, 0.6]), (x.abs(), [0.5, 0.3])] {
            let sides = if center > 0.3 { 2.0 } else { 1.0 };
            let covered = cover(&(x, y.shallow_clone()), &Tensor::from_slice(&[center, -0.2, radius, 0.3_f32]).view([1, 4]));
            let area = covered.sum(Kind::Float).double_value(&[]) / (HEAD_SIDE * HEAD_SIDE) as f64 * 4.0;
            let expected = sides * std::f64::consts::PI * f64::from(radius) * 0.3;
            assert!((area - expected).abs() < 0.02 * expected, "{area} instead of {expected}");
        }
    }

    #[test]
    fn forms_tell_cats_from_dogs_and_colors_do_not() {
        let (training, test) = cats_dogs(1200, 400, 0);
        let dogs = training.labels.sum(Kind::Int64).int64_value(&[]);
        assert!((540..=660).contains(&dogs), "{dogs} dogs in 1200 pictures");

        let color = |class: i64| {
            let images = training.select(&training.labels.eq(class).nonzero().flatten(0, -1)).images;
            images.to_kind(Kind::Float).mean_dim([0i64, 2, 3].as_slice(), false, Kind::Float)
        };
        let difference = (color(0) - color(1)).abs().max().double_value(&[]);
        assert!(difference < 8.0, "the classes' mean colors differ by {difference} of 255");

        // Ridge regression on 16 x 16 pixels finds a little of it: the rest takes more than a linear model.
        let pixels = |examples: &Examples| {
            let images = examples.images.to_kind(Kind::Float) / 127.5 - 1.0;
            images.avg_pool2d([4, 4], [4, 4], [0, 0], false, true, None).flatten(1, -1).constant_pad_nd([0, 1]) + 0.01
        };
        let (inputs, targets) = (pixels(&training), training.labels.to_kind(Kind::Float).unsqueeze(1) * 2.0 - 1.0);
        let normal = inputs.tr().matmul(&inputs) + Tensor::eye(inputs.size()[1], FLOAT) * 1000.0;
        let weights = Tensor::linalg_solve(&normal, &inputs.tr().matmul(&targets), true);
        let predicted = pixels(&test).matmul(&weights).gt(0.0).flatten(0, -1).to_kind(Kind::Int64);
        let accuracy = predicted.eq_tensor(&test.labels).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
        assert!((0.55..0.8).contains(&accuracy), "a linear model: {accuracy}");
    }
}
