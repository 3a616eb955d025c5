//! Digits drawn here, for machines without MNIST and for tests: strokes of a pen, bent and slanted at random, as 28 x 28 images.
//!
//! They look like handwriting and are about as hard as MNIST for a small network, but they are not MNIST, and no result on them is.
//!
//! A stroke is a row of points; the ink that a Gaussian pen of width s leaves at pixel (x, y) is
//! sum over points p of w_p exp(-((x - x_p)^2 + (y - y_p)^2) / 2 s^2), which is a product of a column and a row factor for each point, so
//! a whole batch of images is one batched matrix product `[n, 28, points] x [n, points, 28]`.

use super::{Columns, draw_in_chunks};
use crate::data::Examples;
use crate::seed::{self, Purpose};
use tch::{Device, Kind, Tensor};

/// Height and width of the images, in pixels.
const SIDE: i64 = 28;
/// Points of the pen's path for each digit, and for the stray stroke that some images have besides.
const POINTS: usize = 64;
const STRAY_POINTS: i64 = 8;
/// Images drawn at once, which is part of what a seed means.
const CHUNK: i64 = 250;

/// A way to write a digit: strokes as corners of a smooth curve, x to the right and y downwards, in a box of height 1.
type Glyph = &'static [&'static [(f32, f32)]];

