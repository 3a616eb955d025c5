//! A network as a row of blocks, one for each layer, with shapes and numbers of parameters.

use super::canvas::{Area, Canvas};
use super::style::{INK, OVERSAMPLING, scaled};
use crate::architecture::{Architecture, Shape, Stage};
use crate::layers::Relu;
use anyhow::Result;
use image::RgbImage;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Colors of what is no layer; a layer has its own.
const INPUT: RGBColor = RGBColor(0xee, 0xee, 0xee);
const RELU: RGBColor = RGBColor(0xff, 0xa0, 0x50);

/// Sizes in pixels of the written picture.
const COLUMN: u32 = 112;
const HEADER: u32 = 92;
/// For the names of the lines below the blocks.
const LEFT: u32 = 100;
const BLOCKS: u32 = 262;
const LABELS: u32 = 92;
const TALLEST: f64 = 200.0;
/// Where the lines below the blocks are.
const NAME: u32 = 8;
const SHAPE: u32 = 30;
const PARAMETERS: u32 = 52;

/// One block: a layer, or what the network is given.
struct Block {
    name: String,
    /// As the legend calls layers of its kind.
    kind: &'static str,
    colour: RGBColor,
    /// The colour of the ReLU that ends it, where there is one.
    end: Option<RGBColor>,
    shape: Shape,
    parameters: i64,
}

/// Draws `architecture` from left to right. A block's front is as wide as it has channels and as high as its image, both not to scale
/// but in order.
pub fn draw_architecture(title: &str, architecture: &Architecture) -> Result<RgbImage> {
    let blocks = blocks(architecture);
    let canvas = Canvas::new(LEFT + blocks.len() as u32 * COLUMN + 20, HEADER + BLOCKS + LABELS);
    canvas.paint(title, |area| {
        paint_header(area, title, architecture, &blocks)?;
        let largest = blocks.iter().map(|block| side(block.shape)).fold(1.0, f64::max);
        let text = ("sans-serif", scaled(13) as i32).into_font().color(&INK);
        for (name, y) in [("layer", NAME), ("output", SHAPE), ("parameters", PARAMETERS)] {
            area.draw(&Text::new(name, (scaled(20) as i32, scaled(HEADER + BLOCKS + y) as i32), text.clone()))?;
        }
        for (index, block) in blocks.iter().enumerate() {
            paint_block(area, block, LEFT + index as u32 * COLUMN, largest)?;
        }
        Ok(())
    })
}

fn blocks(architecture: &Architecture) -> Vec<Block> {
    let input = Block { name: "Input".to_owned(), kind: "", colour: INPUT, end: None, shape: architecture.input, parameters: 0 };
    let layers = architecture.stages.iter().map(|stage| {
        let Stage { name, description, .. } = stage;
        let (kind, color) = description.legend;
        let [_, red, green, blue] = color.to_be_bytes();
        Block {
            name: name.clone(),
            kind,
            colour: RGBColor(red, green, blue),
            end: matches!(description.relu, Relu::After | Relu::Inside).then_some(RELU),
            shape: description.output,
            parameters: stage.parameters(),
        }
    });
    std::iter::once(input).chain(layers).collect()
}

fn paint_header(area: &Area, title: &str, architecture: &Architecture, blocks: &[Block]) -> Result<()> {
    let bold = ("sans-serif", scaled(19) as i32, FontStyle::Bold).into_font().color(&INK);
    let text = ("sans-serif", scaled(13) as i32).into_font().color(&INK);
    let left = scaled(20) as i32;
    area.draw(&Text::new(title.to_owned(), (left, scaled(12) as i32), bold))?;
    let (parameters, share) = (thousands(architecture.parameters()), 100.0 * architecture.fully_connected_share());
    let line =
        format!("{parameters} parameters, {share:.1} % of them in fully connected layers; 3x3 filters, padding 1; 2x2 pools, stride 2");
    area.draw(&Text::new(line, (left, scaled(38) as i32), text.clone()))?;
    let mut x = left;
    let mut kinds: Vec<(RGBColor, &str)> = Vec::new();
    for block in &blocks[1..] {
        for kind in [(block.colour, block.kind)].into_iter().chain(block.end.map(|colour| (colour, "ReLU"))) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
    }
    for (colour, name) in kinds {
        let (top, height) = (scaled(64) as i32, scaled(12) as i32);
        area.draw(&Rectangle::new([(x, top), (x + scaled(22) as i32, top + height)], colour.filled()))?;
        x += scaled(28) as i32;
        area.draw(&Text::new(name, (x, top), text.clone()))?;
        x += area.estimate_text_size(name, &text)?.0 as i32 + scaled(24) as i32;
    }
    Ok(())
}

