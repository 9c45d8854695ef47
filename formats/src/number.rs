//! Numbers: those that Nix has, and the texts that the generators give them.

use std::io::Write;

use serde_json::Number;

use super::RenderError;

/// The fault of [`i64::MIN`] for a program that reads `-` and then a number: the number by itself is too large.
pub(super) const LEAST_IS_FLOAT: &str = "is the least integer of 64 bits, which is read as a float here";

/// A number as Nix has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NixNumber {
    /// A signed 64-bit integer.
    Integer(i64),
    /// A double; JSON has neither NaN nor infinities, so it is finite.
    Float(f64),
}

/// Reads `number` as Nix does. Integers between 2^63 and 2^64 are valid JSON, but no Nix value could have given them.
pub fn read(number: &Number) -> Result<NixNumber, RenderError> {
    if let Some(integer) = number.as_i64() {
        Ok(NixNumber::Integer(integer))
    } else if number.is_u64() {
        Err(RenderError::here(format!("the integer {number} is above {}, the largest that Nix has", i64::MAX)))
    } else {
        number.as_f64().map(NixNumber::Float).ok_or_else(|| RenderError::here(format!("{number} is not a number")))
    }
}

/// Appends a number: an integer in decimal, a float as `write_float` has it.
pub fn write(
    out: &mut Vec<u8>,
    number: &Number,
    write_float: impl FnOnce(&mut Vec<u8>, f64),
) -> Result<(), RenderError> {
    match read(number)? {
        NixNumber::Integer(integer) => write_integer(out, integer),
        NixNumber::Float(float) => write_float(out, float),
    }
    Ok(())
}

/// The text of Nix's `toString`.
pub fn to_text(number: &Number) -> Result<String, RenderError> {
    let mut text = Vec::new();
    write(&mut text, number, write_fixed)?;
    // Digits, a sign and a point.
    Ok(String::from_utf8(text).unwrap_or_default())
}

/// Appends a decimal integer.
pub fn write_integer(out: &mut Vec<u8>, integer: i64) {
    // The digits from the last to the first; 20 bytes hold i64::MIN.
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    let mut rest = integer.unsigned_abs();
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if integer < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[start..]);
}

/// C's `%f`, which is what Nix's `toString` (`lib.floatToString`) gives: six decimals, never an exponent.
pub fn write_fixed(out: &mut Vec<u8>, float: f64) {
    // Writing to a Vec can't fail.
    let _ = write!(out, "{float:.6}");
}

/// Rust's `Display` with `.0` for whole numbers: what the `toml` crate writes, never an exponent.
pub fn write_positional(out: &mut Vec<u8>, float: f64) {
    let _ = if float % 1.0 == 0.0 { write!(out, "{float}.0") } else { write!(out, "{float}") };
}

/// The shortest digits that give the same double again, and the place of the point: `d.ddd * 10^exponent`.
struct Shortest {
    negative: bool,
    /// ASCII digits, 17 at most.
    digits: [u8; 17],
    count: usize,
    exponent: i32,
}

impl Shortest {
    fn new(float: f64) -> Self {
        // `d.ddde-308`, on the stack.
        let mut text = [0_u8; 32];
        let mut rest = &mut text[..];
        let _ = write!(rest, "{:e}", float.abs());
        let length = 32 - rest.len();
        let (mut digits, mut count, mut exponent, mut below_one) = ([0; 17], 0, 0, false);
        let mut in_exponent = false;
        for &byte in &text[..length] {
            match byte {
                b'e' => in_exponent = true,
                b'-' => below_one = true,
                b'0'..=b'9' if in_exponent => exponent = exponent * 10 + i32::from(byte - b'0'),
                b'0'..=b'9' if count < digits.len() => {
                    digits[count] = byte;
                    count += 1;
                }
                _ => {}
            }
        }
        let exponent = if below_one { -exponent } else { exponent };
        Self { negative: float.is_sign_negative(), digits, count, exponent }
    }

    fn digits(&self) -> &[u8] {
        &self.digits[..self.count]
    }

