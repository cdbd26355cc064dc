//! What does walking a value cost, and which values are not made at all?

use std::borrow::Cow;

use minijinja::value::{Kwargs, Rest, StringInput, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters, functions};

use super::{added, attribute, known};

/// Deepest nesting of a list or mapping: what JSON is read to.
pub(super) const DEEPEST_VALUE: usize = 128;

/// Largest text that may be worked on: as large as one that may be given.
const LARGEST_TEXT: usize = super::LARGEST_OUTPUT;

/// Of a step's 64 units, what one item costs; a byte costs one.
const ITEM: u64 = 8;
/// What one costs that was just paid for, and is put into a namespace.
const HELD_ITEM: u64 = 2;
/// What one costs that is put into a new list.
const SLOT: u64 = 32;
const STEP: u64 = 64;
/// The engine's own price of a serialized byte, as a part of a step.
const BYTES_OF_A_STEP: u64 = 4;

/// Widest indentation of JSON.
const WIDEST_INDENT: i64 = 100;

/// Attributes by which one list may be sorted.
const MOST_KEYS: usize = 10;

/// Digits that `format` writes behind a point.
const MOST_DIGITS: u32 = 9_999;

/// Bytes of the characters that `trim` takes away.
const MOST_TRIMMED: usize = 64;

/// Farthest number of a range: the engine adds and subtracts them unchecked.
const FARTHEST: usize = 1 << 53;

/// The detail of an error about a part of a value.
pub(super) const INSIDE: &str = "inside";

/// The names of the filters that metered instructions call; no template can spell them.
pub(super) const WALK: &str = "#walk";
pub(super) const HOLD: &str = "#hold";
pub(super) const MADE: &str = "#made";
pub(super) const ARGUMENTS: &str = "#arguments";
pub(super) const EACH: &str = "#each";
pub(super) const MAPPED: &str = "#mapped";
pub(super) const SELECTED: &str = "#selected";
pub(super) const SELECTED_BY: &str = "#selected-by";
pub(super) const SORTED: &str = "#sorted";
pub(super) const FORMATTED: &str = "#formatted";
pub(super) const CYCLE: &str = "#cycle";
pub(super) const LISTED: &str = "#listed";
pub(super) const PART: &str = "#part";
pub(super) const INDEXED: &str = "#indexed";
pub(super) const SLICED: &str = "#sliced";
pub(super) const JOINED: &str = "#joined";
pub(super) const GROUPED: &str = "#grouped";

/// Gives an environment what metered templates need, and bounds what the engine's own functions leave unbounded.
pub(crate) fn equip(environment: &mut Environment<'static>) {
    environment.add_filter(WALK, walk);
    environment.add_filter(HOLD, hold);
    environment.add_filter(MADE, made);
    environment.add_filter(ARGUMENTS, arguments);
    environment.add_filter(EACH, |state: &State<'_, '_>, list: Value| attribute::asked(each(state, list, 1)?, Some(1), false));
    environment.add_filter(MAPPED, |state: &State<'_, '_>, list: Value| {
        named(&list, 1, known::is_mapped, "`map` cannot apply the filter")?;
        attribute::asked(each(state, list, 1)?, None, false)
    });
    environment.add_filter(SELECTED, |state: &State<'_, '_>, list: Value| {
        named(&list, 1, known::is_test, "unknown test")?;
        each(state, list, 1)
    });
    environment.add_filter(SELECTED_BY, |state: &State<'_, '_>, list: Value| {
        named(&list, 2, known::is_test, "unknown test")?;
        let list = each(state, list, 1)?;
        let asks = list.get_item_by_index(2)?.as_str().is_some_and(|test| ["defined", "undefined"].contains(&test));
        if asks { Ok(list) } else { attribute::asked(list, Some(1), false) }
    });
    environment.add_filter(SORTED, |state: &State<'_, '_>, list: Value| attribute::asked(sorted(state, list)?, None, true));
    environment.add_filter(GROUPED, |state: &State<'_, '_>, list: Value| attribute::asked(sorted(state, list)?, Some(1), false));
    environment.add_filter(FORMATTED, formatted);
    environment.add_filter(CYCLE, cycle);
    environment.add_filter(LISTED, listed);
    environment.add_filter(PART, part);
    environment.add_filter(INDEXED, indexed);
    environment.add_filter(SLICED, sliced);
    environment.add_filter(JOINED, |state: &State<'_, '_>, list: Value| attribute::asked(each(state, list, 1)?, Some(2), false));
    added::equip(environment);
    environment.add_filter("tojson", tojson);
    environment.add_filter("sum", sum);
    environment.add_filter("trim", trim);
    environment.add_function("range", range);
    known::REMOVED_FILTERS.iter().for_each(|name| environment.remove_filter(name));
    known::REMOVED_TESTS.iter().for_each(|name| environment.remove_test(name));
    // It would print every variable into a prompt.
    environment.remove_global("debug");
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// What is undefined is an error, but not the nothing of `x if y`. Only the engine tells them apart, and knows where it comes from: it is
/// asked for the truth of what `default` would replace.
pub(super) fn defined(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        filters::default(state, &Value::from(0), Rest(vec![Value::from(0), value.clone()])).map(|_| ())
    } else {
        Ok(())
    }
}

