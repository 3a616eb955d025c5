//! Heads of cats and dogs drawn here, for machines without the photographs and for tests.
//!
//! A head is painted from soft ellipses and polygons, back to front, each in its whole batch at once. Fur, background, place, size and
//! light are drawn alike for both classes, so only the forms tell them apart: the ears, the muzzle, the nose, the pupils, the whiskers.
//! No form is sure: some dogs prick up their ears, some cats fold theirs, and often something covers a part of the head.

use super::{Columns, draw_in_chunks};
use crate::data::Examples;
use crate::seed::{self, Purpose};
use tch::{Device, Kind, Tensor};

/// Height and width of the pictures, in pixels.
const SIDE: i64 = 64;
/// Pictures drawn at once, which is part of what a seed means.
const CHUNK: i64 = 20;
/// Random streams from here on are this drawing's, those before it the digits'.
const FIRST_POSITION: u64 = 1 << 32;
const OPTIONS: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Red, green and blue of the fur.
const FURS: [[f32; 3]; 9] = [
    [0.15, 0.14, 0.14],
    [0.33, 0.32, 0.33],
    [0.55, 0.54, 0.54],
    [0.93, 0.91, 0.88],
    [0.88, 0.78, 0.60],
    [0.80, 0.50, 0.25],
    [0.46, 0.30, 0.19],
    [0.29, 0.19, 0.14],
    [0.68, 0.53, 0.37],
];
const WHITE: [f32; 3] = [0.95, 0.94, 0.92];
const BLACK: [f32; 3] = [0.07, 0.06, 0.06];
const PINK: [f32; 3] = [0.85, 0.52, 0.52];

/// Draws `training` and `test` pictures, uint8 `[n, 3, 64, 64]`, with labels drawn at random: 0 for a cat, 1 for a dog.
///
/// The same `seed` gives the same pictures, and the first ones are the same whatever the counts. A negative count is taken as 0.
pub fn cats_dogs(training: i64, test: i64, seed: u64) -> (Examples, Examples) {
    let part =
        |count, part| draw_in_chunks(count, part, [CHUNK, 3, SIDE, SIDE], || move |position| draw_chunk(seed, FIRST_POSITION + position));
    (part(training, 0), part(test, 1))
}

/// What is random in a chunk.
struct Random {
    /// A row for each picture.
    columns: Columns,
    /// Numbers from 0 to 1, `[n, 4, 4096]`, that change little from a pixel to the next: clouds.
    clouds: Tensor,
    /// Numbers from -0.5 to 0.5, `[n, 3, 4096]`, each pixel its own.
    grain: Tensor,
}

impl Random {
    /// `means` (`[count]` or `[n, count]`) give or take `deviation`: `[n, count]`.
    fn around(&mut self, means: &Tensor, deviation: f64) -> Tensor {
        let count = means.size().last().copied().unwrap_or(1);
        means + self.columns.normal(count, deviation)
    }

    /// One of the furs for each picture, `[n, 3, 1]`.
    fn fur(&mut self) -> Tensor {
        let choice = self.columns.uniform(1, 0.0, FURS.len() as f64 - 1e-3).floor().to_kind(Kind::Int64).flatten(0, -1);
        let fur = Tensor::from_slice2(&FURS).index_select(0, &choice);
        self.around(&fur, 0.03).unsqueeze(2)
    }

    /// Any color that is not too bright, `[n, 3, 1]`.
    fn color(&mut self) -> Tensor {
        let color = self.columns.uniform(3, 0.05, 0.95);
        let grey = color.mean_dim(1, true, Kind::Float);
        color.lerp_tensor(&grey, &self.columns.uniform(1, 0.2, 0.9)).unsqueeze(2)
    }

    fn cloud(&self, index: i64) -> Tensor {
        self.clouds.narrow(1, index, 1)
    }
}

/// A row of the same numbers for each picture, `[1, count]`.
fn row(numbers: &[f32]) -> Tensor {
    Tensor::from_slice(numbers).unsqueeze(0)
}