    /// `ddd.ddd`, with at least one digit on either side of the point.
    fn write_positional(&self, out: &mut Vec<u8>) {
        let digits = self.digits();
        match usize::try_from(self.exponent) {
            Err(_) => {
                out.extend_from_slice(b"0.");
                out.resize(out.len() + usize::try_from(-self.exponent - 1).unwrap_or_default(), b'0');
                out.extend_from_slice(digits);
            }
            Ok(exponent) if digits.len() <= exponent + 1 => {
                out.extend_from_slice(digits);
                out.resize(out.len() + exponent + 1 - digits.len(), b'0');
                out.extend_from_slice(b".0");
            }
            Ok(exponent) => {
                out.extend_from_slice(&digits[..=exponent]);
                out.push(b'.');
                out.extend_from_slice(&digits[exponent + 1..]);
            }
        }
    }

    /// The digits before an exponent: `d` or `d.ddd`.
    fn write_mantissa(&self, out: &mut Vec<u8>) {
        let (first, rest) = self.digits().split_at(1);
        out.extend_from_slice(first);
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest);
        }
    }
}

/// Python's `repr`: the shortest digits, positional from 1e-4 to below 1e16, else with an exponent of two digits or
/// more (`1e-07`). `point` writes `1.0e-07`, as YAML 1.1's resolver needs it (`represent_float` in PyYAML and ruamel).
pub fn write_python(out: &mut Vec<u8>, float: f64, point: bool) {
    write_shortest(out, float, 16, point);
}

/// Writes as Nix's `toJSON`: as Python, but positional only below 1e15 (`format_buffer` of `nlohmann::json`).
pub fn write_nix_json(out: &mut Vec<u8>, float: f64) {
    write_shortest(out, float, 15, false);
}

fn write_shortest(out: &mut Vec<u8>, float: f64, positional_below: i32, point: bool) {
    let shortest = Shortest::new(float);
    if shortest.negative {
        out.push(b'-');
    }
    if (-4..positional_below).contains(&shortest.exponent) {
        return shortest.write_positional(out);
    }
    shortest.write_mantissa(out);
    if point && shortest.count == 1 {
        out.extend_from_slice(b".0");
    }
    let _ = write!(out, "e{}{:02}", if shortest.exponent < 0 { '-' } else { '+' }, shortest.exponent.abs());
}

/// The value that nixpkgs' own Rust programs read after Nix's `toJSON` wrote `float`. `serde_json` 1.0.107 without its
/// feature `float_roundtrip` multiplies the digits by a power of ten, so the value may be off by a bit
/// (`f64_from_parts` in its de.rs). If that overflows, it is an error there too.
pub fn as_generators_read(float: f64) -> Result<f64, RenderError> {
    reread(float).ok_or_else(|| RenderError::here(format!("{float:e} is beyond what nixpkgs' generator reads")))
}

fn reread(float: f64) -> Option<f64> {
    let mut text = Vec::with_capacity(32);
    write_nix_json(&mut text, float);
    let text = String::from_utf8(text).ok()?;
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mantissa = mantissa.trim_start_matches('-');
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    // At most 17 digits and zeros up to 1e15: that fits.
    let digits: u64 = format!("{whole}{decimals}").parse().ok()?;
    #[allow(clippy::cast_precision_loss, reason = "that loss is what is to be found out")]
    let mut result = digits as f64;
    let mut exponent = exponent.parse::<i32>().ok()? - i32::try_from(decimals.len()).ok()?;
    while exponent < -308 && result != 0.0 {
        result /= 1e308;
        exponent += 308;
    }
    let power: f64 = format!("1e{}", exponent.unsigned_abs()).parse().ok()?;
    result = if exponent < 0 { result / power } else { result * power };
    result.is_finite().then_some(if float.is_sign_negative() { -result } else { result })
}

/// Writes as `serde_json` 1.0.107, which uses `ryu`: positional from 1e-5 to below 1e16, otherwise `d.ddde-7`
/// (`format64` of ryu's `pretty` module).
pub fn write_ryu(out: &mut Vec<u8>, float: f64) {
    let shortest = Shortest::new(float);
    if shortest.negative {
        out.push(b'-');
    }
    if (-5..16).contains(&shortest.exponent) {
        return shortest.write_positional(out);
    }
    shortest.write_mantissa(out);
    let _ = write!(out, "e{}", shortest.exponent);
}

/// Rust's `Debug`: `1.0`, `1e16`, `1e-5`.
pub fn write_rust_debug(out: &mut Vec<u8>, float: f64) {
    let _ = write!(out, "{float:?}");
}

