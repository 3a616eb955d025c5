//! Random changes of training images, for a whole minibatch at once and on its device.
//!
//! Every change is a function of the images and of numbers that decide it, in \[0, 1) but for the normal ones of elastic displacements:
//! they are drawn beforehand, by [`Augmentation::numbers`], and each file here can be tested against its definition.
//!
//! Stretch, shear, rotation, flip, crop and shift only move pixels: each is a matrix that says where an output pixel comes from, and
//! elastic displacements are added to where that is. All of them take one product and one resampling. The numbers of an image's
//! transformation are worked out for all images of an epoch at once ([`Augmentation::changes`]); what is left for each minibatch
//! (`Augmenter::apply`) is a few passes over its pixels, in place where they can be.

mod affine;
mod alone;
mod color;
mod cutout;
mod elastic;

use crate::experiment::{Augmentation, Elastic};
use crate::libtorch::without_tf32;
use crate::seed::{Purpose, draw};
use color::{adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, grayscale};
use tch::{Device, Kind, Tensor};

/// Numbers in \[0, 1) that decide about rotation, flip, crop, four changes of color and grayscale of one image.
const NUMBERS: i64 = 1 + 1 + affine::CROP_NUMBERS + 4 + 1;
/// Those about stretch, shear and shift.
const DISTORTION: i64 = 2 + 1 + 2;
/// Color changes of one image: factors of brightness, contrast and saturation, the shift of hue, whether it keeps its colors.
const COLORS: i64 = 5;

impl Augmentation {
    /// The numbers that decide about `images` images, a row for each: NUMBERS, and where the settings want them DISTORTION more, as many
    /// normal ones as the elastic displacements take, and two for cutout; on the device, drawn once an epoch, which is the `position`.
    pub fn numbers(&self, images: i64, seed: u64, position: u64, device: Device) -> Tensor {
        let options = (Kind::Float, Device::Cpu);
        let numbers = draw(seed, Purpose::Augmentation, position, || Tensor::rand([images, NUMBERS], options));
        let mut parts = vec![numbers];
        // Streams of their own: what the others draw is the same with and without these.
        let elastic = self.elastic();
        if elastic.is_some() || [self.stretch, self.shear, self.shift] != [0.0; 3] {
            let normals = elastic.map_or(0, |elastic| elastic.numbers());
            let both = || (Tensor::rand([images, DISTORTION], options), Tensor::randn([images, normals], options));
            let (distortion, normals) = draw(seed, Purpose::Distortion, position, both);
            parts.extend([distortion, normals]);
        }
        if self.cutout > 0.0 {
            parts.push(draw(seed, Purpose::Cutout, position, || Tensor::rand([images, cutout::NUMBERS], options)));
        }
        Tensor::cat(&parts, 1).to_device(device)
    }

    /// The changes that follow from `numbers` (see [`Augmentation::numbers`]), a row for each image: the two rows of its matrix that
    /// `resample` takes, the factors of brightness, contrast and saturation, the shift of hue, and 1 where it keeps its colors, 0 where
    /// it becomes gray. The middle of the square follows for cutout.
    pub fn changes(&self, numbers: &Tensor) -> Tensor {
        // Coordinates of 10 bits would be off by a part of a pixel.
        let moved = without_tf32(|| self.moved(numbers)).flatten(1, 2);
        let first = 2 + affine::CROP_NUMBERS;
        let shift = |place: i64, strength: f64| (numbers.select(1, first + place) * 2.0 - 1.0) * strength;
        let factor = |place: i64, strength: f64| shift(place, strength) + 1.0;
        let keeps_colors = numbers.select(1, first + 4).ge(self.grayscale).to_kind(numbers.kind());
        let [brightness, contrast, saturation] = [factor(0, self.brightness), factor(1, self.contrast), factor(2, self.saturation)];
        let colors = Tensor::stack(&[brightness, contrast, saturation, shift(3, self.hue), keeps_colors], 1);
        let middle = numbers.narrow(1, numbers.size()[1] - self.middle(), self.middle());
        Tensor::cat(&[moved, colors, middle], 1)
    }

