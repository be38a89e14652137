//! The other engine: jaq-core's interpreter, over the same values and the same native functions.
//!
//! It is what our own evaluator is checked against. Programs are loaded by jaq's own parser, so that
//! is checked too.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Range, Rem, Sub};
use std::sync::LazyLock;

use jaq_core::box_iter::{BoxIter, box_once};
use jaq_core::data::HasLut;
use jaq_core::load::{Arena, File, Import, Loader};
use jaq_core::native::{Fun, bome, run, v};
use jaq_core::path::Opt;
use jaq_core::val::{ValR, ValX, ValXs};
use jaq_core::{Compiler, Ctx, DataT, Error, Exn as JaqExn, Filter, Lut, ValT, Vars};

use super::budget;
use super::engine;
use super::value::{self, Cause, Exn, Obj, Raised, Slice, Val, equal, less, order, parse_literal};
use super::write;

/// What the functions that our evaluator knows itself are by definition.
const SPECIALS: &str = include_str!("jaq.jq");

/// All definitions that programs begin with, besides jaq's own.
static DEFINITIONS: LazyLock<String> =
    LazyLock::new(|| format!("def null: [][0];\n{}\n{SPECIALS}\n{}", natives_text(), engine::PRELUDE_TEXT));

/// Our kind of evaluation data.
pub(super) struct Kind;

/// What the evaluator carries along: the lookup table.
#[derive(Clone, Copy)]
pub(super) struct Data<'a> {
    lut: &'a Lut<Kind>,
}

impl DataT for Kind {
    type V<'a> = Val;
    type Data<'a> = Data<'a>;
}

impl<'a> HasLut<'a, Kind> for Data<'a> {
    /// Called by the evaluator for every term: the place where bounds are enforced.
    fn lut(&self) -> &'a Lut<Kind> {
        budget::tick();
        self.lut
    }
}

/// A program for jaq-core.
pub(super) struct Program {
    filter: Filter<Kind>,
}

impl Program {
    /// Compiles a program without modules. The message is for a person who compares engines.
    pub(super) fn compile(code: &str, variables: &[&str]) -> Result<Self, String> {
        let arena = Arena::default();
        let ours = jaq_core::load::parse(DEFINITIONS.as_str(), |parser| parser.defs());
        let ours = ours.ok_or("jaq does not parse the definitions that programs begin with")?;
        let no_modules =
            |_: Import<'_, &str, String>| Err::<File<String, String>, String>("modules".to_owned());
        let loader = Loader::new(jaq_core::defs().chain(ours)).with_read(no_modules);
        let loaded = loader
            .load(&arena, File { code, path: String::new() })
            .map_err(|errors| format!("{:?}", errors.iter().map(|(_, error)| error).collect::<Vec<_>>()))?;
        let names: Vec<String> = variables.iter().map(|name| format!("${name}")).collect();
        let filter = Compiler::default()
            .with_funs(functions())
            .with_global_vars(names.iter().map(String::as_str))
            .compile(loaded)
            .map_err(|errors| format!("{:?}", errors.iter().map(|(_, error)| error).collect::<Vec<_>>()))?;
        Ok(Program { filter })
    }

    /// Runs it; `variables` in the order in which they were named.
    pub(super) fn run(
        &self,
        input: Val,
        variables: impl IntoIterator<Item = Val>,
        out: &mut dyn FnMut(Val) -> Result<(), Exn>,
    ) -> Result<(), Exn> {
        let ctx = Ctx::<Kind>::new(Data { lut: &self.filter.lut }, Vars::new(variables));
        for output in self.filter.id.run((ctx, input)) {
            let value = output.map_err(|exception: JaqExn<'_, Val>| match exception.get_err() {
                Ok(error) => Raised::error(error.into_val()),
                Err(other) => Raised::new(match other.get_halt() {
                    Ok(_) => Cause::Halt,
                    Err(_) => Cause::Break(0),
                }),
            })?;
            out(value)?;
        }
        Ok(())
    }
}

/// A definition for each native function: jaq's natives are plain pointers, so all go through one.
fn natives_text() -> String {
    let mut text = String::new();
    for (number, native) in engine::natives().enumerate() {
        let names: Vec<String> = (0..native.arity).map(|at| format!("$a{at}")).collect();
        let params = if names.is_empty() { String::new() } else { format!("({})", names.join("; ")) };
        text.push_str(&format!("def {}{params}: _native({number}; [{}]);\n", native.name, names.join(", ")));
    }
    for name in engine::FORMATS {
        text.push_str(&format!("def @{name}: format(\"{name}\");\n"));
    }
    text
}