fn paint_block(area: &Area, block: &Block, left: u32, largest: f64) -> Result<()> {
    // Square roots bring 3 and 28, and 1 and 72, onto one page.
    let height = (TALLEST * (side(block.shape) / largest).sqrt()) as u32;
    let depth = if matches!(block.shape, Shape::Image { .. }) { height / 4 } else { 8 };
    let width = match block.shape {
        Shape::Image { channels, .. } => (2.5 * (channels as f64).sqrt()).clamp(4.0, 48.0) as u32,
        Shape::Vector(_) => 14,
    };
    let middle = left + COLUMN / 2;
    let (x, bottom) = (middle - (width + depth) / 2, HEADER + (BLOCKS + height + depth) / 2);
    let top = bottom - height;
    let at = |x: u32, y: u32| (scaled(x) as i32, scaled(y) as i32);
    let outline = ShapeStyle { color: INK.to_rgba(), filled: false, stroke_width: OVERSAMPLING };
    let face = |corners: Vec<(i32, i32)>, colour: RGBColor| -> Result<()> {
        area.draw(&Polygon::new(corners.clone(), colour.filled()))?;
        let around = corners.iter().chain(corners.first()).copied().collect::<Vec<_>>();
        Ok(area.draw(&PathElement::new(around, outline))?)
    };
    let front = |from: u32, to: u32| vec![at(from, top), at(to, top), at(to, bottom), at(from, bottom)];
    let roof = |from: u32, to: u32| vec![at(from, top), at(to, top), at(to + depth, top - depth), at(from + depth, top - depth)];
    let right = x + width;
    let end = right - if block.end.is_some() { (width / 3).max(2) } else { 0 };
    face(front(x, end), block.colour)?;
    face(roof(x, end), block.colour)?;
    let last = block.end.unwrap_or(block.colour);
    if end < right {
        face(front(end, right), last)?;
        face(roof(end, right), last)?;
    }
    face(vec![at(right, top), at(right + depth, top - depth), at(right + depth, bottom - depth), at(right, bottom)], last)?;

    let centred = |size: u32, style: FontStyle| {
        let font = ("sans-serif", scaled(size) as i32, style).into_font().color(&INK);
        font.pos(Pos::new(HPos::Center, VPos::Top))
    };
    let line = |text: String, y: u32, style: FontStyle| -> Result<()> {
        let place = at(middle, HEADER + BLOCKS + y);
        Ok(area.draw(&Text::new(text, place, centred(13, style)))?)
    };
    line(block.name.clone(), NAME, FontStyle::Bold)?;
    line(block.shape.to_string(), SHAPE, FontStyle::Normal)?;
    if block.parameters > 0 {
        line(thousands(block.parameters), PARAMETERS, FontStyle::Normal)?;
    }
    Ok(())
}

/// The height of a block before it is scaled.
fn side(shape: Shape) -> f64 {
    match shape {
        Shape::Image { height, .. } => height as f64,
        // As high as an image of a tenth as many values is wide.
        Shape::Vector(length) => (length as f64 / 10.0).sqrt().max(1.0),
    }
}

/// 570436 as "570,436".
pub fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let group = |(index, digit): (usize, char)| {
        let is_border = index > 0 && (digits.len() - index).is_multiple_of(3);
        [is_border.then_some(','), Some(digit)].into_iter().flatten()
    };
    digits.chars().enumerate().flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Layer;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([7, 180, 5_868, 570_436, 57_208_706].map(thousands), ["7", "180", "5,868", "570,436", "57,208,706"]);
    }

    #[test]
    fn a_block_for_the_input_and_for_each_layer() -> Result<()> {
        let layers = [Layer::Convolution(18), Layer::MaxPool, Layer::Dropout(0.5), Layer::FullyConnected(7), Layer::FullyConnected(10)];
        let architecture = Architecture::new([1, 28, 28], &layers)?;
        let blocks = blocks(&architecture);
        let names: Vec<&str> = blocks.iter().map(|block| block.name.as_str()).collect();
        assert_eq!(names, ["Input", "Conv1", "Pool1", "Dropout1", "FC1", "FC2"]);
        let relu: Vec<bool> = blocks.iter().map(|block| block.end.is_some()).collect();
        assert_eq!(relu, [false, true, false, false, true, false], "none after the last layer");
        let picture = draw_architecture("Test", &architecture)?;
        assert_eq!(picture.width(), LEFT + 6 * COLUMN + 20);
        for colour in blocks.iter().flat_map(|block| [Some(block.colour), block.end]).flatten() {
            let (red, green, blue) = colour.rgb();
            assert!(picture.pixels().any(|pixel| pixel.0 == [red, green, blue]), "{colour:?} is on the picture");
        }
        Ok(())
    }
}
