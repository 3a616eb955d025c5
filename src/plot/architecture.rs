//! A network as a row of blocks, one for each layer, with shapes and numbers of parameters.

use super::canvas::{Area, paint_title, picture};
use super::style::{INK, OVERSAMPLING, at, bold, centered, px, text};
use crate::architecture::{Architecture, Shape};
use crate::layers::Relu;
use crate::points::distinct;
use anyhow::Result;
use image::RgbImage;
use indicatif::HumanCount;
use plotters::prelude::*;

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
    color: RGBColor,
    /// The color of the ReLU that ends it, where there is one.
    end: Option<RGBColor>,
    shape: Shape,
    parameters: i64,
}

/// Draws `architecture` from left to right. A block's front is as wide as it has channels and as high as its image, both not to scale
/// but in order.
pub fn draw_architecture(title: &str, architecture: &Architecture) -> Result<RgbImage> {
    let blocks = blocks(architecture);
    let size = [LEFT + blocks.len() as u32 * COLUMN + 20, HEADER + BLOCKS + LABELS];
    picture(title, size, |area| {
        paint_header(area, title, architecture, &blocks)?;
        let largest = blocks.iter().map(|block| side(block.shape)).fold(1.0, f64::max);
        for (name, y) in [("layer", NAME), ("output", SHAPE), ("parameters", PARAMETERS)] {
            area.draw(&Text::new(name, at(20, HEADER + BLOCKS + y), text(13)))?;
        }
        for (index, block) in blocks.iter().enumerate() {
            paint_block(area, block, LEFT + index as u32 * COLUMN, largest)?;
        }
        Ok(())
    })
}

fn blocks(architecture: &Architecture) -> Vec<Block> {
    let input = Block { name: "Input".to_owned(), kind: "", color: INPUT, end: None, shape: architecture.input, parameters: 0 };
    let layers = architecture.stages.iter().map(|stage| {
        let description = &stage.description;
        let (kind, color) = description.legend;
        let [_, red, green, blue] = color.to_be_bytes();
        Block {
            name: stage.name.clone(),
            kind,
            color: RGBColor(red, green, blue),
            end: matches!(description.relu, Relu::After | Relu::Inside).then_some(RELU),
            shape: description.output,
            parameters: stage.parameters(),
        }
    });
    std::iter::once(input).chain(layers).collect()
}

fn paint_header(area: &Area, title: &str, architecture: &Architecture, blocks: &[Block]) -> Result<()> {
    let (parameters, share) = (thousands(architecture.parameters()), 100.0 * architecture.fully_connected_share());
    let line =
        format!("{parameters} parameters, {share:.1} % of them in fully connected layers; 3x3 filters, padding 1; 2x2 pools, stride 2");
    paint_title(area, title, &line)?;
    let mut x = px(20);
    let kinds = blocks[1..].iter().flat_map(|block| [Some((block.color, block.kind)), block.end.map(|color| (color, "ReLU"))]);
    for (color, name) in distinct(kinds.flatten()) {
        let (top, height) = (px(70), px(12));
        area.draw(&Rectangle::new([(x, top), (x + px(22), top + height)], color.filled()))?;
        x += px(28);
        area.draw(&Text::new(name, (x, top), text(13)))?;
        x += area.estimate_text_size(name, &text(13))?.0 as i32 + px(24);
    }
    Ok(())
}

fn paint_block(area: &Area, block: &Block, left: u32, largest: f64) -> Result<()> {
    // Square roots bring 3 and 28, and 1 and 72, onto one page.
    let height = (TALLEST * (side(block.shape) / largest).sqrt()) as u32;
    let (width, depth) = match block.shape {
        Shape::Image { channels, .. } => ((2.5 * (channels as f64).sqrt()).clamp(4.0, 48.0) as u32, height / 4),
        Shape::Vector(_) => (14, 8),
    };
    let middle = left + COLUMN / 2;
    let (x, bottom) = (middle - (width + depth) / 2, HEADER + (BLOCKS + height + depth) / 2);
    let top = bottom - height;
    let face = |corners: Vec<(i32, i32)>, color: RGBColor| -> Result<()> {
        area.draw(&Polygon::new(corners.clone(), color.filled()))?;
        let around = corners.iter().chain(corners.first()).copied().collect::<Vec<_>>();
        Ok(area.draw(&PathElement::new(around, INK.stroke_width(OVERSAMPLING)))?)
    };
    let front_and_roof = |from: u32, to: u32, color| {
        face(vec![at(from, top), at(to, top), at(to, bottom), at(from, bottom)], color)?;
        face(vec![at(from, top), at(to, top), at(to + depth, top - depth), at(from + depth, top - depth)], color)
    };
    let right = x + width;
    let relu = right - block.end.map_or(0, |_| (width / 3).max(2));
    front_and_roof(x, relu, block.color)?;
    if let Some(color) = block.end {
        front_and_roof(relu, right, color)?;
    }
    let flank = vec![at(right, top), at(right + depth, top - depth), at(right + depth, bottom - depth), at(right, bottom)];
    face(flank, block.end.unwrap_or(block.color))?;
    let parameters = if block.parameters > 0 { thousands(block.parameters) } else { String::new() };
    let lines = [(block.name.clone(), NAME, bold(13)), (block.shape.to_string(), SHAPE, text(13)), (parameters, PARAMETERS, text(13))];
    for (label, y, style) in lines {
        area.draw(&Text::new(label, at(middle, HEADER + BLOCKS + y), centered(style)))?;
    }
    Ok(())
}

fn side(shape: Shape) -> f64 {
    match shape {
        Shape::Image { height, .. } => height as f64,
        // As high as an image of a tenth as many values is wide.
        Shape::Vector(length) => (length as f64 / 10.0).sqrt().max(1.0),
    }
}

/// 570436 as "570,436".
pub fn thousands(number: i64) -> String {
    HumanCount(number.unsigned_abs()).to_string()
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
        for color in blocks.iter().flat_map(|block| [Some(block.color), block.end]).flatten() {
            let (red, green, blue) = color.rgb();
            assert!(picture.pixels().any(|pixel| pixel.0 == [red, green, blue]), "{color:?} is on the picture");
        }
        Ok(())
    }
}