/// The ways to write each digit, with how often each is chosen.
#[rustfmt::skip]
const GLYPHS: [&[(f32, Glyph)]; 10] = [
    &[
        (0.6, &[&[(0.5, 0.0), (0.22, 0.14), (0.1, 0.5), (0.22, 0.87), (0.5, 1.0), (0.78, 0.86), (0.9, 0.5), (0.78, 0.13), (0.5, 0.0)]]),
        (0.4, &[
            &[(0.66, 0.05), (0.32, 0.08), (0.12, 0.5), (0.28, 0.92), (0.56, 0.98), (0.82, 0.72), (0.84, 0.3), (0.62, 0.04), (0.4, 0.1)],
        ]),
    ],
    &[
        (0.7, &[&[(0.5, 0.0), (0.5, 0.35), (0.5, 0.7), (0.5, 1.0)]]),
        (0.22, &[&[(0.28, 0.22), (0.42, 0.12), (0.55, 0.0)], &[(0.55, 0.0), (0.54, 0.5), (0.55, 1.0)]]),
        (0.08, &[&[(0.3, 0.2), (0.54, 0.0)], &[(0.54, 0.0), (0.54, 0.5), (0.54, 1.0)], &[(0.25, 1.0), (0.54, 0.98), (0.85, 1.0)]]),
    ],
    &[
        (0.45, &[
            &[(0.12, 0.25), (0.28, 0.05), (0.58, 0.0), (0.8, 0.2), (0.7, 0.5), (0.4, 0.78), (0.08, 1.0)],
            &[(0.08, 1.0), (0.5, 0.97), (0.95, 0.98)],
        ]),
        (0.55, &[
            &[
                (0.15, 0.22), (0.32, 0.03), (0.62, 0.02), (0.78, 0.22), (0.66, 0.55), (0.38, 0.88), (0.16, 0.97), (0.08, 0.86),
                (0.24, 0.76), (0.5, 0.87), (0.72, 0.98), (0.98, 0.9),
            ],
        ]),
    ],
    &[
        (0.6, &[
            &[(0.14, 0.12), (0.42, 0.0), (0.76, 0.1), (0.74, 0.34), (0.36, 0.47)],
            &[(0.36, 0.47), (0.78, 0.56), (0.86, 0.8), (0.54, 1.0), (0.1, 0.9)],
        ]),
        (0.15, &[
            &[(0.12, 0.03), (0.45, 0.02), (0.82, 0.02)],
            &[(0.82, 0.02), (0.6, 0.2), (0.42, 0.42)],
            &[(0.42, 0.42), (0.78, 0.5), (0.86, 0.78), (0.5, 1.0), (0.1, 0.88)],
        ]),
        (0.25, &[
            &[
                (0.16, 0.1), (0.5, 0.0), (0.76, 0.16), (0.66, 0.4), (0.42, 0.5), (0.36, 0.44), (0.48, 0.43), (0.8, 0.6), (0.82, 0.84),
                (0.5, 1.0), (0.12, 0.88),
            ],
        ]),
    ],
    &[
        (0.5, &[
            &[(0.2, 0.0), (0.15, 0.3), (0.14, 0.54)],
            &[(0.14, 0.54), (0.5, 0.55), (0.9, 0.5)],
            &[(0.76, 0.02), (0.72, 0.5), (0.66, 1.0)],
        ]),
        (0.25, &[
            &[(0.65, 0.0), (0.36, 0.34), (0.08, 0.66)],
            &[(0.08, 0.66), (0.5, 0.66), (0.95, 0.65)],
            &[(0.65, 0.0), (0.66, 0.5), (0.65, 1.0)],
        ]),
        (0.25, &[&[(0.16, 0.05), (0.12, 0.38), (0.34, 0.54), (0.76, 0.4)], &[(0.8, 0.0), (0.76, 0.5), (0.72, 1.0)]]),
    ],
    &[
        (0.65, &[
            &[(0.85, 0.03), (0.55, 0.02), (0.25, 0.04)],
            &[(0.25, 0.04), (0.22, 0.25), (0.16, 0.45)],
            &[(0.16, 0.45), (0.48, 0.36), (0.82, 0.54), (0.8, 0.84), (0.5, 1.0), (0.1, 0.92)],
        ]),
        (0.35, &[&[(0.88, 0.0), (0.52, 0.03), (0.26, 0.2), (0.34, 0.42), (0.68, 0.55), (0.78, 0.8), (0.5, 1.0), (0.12, 0.92)]]),
    ],
    &[
        (0.6, &[
            &[(0.7, 0.0), (0.36, 0.24), (0.14, 0.64), (0.28, 0.96), (0.62, 0.97), (0.8, 0.74), (0.58, 0.52), (0.26, 0.64), (0.16, 0.8)],
        ]),
        (0.4, &[&[(0.4, 0.0), (0.22, 0.4), (0.16, 0.78), (0.4, 1.0), (0.72, 0.9), (0.74, 0.66), (0.5, 0.56), (0.22, 0.74)]]),
    ],
    &[
        (0.5, &[&[(0.08, 0.06), (0.46, 0.05), (0.88, 0.03)], &[(0.88, 0.03), (0.62, 0.46), (0.44, 1.0)]]),
        (0.2, &[
            &[(0.1, 0.05), (0.5, 0.05), (0.88, 0.03)],
            &[(0.88, 0.03), (0.62, 0.46), (0.46, 1.0)],
            &[(0.3, 0.52), (0.55, 0.5), (0.82, 0.48)],
        ]),
        (0.3, &[&[(0.1, 0.26), (0.1, 0.1), (0.38, 0.06), (0.7, 0.1), (0.86, 0.04)], &[(0.86, 0.04), (0.68, 0.42), (0.6, 1.0)]]),
    ],
    &[
        (0.7, &[
            &[
                (0.76, 0.14), (0.48, 0.0), (0.2, 0.16), (0.36, 0.4), (0.66, 0.58), (0.8, 0.8), (0.5, 1.0), (0.2, 0.82), (0.36, 0.58),
                (0.66, 0.4), (0.8, 0.18), (0.66, 0.03),
            ],
        ]),
        (0.3, &[
            &[(0.5, 0.46), (0.24, 0.24), (0.5, 0.0), (0.76, 0.22), (0.5, 0.46)],
            &[(0.5, 0.46), (0.18, 0.74), (0.5, 1.0), (0.82, 0.74), (0.5, 0.46)],
        ]),
    ],
    &[
        (0.4, &[
            &[(0.78, 0.16), (0.5, 0.0), (0.2, 0.2), (0.3, 0.46), (0.62, 0.42), (0.78, 0.16)],
            &[(0.78, 0.14), (0.76, 0.55), (0.68, 1.0)],
        ]),
        (0.35, &[
            &[(0.78, 0.16), (0.48, 0.0), (0.18, 0.22), (0.32, 0.48), (0.64, 0.42), (0.78, 0.16)],
            &[(0.78, 0.16), (0.68, 0.5), (0.44, 1.0)],
        ]),
        (0.25, &[
            &[(0.78, 0.18), (0.5, 0.0), (0.2, 0.2), (0.34, 0.46), (0.66, 0.4), (0.78, 0.18), (0.8, 0.56), (0.62, 0.94), (0.22, 0.94)],
        ]),
    ],
];

