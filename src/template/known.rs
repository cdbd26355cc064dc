//! Which filters, tests and names may a template use?
//!
//! Every filter and test of the engine that stands here was read, and costs no more than what its arguments hold, or has its price in
//! [`super::metered`] or [`super::walk`]. What does not stand here does not exist, whatever the engine's next version brings.

use std::collections::HashSet;

use minijinja::machinery::ast;

use super::bounds::Refused;
use super::hints::instead_of;
use super::tree::{Part, each};

#[rustfmt::skip]
const FILTERS: [&str; 46] = [
    "abs", "batch", "bool", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "format", "groupby", "indent",
    "int", "items", "join", "last", "length", "lines", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse",
    "round", "safe", "select", "selectattr", "slice", "sort", "split", "string", "sum", "title", "tojson", "trim",
    "truncate", "unique", "upper", "wordcount",
];

/// Filters that `map` may apply: they are not metered there.
#[rustfmt::skip]
const MAPPED: [&str; 31] = [
    "abs", "bool", "capitalize", "count", "d", "default", "e", "escape", "first", "float", "indent", "int", "join", "last", "length", "lines",
    "list", "lower", "replace", "round", "safe", "split", "string", "sum", "title", "tojson", "trim", "truncate", "upper", "items", "wordcount",
];

#[rustfmt::skip]
pub(super) const TESTS: [&str; 39] = [
    "!=", "<", "<=", "==", ">", ">=", "boolean", "defined", "divisibleby", "endingwith", "eq", "equalto", "escaped", "even", "false", "float",
    "ge", "greaterthan", "gt", "in", "int", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd",
    "safe", "sequence", "startingwith", "string", "true", "undefined", "upper",
];

/// What the engine has beside them.
pub(super) const REMOVED_FILTERS: [&str; 4] = ["attr", "chain", "pprint", "zip"];
pub(super) const REMOVED_TESTS: [&str; 3] = ["filter", "sameas", "test"];

pub(super) fn is_filter(name: &str) -> bool {
    FILTERS.contains(&name)
}

pub(super) fn is_mapped(name: &str) -> bool {
    MAPPED.contains(&name)
}

pub(super) fn is_test(name: &str) -> bool {
    TESTS.contains(&name)
}

/// What a template may not do at all, and the first offset at which it does.
pub(super) fn refused<'t>(template: &'t ast::Stmt<'t>) -> Option<Refused> {
    let mut first: Option<Refused> = None;
    // `loop` where something is taken from it: `loop.index`, `loop.cycle(1, 2)`, `loop(items)`.
    let mut asked: HashSet<*const ast::Expr<'t>> = HashSet::new();
    each(template, &mut |part| {
        let found = match part {
            Part::Statement(statement) => from_elsewhere(statement),
            Part::Expression(expression) => {
                match expression {
                    ast::Expr::GetAttr(member) => asked.insert(&raw const member.expr),
                    ast::Expr::Call(call) => asked.insert(&raw const call.expr),
                    _ => false,
                };
                unknown(expression, asked.contains(&std::ptr::from_ref(expression)))
            }
        };
        if let Some(found) = found
            && first.as_ref().is_none_or(|first| found.at < first.at)
        {
            first = Some(found);
        }
    });
    first
}

fn refusal(message: impl Into<String>, at: u32, hint: impl Into<String>) -> Refused {
    Refused { message: message.into(), at: at as usize, hint: Some(hint.into()) }
}

fn from_elsewhere(statement: &ast::Stmt<'_>) -> Option<Refused> {
    let at = match statement {
        ast::Stmt::Include(include) => include.span().start_offset,
        ast::Stmt::Import(import) => import.span().start_offset,
        ast::Stmt::FromImport(import) => import.span().start_offset,
        ast::Stmt::Extends(extends) => extends.span().start_offset,
        _ => return None,
    };
    Some(refusal("templates cannot include other files", at, "write the text into this one, or give it as a variable"))
}

fn unknown(expression: &ast::Expr<'_>, is_asked: bool) -> Option<Refused> {
    match expression {
        ast::Expr::Filter(filter) if !is_filter(filter.name) => {
            let message = format!("the filter `{}` is unknown", filter.name);
            Some(refusal(message, filter.span().start_offset, instead_of(filter.name, &FILTERS)))
        }
        ast::Expr::Test(test) if !is_test(test.name) => {
            let message = format!("the test `{}` is unknown", test.name);
            Some(refusal(message, test.span().start_offset, instead_of(test.name, &TESTS)))
        }
        ast::Expr::Var(variable) if variable.id == "loop" && !is_asked => Some(refusal(
            "`loop` is no value; take what you need from it, such as `loop.index`",
            variable.span().start_offset,
            "for a loop inside of it, keep that: `{% set row = loop.index %}`",
        )),
        ast::Expr::Call(call) => match &call.expr {
            ast::Expr::GetAttr(method)
                if matches!(&method.expr, ast::Expr::Var(variable) if variable.id == "loop")
                    && !["cycle", "changed"].contains(&method.name) =>
            {
                let message = format!("`loop` has no method `{}`", method.name);
                Some(refusal(message, call.span().start_offset, "it has `loop.cycle('a', 'b')` and `loop.changed(x)`"))
            }
            _ => None,
        },
        _ => None,
    }
}