/// A color of every picture, `[1, 3, 1]`.
fn color(color: [f32; 3]) -> Tensor {
    Tensor::from_slice(&color).reshape([1, 3, 1])
}

/// The coordinates in which a form is drawn: x to the right and y downwards.
struct Plane {
    /// float, `[n or 1, 3, 4096]`: x, y and 1 at each pixel.
    places: Tensor,
    /// float, `[n or 1, 1, 1]`: pixels for each unit of length.
    resolution: Tensor,
}

impl Plane {
    /// The picture's own: both from -1 to 1.
    fn picture() -> Self {
        let middles = (Tensor::arange(SIDE, OPTIONS) + 0.5) * (2.0 / SIDE as f64) - 1.0;
        let (y, x) = (middles.repeat_interleave_self_int(SIDE, 0, None), middles.repeat([SIDE]));
        let places = Tensor::stack(&[&x, &y, &x.ones_like()], 0).unsqueeze(0);
        Self { places, resolution: Tensor::full([1, 1, 1], SIDE as f64 / 2.0, OPTIONS) }
    }

    /// These coordinates less `shift` (`[n, 2]`).
    fn shifted(&self, shift: &Tensor) -> Self {
        let places = &self.places - shift.constant_pad_nd([0, 1]).unsqueeze(2);
        Self { places, resolution: self.resolution.shallow_clone() }
    }

    /// With the left half as a mirror image of the right one: what is drawn on the right is then drawn on both sides.
    fn mirrored(&self) -> Self {
        let places = self.places.copy();
        let _ = places.narrow(1, 0, 1).abs_();
        Self { places, resolution: self.resolution.shallow_clone() }
    }

    /// How much of each pixel lies in an ellipse, 0 to 1, `[n, 1, 4096]`; its `centre` and `radii`: `[n, 2]`, its `turn`: `[n, 1]`.
    fn ellipse(&self, centre: &Tensor, radii: &Tensor, turn: &Tensor) -> Tensor {
        let (sine, cosine) = (turn.sin(), turn.cos());
        let axes = Tensor::stack(&[Tensor::cat(&[&cosine, &sine], 1), Tensor::cat(&[&-&sine, &cosine], 1)], 1) / radii.unsqueeze(2);
        let distances = self.apply(&axes, centre.unsqueeze(1)).square_().sum_dim_intlist(1, true, Kind::Float);
        // The squared distance from the centre is 1 on the edge and changes there by 2 with each radius.
        let steepness = radii.amin([1], true).unsqueeze(2) * &self.resolution * 0.5;
        soft((1.0 - distances) * steepness)
    }

    /// How much of each pixel lies in a convex polygon, 0 to 1, `[n, 1, 4096]`; its `corners`, clockwise: `[n, 2 count]`.
    fn polygon(&self, corners: &Tensor) -> Tensor {
        let corners = corners.reshape([corners.size()[0], -1, 2]);
        let way = corners.roll([-1], [1]) - &corners;
        let inward = Tensor::stack(&[-way.select(2, 1), way.select(2, 0)], 2);
        let inward = &inward / inward.square().sum_dim_intlist(2, true, Kind::Float).sqrt();
        soft(self.apply(&inward, corners).amin([1], true) * &self.resolution)
    }

    /// A straight bar, as [`Self::polygon`] gives it: from `start` (`[n, 2]`) by `way` (`[n, 2]`), `width` (`[n, 1]`) wide.
    fn bar(&self, start: &Tensor, way: &Tensor, width: &Tensor) -> Tensor {
        let length = way.square().sum_dim_intlist(1, true, Kind::Float).sqrt();
        let side = Tensor::cat(&[-way.narrow(1, 1, 1), way.narrow(1, 0, 1)], 1) / length * (width * 0.5);
        let end = start + way;
        self.polygon(&Tensor::cat(&[start - &side, &end - &side, end + &side, start + side], 1))
    }

