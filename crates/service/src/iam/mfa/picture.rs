//! The picture of a seed that the camera of a telephone reads: a QR code (ISO/IEC 18004) in a PNG.

use png::{BitDepth, ColorType, Encoder};
use qrcode::{Color, QrCode};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Pixels of a module, along each side.
const SCALE: usize = 4;
/// Modules of quiet zone around the code.
const QUIET: usize = 4;

/// The picture of a text.
///
/// # Errors
/// Where the text is too long for a QR code.
pub(crate) fn of(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |error: String| Error::internal(format!("cannot draw a QR code: {error}"));
    let code = QrCode::new(text).map_err(|error| failed(error.to_string()))?;
    let (width, colors) = (code.width(), code.to_colors());
    let modules = width + 2 * QUIET;
    let dark = |x: usize, y: usize| {
        let (Some(x), Some(y)) = (x.checked_sub(QUIET), y.checked_sub(QUIET)) else { return false };
        x < width && colors.get(y * width + x) == Some(&Color::Dark)
    };
    let side = modules * SCALE;
    let pixels: Zeroizing<Vec<u8>> = Zeroizing::new(
        (0..side * side).map(|at| if dark(at % side / SCALE, at / side / SCALE) { 0 } else { 255 }).collect(),
    );
    let pixels_wide = u32::try_from(side).map_err(|error| failed(error.to_string()))?;
    let mut picture = Zeroizing::new(Vec::new());
    let mut encoder = Encoder::new(&mut *picture, pixels_wide, pixels_wide);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|error| failed(error.to_string()))?;
    writer.write_image_data(&pixels).map_err(|error| failed(error.to_string()))?;
    writer.finish().map_err(|error| failed(error.to_string()))?;
    Ok(picture)
}
