//! `[augmentation]`: random changes of the training images.

use super::fraction;
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

/// Brings the channels of color images, in \[0, 1\], to a common scale: (x - mean) / deviation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Of red, green and blue.
    pub mean: [f64; 3],
    pub deviation: [f64; 3],
}

/// Random changes of training images; a key that is left out changes nothing. Gray images take those that move pixels, and cutout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default = "Augmentation::off", deny_unknown_fields)]
pub struct Augmentation {
    /// Width and height are each scaled by a factor drawn from \[1 - stretch, 1 + stretch\].
    pub stretch: f64,
    /// Largest shear angle in degrees, either way: x' = x + tan(angle) y.
    pub shear: f64,
    /// Largest rotation in degrees, either way.
    pub rotation: f64,
    /// Probability of mirroring.
    pub flip: f64,
    /// Smallest and largest area of the crop, as fractions of the image's.
    pub crop_scale: [f64; 2],
    /// Smallest and largest aspect ratio (width / height) of the crop.
    pub crop_ratio: [f64; 2],
    /// Largest shift in each direction, as a fraction of the side.
    pub shift: f64,
    /// Brightness factor from \[1 - brightness, 1 + brightness\]; `contrast` and `saturation` likewise.
    pub brightness: f64,
    pub contrast: f64,
    pub saturation: f64,
    /// Largest hue shift either way, as a fraction of the full circle.
    pub hue: f64,
    /// Probability of a grayscale image.
    pub grayscale: f64,
    /// Cutout (DeVries and Taylor 2017): side of a square set to 0, as a fraction of the image's; its center is anywhere in the image.
    pub cutout: f64,
    /// Whether validation images are changed too, as the report's code did.
    pub validation: bool,
    pub elastic: Option<Elastic>,
}

/// Smooth random displacements (Ronneberger et al. 2015, section 3.1): normally distributed at the points of a grid, bicubic between them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Elastic {
    /// Control points per side: a `grid` x `grid` grid that spans the image.
    pub grid: i64,
    /// Standard deviation, as a share of the side.
    pub strength: f64,
}

impl Augmentation {
    /// No augmentation.
    pub fn off() -> Augmentation {
        Augmentation {
            stretch: 0.0,
            shear: 0.0,
            rotation: 0.0,
            flip: 0.0,
            crop_scale: [1.0, 1.0],
            crop_ratio: [1.0, 1.0],
            shift: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            grayscale: 0.0,
            cutout: 0.0,
            validation: false,
            elastic: None,
        }
    }

    /// The keys that change colors, with their values.
    pub fn colors(&self) -> [(&'static str, f64); 5] {
        let Augmentation { brightness, contrast, saturation, hue, grayscale, .. } = *self;
        [("brightness", brightness), ("contrast", contrast), ("saturation", saturation), ("hue", hue), ("grayscale", grayscale)]
    }

    pub(super) fn check(&self) -> Result<()> {
        let Augmentation { stretch, shear, rotation, flip, crop_scale, crop_ratio, shift, hue, cutout, elastic, .. } = *self;
        let within = |key: &str, value: f64, most: f64| {
            ensure!((0.0..=most).contains(&value), "augmentation.{key} is {value}, expected a number from 0 to {most}");
            Ok(())
        };
        fraction("augmentation.stretch", stretch)?;
        within("shear", shear, 45.0)?;
        within("shift", shift, 1.0)?;
        within("rotation", rotation, 180.0)?;
        within("flip", flip, 1.0)?;
        within("hue", hue, 0.5)?;
        within("cutout", cutout, 1.0)?;
        self.colors().into_iter().try_for_each(|(key, value)| within(key, value, 1.0))?;
        if let Some(Elastic { grid, strength }) = elastic {
            ensure!((2..=16).contains(&grid), "augmentation.elastic.grid is {grid}, expected a number from 2 to 16");
            within("elastic.strength", strength, 1.0)?;
        }
        let is_range = |[least, most]: [f64; 2]| 0.0 < least && least <= most && most.is_finite();
        ensure!(
            is_range(crop_scale) && crop_scale[1] <= 1.0,
            "augmentation.crop_scale is {crop_scale:?}, expected the least and the largest share, above 0 and up to 1"
        );
        ensure!(is_range(crop_ratio), "augmentation.crop_ratio is {crop_ratio:?}, expected the least and the largest ratio, above 0");
        Ok(())
    }
}
