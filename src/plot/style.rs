//! Colors, sizes and the font of every picture.

use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, IntoFont, RGBColor, TextStyle, register_font};
use std::sync::Once;

/// Pictures are drawn this many times larger than they are written.
pub const OVERSAMPLING: u32 = 2;

/// Sizes of text that can still be read in a picture of half the size: in titles and legends, and at axes.
pub const BODY: u32 = 17;
pub const SMALL: u32 = 15;

pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub const FAINT: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// Colors that remain apart for people with color vision deficiencies (Okabe and Ito 2008), in the order in which series take them.
const PALETTE: [RGBColor; 8] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0x8c, 0x56, 0x4b),
    RGBColor(0x55, 0x55, 0x55),
];

/// The color of the series in place `index`.
pub fn color(index: usize) -> RGBColor {
    PALETTE[index % PALETTE.len()]
}

/// A lighter tint, for our curves under those of the report.
pub fn tint(RGBColor(red, green, blue): RGBColor) -> RGBColor {
    let lighten = |value: u8| (f64::from(value) * 0.65 + 255.0 * 0.35) as u8;
    RGBColor(lighten(red), lighten(green), lighten(blue))
}

/// `size` of the written picture in pixels of the drawn one.
pub fn scaled(size: u32) -> u32 {
    size * OVERSAMPLING
}

pub fn px(size: u32) -> i32 {
    scaled(size) as i32
}

/// A place of the written picture in pixels of the drawn one.
pub fn at(x: u32, y: u32) -> (i32, i32) {
    (px(x), px(y))
}

pub fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", px(size)).into_font().color(&INK)
}

pub fn bold(size: u32) -> TextStyle<'static> {
    ("sans-serif", px(size), FontStyle::Bold).into_font().color(&INK)
}

/// The same text, below its place and to both sides of it.
pub fn centered(style: TextStyle<'static>) -> TextStyle<'static> {
    style.pos(Pos::new(HPos::Center, VPos::Top))
}

/// Makes the crate's font known to plotters under the name it uses by default.
pub fn load_font() {
    static LOADED: Once = Once::new();
    LOADED.call_once(|| {
        let fonts = [(FontStyle::Normal, dejavu::sans::regular()), (FontStyle::Bold, dejavu::sans::bold())];
        for (style, bytes) in fonts {
            // It fails for bytes that are no font only; a picture without text would show that at once.
            let _ = register_font("sans-serif", style, bytes);
        }
    });
}
