//! One axis: its range, its ticks and their labels.

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// Linear, with ticks at whole numbers only.
    Counted,
    Logarithmic,
    /// Logarithmic where the values are positive and span more than a decade.
    Automatic,
    /// For accuracies: logarithmic in the distance to 1, so that 0.9, 0.99 and 0.999 are equally far apart.
    NearOne,
}

/// A value's *place* is the value itself, its decimal logarithm, or minus the logarithm of its distance to 1; the range is one of places.
#[derive(Clone)]
pub struct Ruler {
    scale: Scale,
    range: Range<f64>,
    ticks: Vec<(f64, String)>,
}

impl Ruler {
    /// An axis over `values`, widened by the share `padding` on both sides, with at most about `count` ticks, in per cent or not.
    pub fn new(scale: Scale, values: impl Iterator<Item = f64> + Clone, padding: f64, count: usize, in_percent: bool) -> Ruler {
        let (low, high) = extent(values.clone());
        let scale = match scale {
            Scale::Automatic if low > 0.0 && high > 10.0 * low => Scale::Logarithmic,
            Scale::Automatic => Scale::Linear,
            scale => scale,
        };
        let (low, high) = extent(values.clone().map(|value| place(scale, value)));
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let least = if scale == Scale::Counted { 1.0 } else { 0.01 * low.abs().max(1e-3) };
        // A constant is in the middle.
        let padding = if high > low { padding * (high - low) } else { least / 2.0 };
        let range = low - padding..high + padding;
        let mut ruler = Ruler { scale, range, ticks: Vec::new() };
        ruler.ticks = ruler.ticks(count, in_percent);
        // 1 itself is beyond every such axis: it is drawn at the edge.
        if scale == Scale::NearOne && values.into_iter().any(|value| value >= 1.0) {
            ruler.range.end += 0.08 * (ruler.range.end - ruler.range.start);
            ruler.ticks.push((ruler.range.end, if in_percent { "100" } else { "1" }.to_owned()));
        }
        ruler
    }

    /// About `count` ticks: the coarsest ones at round numbers that are at least half as many.
    fn ticks(&self, count: usize, in_percent: bool) -> Vec<(f64, String)> {
        let percent = if in_percent { 100.0 } else { 1.0 };
        const FINER: [(&[i32], i32); 3] = [(&[1, 2, 5], 1), (&[1, 2, 3, 5, 7], 1), (&[1, 2, 3, 4, 5, 6, 7, 8, 9], 1)];
        let coarser: &[(&[i32], i32)] = match self.scale {
            Scale::Logarithmic => &[(&[1], 5), (&[1], 2), (&[1], 1), (&[1, 3], 1)],
            Scale::NearOne => &[(&[1], 1)],
            Scale::Linear | Scale::Counted | Scale::Automatic => &[],
        };
        let finer = FINER.iter().filter(|_| !coarser.is_empty());
        let mut ticks = coarser.iter().chain(finer).map(|(mantissas, every)| self.decades(mantissas, *every, percent));
        if let Some(ticks) = ticks.find(|ticks| ticks.len() >= count / 2) {
            return ticks;
        }
        // A range that is short is all but linear.
        let values = self.value(self.range.start) * percent..self.value(self.range.end) * percent;
        let step = round_step((values.end - values.start) / count as f64);
        let step = if self.scale == Scale::Counted { step.max(1.0) } else { step };
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let multiples = (values.start / step).ceil() as i64..=(values.end / step).floor() as i64;
        let tick = |value: f64| (place(self.scale, value / percent), format!("{value:.decimals$}"));
        multiples.map(|index| tick(index as f64 * step)).collect()
    }

    /// Ticks at these multiples of every so many powers of ten, or as far from 1.
    fn decades(&self, mantissas: &[i32], every: i32, percent: f64) -> Vec<(f64, String)> {
        let powers = (self.range.start.floor() as i32 - 1..=self.range.end.ceil() as i32 + 1).filter(|power| power % every == 0);
        let tick = |mantissa: i32, power: i32| {
            let (size, decimals) = (f64::from(mantissa) * 10_f64.powi(power), (-power - percent.log10() as i32).max(0) as usize);
            match self.scale {
                Scale::NearOne => (place(self.scale, 1.0 - size), format!("{:.decimals$}", (1.0 - size) * percent)),
                scale if power.abs() > 3 => (place(scale, size), format!("{size:.0e}")),
                scale => (place(scale, size), format!("{size:.decimals$}")),
            }
        };
        // Of a distance to 1, the place is minus the logarithm.
        let powers = powers.map(|power| if self.scale == Scale::NearOne { -power } else { power });
        let mut ticks: Vec<_> = powers.flat_map(|power| mantissas.iter().map(move |mantissa| tick(*mantissa, power))).collect();
        ticks.retain(|(place, _)| self.range.contains(place));
        ticks.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        ticks
    }

    /// Places between 0 and 1 along the axis with their labels.
    pub fn shares(&self) -> impl Iterator<Item = (f64, &str)> {
        self.ticks.iter().map(|(place, label)| (self.share(*place), label.as_str()))
    }