/// Every way to write every digit, as tensors.
struct Pen {
    /// float, `[glyphs, POINTS, 2]`: points at equal distances along the strokes, x and y from -0.5 to 0.5.
    points: Tensor,
    /// float, `[glyphs, POINTS - 1]`: 1 between two points of one stroke, 0 where the pen is lifted.
    is_down: Tensor,
    /// float, `[10, most glyphs of a digit]`: the share of the choices up to this glyph.
    choice: Tensor,
    /// int64, `[10]`: the row of each digit's first glyph.
    first: Tensor,
}

impl Pen {
    fn new() -> Self {
        let most = GLYPHS.iter().map(|ways| ways.len()).max().unwrap_or(0);
        let (mut points, mut is_down, mut choice, mut first, mut glyphs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0);
        for ways in GLYPHS {
            first.push(glyphs);
            glyphs += ways.len() as i64;
            let mut sum = 0.0;
            for position in 0..most {
                sum += ways.get(position).map_or(0.0, |(share, _)| *share);
                choice.push(sum);
            }
            for (_, glyph) in ways {
                let (path, down) = trace(glyph);
                points.extend(path.iter().flat_map(|&(x, y)| [x - 0.5, y - 0.5]));
                is_down.extend(down);
            }
        }
        Self {
            points: Tensor::from_slice(&points).reshape([glyphs, POINTS as i64, 2]),
            is_down: Tensor::from_slice(&is_down).reshape([glyphs, POINTS as i64 - 1]),
            choice: Tensor::from_slice(&choice).reshape([10, most as i64]),
            first: Tensor::from_slice(&first),
        }
    }

    /// The rows of the glyphs, int64 `[n]`, for digits int64 `[n]` and numbers from 0 to 1 that choose among each digit's, `[n, 1]`.
    fn glyph(&self, digits: &Tensor, numbers: &Tensor) -> Tensor {
        let way = numbers.ge_tensor(&self.choice.index_select(0, digits)).sum_dim_intlist(1, false, Kind::Int64);
        self.first.index_select(0, digits) + way
    }
}

/// [`POINTS`] points along the strokes, each stroke with as many as its share of the length, and whether the pen is down between
/// each two of them.
fn trace(strokes: &[&[(f32, f32)]]) -> (Vec<(f32, f32)>, Vec<f32>) {
    let curves: Vec<Vec<(f32, f32)>> = strokes.iter().map(|stroke| smooth(stroke)).collect();
    let lengths: Vec<f32> = curves.iter().map(|curve| curve.windows(2).map(|pair| distance(pair[0], pair[1])).sum()).collect();
    let total: f32 = lengths.iter().sum();
    let (mut points, mut is_down) = (Vec::with_capacity(POINTS), Vec::with_capacity(POINTS));
    let mut before = 0.0;
    for (curve, length) in curves.iter().zip(lengths) {
        // Rounding the sums, not the shares, makes the counts add up.
        before += length;
        let count = ((before / total * POINTS as f32).round() as usize).saturating_sub(points.len()).max(2);
        for position in 0..count {
            points.push(along(curve, length * position as f32 / (count - 1) as f32));
            is_down.push(if position + 1 < count { 1.0 } else { 0.0 });
        }
    }
    is_down.pop();
    (points, is_down)
}