    /// The places that pixels come from, as [`resample`] takes them: `[n, 2, 3]`, or `[n, 2, 3 + grid grid]` where displacements are
    /// elastic.
    fn moved(&self, numbers: &Tensor) -> Tensor {
        let columns = |start: i64, length: i64| numbers.narrow(1, start, length);
        let column = |place: i64| numbers.select(1, place);
        let is_cropped = [self.crop_scale, self.crop_ratio] != [[1.0; 2]; 2];
        // The image is stretched, then sheared, and so on; so an output pixel goes through the inverses the other way round.
        let matrices = [
            (self.stretch > 0.0).then(|| affine::stretch(&columns(NUMBERS, 2), self.stretch)),
            (self.shear > 0.0).then(|| affine::shear(&column(NUMBERS + 2), self.shear)),
            (self.rotation > 0.0).then(|| affine::rotation(&column(0), self.rotation)),
            (self.flip > 0.0).then(|| affine::flip(&column(1), self.flip)),
            is_cropped.then(|| affine::crop(&columns(2, affine::CROP_NUMBERS), self.crop_scale, self.crop_ratio)),
            (self.shift > 0.0).then(|| affine::shift(&columns(NUMBERS + 3, 2), self.shift)),
        ];
        let product = matrices.into_iter().flatten().reduce(|product, next| product.matmul(&next));
        let unmoved = || Tensor::eye(3, (numbers.kind(), numbers.device())).expand([numbers.size()[0], 3, 3], false);
        let rows = product.unwrap_or_else(unmoved).narrow(1, 0, 2);
        match self.elastic() {
            Some(elastic) => Tensor::cat(&[rows, elastic.displacements(&columns(NUMBERS + DISTORTION, elastic.numbers()))], 2),
            None => rows,
        }
    }

    /// The elastic displacements, where there are any.
    fn elastic(&self) -> Option<Elastic> {
        self.elastic.filter(|elastic| elastic.strength > 0.0)
    }

    /// The count of numbers that say where the square of cutout is.
    fn middle(&self) -> i64 {
        if self.cutout > 0.0 { cutout::NUMBERS } else { 0 }
    }
}

/// Settings with their constants, made once on the device: copying these from the host in each step would synchronize with it.
#[derive(Debug)]
pub(super) struct Augmenter {
    pub settings: Augmentation,
    /// [`color::LUMA`] and [`color::HUES`], `[3]`.
    luma: Tensor,
    hues: Tensor,
    /// See [`pixels`].
    pixels: Tensor,
}

impl Augmenter {
    /// For images of `whole` height and width.
    pub fn new(settings: &Augmentation, whole: [i64; 2], options: (Kind, Device)) -> Augmenter {
        let constant = |values: &[f64]| Tensor::from_slice(values).to_kind(options.0).to_device(options.1);
        let points = settings.elastic().map_or(0, |elastic| elastic.grid * elastic.grid);
        let (luma, hues) = (constant(&color::LUMA), constant(&color::HUES));
        Augmenter { settings: settings.clone(), luma, hues, pixels: pixels(points, whole, options) }
    }

    /// Another handle on the same, for another thread.
    pub fn share(&self) -> Augmenter {
        let Augmenter { settings, luma, hues, pixels } = self;
        Augmenter { settings: settings.clone(), luma: luma.shallow_clone(), hues: hues.shallow_clone(), pixels: pixels.shallow_clone() }
    }

