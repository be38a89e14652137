//! Numbers: exact integers of any size, and floats.
//!
//! Integers stay exact through `+ - * %` and through divisions without a remainder. What has a
//! fraction or an exponent is computed as a 64-bit float. Text that was never computed with keeps
//! its digits.

use std::cmp::Ordering;
use std::rc::Rc;

use num_bigint::{BigInt, Sign};

use super::{Decimal, Doc, Exn, Raised, Val};

/// Bits beyond which an integer becomes a float: twice what a float's range needs, and far from
/// where one multiplication takes long.
const MAX_BITS: u64 = 4096;

/// Digits of such an integer.
const MAX_DIGITS: usize = 1233;

/// A number to compute with.
enum Num {
    Int(i64),
    Big(BigInt),
    Float(f64),
}

impl Decimal {
    pub(in crate::jq) fn text(&self) -> &str {
        std::str::from_utf8(self.doc.text_at(self.at, self.len).unwrap_or_default()).unwrap_or("0")
    }

    pub(in crate::jq) fn is_integer(&self) -> bool {
        !self.text().bytes().any(|b| matches!(b, b'.' | b'e' | b'E'))
    }

    fn float(&self) -> f64 {
        self.text().parse().unwrap_or(f64::NAN)
    }

    fn num(&self) -> Num {
        let text = self.text();
        if self.is_integer() && text.len() <= MAX_DIGITS && text != "-0" {
            if let Ok(small) = text.parse() {
                return Num::Int(small);
            }
            if let Ok(big) = text.parse() {
                return Num::Big(big);
            }
        }
        Num::Float(self.float())
    }
}

impl Num {
    fn of(value: &Val) -> Option<Num> {
        match value {
            Val::Int(n) => Some(Num::Int(*n)),
            Val::Float(n) => Some(Num::Float(*n)),
            Val::Big(n) => Some(Num::Big((**n).clone())),
            Val::Dec(text) => Some(text.num()),
            _ => None,
        }
    }

    fn float(&self) -> f64 {
        match self {
            Num::Int(n) => *n as f64,
            Num::Float(n) => *n,
            Num::Big(n) => big_to_float(n),
        }
    }

    fn is_float(&self) -> bool {
        matches!(self, Num::Float(_))
    }

    fn big(self) -> BigInt {
        match self {
            Num::Int(n) => BigInt::from(n),
            Num::Big(n) => n,
            Num::Float(_) => BigInt::default(),
        }
    }
}

fn big_to_float(n: &BigInt) -> f64 {
    use num_traits::ToPrimitive as _;
    n.to_f64().unwrap_or(match n.sign() {
        Sign::Minus => f64::NEG_INFINITY,
        _ => f64::INFINITY,
    })
}

fn from_big(n: BigInt) -> Val {
    if let Ok(small) = i64::try_from(&n) {
        return Val::Int(small);
    }
    if n.bits() > MAX_BITS {
        return Val::Float(big_to_float(&n));
    }
    Val::Big(Rc::new(n))
}

/// The value of a number as JSON writes it. `None` if it is not one.
pub(in crate::jq) fn parse_literal(text: &str) -> Option<Val> {
    if text.len() <= 18
        && !text.starts_with("-0")
        && let Ok(small) = text.parse::<i64>()
        && text.bytes().next().is_some_and(|b| b == b'-' || b.is_ascii_digit())
    {
        return Some(Val::Int(small));
    }
    crate::event::json::validate(text.as_bytes(), 0).ok()?;
    if !text.bytes().next_back()?.is_ascii_digit() {
        return None;
    }
    let text = text.trim_ascii();
    Some(Val::Dec(Decimal { at: 0, len: text.len() as u32, doc: Doc::number(text.to_owned()) }))
}

pub(in crate::jq) fn is_nan(value: &Val) -> bool {
    matches!(value, Val::Float(n) if n.is_nan())
}

/// Compares numbers exactly; NaN is below all others.
pub(super) fn compare(a: &Val, b: &Val) -> Ordering {
    if let (Val::Int(a), Val::Int(b)) = (a, b) {
        return a.cmp(b);
    }
    let (Some(a), Some(b)) = (Num::of(a), Num::of(b)) else { return Ordering::Equal };
    if !a.is_float() && !b.is_float() {
        return a.big().cmp(&b.big());
    }
    let (x, y) = (a.float(), b.float());
    match x.partial_cmp(&y) {
        None => y.is_nan().cmp(&x.is_nan()),
        // an integer may have lost digits on its way to a float
        Some(Ordering::Equal) if x.is_finite() && x.abs() >= 9_007_199_254_740_992.0 => {
            exact(a).cmp(&exact(b))
        }
        Some(ordering) => ordering,
    }
}