/// A Catmull-Rom curve through the corners.
fn smooth(corners: &[(f32, f32)]) -> Vec<(f32, f32)> {
    const STEPS: usize = 16;
    let corner = |index: usize| corners[index.saturating_sub(1).min(corners.len() - 1)];
    let mut curve = vec![corners[0]];
    for segment in 0..corners.len() - 1 {
        let [a, b, c, d] = [segment, segment + 1, segment + 2, segment + 3].map(corner);
        for step in 1..=STEPS {
            let t = step as f32 / STEPS as f32;
            let at = |a: f32, b: f32, c: f32, d: f32| {
                b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
            };
            curve.push((at(a.0, b.0, c.0, d.0), at(a.1, b.1, c.1, d.1)));
        }
    }
    curve
}

fn distance(a: (f32, f32), b: (f32, f32)) -> f32 {
    (a.0 - b.0).hypot(a.1 - b.1)
}

/// The point of `curve` at `length` from its start.
fn along(curve: &[(f32, f32)], mut length: f32) -> (f32, f32) {
    for pair in curve.windows(2) {
        let step = distance(pair[0], pair[1]);
        if length <= step && step > 0.0 {
            let t = length / step;
            return (pair[0].0 + t * (pair[1].0 - pair[0].0), pair[0].1 + t * (pair[1].1 - pair[0].1));
        }
        length -= step;
    }
    curve[curve.len() - 1]
}

/// Draws `training` and `test` digits, uint8 `[n, 1, 28, 28]`, ink 255 on 0, with labels drawn at random.
///
/// The same `seed` gives the same images, and the first ones are the same whatever the counts. A negative count is taken as 0.
pub fn digits(training: i64, test: i64, seed: u64) -> (Examples, Examples) {
    (examples(training, seed, 0), examples(test, seed, 1))
}

fn examples(count: i64, seed: u64, part: u64) -> Examples {
    draw_in_chunks(count, part, [CHUNK, 1, SIDE, SIDE], || {
        let pen = Pen::new();
        move |position| draw_chunk(&pen, seed, position)
    })
}

fn draw_chunk(pen: &Pen, seed: u64, position: u64) -> (Tensor, Tensor) {
    let options = (Kind::Float, Device::Cpu);
    let (labels, numbers, grain) = seed::draw(seed, Purpose::Embedded, position, || {
        let labels = Tensor::randint(10, [CHUNK], (Kind::Int64, Device::Cpu));
        (labels, Tensor::rand([CHUNK, 128], options), Tensor::rand([CHUNK, SIDE, SIDE], options))
    });
    let mut random = Columns::new(numbers);

    let glyph = pen.glyph(&labels, &random.uniform(1, 0.0, 0.999));
    let (points, is_down) = (pen.points.index_select(0, &glyph), pen.is_down.index_select(0, &glyph));
    let points = bend(&points, &mut random);
    let points = place(&points, &mut random);

    let width = random.uniform(1, 0.75, 1.35).unsqueeze(2);
    let ink = ink_of(&points, &is_down, &width) + stray(&width, &mut random);
    let ink = (ink - 0.22) * random.uniform(1, 1.6, 3.2).unsqueeze(2);
    let ink = ink.clamp(0.0, 1.0) * (1.0 - rubbed_out(&mut random));
    // The ink takes unevenly on the paper, and a little dirt is anywhere.
    let ink: Tensor = ink * (1.0 - &grain * 0.25) + (&grain - 0.97f64).clamp_min(0.0) * 8.0;
    ((ink.clamp(0.0, 1.0) * 255.0).round().to_kind(Kind::Uint8).unsqueeze(1), labels)
}