    /// Along each of `directions` (`[n, count, 2]`), how far each pixel is from `origin` (`[n, count or 1, 2]`): `[n, count, 4096]`.
    fn apply(&self, directions: &Tensor, origin: Tensor) -> Tensor {
        let offset = (directions * origin).sum_dim_intlist(2, true, Kind::Float);
        let directions = directions.expand([offset.size()[0], -1, -1], false);
        Tensor::cat(&[directions, -offset], 2).matmul(&self.places)
    }
}

/// An edge one pixel wide, for distances from it in pixels.
fn soft(distance: Tensor) -> Tensor {
    (distance + 0.5).clamp_(0.0, 1.0)
}

/// The pictures while they are painted: `[n, 3, 4096]`, 0 to 1.
struct Canvas(Tensor);

impl Canvas {
    /// `color`: `[n or 1, 3, 4096 or 1]`; `cover`, 0 to 1: `[n, 1, 4096]`.
    fn paint(&mut self, cover: &Tensor, color: &Tensor) {
        let _ = self.0.lerp_tensor_(color, cover);
    }
}

fn draw_chunk(seed: u64, position: u64) -> (Tensor, Tensor) {
    let (labels, numbers, clouds, grain) = seed::draw(seed, Purpose::Embedded, position, || {
        (
            Tensor::randint(2, [CHUNK], (Kind::Int64, Device::Cpu)),
            Tensor::rand([CHUNK, 768], OPTIONS),
            Tensor::rand([CHUNK, 4, 7, 7], OPTIONS),
            Tensor::rand([CHUNK, 3, SIDE * SIDE], OPTIONS) - 0.5,
        )
    });
    let clouds = clouds.upsample_bilinear2d([SIDE, SIDE], true, None, None).flatten(2, -1);
    let mut random = Random { columns: Columns::new(numbers), clouds, grain };

    let picture = Plane::picture();
    let mut canvas = background(&picture, &mut random);
    let head = place_head(&picture, &mut random);
    paint_head(&mut canvas, &head, &labels.to_kind(Kind::Float).unsqueeze(1), &mut random);
    occlude(&mut canvas, &head, &mut random);
    (photograph(canvas, &mut random), labels)
}

/// A gradient with clouds, and things lying about.
fn background(picture: &Plane, random: &mut Random) -> Canvas {
    let (from, to) = (random.color(), random.color());
    let slope = random.columns.normal(2, 0.4).unsqueeze(1);
    let mix = picture.apply(&slope, Tensor::zeros([1, 1, 2], OPTIONS)) + random.cloud(0);
    let mut canvas = Canvas(from.lerp_tensor(&to, &mix.clamp(0.0, 1.0)));
    for _ in 0..2 {
        let cover = thing(picture, random) * random.columns.happens(0.6).unsqueeze(2);
        canvas.paint(&cover, &random.color());
        let bar = {
            let (start, way) = (random.columns.uniform(2, -1.2, 1.2), random.columns.normal(2, 0.9));
            picture.bar(&start, &way, &random.columns.uniform(1, 0.03, 0.3)) * random.columns.happens(0.5).unsqueeze(2)
        };
        canvas.paint(&bar, &random.color());
        // Like ears, so that a corner alone is no cat.
        let turns = random.columns.uniform(1, 0.0, 6.3) + row(&[0.0, 1.6, 2.1, 3.7, 4.2, 5.8]);
        let size = random.columns.uniform(1, 0.1, 0.4);
        let centre = random.columns.uniform(2, -1.0, 1.0).repeat([1, 3]);
        let corners = turns.sin() * size + centre;
        canvas.paint(&(picture.polygon(&corners) * random.columns.happens(0.5).unsqueeze(2)), &random.fur());
    }
    canvas
}

/// An ellipse anywhere.
fn thing(picture: &Plane, random: &mut Random) -> Tensor {
    let centre = random.columns.uniform(2, -1.0, 1.0);
    let radii = random.columns.uniform(2, 0.08, 0.5);
    picture.ellipse(&centre, &radii, &random.columns.uniform(1, 0.0, 3.0))
}

