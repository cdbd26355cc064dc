//! Which filters, tests and names may a template use?
//!
//! Every filter and test of the engine that stands here was read, and costs no more than what its arguments hold, or has its price in
//! [`super::metered`] or [`super::walk`]. What does not stand here does not exist, whatever the engine's next version brings.

use std::collections::HashSet;

use minijinja::machinery::ast;

use super::tree::{Part, each};

#[rustfmt::skip]
const FILTERS: [&str; 43] = [
    "abs", "batch", "bool", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "format", "groupby", "indent",
    "int", "items", "join", "last", "length", "lines", "list", "lower", "map", "max", "min", "reject", "rejectattr", "replace", "reverse",
    "round", "safe", "select", "selectattr", "sort", "split", "string", "sum", "title", "tojson", "trim",
    "unique", "upper",
];

/// Filters that `map` may apply: they are not metered there.
#[rustfmt::skip]
const MAPPED: [&str; 29] = [
    "abs", "bool", "capitalize", "count", "d", "default", "e", "escape", "first", "float", "indent", "int", "join", "last", "length", "lines",
    "list", "lower", "replace", "round", "safe", "split", "string", "sum", "title", "tojson", "trim", "upper", "items",
];

#[rustfmt::skip]
const TESTS: [&str; 39] = [
    "!=", "<", "<=", "==", ">", ">=", "boolean", "defined", "divisibleby", "endingwith", "eq", "equalto", "escaped", "even", "false", "float",
    "ge", "greaterthan", "gt", "in", "int", "integer", "iterable", "le", "lessthan", "lower", "lt", "mapping", "ne", "none", "number", "odd",
    "safe", "sequence", "startingwith", "string", "true", "undefined", "upper",
];

/// What the engine has beside them.
pub(super) const REMOVED_FILTERS: [&str; 5] = ["attr", "chain", "pprint", "slice", "zip"];
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
pub(super) fn refused<'t>(template: &'t ast::Stmt<'t>) -> Option<(String, usize)> {
    let mut first: Option<(String, u32)> = None;
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
        if let Some((message, at)) = found
            && first.as_ref().is_none_or(|(_, first)| at < *first)
        {
            first = Some((message, at));
        }
    });
    first.map(|(message, at)| (message, at as usize))
}

fn from_elsewhere(statement: &ast::Stmt<'_>) -> Option<(String, u32)> {
    let at = match statement {
        ast::Stmt::Include(include) => include.span().start_offset,
        ast::Stmt::Import(import) => import.span().start_offset,
        ast::Stmt::FromImport(import) => import.span().start_offset,
        ast::Stmt::Extends(extends) => extends.span().start_offset,
        _ => return None,
    };
    Some(("templates cannot include other files".to_owned(), at))
}

fn unknown(expression: &ast::Expr<'_>, is_asked: bool) -> Option<(String, u32)> {
    match expression {
        ast::Expr::Filter(filter) if !is_filter(filter.name) => {
            Some((format!("the filter `{}` is unknown", filter.name), filter.span().start_offset))
        }
        ast::Expr::Test(test) if !is_test(test.name) => Some((format!("the test `{}` is unknown", test.name), test.span().start_offset)),
        ast::Expr::Var(variable) if variable.id == "loop" && !is_asked => {
            Some(("`loop` is no value; take what you need from it, such as `loop.index`".to_owned(), variable.span().start_offset))
        }
        ast::Expr::Call(call) => match &call.expr {
            ast::Expr::GetAttr(method)
                if matches!(&method.expr, ast::Expr::Var(variable) if variable.id == "loop")
                    && !["cycle", "changed"].contains(&method.name) =>
            {
                Some((format!("`loop` has no method `{}`", method.name), call.span().start_offset))
            }
            _ => None,
        },
        _ => None,
    }
}