/// Moves points by waves across the paper and by waves along the stroke, so that no two digits have quite the same form.
fn bend(points: &Tensor, random: &mut Columns) -> Tensor {
    const TURN: f64 = std::f64::consts::TAU;
    let mut shift = points.zeros_like();
    for _ in 0..2 {
        // [n, points, 2] x [n, 2, 2]: for each direction of movement a wave with its own direction and length.
        let waves = random.normal(4, 0.55 * TURN).reshape([CHUNK, 2, 2]);
        let start = random.uniform(2, 0.0, TURN).unsqueeze(1);
        let height = random.normal(2, 0.06).unsqueeze(1);
        shift += (points.bmm(&waves) + start).sin() * height;
    }
    let along = Tensor::arange(POINTS as i64, (Kind::Float, Device::Cpu)).reshape([1, -1, 1]) / POINTS as f64;
    let waves = random.uniform(2, 0.5, 3.0).unsqueeze(1) * TURN;
    let start = random.uniform(2, 0.0, TURN).unsqueeze(1);
    points + shift + (along * waves + start).sin() * random.normal(2, 0.03).unsqueeze(1)
}

/// Sizes, slants, turns and shifts digits, into pixels.
fn place(points: &Tensor, random: &mut Columns) -> Tensor {
    let height = random.normal(1, 1.3).clamp(-4.0, 3.0) + 18.5;
    let breadth = &height * random.uniform(1, 0.6, 1.0);
    let slant = random.normal(1, 0.16) + 0.12;
    let turn = random.normal(1, 0.1);
    let (x, y) = (points.select(2, 0), points.select(2, 1));
    let (x, y) = (x * breadth - &y * &height * slant, y * height);
    let (sine, cosine) = (turn.sin(), turn.cos());
    let (x, y) = (&x * &cosine - &y * &sine, x * sine + y * cosine);
    // Around its own middle, as MNIST's are.
    let middle = |values: &Tensor| (values.amax([1], true) + values.amin([1], true)) * 0.5;
    let centre = (SIDE - 1) as f64 / 2.0;
    let x = &x - middle(&x) + random.normal(1, 0.6) + centre;
    let y = &y - middle(&y) + random.normal(1, 0.6) + centre;
    Tensor::stack(&[x, y], 2)
}

/// The ink of a pen of `width` (`[n, 1, 1]`) along `points` (`[n, points, 2]`), which is 1 in the middle of a straight stroke:
/// `[n, 28, 28]`.
fn ink_of(points: &Tensor, is_down: &Tensor, width: &Tensor) -> Tensor {
    let count = points.size()[1];
    let step = points.narrow(1, 1, count - 1) - points.narrow(1, 0, count - 1);
    let length = step.square().sum_dim_intlist(2, false, Kind::Float).sqrt() * is_down;
    // Each point stands for half of the way to either side.
    let weight = (length.constant_pad_nd([1, 0]) + length.constant_pad_nd([0, 1])) * 0.5;
    let weight = weight.unsqueeze(2) / (width * std::f64::consts::TAU.sqrt());
    // exp(-(difference / width)^2 / 2), in place for speed.
    let scale = 0.5f64.sqrt() / width;
    let (points, pixel) = (points * &scale, Tensor::arange(SIDE, (Kind::Float, Device::Cpu)) * &scale);
    let factor = |axis: i64| {
        let mut factor = points.narrow(2, axis, 1) - &pixel;
        // Far from the point the factor stays a normal number: products of denormal ones take ten times as long.
        factor.square_().neg_().clamp_min_(-30.0).exp_()
    };
    (factor(1) * weight).transpose(1, 2).bmm(&factor(0))
}

/// A short straight stroke on some of the images: what slipped from the pen or belongs to the digit next to this one.
fn stray(width: &Tensor, random: &mut Columns) -> Tensor {
    let start = random.uniform(2, 0.0, (SIDE - 1) as f64).unsqueeze(1);
    let way = random.normal(2, 3.5).unsqueeze(1);
    let along = Tensor::linspace(0.0, 1.0, STRAY_POINTS, (Kind::Float, Device::Cpu)).reshape([1, -1, 1]);
    let is_there = random.happens(0.08);
    ink_of(&(start + along * way), &is_there.expand([CHUNK, STRAY_POINTS - 1], false), width)
}

