//! Errors that a program raises.

use std::borrow::Cow;

use super::{Str, Val};
use crate::jq::write;

/// Why an evaluation was left: boxed, because results are passed around much and errors are rare.
pub(in crate::jq) type Exn = Box<Raised>;

/// An error on its way out.
pub(in crate::jq) struct Raised {
    pub(in crate::jq) cause: Cause,
    /// The term that raised it: a place of the program, once it is known.
    pub(in crate::jq) at: Option<u32>,
    /// What the term was applied to.
    pub(in crate::jq) subject: Option<Val>,
    /// Whether it was raised below the step that passes it on, and so is not the step's to drop.
    pub(in crate::jq) is_inner: bool,
}

/// What left the evaluation.
pub(in crate::jq) enum Cause {
    /// An error, which is a value.
    Error(Val),
    /// An error whose message is made when somebody wants it: many are raised only to be dropped by
    /// `?` and `//`. Of the second value there is not always one.
    Typed(Val, Option<Val>, Cow<'static, str>),
    /// `break` out of the label with this number.
    Break(u64),
    /// `halt`.
    Halt,
    /// The reader of the outputs wants no more.
    Enough,
}

impl Raised {
    pub(in crate::jq) fn new(cause: Cause) -> Exn {
        Box::new(Raised { cause, at: None, subject: None, is_inner: false })
    }

    /// The same error with its place, if it had none.
    pub(in crate::jq) fn at(mut self: Box<Self>, place: u32) -> Exn {
        self.at.get_or_insert(place);
        self
    }

    /// The same error as one that was raised below.
    pub(in crate::jq) fn inner(mut self: Box<Self>) -> Exn {
        self.is_inner = true;
        self
    }

    /// Whether `try` catches it.
    pub(in crate::jq) fn is_error(&self) -> bool {
        matches!(self.cause, Cause::Error(_) | Cause::Typed(..))
    }

    /// Whether it leaves this label.
    pub(in crate::jq) fn breaks(&self, label: u64) -> bool {
        matches!(self.cause, Cause::Break(this) if this == label)
    }

    /// An error with any value.
    pub(in crate::jq) fn error(value: Val) -> Exn {
        Raised::new(Cause::Error(value))
    }

    /// An error with a message.
    pub(in crate::jq) fn message(message: impl Into<String>) -> Exn {
        Raised::error(Val::Str(Str::from(message.into())))
    }

    /// An error with a message about a value.
    pub(in crate::jq) fn about(subject: &Val, message: impl Into<String>) -> Exn {
        let mut raised = Raised::message(message);
        raised.subject = Some(subject.clone());
        raised
    }

    /// `number (1) cannot be …`, as jq words it.
    pub(in crate::jq) fn typed(subject: &Val, message: impl Into<Cow<'static, str>>) -> Exn {
        Raised::new(Cause::Typed(subject.clone(), None, message.into()))
    }

    /// `number (1) and string ("a") cannot be …`.
    pub(in crate::jq) fn typed2(a: &Val, b: &Val, message: impl Into<Cow<'static, str>>) -> Exn {
        Raised::new(Cause::Typed(a.clone(), Some(b.clone()), message.into()))
    }

    /// What the error was about, if that is known.
    pub(in crate::jq) fn take_subject(&mut self) -> Option<Val> {
        match &self.cause {
            // of two values the one that is still part of the event says more about where
            Cause::Typed(a, Some(b), _) if a.place().is_none() && b.place().is_some() => Some(b.clone()),
            Cause::Typed(a, ..) => Some(a.clone()),
            _ => self.subject.take(),
        }
    }
}

impl Cause {
    /// The value of an error, if somebody wants it.
    pub(in crate::jq) fn into_value_if(self, is_wanted: bool) -> Option<Val> {
        if is_wanted { self.into_value() } else { None }
    }

    /// The value of an error. Nothing else has one.
    pub(in crate::jq) fn into_value(self) -> Option<Val> {
        match self {
            Cause::Error(value) => Some(value),
            Cause::Typed(a, None, message) => {
                Some(Val::string(format!("{} ({}) {message}", a.type_name(), clip(&a, 11))))
            }
            Cause::Typed(a, Some(b), message) => Some(Val::string(format!(
                "{} ({}) and {} ({}) {message}",
                a.type_name(),
                clip(&a, 11),
                b.type_name(),
                clip(&b, 11)
            ))),
            Cause::Break(_) | Cause::Halt | Cause::Enough => None,
        }
    }
}

/// Shorthand for raising a message.
pub(in crate::jq) fn raise<T>(message: impl Into<String>) -> Result<T, Exn> {
    Err(Raised::message(message))
}

/// A value as JSON, cut to `most` bytes and `...` when it is more than three longer, as jq does in
/// its messages.
pub(in crate::jq) fn clip(value: &Val, most: usize) -> String {
    let mut text = write::excerpt(value, most + 4);
    if text.len() > most + 3 {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    text
}