/// Writes a double as jq 1.7 does after Nix's `toJSON`.
///
/// Nix writes the shortest digits, positional from 1e-4 to below 1e15 and with an exponent elsewhere (`format_buffer`
/// of `nlohmann::json`). jq keeps the number as a decimal and writes it as decNumber does: positional if its exponent
/// is not above zero and it is not below 1e-6, otherwise with an exponent without padding (`1E+20`).
pub fn write_jq(out: &mut Vec<u8>, float: f64) {
    let shortest = Shortest::new(float);
    if shortest.negative {
        out.push(b'-');
    }
    if (-4..15).contains(&shortest.exponent) {
        return shortest.write_positional(out);
    }
    let decimals = i32::try_from(shortest.count).unwrap_or_default() - 1;
    if shortest.exponent <= decimals && shortest.exponent >= -6 {
        if shortest.exponent == decimals {
            out.extend_from_slice(shortest.digits());
        } else {
            shortest.write_positional(out);
        }
    } else {
        shortest.write_mantissa(out);
        let _ = write!(out, "E{:+}", shortest.exponent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_of_every_size() {
        for integer in [0, 1, -1, 9, 10, -300, i64::MAX, i64::MIN] {
            assert_eq!(text(|out| write_integer(out, integer)), integer.to_string());
        }
        assert!(read(&Number::from(u64::MAX)).is_err());
    }

    #[test]
    fn floats_as_python_writes_them() {
        for (float, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000_012_5, "1.25e-05"),
            (123_456_789.125, "123456789.125"),
            (1e15, "1000000000000000.0"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (1e16, "1e+16"),
            (-1.5e300, "-1.5e+300"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(text(|out| write_python(out, float, false)), expected);
        }
        assert_eq!(text(|out| write_python(out, 1e-7, true)), "1.0e-07");
        assert_eq!(text(|out| write_python(out, 1.5e20, true)), "1.5e+20");
    }

    #[test]
    fn floats_as_nix_writes_them_in_json() {
        for (float, expected) in [(1e14, "100000000000000.0"), (1e15, "1e+15"), (-1e-5, "-1e-05"), (0.5, "0.5")] {
            assert_eq!(text(|out| write_nix_json(out, float)), expected);
        }
    }

    #[test]
    fn floats_as_rust_programs_write_them() {
        for (float, ryu, debug) in [
            (0.0, "0.0", "0.0"),
            (-0.0, "-0.0", "-0.0"),
            (1e15, "1000000000000000.0", "1000000000000000.0"),
            (1e16, "1e16", "1e16"),
            (123_456_789_012_345_680.0, "1.2345678901234568e17", "1.2345678901234568e17"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "0.00001", "1e-5"),
            (1.5e-6, "1.5e-6", "1.5e-6"),
            (5e-324, "5e-324", "5e-324"),
        ] {
            assert_eq!(text(|out| write_ryu(out, float)), ryu);
            assert_eq!(text(|out| write_rust_debug(out, float)), debug);
        }
    }

    #[test]
    fn floats_as_an_old_serde_json_reads_them() {
        for same in [0.0, -0.0, 1.0, 0.1, 1e15, 1e16, -1.5e300, 5e-324, 1e-5] {
            assert_eq!(reread(same).map(f64::to_bits), Some(same.to_bits()), "{same}");
        }
        assert_eq!(reread(-237_042.174_301_795_66), Some(-237_042.174_301_795_7));
        assert_eq!(reread(260_235.699_326_323_58), Some(260_235.699_326_323_6));
    }

    #[test]
    fn floats_as_jq_writes_them() {
        for (float, expected) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.00001, "0.00001"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1E-7"),
            (1.25e-6, "0.00000125"),
            (1e14, "100000000000000.0"),
            (1e15, "1E+15"),
            (1e20, "1E+20"),
            (1_234_567_890_123_456.0, "1234567890123456"),
            (1_234_567_890_123_456.5, "1234567890123456.5"),
            (1e100, "1E+100"),
        ] {
            assert_eq!(text(|out| write_jq(out, float)), expected);
        }
    }

    #[test]
    fn floats_as_the_toml_crate_and_c_write_them() {
        assert_eq!(text(|out| write_positional(out, 1e20)), "100000000000000000000.0");
        assert_eq!(text(|out| write_positional(out, 1e-7)), "0.0000001");
        assert_eq!(text(|out| write_positional(out, -0.0)), "-0.0");
        assert_eq!(text(|out| write_fixed(out, 1.005)), "1.005000");
        assert_eq!(text(|out| write_fixed(out, 1e-7)), "0.000000");
    }
}
