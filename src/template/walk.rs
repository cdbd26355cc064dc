//! What does walking a value cost, and which values are not made at all?

use minijinja::value::{Kwargs, Rest, ValueKind, ValueOrKwargs};
use minijinja::{Environment, Error, ErrorKind, State, Value, filters, functions};

/// Deepest nesting of a list or mapping: what JSON is read to.
pub(super) const DEEPEST_VALUE: usize = 128;

/// Largest text that may be worked on: as large as one that may be given.
const LARGEST_TEXT: usize = super::LARGEST_OUTPUT;

/// Of a step's 64 units, what one item costs; a byte costs one.
const ITEM: u64 = 8;
/// What one costs that is put into a new list.
const SLOT: u64 = 32;
const STEP: u64 = 64;
/// The engine's own price of a serialized byte, as a part of a step.
const BYTES_OF_A_STEP: u64 = 4;

/// Widest indentation of JSON.
const WIDEST_INDENT: i64 = 100;

/// Farthest number of a range: the engine adds and subtracts them unchecked.
const FARTHEST: usize = 1 << 53;

/// The names of the filters that metered instructions call; no template can spell them.
pub(super) const WALK: &str = "#walk";
pub(super) const HOLD: &str = "#hold";
pub(super) const MADE: &str = "#made";
pub(super) const ARGUMENTS: &str = "#arguments";
pub(super) const EACH: &str = "#each";

/// Gives an environment what metered templates need, and bounds what the engine's own functions leave unbounded.
pub(crate) fn equip(environment: &mut Environment<'static>) {
    environment.add_filter(WALK, walk);
    environment.add_filter(HOLD, hold);
    environment.add_filter(MADE, made);
    environment.add_filter(ARGUMENTS, arguments);
    environment.add_filter(EACH, each);
    environment.add_filter("tojson", tojson);
    environment.add_filter("pprint", pprint);
    environment.add_filter("sum", sum);
    environment.add_function("range", range);
    // It would print every variable into a prompt.
    environment.remove_global("debug");
}

/// Charges for a value that is only looked at.
fn walk(state: &State<'_, '_>, values: Rest<ValueOrKwargs>) -> Result<bool, Error> {
    let mut walk = Walk::new(state);
    values.iter().try_for_each(|value| walk.argument(value)).map(|()| true)
}

/// Charges for a value that a namespace will hold.
fn hold(state: &State<'_, '_>, value: &Value) -> Result<bool, Error> {
    Walk::new(state).below(value, 1).map(|()| true)
}

/// Charges for a value that was made, and leaves nothing lazy: the engine would nest what is lazy in itself without a bound.
fn made(state: &State<'_, '_>, value: Value) -> Result<Value, Error> {
    if value.as_str().is_some() {
        // It was paid for, and is looked at when it is used.
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
    walk.below(&value, 0)?;
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
fn each(state: &State<'_, '_>, list: Value) -> Result<Value, Error> {
    let (mut first, mut others) = (Walk::new(state), Walk::new(state));
    for (index, value) in list.try_iter()?.enumerate() {
        if index == 0 { first.argument(&value)? } else { others.argument(&value)? }
    }
    let each = others.items * ITEM + others.bytes;
    // A text is gone through by its characters; where that is dear, each counts.
    let times = if each > 4 * STEP { first.items + first.bytes } else { first.items };
    state.consume_fuel(times.saturating_mul(each) / STEP)?;
    Ok(list)
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

fn pprint(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    indented(state, value, 4)?;
    let text = filters::pprint(value);
    state.consume_fuel(1 + text.len() as u64 / BYTES_OF_A_STEP)?;
    Ok(text)
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
    /// Not paid yet.
    units: u64,
    items: u64,
    bytes: u64,
    deepest: usize,
}

impl<'s, 't, 'e> Walk<'s, 't, 'e> {
    const fn new(state: &'s State<'t, 'e>) -> Self {
        Self { state, units: 0, items: 0, bytes: 0, deepest: 0 }
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
        self.items += 1;
        self.bytes += bytes as u64;
        self.deepest = self.deepest.max(depth);
        self.pay(ITEM + bytes as u64)?;
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