fn functions() -> impl Iterator<Item = Fun<Kind>> {
    let ours: [Fun<Kind>; 2] = [
        run(("_native", v(2), |mut cv| {
            let args = cv.0.pop_var().as_items().unwrap_or_default();
            let number = cv.0.pop_var().as_i64().unwrap_or(0);
            let native = usize::try_from(number).ok().and_then(|number| engine::natives().nth(number));
            budget::work(cv.1.weight());
            match native.map(|native| (native.run)(cv.1, &args)) {
                Some(Ok(value)) => box_once(Ok(value)),
                Some(Err(error)) => box_once(Err(exception(error))),
                None => Box::new(std::iter::empty()),
            }
        })),
        // jaq's own `range` loops inside one native call, out of reach of the bounds
        run(("range", v(3), |mut cv| {
            let by = cv.0.pop_var();
            let to = cv.0.pop_var();
            let from = cv.0.pop_var();
            range(from, to, by)
        })),
    ];
    ours.into_iter().chain(jaq_core::funs())
}

fn range<'a>(from: Val, to: Val, by: Val) -> ValXs<'a, Val> {
    if [&from, &to, &by].into_iter().any(|bound| bound.as_f64().is_none()) {
        return bome(Err(Error::new(Val::str("Range bounds must be numeric"))));
    }
    let mut next = Some(Ok(from));
    Box::new(std::iter::from_fn(move || {
        budget::tick();
        let value: Val = match next.take()? {
            Ok(value) => value,
            Err(error) => return Some(Err(exception(error))),
        };
        let goes_on =
            (less(&Val::Int(0), &by) && less(&value, &to)) || (less(&by, &Val::Int(0)) && less(&to, &value));
        if !goes_on {
            return None;
        }
        next = Some(value.clone().add(&by));
        Some(Ok(value))
    }))
}

#[allow(clippy::boxed_local, reason = "errors are boxed wherever they are")]
fn exception<'a>(error: Exn) -> JaqExn<'a, Val> {
    match error.cause.into_value() {
        Some(value) => JaqExn::from(Error::new(value)),
        None => JaqExn::halt(0),
    }
}

fn lift(result: Result<Val, Exn>) -> ValR<Val> {
    result.map_err(|error| Error::new(error.cause.into_value().unwrap_or(Val::Null)))
}

impl fmt::Display for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write::excerpt(self, 4096))
    }
}

impl fmt::Debug for Val {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        equal(self, other)
    }
}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if value::is_nan(self) && other.as_f64().is_some() {
            return Some(Ordering::Less);
        }
        Some(order(self, other))
    }
}

impl From<isize> for Val {
    fn from(value: isize) -> Self {
        Val::Int(value as i64)
    }
}

impl From<String> for Val {
    fn from(text: String) -> Self {
        Val::string(text)
    }
}

impl From<Range<Option<Val>>> for Val {
    fn from(range: Range<Option<Val>>) -> Self {
        slice_of(range.start, range.end).to_key()
    }
}

impl FromIterator<Val> for Val {
    fn from_iter<I: IntoIterator<Item = Val>>(items: I) -> Self {
        Val::arr(items.into_iter().collect())
    }
}

/// The operators, by the methods of the same meaning.
macro_rules! operators {
    ($($operator:ident :: $name:ident => $method:ident),*) => {$(
        impl $operator for Val {
            type Output = ValR<Val>;
            fn $name(self, other: Val) -> ValR<Val> {
                lift(Val::$method(self, &other))
            }
        }
    )*};
}

operators!(Add::add => add, Sub::sub => subtract, Mul::mul => multiply, Div::div => divide, Rem::rem => remainder);

impl Neg for Val {
    type Output = ValR<Val>;

    fn neg(self) -> ValR<Val> {
        lift(self.negate())
    }
}

fn slice_of(start: Option<Val>, end: Option<Val>) -> Slice {
    Slice { start: start.unwrap_or(Val::Null), end: end.unwrap_or(Val::Null) }
}

