//! What does a rendering cost, counting every value that it walks?
//!
//! The engine counts a step for each instruction, and the bytes that one makes, once it made them. What it does not count is walking: forty
//! lists of which each holds the one before twice are small, and have no end once they are written, compared, hashed or dropped. So the
//! instructions of a template are taken as the engine compiled them, and before each that walks a value one is put that walks it at a price,
//! and stops. Whatever is made is walked too: no list is nested deeper than a stack bears, and nothing is lazy but the engine's sum of lists.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use minijinja::machinery::{Instruction, Instructions, eval, get_compiled_template, make_string_output};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::walk::{
    ARGUMENTS, CYCLE, EACH, FORMATTED, GROUPED, HOLD, INDEXED, JOINED, LISTED, MADE, MAPPED, PART, SELECTED, SELECTED_BY, SLICED, SORTED,
    WALK,
};

/// A text in a template that is longer is paid for wherever it is used.
const LONGEST_FREE: usize = 256;

/// Says that a filter has no slot in which the engine remembers it.
const NO_SLOT: u8 = !0;

/// Filters that look at the outside of their value only, and make nothing of it.
const SHALLOW: [&str; 6] = ["default", "d", "length", "count", "first", "last"];
/// Filters that make text or a number.
const PLAIN: [&str; 27] = [
    "upper",
    "lower",
    "title",
    "capitalize",
    "replace",
    "trim",
    "join",
    "round",
    "abs",
    "int",
    "float",
    "string",
    "bool",
    "indent",
    "tojson",
    "format",
    "safe",
    "escape",
    "e",
    "length",
    "count",
    "default",
    "d",
    "first",
    "last",
    "truncate",
    "wordcount",
];
/// Filters that go through their other arguments, mostly a path, for each item of the first.
const REPEATING: [(&str, &str); 9] = [
    ("map", MAPPED),
    ("select", SELECTED),
    ("reject", SELECTED),
    ("selectattr", SELECTED_BY),
    ("rejectattr", SELECTED_BY),
    ("min", EACH),
    ("max", EACH),
    ("sum", EACH),
    ("join", JOINED),
];
/// Filters that compare an item several times.
const SORTING: [(&str, &str); 4] = [("sort", SORTED), ("unique", GROUPED), ("groupby", GROUPED), ("dictsort", GROUPED)];
/// Filters and tests that ask whether a value is defined. What is undefined reaches nothing else.
const ASKING: [&str; 4] = ["default", "d", "defined", "undefined"];
/// Tests that look at the outside of their value only.
const SHALLOW_TESTS: [&str; 19] = [
    "undefined",
    "defined",
    "none",
    "safe",
    "escaped",
    "boolean",
    "odd",
    "even",
    "divisibleby",
    "number",
    "integer",
    "int",
    "float",
    "string",
    "sequence",
    "iterable",
    "mapping",
    "true",
    "false",
];

/// Renders a template of this environment, which [`super::walk::equip`] equipped.
pub(crate) fn render(environment: &Environment<'static>, name: &str, context: Value) -> Result<String, Error> {
    // A mistake of the engine, which runs what strangers may have written, is a mistake of the template.
    let caught = catch_unwind(AssertUnwindSafe(|| rendered(environment, name, context)));
    caught.unwrap_or_else(|_| Err(Error::new(ErrorKind::InvalidOperation, "the template engine failed at it")))
}

fn rendered(environment: &Environment<'static>, name: &str, context: Value) -> Result<String, Error> {
    let template = environment.get_template(name)?;
    let compiled = get_compiled_template(&template);
    let mut text = String::with_capacity(compiled.buffer_size_hint);
    let escape = compiled.initial_auto_escape.clone();
    let mut run = |instructions: &Instructions<'_>, blocks: &BTreeMap<&str, Instructions<'_>>| {
        eval(environment, instructions, context.clone(), blocks, &mut make_string_output(&mut text), escape.clone()).map(|_| ())
    };
    if walks_nothing(&compiled.instructions) {
        run(&compiled.instructions, &BTreeMap::new())?;
    } else {
        let blocks = compiled.blocks.iter().map(|(name, block)| (*name, metered(block))).collect();
        run(&metered(&compiled.instructions), &blocks)?;
    }
    Ok(text)
}