/// How much is rubbed out, 0 to 1, `[n, 28, 28]`: a round spot on some of the images.
fn rubbed_out(random: &mut Columns) -> Tensor {
    let place = random.uniform(2, 6.0, (SIDE - 7) as f64);
    let radius = random.uniform(1, 1.0, 2.4);
    let pixel = Tensor::arange(SIDE, (Kind::Float, Device::Cpu));
    let factor = |axis: i64| (((place.narrow(1, axis, 1) - &pixel) / &radius).square() * -0.5).exp();
    let is_there = random.happens(0.1);
    (factor(1) * is_there).unsqueeze(2) * factor(0).unsqueeze(1)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, classes};
    use super::*;

    #[test]
    fn a_seed_means_the_same_digits_however_many() {
        let (few, few_test) = digits(10, 7, 3);
        let (many, many_test) = digits(CHUNK + 10, CHUNK + 7, 3);
        assert_eq!(many.images.size(), [CHUNK + 10, 1, SIDE, SIDE]);
        assert_eq!(many.images.kind(), Kind::Uint8);
        assert_eq!(classes(&many.labels)[..10], classes(&few.labels));
        assert_eq!(bytes(&many.images)[..7840], bytes(&few.images));
        assert_eq!(bytes(&many_test.images)[..7 * 784], bytes(&few_test.images));
        let (again, _) = digits(CHUNK + 10, 0, 3);
        assert_eq!(bytes(&again.images), bytes(&many.images));
        assert_eq!(classes(&again.labels), classes(&many.labels));
    }

    #[test]
    fn seeds_parts_and_chunks_differ() {
        let (training, test) = digits(CHUNK + 10, 10, 3);
        let (other, _) = digits(10, 0, 4);
        let training = bytes(&training.images);
        assert_ne!(training[..7840], bytes(&other.images));
        assert_ne!(training[..7840], bytes(&test.images));
        assert_ne!(training[..7840], training[CHUNK as usize * 784..]);
    }

    #[test]
    fn no_digits_is_an_answer() {
        let (none, negative) = digits(0, -1, 0);
        assert!(none.is_empty() && negative.is_empty());
        assert_eq!(none.images.size(), [0, 1, SIDE, SIDE]);
    }

    #[test]
    fn glyphs_are_chosen_by_their_shares() {
        let pen = Pen::new();
        let numbers = [0.0, 0.69, 0.71, 0.91, 0.93, 0.999f32];
        let chosen = pen.glyph(&Tensor::from_slice(&[1i64; 6]), &Tensor::from_slice(&numbers).unsqueeze(1));
        // After the two zeros.
        assert_eq!(Vec::<i64>::try_from(chosen).expect("rows"), [2, 2, 3, 3, 4, 4]);
        let last = pen.glyph(&Tensor::arange(10, (Kind::Int64, Device::Cpu)), &Tensor::from_slice(&[0.999f32; 10]).unsqueeze(1));
        let next = pen.first.narrow(0, 1, 9);
        assert_eq!(last.narrow(0, 0, 9) + 1, next);
        assert_eq!(last.int64_value(&[9]) + 1, pen.points.size()[0]);
    }

    #[test]
    fn every_glyph_is_drawn_whole() {
        let pen = Pen::new();
        let last = pen.choice.select(1, -1);
        assert!(last.allclose(&last.ones_like(), 0.0, 1e-5, false), "the shares of a digit's glyphs add up to 1");
        for (digit, ways) in GLYPHS.iter().enumerate() {
            for (_, glyph) in *ways {
                let (points, is_down) = trace(glyph);
                assert_eq!((points.len(), is_down.len()), (POINTS, POINTS - 1), "{digit}");
                assert_eq!(is_down.iter().filter(|&&down| down == 0.0).count(), glyph.len() - 1, "{digit}: pen lifts");
                let corners = glyph.iter().copied().flatten();
                for corner in corners {
                    let nearest = points.iter().map(|&point| distance(point, *corner)).fold(f32::MAX, f32::min);
                    assert!(nearest < 0.05, "{digit}: {corner:?} is {nearest} from the path");
                }
            }
        }
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
}
