//! Numbers.

use super::super::native::{Native, native};
use crate::jq::value::{Exn, Raised, Val, parse_literal};

/// Shorthand for functions of one number.
macro_rules! of_one {
    ($($name:literal => $function:expr),* $(,)?) => {
        &[$(native($name, 0, |value, _| {
            let function: fn(f64) -> f64 = $function;
            Ok(Val::float(function(number(&value)?)))
        })),*]
    };
}

/// Shorthand for functions of two numbers.
macro_rules! of_two {
    ($($name:literal => $function:expr),* $(,)?) => {
        &[$(native($name, 2, |_, args| {
            let function: fn(f64, f64) -> f64 = $function;
            Ok(Val::float(function(number(&args[0])?, number(&args[1])?)))
        })),*]
    };
}

const ONE: &[Native] = of_one! {
    "acos" => libm::acos, "acosh" => libm::acosh, "asin" => libm::asin, "asinh" => libm::asinh,
    "atan" => libm::atan, "atanh" => libm::atanh, "cbrt" => libm::cbrt, "cos" => libm::cos,
    "cosh" => libm::cosh, "exp" => libm::exp, "exp10" => libm::exp10, "pow10" => libm::exp10,
    "exp2" => libm::exp2, "expm1" => libm::expm1, "gamma" => libm::lgamma, "lgamma" => libm::lgamma,
    "tgamma" => libm::tgamma, "log" => libm::log, "log10" => libm::log10, "log1p" => libm::log1p,
    "log2" => libm::log2, "logb" => exponent, "significand" => significand, "sin" => libm::sin,
    "sinh" => libm::sinh, "sqrt" => f64::sqrt, "tan" => libm::tan, "tanh" => libm::tanh,
    "j0" => libm::j0, "j1" => libm::j1, "y0" => libm::y0, "y1" => libm::y1,
};

const TWO: &[Native] = of_two! {
    "atan2" => libm::atan2, "copysign" => f64::copysign, "drem" => libm::remainder,
    "fdim" => libm::fdim, "fmax" => f64::max, "fmin" => f64::min, "fmod" => |a, b| a % b,
    "hypot" => libm::hypot, "ldexp" => |x, e| libm::scalbn(x, e as i32),
    "scalb" => |x, e| libm::scalbn(x, e as i32), "scalbln" => |x, e| libm::scalbn(x, e as i32),
    "nextafter" => libm::nextafter, "nexttoward" => libm::nextafter, "pow" => libm::pow,
};

const OTHER: &[Native] = &[
    native("floor", 0, |value, _| round(&value, f64::floor)),
    native("ceil", 0, |value, _| round(&value, f64::ceil)),
    native("round", 0, |value, _| round(&value, f64::round)),
    native("rint", 0, |value, _| round(&value, f64::round_ties_even)),
    native("nearbyint", 0, |value, _| round(&value, f64::round_ties_even)),
    native("trunc", 0, |value, _| round(&value, f64::trunc)),
    native("fabs", 0, |value, _| {
        number(&value)?;
        value.absolute()
    }),
    native("abs", 0, |value, _| match value {
        value if value.as_f64().is_some() => value.absolute(),
        // what sorts above all numbers is not below zero
        Val::Null | Val::Bool(_) => Err(Raised::typed(&value, "has no absolute value")),
        other => Ok(other),
    }),
    native("fma", 3, |_, args| {
        Ok(Val::float(number(&args[0])?.mul_add(number(&args[1])?, number(&args[2])?)))
    }),
    native("frexp", 0, |value, _| {
        let (mantissa, exponent) = libm::frexp(number(&value)?);
        Ok(Val::arr(vec![Val::float(mantissa), Val::Int(i64::from(exponent))]))
    }),
    native("modf", 0, |value, _| {
        let (fraction, whole) = libm::modf(number(&value)?);
        Ok(Val::arr(vec![Val::float(fraction), Val::float(whole)]))
    }),
    native("lgamma_r", 0, |value, _| {
        let (gamma, sign) = libm::lgamma_r(number(&value)?);
        Ok(Val::arr(vec![Val::float(gamma), Val::Int(i64::from(sign))]))
    }),
    native("infinite", 0, |_, _| Ok(Val::Float(f64::INFINITY))),
    native("nan", 0, |_, _| Ok(Val::Float(f64::NAN))),
    native("isinfinite", 0, |value, _| Ok(Val::Bool(number(&value)?.is_infinite()))),
    native("isnan", 0, |value, _| Ok(Val::Bool(number(&value)?.is_nan()))),
    native("isnormal", 0, |value, _| Ok(Val::Bool(number(&value)?.is_normal()))),
    native("tonumber", 0, |value, _| match &value {
        Val::Str(text) => {
            to_number(text.as_str()).ok_or_else(|| Raised::typed(&value, "cannot be parsed as a number"))
        }
        other if other.as_f64().is_some() => Ok(value),
        other => Err(Raised::typed(other, "cannot be parsed as a number")),
    }),
    native("toboolean", 0, |value, _| match &value {
        Val::Bool(_) => Ok(value),
        Val::Str(text) if text.as_str() == "true" => Ok(Val::Bool(true)),
        Val::Str(text) if text.as_str() == "false" => Ok(Val::Bool(false)),
        other => Err(Raised::typed(other, "cannot be parsed as a boolean")),
    }),
    native("_negate", 0, |value, _| value.negate()),
];

pub(super) const NATIVES: &[Native] = &{
    const COUNT: usize = ONE.len() + TWO.len() + OTHER.len();
    const EMPTY: Native = native("", 0, |value, _| Ok(value));
    let mut all = [EMPTY; COUNT];
    let mut at = 0;
    while at < COUNT {
        let from = if at < ONE.len() {
            &ONE[at]
        } else if at < ONE.len() + TWO.len() {
            &TWO[at - ONE.len()]
        } else {
            &OTHER[at - ONE.len() - TWO.len()]
        };
        all[at] = Native { name: from.name, arity: from.arity, run: from.run };
        at += 1;
    }
    all
};

fn number(value: &Val) -> Result<f64, Exn> {
    value.as_f64().ok_or_else(|| Raised::typed(value, "number required"))
}

fn round(value: &Val, function: fn(f64) -> f64) -> Result<Val, Exn> {
    value.round_with(function).ok_or_else(|| Raised::typed(value, "number required"))
}

/// The exponent of a number in base two.
fn exponent(value: f64) -> f64 {
    match value {
        0.0 => f64::NEG_INFINITY,
        value if value.is_infinite() => f64::INFINITY,
        value if value.is_nan() => value,
        value => f64::from(libm::frexp(value).1 - 1),
    }
}

/// The mantissa of a number, from one to two.
fn significand(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() { value } else { libm::frexp(value).0 * 2.0 }
}

/// A number as people write it: JSON's, and also `+1`, `.5`, `5.` and leading zeros.
fn to_number(text: &str) -> Option<Val> {
    if (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Val::Int(text.bytes().fold(0, |number, digit| number * 10 + i64::from(digit & 15))));
    }
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let end = digits.find(['e', 'E']).unwrap_or(digits.len());
    let (mantissa, exponent) = digits.split_at(end);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    parse_literal(&format!("{sign}{whole}{point}{fraction}{exponent}"))
}