/// Whether only variables and members of them are written: most prompts.
fn walks_nothing(instructions: &Instructions<'_>) -> bool {
    use Instruction as I;
    let mut all = (0..).map_while(|index| instructions.get(index));
    all.all(|instruction| matches!(instruction, I::EmitRaw(_) | I::Lookup(_) | I::GetAttr(_) | I::Emit))
}

/// The same instructions, and before and behind those that walk a value the ones that charge for it.
fn metered<'s>(from: &Instructions<'s>) -> Instructions<'s> {
    let all: Vec<&Instruction<'s>> = (0..).map_while(|index| from.get(index)).collect();
    let targets: BTreeSet<u32> = all.iter().filter_map(|instruction| target(instruction)).collect();
    let parameters: BTreeSet<u32> = all.iter().flat_map(|instruction| parameters(&all, instruction)).collect();
    let mut to = Instructions::new(from.name(), from.source());
    let mut length = 0;
    let mut places = Vec::with_capacity(all.len() + 1);
    let mut moved = Vec::new();
    let mut before_it = None;
    for (index, instruction) in (0..).zip(all) {
        places.push(length);
        let is_target = targets.contains(&index);
        let scalar = before_it.is_some_and(is_scalar) && !is_target;
        let may_be_undefined = (before_it.is_some_and(finds) || is_target) && !parameters.contains(&index);
        before_it = Some(instruction);
        let mut sequence = Sequence::default();
        sequence.charged(instruction, scalar, may_be_undefined);
        for instruction in sequence.0 {
            let jumps = target(&instruction).is_some();
            let added = match (from.get_span(index), from.get_line(index)) {
                (Some(span), _) => to.add_with_span(instruction, span),
                (None, Some(line)) => to.add_with_line(instruction, u16::try_from(line).unwrap_or(u16::MAX)),
                (None, None) => to.add(instruction),
            };
            length = added + 1;
            if jumps {
                moved.push(added);
            }
        }
    }
    places.push(length);
    for index in moved {
        if let Some(target) = to.get_mut(index).and_then(target_mut) {
            *target = places[*target as usize];
        }
    }
    to
}

/// The instruction that another leads to.
fn target(instruction: &Instruction<'_>) -> Option<u32> {
    target_mut(&mut instruction.clone()).copied()
}

fn target_mut<'i>(instruction: &'i mut Instruction<'_>) -> Option<&'i mut u32> {
    match instruction {
        Instruction::Jump(target)
        | Instruction::JumpIfFalse(target)
        | Instruction::JumpIfFalseOrPop(target)
        | Instruction::JumpIfTrueOrPop(target)
        | Instruction::Iterate(target)
        | Instruction::BuildMacro(_, target, _) => Some(target),
        _ => None,
    }
}

/// Where a macro stores its parameters, of which those that were not given are undefined.
fn parameters(all: &[&Instruction<'_>], instruction: &Instruction<'_>) -> Vec<u32> {
    let Instruction::BuildMacro(_, begin, _) = *instruction else { return Vec::new() };
    let mut stores = Vec::new();
    let mut at = begin;
    loop {
        at = match all.get(at as usize..).unwrap_or_default() {
            [Instruction::StoreLocal(_), ..] => {
                stores.push(at);
                at + 1
            }
            // One with a default, behind which it is stored.
            [Instruction::DupTop, Instruction::IsUndefined, Instruction::JumpIfFalse(store), ..] if *store > at => *store,
            _ => return stores,
        };
    }
}

/// Whether it may leave what is undefined.
fn finds(instruction: &Instruction<'_>) -> bool {
    use Instruction as I;
    matches!(
        instruction,
        I::Lookup(_) | I::GetAttr(_) | I::GetItem | I::ApplyFilter(..) | I::CallFunction(..) | I::CallMethod(..) | I::CallObject(_)
    )
}

/// Whether it leaves a short text, number or truth value that is written in the template, with which comparing costs nothing.
fn is_scalar(instruction: &Instruction<'_>) -> bool {
    let is_short = |value: &Value| value.as_object().is_none() && value.as_str().is_none_or(|text| text.len() < LONGEST_FREE);
    matches!(instruction, Instruction::LoadConst(value) if is_short(value))
}

#[derive(Default)]
struct Sequence<'s>(Vec<Instruction<'s>>);