/// The coordinates of a head somewhere in the picture, with its middle at 0, its ends about at -1 and 1, and a little bent.
fn place_head(picture: &Plane, random: &mut Random) -> Plane {
    let size = random.columns.uniform(1, 0.42, 0.66);
    let centre = random.around(&row(&[0.0, 0.08]), 0.17);
    let turn = random.columns.normal(1, 0.22);
    let (sine, cosine) = (turn.sin(), turn.cos());
    let axes = Tensor::stack(&[Tensor::cat(&[&cosine, &sine], 1), Tensor::cat(&[&-&sine, &cosine], 1)], 1) / size.unsqueeze(2);
    let straight = picture.apply(&axes, centre.unsqueeze(1));
    let waves = random.columns.normal(4, 1.6).reshape([CHUNK, 2, 2]);
    let bent = (waves.matmul(&straight) + random.columns.uniform(2, 0.0, 6.3).unsqueeze(2)).sin_();
    let places = straight + bent * random.columns.normal(2, 0.05).unsqueeze(2);
    let places = Tensor::cat(&[&places, &places.narrow(1, 0, 1).ones_like()], 1);
    Plane { places, resolution: &picture.resolution * size.unsqueeze(2) }
}

/// `is_dog`: 0 or 1, `[n, 1]`.
fn paint_head(canvas: &mut Canvas, head: &Plane, is_dog: &Tensor, random: &mut Random) {
    let by_class = |cat: &[f32], dog: &[f32]| row(cat).lerp_tensor(&row(dog), is_dog);
    let fur = fur(head, random);
    let upright = Tensor::zeros([CHUNK, 1], OPTIONS);
    let middle = Tensor::zeros([CHUNK, 2], OPTIONS);

    // The body, then the ears that stand up behind the head.
    let body = random.around(&row(&[0.0, 1.75]), 0.12);
    canvas.paint(&head.ellipse(&body, &random.around(&row(&[1.0, 1.15]), 0.12), &upright), &(&fur * 0.72));
    let ears = head.mirrored();
    let hangs = random.columns.happens(0.05).lerp_tensor(&random.columns.happens(0.85), is_dog).unsqueeze(2);
    let stands = 1.0 - &hangs;
    let corners = random.around(&row(&[0.16, -0.62, 0.74, -1.36, 0.98, -0.1]), 0.06);
    canvas.paint(&(ears.polygon(&corners) * &stands), &(&fur * 0.8));
    let inside = corners * 0.66 + row(&[0.2, -0.23]).repeat([1, 3]);
    let ear_color = &fur.mean_dim(2, true, Kind::Float).lerp_tensor(&color(PINK), &random.columns.uniform(1, 0.0, 0.8).unsqueeze(2)) * 0.85;
    canvas.paint(&(ears.polygon(&inside) * &stands), &ear_color);

    // The head with a dark rim, and where it looks to.
    let radii = random.around(&by_class(&[0.98, 0.86], &[0.86, 0.94]), 0.06);
    canvas.paint(&head.ellipse(&middle, &radii, &upright), &(&fur * 0.66));
    canvas.paint(&head.ellipse(&row(&[0.0, -0.03]), &(&radii - 0.08), &upright), &fur);
    let face = head.shifted(&random.columns.normal(2, 0.09));
    let sides = face.mirrored();

    // A blaze, the muzzle, the nose and what is below it.
    let marking = if_happens(&random.columns.happens(0.5), &color(WHITE), &random.fur());
    let blaze = face.ellipse(&random.around(&row(&[0.0, -0.3]), 0.05), &random.around(&row(&[0.14, 0.5]), 0.02), &upright);
    canvas.paint(&(blaze * random.columns.happens(0.25).unsqueeze(2)), &marking);
    let down = random.around(&by_class(&[0.2], &[0.3]), 0.035);
    let below = |by: f64| Tensor::cat(&[&down.zeros_like(), &(&down + by)], 1);
    let muzzle = random.around(&by_class(&[0.46, 0.30], &[0.44, 0.5]), 0.04);
    let at = Tensor::cat(&[&down.zeros_like(), &(&down + by_class(&[0.2], &[0.26]))], 1);
    canvas.paint(&face.ellipse(&at, &(&muzzle + 0.06), &upright), &(&fur * 0.8));
    let muzzle_color = if_happens(&random.columns.happens(0.5), &marking, &(&fur * 1.06));
    canvas.paint(&face.ellipse(&at, &muzzle, &upright), &muzzle_color);

    let tongue = face.ellipse(&below(0.6), &random.around(&row(&[0.13, 0.24]), 0.02), &upright);
    canvas.paint(&(tongue * (is_dog * random.columns.happens(0.3)).unsqueeze(2)), &color(PINK));
    let dark = color(BLACK);
    let mouth = random.around(&by_class(&[0.14], &[0.3]), 0.02);
    let line = random.columns.uniform(1, 0.03, 0.06);
    let middle_of_mouth = Tensor::cat(&[&down.zeros_like(), &(&down + &mouth)], 1);
    canvas.paint(&(face.bar(&below(0.0), &Tensor::cat(&[&down.zeros_like(), &mouth], 1), &line) * 0.8), &dark);
    canvas.paint(&(sides.bar(&middle_of_mouth, &random.around(&row(&[0.24, 0.1]), 0.02), &line) * 0.8), &dark);
    let nose_color = if_happens(&random.columns.happens(0.3), &(color(PINK) * 0.85), &dark);
    let wide = random.around(&row(&[0.13]), 0.015);
    let triangle = Tensor::cat(&[&-&wide, &(&down - 0.07), &wide, &(&down - 0.07), &down.zeros_like(), &(&down + 0.1)], 1);
    let is_cat: Tensor = 1.0 - is_dog;
    let small = face.polygon(&triangle) * is_cat.unsqueeze(2);
    let big = face.ellipse(&below(0.0), &random.around(&row(&[0.22, 0.15]), 0.02), &upright) * is_dog.unsqueeze(2);
    canvas.paint(&(small + big), &nose_color);

    paint_eyes(canvas, &sides, is_dog, random);
    let whiskers = is_cat * random.columns.uniform(1, 0.1, 1.0);
    let whisker_color = if_happens(&random.columns.happens(0.6), &color(WHITE), &dark);
    for step in [-0.16, 0.0, 0.16] {
        let start = &at + row(&[0.22, 0.0]);
        let way = random.around(&row(&[0.85, step]), 0.08);
        canvas.paint(&(sides.bar(&start, &way, &row(&[0.035])) * whiskers.unsqueeze(2)), &whisker_color);
    }

    // The ears that hang in front.
    let ear = random.around(&row(&[0.9, 0.08]), 0.07);
    let (radii, turn) = (random.around(&row(&[0.27, 0.66]), 0.05), random.around(&row(&[-0.15]), 0.12));
    canvas.paint(&(ears.ellipse(&ear, &(&radii + 0.05), &turn) * &hangs), &(&fur * 0.5));
    canvas.paint(&(ears.ellipse(&ear, &radii, &turn) * &hangs), &(fur * random.columns.uniform(1, 0.65, 0.9).unsqueeze(2)));
}