fn exact(number: Num) -> BigInt {
    use num_traits::FromPrimitive as _;
    match number {
        Num::Float(n) => BigInt::from_f64(n).unwrap_or_default(),
        other => other.big(),
    }
}

/// Appends a form of a number that exactly those have that [`compare`] takes for equal. NaN has one
/// as well.
pub(in crate::jq) fn append_number_identity(value: &Val, out: &mut Vec<u8>) {
    use std::io::Write as _;
    // writing into a vector does not fail
    let _ = match Num::of(value) {
        Some(Num::Int(n)) => write!(out, "{n}"),
        Some(Num::Big(n)) => write!(out, "{n}"),
        Some(Num::Float(n)) if n.is_finite() && n.fract() == 0.0 => {
            write!(out, "{}", exact(Num::Float(n)))
        }
        Some(Num::Float(n)) if n.is_nan() => write!(out, "nan"),
        Some(Num::Float(n)) => write!(out, "x{:x}", n.to_bits()),
        None => Ok(()),
    };
}

impl Val {
    /// A number as a float.
    pub(in crate::jq) fn as_f64(&self) -> Option<f64> {
        match self {
            Val::Int(n) => Some(*n as f64),
            Val::Float(n) => Some(*n),
            Val::Big(n) => Some(big_to_float(n)),
            Val::Dec(text) => Some(text.float()),
            _ => None,
        }
    }

    /// A number as an integer, rounded towards zero and kept within 64 bits. NaN is zero.
    pub(in crate::jq) fn as_i64(&self) -> Option<i64> {
        match self {
            Val::Int(n) => Some(*n),
            other => other.as_f64().map(|n| n as i64),
        }
    }

    /// Adds two numbers.
    pub(super) fn add_numbers(&self, other: &Val) -> Option<Val> {
        Some(match (Num::of(self)?, Num::of(other)?) {
            (Num::Int(a), Num::Int(b)) => {
                a.checked_add(b).map_or_else(|| from_big(BigInt::from(a) + b), Val::Int)
            }
            (a, b) if a.is_float() || b.is_float() => Val::Float(a.float() + b.float()),
            (a, b) => from_big(a.big() + b.big()),
        })
    }

    pub(super) fn subtract_numbers(&self, other: &Val) -> Option<Val> {
        Some(match (Num::of(self)?, Num::of(other)?) {
            (Num::Int(a), Num::Int(b)) => {
                a.checked_sub(b).map_or_else(|| from_big(BigInt::from(a) - b), Val::Int)
            }
            (a, b) if a.is_float() || b.is_float() => Val::Float(a.float() - b.float()),
            (a, b) => from_big(a.big() - b.big()),
        })
    }

    pub(super) fn multiply_numbers(&self, other: &Val) -> Option<Val> {
        Some(match (Num::of(self)?, Num::of(other)?) {
            (Num::Int(a), Num::Int(b)) => {
                a.checked_mul(b).map_or_else(|| from_big(BigInt::from(a) * b), Val::Int)
            }
            (a, b) if a.is_float() || b.is_float() => Val::Float(a.float() * b.float()),
            (a, b) => from_big(a.big() * b.big()),
        })
    }

    pub(super) fn divide_numbers(&self, other: &Val) -> Option<Result<Val, Exn>> {
        let (a, b) = (Num::of(self)?, Num::of(other)?);
        if b.float() == 0.0 {
            let message = "cannot be divided because the divisor is zero";
            return Some(Err(Raised::typed2(self, other, message)));
        }
        Some(Ok(match (a, b) {
            (Num::Int(a), Num::Int(b)) if a.checked_rem(b) == Some(0) => Val::Int(a / b),
            (a, b) if a.is_float() || b.is_float() => Val::Float(a.float() / b.float()),
            (a, b) => {
                let quotient = a.float() / b.float();
                let (a, b) = (a.big(), b.big());
                if (&a % &b).sign() == Sign::NoSign { from_big(a / b) } else { Val::Float(quotient) }
            }
        }))
    }