impl<'s> Sequence<'s> {
    fn add(&mut self, instruction: Instruction<'s>) {
        self.0.push(instruction);
    }

    /// Charges for the value on top of the stack, and leaves it there.
    fn top(&mut self, filter: &'static str) {
        // In a list, since the engine would charge for a text as well.
        let ask = Instruction::ApplyFilter(filter, Some(1), NO_SLOT);
        self.0.extend([Instruction::DupTop, Instruction::BuildList(Some(1)), ask, Instruction::DiscardTop]);
    }

    /// Charges for the value below the top of the stack.
    fn second(&mut self, filter: &'static str) {
        self.add(Instruction::Swap);
        self.top(filter);
        self.add(Instruction::Swap);
    }

    /// Charges for what was just made, and makes a list of what is lazy.
    fn made(&mut self) {
        self.0.extend([Instruction::BuildList(Some(1)), Instruction::ApplyFilter(MADE, Some(1), NO_SLOT), Instruction::UnpackList(1)]);
    }

    /// Charges for a number of values; that number is on top of the stack afterwards.
    fn several(&mut self, filter: &'static str, count: Option<usize>) {
        self.add(Instruction::BuildList(count));
        self.add(Instruction::ApplyFilter(filter, Some(1), NO_SLOT));
        self.add(Instruction::UnpackLists(1));
    }

    /// Stops where the value on top of the stack is undefined, and leaves it there: the engine asks for its truth, which it has not.
    fn defined(&mut self) {
        self.0.extend([Instruction::DupTop, Instruction::Not, Instruction::DiscardTop]);
    }

    /// Charges for the arguments of a call; gives the number that the call has to be made with. `first`: whether it walks the first of them.
    fn arguments(&mut self, count: Option<u16>, first: bool, scalar: bool) -> Option<u16> {
        match count {
            Some(0) => return count,
            Some(1) => {
                if first && !scalar {
                    self.top(WALK);
                }
                return count;
            }
            Some(2) => {
                if !scalar {
                    self.top(WALK);
                }
                if first {
                    self.second(WALK);
                }
                return count;
            }
            _ => self.several(ARGUMENTS, count.map(usize::from)),
        }
        None
    }