/// Charges for values that are only looked at.
fn walk(state: &State<'_, '_>, list: &Value) -> Result<bool, Error> {
    let mut walk = Walk::new(state);
    list.try_iter()?.try_for_each(|value| walk.argument(&value)).map(|()| true)
}

/// Charges for an operand of `~`: texts are charged for by what is made of them.
fn part(state: &State<'_, '_>, list: &Value) -> Result<bool, Error> {
    let mut walk = Walk::new(state);
    for value in list.try_iter()? {
        match value.as_str() {
            Some(text) if text.len() > LARGEST_TEXT => return Err(Error::from(ErrorKind::OutOfFuel)),
            Some(_) => {}
            None => walk.argument(&value)?,
        }
    }
    Ok(true)
}

/// Charges for a list that was written. The arguments before one that is unpacked (`f(a, *b)`) are one too, and a namespace may be the first.
fn listed(state: &State<'_, '_>, lists: &Value) -> Result<bool, Error> {
    let mut walk = Walk::new(state);
    for list in lists.try_iter()? {
        walk.pay(ITEM)?;
        for (index, value) in list.try_iter()?.enumerate() {
            let depth = if index == 0 && matches!(type_name(&value), "Loop" | "Namespace") { 0 } else { 1 };
            walk.below(&value, depth)?;
        }
    }
    Ok(true)
}

/// Charges for a value that a namespace will hold: it was paid for when it was made.
fn hold(state: &State<'_, '_>, list: &Value) -> Result<bool, Error> {
    let mut walk = Walk { item: HELD_ITEM, ..Walk::new(state) };
    list.try_iter()?.filter(|value| value.as_str().is_none()).try_for_each(|value| walk.below(&value, 1)).map(|()| true)
}

/// Charges for a value that was made, and leaves nothing lazy: the engine would nest what is lazy in itself without a bound.
fn made(state: &State<'_, '_>, list: &Value) -> Result<Value, Error> {
    let values = list.try_iter()?.map(|value| made_of(state, value));
    values.collect::<Result<Vec<_>, _>>().map(Value::from)
}

fn made_of(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    // It was paid for, and is looked at when it is used. What is undefined (`[]|min`) may be asked for with `default`.
    if value.as_str().is_some() || value.is_undefined() {
        return Ok(value);
    }
    let mut walk = Walk::new(state);
    let value = match type_name(&value) {
        // A sum of lists, which the engine flattens itself.
        "MergeSeq" => value,
        "MergeDict" => {
            let keys: Vec<Value> = value.try_iter()?.collect();
            let pairs = keys.into_iter().map(|key| walk.pay(SLOT).and_then(|()| Ok((key.clone(), value.get_item(&key)?))));
            pairs.collect::<Result<Vec<_>, Error>>()?.into_iter().collect()
        }
        _ if value.kind() == ValueKind::Iterable => {
            let items = value.try_iter()?.map(|item| walk.pay(SLOT).map(|()| item));
            Value::from(items.collect::<Result<Vec<_>, _>>()?)
        }
        _ => value,
    };
    let inside =
        |error: Error| if error.kind() == ErrorKind::UndefinedError { Error::new(ErrorKind::UndefinedError, INSIDE) } else { error };
    walk.below(&value, 0).map_err(inside)?;
    Ok(value)
}

fn arguments(state: &State<'_, '_>, list: Value) -> Result<Value, Error> {
    let mut walk = Walk::new(state);
    for value in list.try_iter()? {
        walk.argument(&value)?;
    }
    Ok(list)
}

/// Charges for a filter that walks all arguments but the first for each item of it, or of the lists in it.
/// `compared`: how often it does.
fn each(state: &State<'_, '_>, list: Value, compared: u64) -> Result<Value, Error> {
    let (mut first, mut others) = (Walk::new(state), Walk::new(state));
    for (index, value) in list.try_iter()?.enumerate() {
        if index == 0 { first.argument(&value)? } else { others.argument(&value)? }
    }
    let each = others.items * ITEM + others.bytes;
    // A text is gone through by its characters; where that is dear, each counts.
    let times = if each > 4 * STEP { first.items + first.bytes } else { first.items };
    state.consume_fuel(times.saturating_mul(each).saturating_mul(compared) / STEP)?;
    Ok(list)
}