/// `yes` where `happens` (`[n, 1]`) is 1, and `no` where it is 0.
fn if_happens(happens: &Tensor, yes: &Tensor, no: &Tensor) -> Tensor {
    no.lerp_tensor(yes, &happens.unsqueeze(2))
}

/// The fur everywhere, `[n, 3, 4096]`: of one color, striped or in patches.
fn fur(head: &Plane, random: &mut Random) -> Tensor {
    let (first, second) = (random.fur(), random.fur());
    let is_striped = random.columns.happens(0.3).unsqueeze(2);
    let has_patches = random.columns.happens(0.5).unsqueeze(2);
    let stripes = random.columns.normal(2, 1.0);
    let stripes = &stripes / stripes.square().sum_dim_intlist(1, true, Kind::Float).sqrt() * random.columns.uniform(1, 9.0, 18.0);
    let stripes = (head.apply(&stripes.unsqueeze(1), Tensor::zeros([1, 1, 2], OPTIONS)) + random.cloud(1) * 6.0).sin_() * 1.5;
    let patches = (random.cloud(2) - random.columns.uniform(1, 0.45, 0.7).unsqueeze(2)) * 12.0;
    let mix = (soft(stripes) * is_striped * 0.7).maximum(&(soft(patches) * has_patches));
    let light = random.cloud(3) * 0.3 + &random.grain.narrow(1, 0, 1) * 0.16 + 0.85;
    first.lerp_tensor(&second, &mix) * light
}