fn keys_and_values(value: &Val) -> Result<Vec<(Val, Val)>, Exn> {
    if let Some(members) = value.as_members() {
        return Ok(members.iter().map(|(key, value)| (Val::Str(key.clone()), value.clone())).collect());
    }
    match value.as_items() {
        Some(items) => {
            Ok(items.iter().enumerate().map(|(at, item)| (Val::of_usize(at), item.clone())).collect())
        }
        None => Err(value::no_iteration(value)),
    }
}

/// The first output of an update.
fn first<'a>(outputs: impl Iterator<Item = ValX<'a, Val>>) -> Result<Option<Val>, JaqExn<'a, Val>> {
    let mut outputs = outputs;
    outputs.next().transpose()
}

impl ValT for Val {
    fn from_num(text: &str) -> ValR<Val> {
        Ok(parse_literal(text).unwrap_or_else(|| Val::Float(text.parse().unwrap_or(f64::NAN))))
    }

    fn from_map<I: IntoIterator<Item = (Val, Val)>>(entries: I) -> ValR<Val> {
        let mut object = Obj::new();
        for (key, value) in entries {
            match key {
                Val::Str(key) => object.insert(key, value),
                other => {
                    let message = format!(
                        "Cannot use {} ({}) as object key",
                        other.type_name(),
                        value::clip(&other, 11)
                    );
                    return Err(Error::new(Val::string(message)));
                }
            }
        }
        Ok(Val::obj(object))
    }

    fn key_values(self) -> BoxIter<'static, ValR<(Val, Val), Val>> {
        match keys_and_values(&self) {
            Ok(entries) => Box::new(entries.into_iter().map(Ok)),
            Err(error) => box_once(lift(Err(error)).map(|value| (Val::Null, value))),
        }
    }

    fn values(self) -> Box<dyn Iterator<Item = ValR<Val>>> {
        match keys_and_values(&self) {
            Ok(entries) => Box::new(entries.into_iter().map(|(_, value)| Ok(value))),
            Err(error) => box_once(lift(Err(error))),
        }
    }

    fn index(self, index: &Val) -> ValR<Val> {
        lift(Val::index(&self, index))
    }

    fn range(self, range: Range<Option<&Val>>) -> ValR<Val> {
        lift(self.slice(&slice_of(range.start.cloned(), range.end.cloned())))
    }

    fn map_values<'a, I: Iterator<Item = ValX<'a, Val>>>(
        self,
        opt: Opt,
        f: impl Fn(Val) -> I,
    ) -> ValX<'a, Val> {
        if let Some(members) = self.as_members() {
            let mut kept = Vec::with_capacity(members.len());
            for (key, value) in members.iter() {
                if let Some(value) = first(f(value.clone()))? {
                    kept.push((key.clone(), value));
                }
            }
            return Ok(Val::obj(Obj::from_distinct(kept)));
        }
        match self.as_items() {
            Some(items) => {
                let mut kept = Vec::with_capacity(items.len());
                for item in items.iter() {
                    kept.extend(first(f(item.clone()))?);
                }
                Ok(Val::arr(kept))
            }
            None => opt.fail(self, |value| exception(value::no_iteration(&value))),
        }
    }

    fn map_index<'a, I: Iterator<Item = ValX<'a, Val>>>(
        self,
        index: &Val,
        opt: Opt,
        f: impl Fn(Val) -> I,
    ) -> ValX<'a, Val> {
        let child = match Val::index(&self, index) {
            Ok(child) => child,
            Err(error) => return opt.fail(self, |_| exception(error)),
        };
        match first(f(child))? {
            Some(child) => self.with_index(index, child).map_err(exception),
            None => self.without(std::slice::from_ref(index)).map_err(exception),
        }
    }

    fn map_range<'a, I: Iterator<Item = ValX<'a, Val>>>(
        self,
        range: Range<Option<&Val>>,
        opt: Opt,
        f: impl Fn(Val) -> I,
    ) -> ValX<'a, Val> {
        let key = slice_of(range.start.cloned(), range.end.cloned()).to_key();
        self.map_index(&key, opt, f)
    }

    fn as_bool(&self) -> bool {
        self.is_truthy()
    }

    fn into_string(self) -> Val {
        match self {
            Val::Str(_) => self,
            other => Val::string(write::excerpt(&other, usize::MAX >> 1)),
        }
    }
}