/// Sees that what stands at `index`, if anything does, names what there is.
fn named(list: &Value, index: usize, is_known: fn(&str) -> bool, words: &str) -> Result<(), Error> {
    let name = list.get_item_by_index(index)?;
    let is_name = name.as_str().map_or(name.is_undefined() || name.is_none() || name.is_kwargs(), is_known);
    if is_name { Ok(()) } else { Err(invalid(format!("{words} `{}`", name.to_string().chars().take(40).collect::<String>()))) }
}

/// Charges for a filter that compares each item with several others.
fn sorted(state: &State<'_, '_>, list: Value) -> Result<Value, Error> {
    for value in list.try_iter()?.filter(Value::is_kwargs) {
        let by = value.get_item(&Value::from("attribute"))?;
        if by.as_str().is_some_and(|by| by.matches(',').count() >= MOST_KEYS) {
            return Err(invalid(format!("a list is sorted by {MOST_KEYS} attributes at the most")));
        }
    }
    let mut walk = Walk::new(state);
    let first = list.get_item_by_index(0)?;
    walk.argument(&first)?;
    let rounds = u64::from(first.len().unwrap_or(1).max(2).ilog2());
    state.consume_fuel((walk.items * ITEM + walk.bytes).saturating_mul(rounds) / STEP)?;
    each(state, list, 1)
}

/// Charges for `format`: a value that a place names is written for each such place.
fn formatted(state: &State<'_, '_>, list: Value) -> Result<Value, Error> {
    let mut places = 0;
    let mut others = Walk::new(state);
    for (index, value) in list.try_iter()?.enumerate() {
        if index == 0 {
            let text = value.as_str().unwrap_or_default();
            if text.split('%').skip(1).any(is_too_precise) {
                return Err(invalid(format!("`format` writes {MOST_DIGITS} digits behind a point at the most")));
            }
            places = text.matches("%(").count() as u64;
            Walk::new(state).argument(&value)?;
        } else {
            others.argument(&value)?;
        }
    }
    state.consume_fuel((others.items * ITEM + others.bytes).saturating_mul(places) / STEP)?;
    Ok(list)
}

/// Whether what stands behind a `%` asks for more digits than the engine can write.
fn is_too_precise(format: &str) -> bool {
    let format = format.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(format, |(_, rest)| rest);
    let width = format.trim_start_matches(|sign: char| sign.is_ascii_digit() || "-+ #".contains(sign));
    let digits = width.strip_prefix('.').map_or("", |rest| rest.split(|digit: char| !digit.is_ascii_digit()).next().unwrap_or_default());
    digits.trim_start_matches('0').len() > 4
}

/// The engine divides by the number of values that a loop takes in turn.
fn cycle(state: &State<'_, '_>, list: Value) -> Result<Value, Error> {
    if list.len().unwrap_or(0) < 2 {
        return Err(invalid("`loop.cycle` needs values that it takes in turn"));
    }
    arguments(state, list)
}

/// Charges for a value of which one part is taken: the characters of a text are counted from its beginning.
fn indexed(state: &State<'_, '_>, list: &Value) -> Result<bool, Error> {
    let bytes = list.get_item_by_index(0)?.as_str().map_or(0, str::len) as u64;
    state.consume_fuel(bytes / STEP).map(|()| true)
}

/// Charges for a slice: what stands before it is passed by. The engine negates its step.
fn sliced(state: &State<'_, '_>, list: Value) -> Result<Value, Error> {
    if list.get_item_by_index(3)?.as_i64().is_some_and(|step| step.unsigned_abs() > FARTHEST as u64) {
        return Err(invalid("the step of a slice is too large"));
    }
    list.try_iter()?.try_for_each(|value| defined(state, &value))?;
    let value = list.get_item_by_index(0)?;
    let passed = value.as_str().map_or_else(|| value.len().unwrap_or(0), str::len) as u64;
    state.consume_fuel(passed / STEP)?;
    Ok(list)
}

/// Each character at an end is looked for among those to trim.
fn trim(text: StringInput<'_>, characters: Option<Cow<'_, str>>) -> Result<Value, Error> {
    if characters.as_ref().is_some_and(|characters| characters.len() > MOST_TRIMMED) {
        return Err(invalid(format!("`trim` takes {MOST_TRIMMED} characters at the most")));
    }
    Ok(filters::trim(text, characters))
}

