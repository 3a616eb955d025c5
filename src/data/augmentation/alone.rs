//! Each transformation of an augmentation alone.

use super::Augmenter;
use crate::experiment::Augmentation;
use tch::{Device, Tensor};

impl Augmentation {
    /// An image `[1, channels, height, width]`, floats in \[0, 1\], under each change alone and as far as it goes, with its name; not
    /// normalized, so cutout makes it black.
    pub fn each_alone(&self, image: &Tensor) -> Vec<(String, Tensor)> {
        let off = Augmentation::off();
        let Augmentation { rotation, flip, crop_scale, crop_ratio, brightness, contrast, saturation, hue, grayscale, .. } = *self;
        let Augmentation { stretch, shear, shift, cutout, elastic, .. } = *self;
        let percent = |share: f64| format!("+{:.0} %", 100.0 * share);
        // The largest of the numbers in [0, 1) takes every range to its end, and the smallest makes everything happen that may. Normal
        // numbers have no end, and a square may be anywhere; some are drawn.
        let (most, least) = (Some(1.0 - f64::from(f32::EPSILON)), Some(0.0));
        let cases = [
            (Augmentation { rotation, ..off.clone() }, most, format!("rotation, {rotation:.0}°")),
            (Augmentation { flip, ..off.clone() }, least, "flip".to_owned()),
            (Augmentation { crop_scale, crop_ratio, ..off.clone() }, least, "crop".to_owned()),
            (Augmentation { brightness, ..off.clone() }, most, format!("brightness {}", percent(brightness))),
            (Augmentation { contrast, ..off.clone() }, most, format!("contrast {}", percent(contrast))),
            (Augmentation { saturation, ..off.clone() }, most, format!("saturation {}", percent(saturation))),
            (Augmentation { hue, ..off.clone() }, most, format!("hue, {:.0}°", 360.0 * hue)),
            (Augmentation { grayscale, ..off.clone() }, least, "grayscale".to_owned()),
            (Augmentation { stretch, ..off.clone() }, most, format!("stretch {}", percent(stretch))),
            (Augmentation { shear, ..off.clone() }, most, format!("shear, {shear:.0}°")),
            (Augmentation { shift, ..off.clone() }, most, format!("shift {}", percent(shift))),
            (Augmentation { cutout, ..off.clone() }, None, "cutout".to_owned()),
            (Augmentation { elastic, ..off.clone() }, None, "elastic".to_owned()),
        ];
        let changed = |(alone, number, name): (Augmentation, Option<f64>, String)| {
            let drawn = alone.numbers(1, 0, 0, Device::Cpu);
            let numbers = number.map_or_else(|| drawn.shallow_clone(), |number| drawn.full_like(number));
            let (size, changes) = (image.size(), alone.changes(&numbers));
            let augmenter = Augmenter::new(&alone, [size[2], size[3]], (image.kind(), image.device()));
            (name, augmenter.cutout(augmenter.apply(image, &changes), &changes))
        };
        cases.into_iter().filter(|(alone, ..)| *alone != off).map(changed).collect()
    }
}