    /// `scalar`: what is on top of the stack is written in the template. `may_be_undefined`: it may be, and must not be stored.
    fn charged(&mut self, instruction: &Instruction<'s>, scalar: bool, may_be_undefined: bool) {
        use Instruction as I;
        match *instruction {
            I::StoreLocal(_) => {
                if may_be_undefined {
                    self.defined();
                }
                self.add(instruction.clone());
            }
            I::SetAttr(_) => {
                self.second(HOLD);
                self.add(instruction.clone());
            }
            I::GetItem => {
                if !scalar {
                    self.top(WALK);
                }
                self.second(INDEXED);
                self.add(I::GetItem);
            }
            // Keys are hashed.
            I::BuildMap(pairs) => {
                self.several(ARGUMENTS, Some(pairs * 2));
                self.add(I::DiscardTop);
                self.add(I::BuildMap(pairs));
                self.top(WALK);
            }
            I::MergeKwargs(count) => {
                self.several(ARGUMENTS, Some(count));
                self.add(I::DiscardTop);
                self.add(I::MergeKwargs(count));
            }
            I::BuildList(_) | I::BuildTuple(_) => {
                self.add(instruction.clone());
                self.top(LISTED);
            }
            I::Slice => {
                self.several(SLICED, Some(4));
                self.add(I::DiscardTop);
                self.add(I::Slice);
                self.made();
            }
            I::Add | I::Mul => {
                self.add(instruction.clone());
                if !(scalar && matches!(instruction, I::Add)) {
                    self.made();
                }
            }
            I::Eq | I::Ne | I::Gt | I::Gte | I::Lt | I::Lte => {
                self.compared(scalar);
                self.add(instruction.clone());
            }
            I::CompareAndPreserve(operator) => {
                self.operands(scalar);
                self.add(I::CompareAndPreserve(operator));
            }
            // The engine charges for the text that it makes of texts.
            I::StringConcat => {
                if !scalar {
                    self.top(PART);
                }
                self.second(PART);
                self.add(I::StringConcat);
            }
            I::In => {
                self.operands(scalar);
                self.add(I::In);
            }
            I::ApplyFilter(name, count, slot) => {
                let repeating = REPEATING.iter().find(|(repeating, _)| *repeating == name && count != Some(1)).map(|(_, price)| *price);
                let price = match name {
                    "format" => Some(FORMATTED),
                    _ => SORTING.iter().find(|(sorting, _)| *sorting == name).map(|(_, price)| *price).or(repeating),
                };
                let count = if let Some(price) = price {
                    self.several(price, count.map(usize::from));
                    None
                } else if ASKING.contains(&name) {
                    count
                } else {
                    self.arguments(count, !SHALLOW.contains(&name), scalar)
                };
                self.add(I::ApplyFilter(name, count, slot));
                if !PLAIN.contains(&name) {
                    self.made();
                }
            }
            I::PerformTest(name, count, slot) => {
                let count = match count {
                    _ if ASKING.contains(&name) => count,
                    Some(1) if SHALLOW_TESTS.contains(&name) => {
                        self.defined();
                        count
                    }
                    _ => self.arguments(count, true, scalar),
                };
                self.add(I::PerformTest(name, count, slot));
            }
            I::CallFunction(name, count) => {
                let count = self.arguments(count, true, scalar);
                self.add(I::CallFunction(name, count));
                self.made();
            }
            I::CallMethod("cycle", count) => {
                self.several(CYCLE, count.map(usize::from));
                self.add(I::CallMethod("cycle", None));
                self.made();
            }
            I::CallMethod(name, count) => {
                let count = self.arguments(count, false, scalar);
                self.add(I::CallMethod(name, count));
                self.made();
            }
            I::CallObject(count) => {
                let count = self.arguments(count, false, scalar);
                self.add(I::CallObject(count));
                self.made();
            }
            // No template knows another, whatever else its environment holds; those that ask for one are refused when they are read.
            I::Include(_) | I::LoadBlocks => {
                self.add(I::DiscardTop);
                self.add(I::LoadConst(Value::from("")));
                self.add(instruction.clone());
            }
            // These look at no value, at its outside only, or count each item as a step; the formatter charges for what is emitted.
            I::EmitRaw(_)
            | I::Lookup(_)
            | I::GetAttr(_)
            | I::LoadConst(_)
            | I::BuildKwargs(_)
            | I::UnpackList(_)
            | I::UnpackLists(_)
            | I::Sub
            | I::Div
            | I::IntDiv
            | I::Rem
            | I::Pow
            | I::Neg
            | I::Not
            | I::Emit
            | I::PushLoop(_)
            | I::PushWith
            | I::Iterate(_)
            | I::PushDidNotIterate
            | I::PopFrame
            | I::PopLoopFrame
            | I::Jump(_)
            | I::JumpIfFalse(_)
            | I::JumpIfFalseOrPop(_)
            | I::JumpIfTrueOrPop(_)
            | I::PushAutoEscape
            | I::PopAutoEscape
            | I::BeginCapture(_)
            | I::EndCapture
            | I::DupTop
            | I::DiscardTop
            | I::FastSuper
            | I::FastRecurse
            | I::Swap
            | I::CallBlock(_)
            | I::ExportLocals
            | I::BuildMacro(..)
            | I::Return
            | I::IsUndefined
            | I::Enclose(_)
            | I::GetClosure => self.add(instruction.clone()),
        }
    }

    /// Comparing with what is written in the template costs no more than that.
    fn compared(&mut self, scalar: bool) {
        if !scalar {
            self.operands(false);
        }
    }

    fn operands(&mut self, scalar: bool) {
        if !scalar {
            self.top(WALK);
        }
        self.second(WALK);
    }
}