fn tojson(state: &State<'_, '_>, value: &Value, indent: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let wanted = match &indent {
        Some(indent) => Some(indent.clone()),
        None => options.get("indent")?,
    };
    if let Some(width) = wanted.filter(Value::is_number) {
        let Some(width) = width.as_i64().filter(|width| *width <= WIDEST_INDENT) else {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("JSON is indented by {WIDEST_INDENT} blanks at the most")));
        };
        indented(state, value, width.unsigned_abs())?;
    } else {
        indented(state, value, 2)?;
    }
    let json = filters::tojson(value, indent, options)?;
    state.consume_fuel(1 + json.as_str().map_or(0, str::len) as u64 / BYTES_OF_A_STEP)?;
    Ok(json)
}

/// Sees that the blanks before each item can be paid for.
fn indented(state: &State<'_, '_>, value: &Value, width: u64) -> Result<(), Error> {
    let mut walk = Walk::new(state);
    walk.below(value, 0)?;
    let blanks = walk.items.saturating_mul(width).saturating_mul(walk.deepest as u64);
    state.consume_fuel(blanks / STEP)
}

fn sum(state: &State<'_, '_>, values: Value, attribute: Option<&str>, start: Option<Value>, options: Kwargs) -> Result<Value, Error> {
    let begin = match &start {
        Some(start) => Some(start.clone()),
        None => options.get::<Option<Value>>("start")?,
    };
    // Texts and lists would be copied once for each item.
    if begin.is_some_and(|begin| !begin.is_number()) {
        return Err(Error::new(ErrorKind::InvalidOperation, "`sum` adds numbers; texts are put together with `join`"));
    }
    filters::sum(state, values, attribute, start, options)
}

fn range(lower: isize, upper: Option<isize>, step: Option<isize>) -> Result<Value, Error> {
    if [Some(lower), upper, step].into_iter().flatten().any(|number| number.unsigned_abs() > FARTHEST) {
        return Err(Error::new(ErrorKind::InvalidOperation, "the numbers of a range are too large"));
    }
    functions::range(lower, upper, step)
}

/// The last part of the name of an object's type.
fn type_name(value: &Value) -> &'static str {
    let name = value.as_object().map_or("", |object| object.type_name());
    name.rsplit("::").next().unwrap_or(name)
}

/// One walk through values, which is paid for as it goes.
struct Walk<'s, 't, 'e> {
    state: &'s State<'t, 'e>,
    /// What each costs.
    item: u64,
    /// Not paid yet.
    units: u64,
    items: u64,
    bytes: u64,
    deepest: usize,
}

impl<'s, 't, 'e> Walk<'s, 't, 'e> {
    const fn new(state: &'s State<'t, 'e>) -> Self {
        Self { state, item: ITEM, units: 0, items: 0, bytes: 0, deepest: 0 }
    }

    fn pay(&mut self, units: u64) -> Result<(), Error> {
        self.units += units;
        if self.units < STEP {
            return Ok(());
        }
        let steps = self.units / STEP;
        self.units %= STEP;
        self.state.consume_fuel(steps)
    }

    /// A value on its own; of named arguments each is one.
    fn argument(&mut self, value: &Value) -> Result<(), Error> {
        if !value.is_kwargs() {
            return self.below(value, 0);
        }
        value.try_iter()?.try_for_each(|name| self.below(&value.get_item(&name)?, 0))
    }

    /// `depth`: the lists and mappings that it is in.
    fn below(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let bytes = value.as_str().map_or(0, str::len);
        if bytes > LARGEST_TEXT {
            return Err(Error::from(ErrorKind::OutOfFuel));
        }
        defined(self.state, value)?;
        self.items += 1;
        self.bytes += bytes as u64;
        self.deepest = self.deepest.max(depth);
        self.pay(self.item + bytes as u64)?;
        let kind = value.kind();
        if !matches!(kind, ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
            return Ok(());
        }
        if kind == ValueKind::Map && self.is_opaque(value, depth)? {
            return Ok(());
        }
        if depth >= DEEPEST_VALUE {
            let message = format!("a list or mapping is nested deeper than {DEEPEST_VALUE} levels");
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
        for item in value.try_iter()? {
            self.below(&item, depth + 1)?;
            if kind == ValueKind::Map {
                self.below(&value.get_item(&item)?, depth + 1)?;
            }
        }
        Ok(())
    }

    /// What changes after it was put somewhere could be nested without a bound, or in itself.
    fn is_opaque(&self, value: &Value, depth: usize) -> Result<bool, Error> {
        let what = match type_name(value) {
            "Loop" => "`loop`",
            "Namespace" => "a namespace",
            _ => return Ok(false),
        };
        if depth == 0 {
            return Ok(what == "`loop`");
        }
        let message = format!("{what} cannot be put into a list, mapping or namespace; take what you need from it");
        Err(Error::new(ErrorKind::InvalidOperation, message))
    }
}