    /// The images `[n, 3 or 1, side, side]`, floats in \[0, 1\], as their `changes` (see [`Augmentation::changes`]) have it; in \[0, 1\]
    /// again. Of gray ones, which have 1 channel, pixels move and nothing else changes. Cutout comes later: see [`Augmenter::cutout`].
    pub fn apply(&self, images: &Tensor, changes: &Tensor) -> Tensor {
        let n = images.size()[0];
        let moves = changes.size()[1] - COLORS - self.settings.middle();
        without_tf32(|| {
            let moved = resample(images, &changes.narrow(1, 0, moves).view([n, 2, -1]), &self.pixels);
            if images.size()[1] == 1 {
                return moved;
            }
            let column = |place: i64| changes.select(1, moves + place).view([-1, 1, 1, 1]);
            let colored = adjust_brightness(moved, &column(0));
            let colored = adjust_contrast(colored, &column(1), &self.luma);
            let colored = adjust_saturation(colored, &column(2), &self.luma);
            let colored = if self.settings.hue > 0.0 { adjust_hue(&colored, &column(3), &self.hues) } else { colored };
            grayscale(&colored, &column(4), &self.luma)
        })
    }

    /// The images `[n, channels, height, width]` as a network takes them, changed in place: 0, which is the mean where they are normalized,
    /// in the squares of their `changes`.
    pub fn cutout(&self, images: Tensor, changes: &Tensor) -> Tensor {
        match self.settings.middle() {
            0 => images,
            middle => cutout::cutout(images, &changes.narrow(1, changes.size()[1] - middle, middle), self.settings.cutout),
        }
    }
}

/// The images `[n, c, h, w]` at the places that `matrices` `[n, 2 or 3, 3 + points]` give, between pixels by bilinear interpolation, and
/// black outside; `pixels` are those of [`pixels`].
///
/// The first three columns of a matrix take the coordinates (x, y, 1) of an output pixel to those in the image; both run from -1 to 1
/// between the outer edges of the outermost pixels. The others, if any, are displacements at the points of a square grid, row by row, with
/// bicubic interpolation between them, which are added to them.
fn resample(images: &Tensor, matrices: &Tensor, pixels: &Tensor) -> Tensor {
    let (n, _, height, width) = images.size4().expect("images are [n, c, h, w]");
    let rows = matrices.narrow(1, 0, 2);
    // Contiguous, the rows of all images take one product, in half the time where there are points. Where there are none they may be parts
    // of longer rows, which take a product for each image: its last digits are others, and committed pictures rest on them.
    let rows = if matrices.size()[2] > 3 { rows.contiguous() } else { rows };
    // As long as an image has pixels; the rows of libtorch's own affine_grid have 2 numbers, and it takes longer than the sampling.
    let places = rows.matmul(pixels).view([n, 2, height, width]).permute([0, 2, 3, 1]);
    // 0, 0: bilinear, zeros outside.
    images.grid_sampler(&places, 0, 0, false)
}