    /// How far along the axis `value` is, between 0 and 1 where it is within the range.
    pub fn share_of(&self, value: f64) -> f64 {
        let place = place(self.scale, value);
        // A band that reaches zero has no logarithm, and one that reaches beyond 1 no distance to it: it ends at the edge.
        match self.scale {
            Scale::Logarithmic if place.is_nan() => 0.0,
            Scale::NearOne if place.is_nan() => 1.0,
            Scale::Logarithmic | Scale::NearOne => self.share(place).clamp(0.0, 1.0),
            Scale::Linear | Scale::Counted | Scale::Automatic => self.share(place),
        }
    }

    fn share(&self, place: f64) -> f64 {
        (place - self.range.start) / (self.range.end - self.range.start)
    }

    pub fn tick_count(&self) -> usize {
        self.ticks.len()
    }

    fn value(&self, place: f64) -> f64 {
        match self.scale {
            Scale::Logarithmic => 10_f64.powf(place),
            Scale::NearOne => 1.0 - 10_f64.powf(-place),
            Scale::Linear | Scale::Counted | Scale::Automatic => place,
        }
    }
}

fn place(scale: Scale, value: f64) -> f64 {
    match scale {
        Scale::Logarithmic => value.log10(),
        Scale::NearOne => -(1.0 - value).log10(),
        Scale::Linear | Scale::Counted | Scale::Automatic => value,
    }
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|rounded| *rounded >= step * (1.0 - 1e-9)).unwrap_or(step)
}

impl Ranged for Ruler {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, pixels: (i32, i32)) -> i32 {
        pixels.0 + (f64::from(pixels.1 - pixels.0) * self.share_of(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.iter().map(|(tick, _)| self.value(*tick)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.value(self.range.start)..self.value(self.range.end)
    }
}

impl ValueFormatter<f64> for Ruler {
    fn format(value: &f64) -> String {
        value.to_string()
    }

    fn format_ext(&self, value: &f64) -> String {
        let distance = |(tick, _): &&(f64, String)| (self.share(*tick) - self.share_of(*value)).abs();
        self.ticks.iter().min_by(|one, other| distance(one).total_cmp(&distance(other))).map_or(String::new(), |(_, label)| label.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, values: &[f64], in_percent: bool) -> Vec<String> {
        let ruler = Ruler::new(scale, values.iter().copied(), 0.0, 8, in_percent);
        ruler.key_points(plotters::coord::ranged1d::BoldPoints(8)).iter().map(|value| ruler.format_ext(value)).collect()
    }

    #[test]
    fn ticks_are_round_and_within_the_range() {
        assert_eq!(labels(Scale::Linear, &[0.8667, 0.9434], false), ["0.87", "0.88", "0.89", "0.90", "0.91", "0.92", "0.93", "0.94"]);
        assert_eq!(labels(Scale::Linear, &[0.8667, 0.9434], true), ["87", "88", "89", "90", "91", "92", "93", "94"]);
        assert_eq!(labels(Scale::Linear, &[-0.0021, 0.0093], true), ["-0.2", "0.0", "0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(labels(Scale::Logarithmic, &[0.5, 30.0], false), ["0.5", "1", "2", "5", "10", "20"]);
        assert_eq!(labels(Scale::Logarithmic, &[3e-13, 0.02], false), ["1e-12", "1e-10", "1e-8", "1e-6", "1e-4", "0.01"]);
        assert_eq!(labels(Scale::NearOne, &[0.4, 0.985], true), ["50", "80", "90", "95", "98"]);
        assert_eq!(labels(Scale::NearOne, &[0.87, 0.945], true), ["90", "91", "92", "93", "94"]);
        assert_eq!(labels(Scale::NearOne, &[0.981, 0.9895], true), ["98.2", "98.4", "98.6", "98.8"]);
        assert_eq!(labels(Scale::NearOne, &[0.04, 0.32], true), ["5", "10", "15", "20", "25", "30"]);
        assert_eq!(labels(Scale::Logarithmic, &[2.3020, 2.30245], false), ["2.3020", "2.3021", "2.3022", "2.3023", "2.3024"]);
    }

    #[test]
    fn few_epochs_have_whole_numbers() {
        assert_eq!(labels(Scale::Counted, &[1.0], false), ["1"]);
        assert_eq!(labels(Scale::Counted, &[1.0, 2.0], false), ["1", "2"]);
        assert_eq!(labels(Scale::Counted, &[1.0, 60.0], false), ["10", "20", "30", "40", "50", "60"]);
    }

    #[test]
    fn one_and_constants_have_their_place() {
        let ruler = Ruler::new(Scale::NearOne, [0.3, 0.9999, 1.0].into_iter(), 0.02, 8, true);
        assert_eq!(ruler.shares().map(|(_, label)| label).collect::<Vec<_>>(), ["90", "99", "99.9", "99.99", "100"]);
        assert_eq!(ruler.map(&1.0, (0, 100)), 100, "1 itself is beyond every axis and drawn at the edge");
        let constant = Ruler::new(Scale::Linear, [0.1135, 0.1135].into_iter(), 0.06, 6, false);
        assert!((constant.share_of(0.1135) - 0.5).abs() < 1e-9);
        assert!(Ruler::new(Scale::Linear, std::iter::empty(), 0.1, 5, false).tick_count() > 1, "no values, still an axis");
    }
}