fn paint_eyes(canvas: &mut Canvas, sides: &Plane, is_dog: &Tensor, random: &mut Random) {
    let by_class = |cat: &[f32], dog: &[f32]| row(cat).lerp_tensor(&row(dog), is_dog);
    let level = Tensor::zeros([1, 1], OPTIONS);
    let eye = random.around(&by_class(&[0.42, -0.14], &[0.36, -0.16]), 0.03);
    let radii = random.around(&by_class(&[0.21, 0.16], &[0.16, 0.15]), 0.015);
    let slant = random.around(&by_class(&[-0.3], &[0.1]), 0.1);
    canvas.paint(&sides.ellipse(&eye, &(&radii + 0.05), &slant), &color(BLACK));
    let cats = random.columns.uniform(3, 0.0, 1.0) * row(&[0.5, 0.25, 0.6]) + row(&[0.35, 0.55, 0.1]);
    let dogs = random.columns.uniform(1, 0.5, 1.5) * row(&[0.5, 0.32, 0.18]);
    canvas.paint(&sides.ellipse(&eye, &radii, &slant), &cats.lerp_tensor(&dogs, is_dog).unsqueeze(2));
    let pupil = random.around(&by_class(&[0.055, 0.15], &[0.1, 0.1]), 0.012);
    canvas.paint(&sides.ellipse(&eye, &pupil, &level), &color(BLACK));
    canvas.paint(&(sides.ellipse(&(&eye + row(&[-0.05, -0.05])), &row(&[0.045, 0.045]), &level) * 0.9), &color(WHITE));
}

/// Something in front of some of the heads.
fn occlude(canvas: &mut Canvas, head: &Plane, random: &mut Random) {
    let start = random.columns.normal(2, 0.9);
    let way = random.columns.normal(2, 1.6);
    let bar = head.bar(&start, &way, &random.columns.uniform(1, 0.08, 0.35)) * random.columns.happens(0.3).unsqueeze(2);
    canvas.paint(&bar, &random.color());
    // Around the edge of the head: not all that tells the classes apart is covered.
    let turn = random.columns.uniform(1, 0.0, 6.3);
    let centre = Tensor::cat(&[turn.cos(), turn.sin()], 1) * random.columns.uniform(1, 0.8, 1.3);
    let spot = head.ellipse(&centre, &random.columns.uniform(2, 0.2, 0.6), &random.columns.uniform(1, 0.0, 3.0));
    canvas.paint(&(spot * random.columns.happens(0.35).unsqueeze(2)), &random.color());
}