    /// The remainder of the integral parts, with the sign of the dividend.
    pub(super) fn remainder_numbers(&self, other: &Val) -> Option<Result<Val, Exn>> {
        let (a, b) = (Num::of(self)?, Num::of(other)?);
        if a.float().is_nan() || b.float().is_nan() {
            return Some(Ok(Val::Float(f64::NAN)));
        }
        // floats are cut to 64 bits, as jq does
        let whole = |n: Num| match n {
            Num::Float(n) => Num::Int(n as i64),
            other => other,
        };
        let (a, b) = (whole(a), whole(b));
        if matches!(b, Num::Int(0)) {
            let message = "cannot be divided (remainder) because the divisor is zero";
            return Some(Err(Raised::typed2(self, other, message)));
        }
        Some(Ok(match (a, b) {
            (Num::Int(a), Num::Int(b)) => Val::Int((i128::from(a) % i128::from(b)) as i64),
            (a, b) => from_big(a.big() % b.big()),
        }))
    }

    pub(in crate::jq) fn negate(&self) -> Result<Val, Exn> {
        Ok(match self {
            Val::Int(0) => Val::Float(-0.0),
            Val::Int(n) => n.checked_neg().map_or_else(|| from_big(-BigInt::from(*n)), Val::Int),
            Val::Float(n) => Val::Float(-n),
            Val::Big(n) => from_big(-(**n).clone()),
            Val::Dec(number) => {
                // the digits are kept
                let text = number.text();
                let negated = text.strip_prefix('-').map_or_else(|| format!("-{text}"), str::to_owned);
                parse_literal(&negated).unwrap_or_else(|| Val::Float(-number.float()))
            }
            other => return Err(Raised::typed(other, "cannot be negated")),
        })
    }

    /// `floor`, `round` and their like: integers are their own.
    pub(in crate::jq) fn round_with(&self, round: fn(f64) -> f64) -> Option<Val> {
        match self {
            Val::Int(_) | Val::Big(_) => Some(self.clone()),
            Val::Dec(number) if number.is_integer() && number.text() != "-0" => Some(self.clone()),
            other => other.as_f64().map(|n| whole(round(n))),
        }
    }
}

/// A float without a fraction as an integer, exactly, where that is possible.
fn whole(value: f64) -> Val {
    if value.abs() < 9_223_372_036_854_775_807.0 && (value != 0.0 || value.is_sign_positive()) {
        Val::Int(value as i64)
    } else {
        Val::Float(value)
    }
}

/// Appends a float as jq writes it: the shortest digits that give it back; no NaN (null), infinities
/// as the largest finite number.
pub(in crate::jq) fn append_float(value: f64, out: &mut Vec<u8>) {
    use std::io::Write as _;
    if value.is_nan() {
        out.extend_from_slice(b"null");
        return;
    }
    let value = if value.is_infinite() { f64::MAX.copysign(value) } else { value };
    if value.fract() == 0.0 && value.abs() < 1e15 {
        if value == 0.0 && value.is_sign_negative() {
            out.push(b'-');
        }
        out.extend_from_slice(itoa::Buffer::new().format(value as i64).as_bytes());
        return;
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let count = digits.len() as i32;
    out.extend_from_slice(sign.as_bytes());
    if point <= -4 || point > count + 15 {
        let (first, rest) = digits.split_at(1);
        out.extend_from_slice(first.as_bytes());
        if !rest.is_empty() {
            out.push(b'.');
            out.extend_from_slice(rest.as_bytes());
        }
        let exponent = point - 1;
        let sign = if exponent < 0 { '-' } else { '+' };
        // writing into a vector does not fail
        let _ = write!(out, "e{sign}{:02}", exponent.abs());
    } else if point <= 0 {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', point.unsigned_abs() as usize));
        out.extend_from_slice(digits.as_bytes());
    } else if point >= count {
        out.extend_from_slice(digits.as_bytes());
        out.extend(std::iter::repeat_n(b'0', (point - count) as usize));
    } else {
        let (before, after) = digits.split_at(point as usize);
        out.extend_from_slice(before.as_bytes());
        out.push(b'.');
        out.extend_from_slice(after.as_bytes());
    }
}