/// For each pixel, row by row, the factors of a row of a matrix: its coordinates x and y, 1, and the shares that as many `points`
/// have in its displacement (see `elastic::shares`): `[3 + points, height * width]`.
fn pixels(points: i64, whole: [i64; 2], options: (Kind, Device)) -> Tensor {
    let middles = |length: i64| (Tensor::arange(length, options) * 2.0 + 1.0) / length as f64 - 1.0;
    let [height, width] = whole;
    let (x, y) = (middles(width).view([1, -1]).expand(whole, false), middles(height).view([-1, 1]).expand(whole, false));
    let plain = Tensor::stack(&[x, y, Tensor::ones(whole, options)], 0).view([3, -1]);
    if points == 0 { plain } else { Tensor::cat(&[plain, elastic::shares(points, whole, options)], 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [`super::resample`] with its own pixels.
    pub fn resample(images: &Tensor, matrices: &Tensor) -> Tensor {
        let (_, _, height, width) = images.size4().expect("images");
        super::resample(images, matrices, &pixels(matrices.size()[2] - 3, [height, width], (images.kind(), images.device())))
    }

    /// [`Augmenter::apply`] with its own constants.
    fn apply(augmentation: &Augmentation, images: &Tensor, changes: &Tensor) -> Tensor {
        let (_, _, height, width) = images.size4().expect("images");
        Augmenter::new(augmentation, [height, width], (images.kind(), images.device())).apply(images, changes)
    }

    /// Numbers in \[0, 1), drawn so that no test draws between the seeding of another and its drawing.
    pub fn random(size: &[i64], kind: Kind) -> Tensor {
        draw(1, Purpose::Embedded, 0, || Tensor::rand(size, (kind, Device::Cpu)))
    }

    /// As [`random`], normally distributed.
    pub fn normal(size: &[i64], kind: Kind) -> Tensor {
        draw(1, Purpose::Embedded, 0, || Tensor::randn(size, (kind, Device::Cpu)))
    }

    fn settings() -> Augmentation {
        Augmentation {
            rotation: 10.0,
            flip: 0.5,
            crop_scale: [0.8, 1.0],
            crop_ratio: [0.75, 4.0 / 3.0],
            brightness: 0.2,
            contrast: 0.2,
            saturation: 0.2,
            hue: 0.1,
            grayscale: 0.2,
            ..Augmentation::off()
        }
    }

    #[test]
    fn what_is_switched_off_changes_nothing() {
        let off = Augmentation::off();
        let images = random(&[4, 3, 64, 64], Kind::Float);
        let changed = apply(&off, &images, &off.changes(&off.numbers(4, 1, 1, Device::Cpu)));
        assert!(changed.allclose(&images, 1e-4, 1e-4, false));
    }

    #[test]
    fn images_stay_in_range_and_each_is_changed_by_its_own_numbers() {
        let images = random(&[1, 3, 64, 64], Kind::Float).repeat([8, 1, 1, 1]);
        let numbers = settings().numbers(8, 1, 1, Device::Cpu);
        let changes = settings().changes(&numbers);
        let changed = apply(&settings(), &images, &changes);
        assert!(changed.min().double_value(&[]) >= 0.0 && changed.max().double_value(&[]) <= 1.0);
        for other in 1..8 {
            assert!(!changed.get(other).allclose(&changed.get(0), 1e-3, 1e-3, false));
        }
        let alone = apply(&settings(), &images.narrow(0, 5, 1), &changes.narrow(0, 5, 1));
        assert!(alone.get(0).allclose(&changed.get(5), 1e-5, 1e-6, false), "whatever its neighbours");
        assert_ne!(numbers, settings().numbers(8, 1, 2, Device::Cpu), "another epoch");
        assert_eq!(numbers, settings().numbers(8, 1, 1, Device::Cpu));
    }

    #[test]
    fn new_changes_leave_the_numbers_of_the_others_alone() {
        let distorted = Augmentation { stretch: 0.1, elastic: Some(Elastic { grid: 4, strength: 0.02 }), ..settings() };
        let sheared = Augmentation { shear: 10.0, ..Augmentation::off() };
        let numbers = |settings: &Augmentation, position| settings.numbers(8, 1, position, Device::Cpu);
        let (plain, more, other) = (numbers(&settings(), 1), numbers(&distorted, 1), numbers(&sheared, 1));
        assert_eq!([plain.size()[1], more.size()[1], other.size()[1]], [29, 29 + 5 + 32, 29 + 5]);
        assert_eq!(more.narrow(1, 0, 29), plain);
        assert_eq!(more.narrow(1, 29, 5), other.narrow(1, 29, 5), "whichever of them are on");
        for (start, length) in [(29, 5), (34, 32)] {
            let part = |numbers: Tensor| numbers.narrow(1, start, length);
            assert_eq!(part(numbers(&distorted, 1)), part(more.shallow_clone()));
            assert!(part(numbers(&distorted, 2)) != part(more.shallow_clone()), "another epoch");
        }
        let own = draw(1, Purpose::Distortion, 1, || Tensor::rand([8, 5], (Kind::Float, Device::Cpu)));
        assert_eq!(more.narrow(1, 29, 5), own, "a stream of their own");
        // Normal numbers have both signs, and so differ from the others.
        assert!(more.narrow(1, 0, 34).min().double_value(&[]) >= 0.0 && more.narrow(1, 34, 32).min().double_value(&[]) < 0.0);
        let with_cutout = numbers(&Augmentation { cutout: 0.5, ..distorted.clone() }, 1);
        assert_eq!(with_cutout.narrow(1, 0, 29 + 5 + 32), more, "whether there is a cutout or not");
        let own = draw(1, Purpose::Cutout, 1, || Tensor::rand([8, 2], (Kind::Float, Device::Cpu)));
        assert_eq!(with_cutout.narrow(1, 29 + 5 + 32, 2), own, "a stream of its own");
        assert_eq!(numbers(&Augmentation { cutout: 0.5, ..settings() }, 1).narrow(1, 29, 2), own);
        let weightless = Augmentation { elastic: Some(Elastic { grid: 4, strength: 0.0 }), ..settings() };
        assert_eq!(numbers(&weightless, 1), plain, "nothing more is drawn for what changes nothing");
    }

    #[test]
    fn every_change_that_moves_pixels_has_its_numbers_and_its_turn() {
        let elastic = Elastic { grid: 3, strength: 0.05 };
        let all = Augmentation { stretch: 0.2, shear: 20.0, shift: 0.1, elastic: Some(elastic), ..settings() };
        let numbers = all.numbers(6, 1, 1, Device::Cpu).to_kind(Kind::Double);
        let columns = |start: i64, length: i64| numbers.narrow(1, start, length);
        let expected = affine::stretch(&columns(29, 2), 0.2)
            .matmul(&affine::shear(&numbers.select(1, 31), 20.0))
            .matmul(&affine::rotation(&numbers.select(1, 0), 10.0))
            .matmul(&affine::flip(&numbers.select(1, 1), 0.5))
            .matmul(&affine::crop(&columns(2, 22), [0.8, 1.0], [0.75, 4.0 / 3.0]))
            .matmul(&affine::shift(&columns(32, 2), 0.1));
        let moved = all.moved(&numbers);
        assert!(moved.narrow(2, 0, 3).allclose(&expected.narrow(1, 0, 2), 1e-9, 1e-9, false));
        assert!(moved.narrow(2, 3, 9).allclose(&elastic.displacements(&columns(34, 18)), 1e-9, 1e-9, false));
        assert_eq!(all.changes(&numbers).size(), [6, 2 * 12 + 5]);
    }

    #[test]
    fn pixels_of_gray_images_move_as_those_of_photographs_and_keep_their_light() {
        let elastic = Some(Elastic { grid: 5, strength: 0.03 });
        let moves = Augmentation { stretch: 0.1, shear: 15.0, rotation: 15.0, shift: 0.1, elastic, ..Augmentation::off() };
        let gray = random(&[8, 1, 28, 28], Kind::Float);
        let changes = moves.changes(&moves.numbers(8, 1, 1, Device::Cpu));
        let changed = apply(&moves, &gray, &changes);
        assert_eq!(changed.size(), gray.size());
        assert!(!changed.allclose(&gray, 0.1, 0.1, false));
        let photographs = apply(&moves, &gray.repeat([1, 3, 1, 1]), &changes);
        assert!(photographs.narrow(1, 1, 1).allclose(&changed, 1e-3, 1e-3, false));
        assert!(changed.min().double_value(&[]) >= 0.0 && changed.max().double_value(&[]) <= 1.0 + 1e-6);
        let alone = apply(&moves, &gray.narrow(0, 5, 1), &changes.narrow(0, 5, 1));
        assert!(alone.get(0).allclose(&changed.get(5), 1e-5, 1e-5, false), "whatever its neighbors");
    }
}
