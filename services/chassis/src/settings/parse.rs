//! Values.
//!
//! Owns how the common kinds of values are read from text. Promises a sentence that says what would be right. Never
//! repeats the text it was given, which may be a secret.

use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, str::FromStr, time::Duration};

/// Reads an address and port to listen on.
///
/// # Errors
/// It is not one.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an address and port, such as 127.0.0.1:9292 or [::]:9292".to_owned())
}

/// Returns a reader of whole numbers within a range.
pub fn whole<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("expected a whole number from {} to {}", range.start(), range.end())),
    }
}

/// Returns a reader of seconds, which may have decimals, within a range.
pub fn seconds(range: RangeInclusive<f64>) -> impl Fn(&str) -> Result<Duration, String> {
    move |text| match text.parse() {
        Ok(seconds) if range.contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("expected seconds from {} to {}, such as 2.5", range.start(), range.end())),
    }
}

/// Reads how many a second; 0 is no limit.
///
/// # Errors
/// It is not a number, or too large.
pub fn per_second(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.0..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("expected a number from 0 to 1000000".to_owned()),
    }
}

/// Returns a reader of values separated by commas; blanks around them and empty ones do not count.
pub fn list<T>(parse: impl Fn(&str) -> Result<T, String>) -> impl Fn(&str) -> Result<Vec<T>, String> {
    move |text| text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(&parse).collect()
}