/// What a camera makes of it, uint8 `[n, 3, 64, 64]`: blur, light, contrast, a tint and noise.
fn photograph(canvas: Canvas, random: &mut Random) -> Tensor {
    let sharp = canvas.0.unflatten(2, [SIDE, SIDE]);
    let blurred = sharp.avg_pool2d([3, 3], [1, 1], [1, 1], false, false, None);
    let blur = random.columns.uniform(1, -0.5, 1.0).clamp_min(0.0).reshape([CHUNK, 1, 1, 1]);
    let picture = sharp.lerp_tensor(&blurred, &blur).flatten(2, -1);
    let contrast = random.columns.uniform(1, 0.6, 1.15).unsqueeze(2);
    let light = (random.columns.normal(1, 0.1) + random.columns.normal(3, 0.03)).unsqueeze(2);
    let noise = &random.grain * random.columns.uniform(1, 0.02, 0.16).unsqueeze(2);
    let picture = (picture - 0.5) * contrast + light + noise + 0.5;
    (picture.clamp(0.0, 1.0) * 255.0).round_().to_kind(Kind::Uint8).unflatten(2, [SIDE, SIDE])
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, classes};
    use super::*;

    const SIZE: usize = 3 * 64 * 64;

    #[test]
    fn a_seed_means_the_same_pictures_however_many() {
        let (few, few_test) = cats_dogs(10, 7, 3);
        let (many, many_test) = cats_dogs(CHUNK + 10, CHUNK + 7, 3);
        assert_eq!(many.images.size(), [CHUNK + 10, 3, SIDE, SIDE]);
        assert_eq!(many.images.kind(), Kind::Uint8);
        assert_eq!((many.labels.size(), many.labels.kind()), (vec![CHUNK + 10], Kind::Int64));
        assert_eq!(classes(&many.labels)[..10], classes(&few.labels));
        assert!(bytes(&many.images)[..10 * SIZE] == bytes(&few.images));
        assert!(bytes(&many_test.images)[..7 * SIZE] == bytes(&few_test.images));
        let (again, _) = cats_dogs(CHUNK + 10, 0, 3);
        assert!(bytes(&again.images) == bytes(&many.images));
        assert_eq!(classes(&again.labels), classes(&many.labels));
    }

    #[test]
    fn seeds_parts_and_chunks_differ() {
        let (training, test) = cats_dogs(CHUNK + 10, 10, 3);
        let (other, _) = cats_dogs(10, 0, 4);
        let training = bytes(&training.images);
        assert!(training[..10 * SIZE] != bytes(&other.images));
        assert!(training[..10 * SIZE] != bytes(&test.images));
        assert!(training[..10 * SIZE] != training[CHUNK as usize * SIZE..]);
    }

    #[test]
    fn no_pictures_is_an_answer() {
        let (none, negative) = cats_dogs(0, -1, 0);
        assert!(none.is_empty() && negative.is_empty());
        assert_eq!(negative.images.size(), [0, 3, SIDE, SIDE]);
    }

    #[test]
    fn shapes_cover_their_areas() {
        let picture = Plane::picture();
        let area = |cover: Tensor| cover.sum(Kind::Float).double_value(&[]) / (SIDE * SIDE) as f64 * 4.0;
        let close = |area: f64, expected: f64| assert!((area - expected).abs() < 0.01 * expected, "{area} instead of {expected}");
        let ellipse = picture.ellipse(&row(&[0.1, -0.2]), &row(&[0.6, 0.3]), &row(&[0.5]));
        close(area(ellipse), std::f64::consts::PI * 0.6 * 0.3);
        close(area(picture.polygon(&row(&[-0.5, -0.5, 0.5, -0.5, 0.1, 0.7]))), 0.6);
        close(area(picture.bar(&row(&[-0.4, 0.3]), &row(&[0.6, -0.8]), &row(&[0.25]))), 0.25);
        // Half of it lies left of the middle, where the mirror image of the right half goes.
        close(area(picture.mirrored().ellipse(&row(&[0.0, 0.0]), &row(&[0.5, 0.5]), &row(&[0.0]))), std::f64::consts::PI * 0.25);
        close(area(picture.mirrored().ellipse(&row(&[0.5, 0.0]), &row(&[0.3, 0.3]), &row(&[0.0]))), std::f64::consts::TAU * 0.09);
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
        let normal = inputs.tr().matmul(&inputs) + Tensor::eye(inputs.size()[1], OPTIONS) * 1000.0;
        let weights = Tensor::linalg_solve(&normal, &inputs.tr().matmul(&targets), true);
        let predicted = pixels(&test).matmul(&weights).gt(0.0).flatten(0, -1).to_kind(Kind::Int64);
        let accuracy = predicted.eq_tensor(&test.labels).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
        assert!((0.55..0.8).contains(&accuracy), "a linear model: {accuracy}");
    }
}
