//! Dates and times. Broken-down times are jq's arrays of eight numbers; the local time zone of a
//! pipeline is UTC.

use super::super::native::{Native, native};
use crate::jq::library::time::{self, BrokenDown};
use crate::jq::value::{Exn, Raised, Val, raise};

pub(super) const NATIVES: &[Native] = &[
    native("mktime", 0, |value, _| {
        if !value.is_array() {
            return raise("mktime requires array inputs");
        }
        let broken =
            broken_down(&value).ok_or_else(|| Raised::message("mktime requires parsed datetime inputs"))?;
        Ok(Val::Int(time::timegm(&broken)))
    }),
    native("gmtime", 0, |value, _| gmtime(&value, "gmtime")),
    native("localtime", 0, |value, _| gmtime(&value, "localtime")),
    native("strftime", 1, |value, args| strftime(&value, &args[0], "strftime/1")),
    native("strflocaltime", 1, |value, args| strftime(&value, &args[0], "strflocaltime/1")),
    native("strptime", 1, |value, args| match (&value, &args[0]) {
        (Val::Str(text), Val::Str(format)) => match time::strptime(text.as_str(), format.as_str()) {
            Ok(broken) => Ok(to_array(&broken)),
            Err(message) => Err(Raised::about(&value, message)),
        },
        _ => raise("strptime/1 requires string inputs and arguments"),
    }),
    native("fromdateiso8601", 0, |value, _| from_iso(&value)),
    native("fromdate", 0, |value, _| from_iso(&value)),
    native("todateiso8601", 0, |value, _| to_iso(&value)),
    native("todate", 0, |value, _| to_iso(&value)),
    native("date", 0, |value, _| to_iso(&value)),
    native("to_epoch_ms", 0, |value, _| match &value {
        Val::Str(text) => match time::to_epoch_ms(text.as_str()) {
            Ok(ms) => Ok(Val::Int(ms)),
            Err(message) => Err(Raised::about(&value, message)),
        },
        number if number.as_f64().is_some() => {
            // the same magnitudes as for digits in a text
            let text = super::json::to_json(&number.round_with(f64::floor).unwrap_or(Val::Null))?;
            match time::to_epoch_ms(&text) {
                Ok(ms) => Ok(Val::Int(ms)),
                Err(message) => Err(Raised::about(&value, message)),
            }
        }
        other => Err(Raised::typed(other, "is no timestamp: it is neither a string nor a number")),
    }),
    native("from_epoch_ms", 0, |value, _| match value.round_with(f64::floor).and_then(|ms| ms.as_i64()) {
        Some(ms) => Ok(Val::string(time::format_epoch_ms(ms))),
        None => Err(Raised::typed(&value, "is no number of milliseconds")),
    }),
    native("parse_time", 1, |value, args| {
        let Val::Str(text) = &value else {
            return Err(Raised::typed(&value, "is no timestamp: it is not a string"));
        };
        let formats = match &args[0] {
            Val::Str(_) => vec![args[0].clone()],
            other => match other.as_items() {
                Some(items) => items.to_vec(),
                None => return Err(Raised::typed(other, "cannot be the formats of parse_time")),
            },
        };
        let mut texts = Vec::with_capacity(formats.len());
        for format in &formats {
            texts.push(super::collection::string(format, "a format of parse_time")?.as_str());
        }
        match time::parse_time(text.as_str(), &texts) {
            Ok(ms) => Ok(Val::Int(ms)),
            Err(message) => Err(Raised::about(&value, message)),
        }
    }),
];

fn to_array(time: &BrokenDown) -> Val {
    let int = |number: i32| Val::Int(i64::from(number));
    Val::arr(vec![
        int(time.year),
        int(time.month0),
        int(time.day),
        int(time.hour),
        int(time.minute),
        Val::float(time.seconds),
        int(time.weekday),
        int(time.yearday0),
    ])
}

/// The time of an array of numbers; what is missing is the beginning of the unit.
fn broken_down(value: &Val) -> Option<BrokenDown> {
    let items = value.as_items()?;
    let mut numbers = [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    for (slot, item) in numbers.iter_mut().zip(items.iter()) {
        *slot = item.as_f64()?;
    }
    let int = |at: usize| numbers[at] as i32;
    let mut time = BrokenDown {
        year: int(0),
        month0: int(1),
        day: int(2),
        hour: int(3),
        minute: int(4),
        seconds: numbers[5],
        weekday: int(6),
        yearday0: int(7),
    };
    if items.len() < 8
        && let Ok(whole) = time::gmtime(time::timegm(&time) as f64)
    {
        (time.weekday, time.yearday0) = (whole.weekday, whole.yearday0);
    }
    Some(time)
}

fn gmtime(value: &Val, name: &str) -> Result<Val, Exn> {
    let Some(seconds) = value.as_f64() else { return raise(format!("{name}() requires numeric inputs")) };
    match time::gmtime(seconds) {
        Ok(broken) => Ok(to_array(&broken)),
        Err(message) => Err(Raised::about(value, message)),
    }
}

fn strftime(value: &Val, format: &Val, name: &str) -> Result<Val, Exn> {
    let broken = match value.as_f64() {
        Some(seconds) => match time::gmtime(seconds) {
            Ok(broken) => Some(broken),
            Err(message) => return Err(Raised::about(value, message)),
        },
        None => None,
    };
    if broken.is_none() && !value.is_array() {
        return raise(format!("{name} requires parsed datetime inputs"));
    }
    let Val::Str(format) = format else { return raise(format!("{name} requires a string format")) };
    let Some(broken) = broken.or_else(|| broken_down(value)) else {
        return raise(format!("{name} requires parsed datetime inputs"));
    };
    Ok(Val::string(time::strftime(&broken, format.as_str())))
}

/// RFC 3339 to seconds. Fractions and offsets are understood, which jq's own does not.
fn from_iso(value: &Val) -> Result<Val, Exn> {
    let Val::Str(text) = value else {
        return raise("strptime/1 requires string inputs and arguments");
    };
    let text = text.as_str();
    let is_date =
        text.len() >= 19 && text.is_ascii() && text.as_bytes()[4] == b'-' && text.as_bytes()[10] != b' ';
    match time::to_epoch_ms(text) {
        Ok(ms) if is_date => {
            let digits = text[19..].strip_prefix('.').unwrap_or_default();
            let length = digits.bytes().take_while(u8::is_ascii_digit).count();
            let seconds = ms.div_euclid(1000);
            // all digits count, also those below a millisecond, as far as a float can tell
            let digits = &digits[..length.min(15)];
            let numerator = digits.bytes().fold(0_u64, |number, digit| number * 10 + u64::from(digit & 15));
            if numerator == 0 {
                return Ok(Val::Int(seconds));
            }
            let fraction = numerator as f64 / 10_f64.powi(digits.len() as i32);
            Ok(Val::Float(seconds as f64 + fraction))
        }
        _ => {
            let message = format!("date \"{text}\" does not match format \"%Y-%m-%dT%H:%M:%SZ\"");
            Err(Raised::about(value, message))
        }
    }
}

fn to_iso(value: &Val) -> Result<Val, Exn> {
    strftime(value, &Val::str("%Y-%m-%dT%H:%M:%SZ"), "strftime/1")
}
