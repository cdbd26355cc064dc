//! Does reading a template make more than is written in it?
//!
//! The engine computes constant expressions while it reads a template, before there are any steps to count: `[0] * 100000000 == [1]` would
//! be walked then and there.

use minijinja::machinery::{ast, parse};
use minijinja::syntax::SyntaxConfig;

/// Items that a list may have that is written as one repeated.
const MOST_REPEATED: u64 = 10_000;

/// What a constant expression would make too much of, and the offset at which it does. A template that cannot be read makes nothing.
pub(super) fn too_much(text: &str, syntax: &SyntaxConfig) -> Option<(String, usize)> {
    if !text.contains('*') {
        return None;
    }
    let template = parse(text, "template", syntax.clone()).ok()?;
    let mut statements = vec![&template];
    let mut expressions = Vec::new();
    let mut first: Option<u32> = None;
    while let Some(statement) = statements.pop() {
        below_statement(statement, &mut statements, &mut expressions);
        while let Some(expression) = expressions.pop() {
            if let ast::Expr::BinOp(operation) = expression
                && matches!(operation.op, ast::BinOpKind::Mul)
                && constant(expression).is_some_and(|made| made.is_list && made.size > MOST_REPEATED)
            {
                let at = operation.span().start_offset;
                first = Some(first.map_or(at, |first| first.min(at)));
            }
            below_expression(expression, &mut expressions);
        }
    }
    let message = || format!("the list that is repeated here would have more than {MOST_REPEATED} items");
    first.map(|at| (message(), at as usize))
}

/// What a constant expression makes, at the most.
#[derive(Clone, Copy)]
struct Made {
    size: u64,
    is_list: bool,
}

const ONE: Made = Made { size: 1, is_list: false };

/// `None` for what the engine does not compute in advance.
fn constant(expression: &ast::Expr<'_>) -> Option<Made> {
    let both = |left: &ast::Expr<'_>, right: &ast::Expr<'_>| {
        let (left, right) = (constant(left)?, constant(right)?);
        Some(Made { size: left.size.saturating_add(right.size), is_list: left.is_list || right.is_list })
    };
    let list = |items: &[ast::Expr<'_>]| {
        let size = items.iter().try_fold(1_u64, |size, item| Some(size.saturating_add(constant(item)?.size)))?;
        Some(Made { size, is_list: true })
    };
    match expression {
        ast::Expr::Const(_) => Some(ONE),
        ast::Expr::List(literal) => list(&literal.items),
        ast::Expr::Tuple(literal) => list(&literal.items),
        ast::Expr::Map(literal) => {
            let size = list(&literal.keys)?.size.saturating_add(list(&literal.values)?.size);
            Some(Made { size, is_list: false })
        }
        ast::Expr::UnaryOp(operation) => constant(&operation.expr),
        ast::Expr::BinOp(operation) if matches!(operation.op, ast::BinOpKind::Mul) => {
            let made = both(&operation.left, &operation.right)?;
            if !made.is_list {
                return Some(ONE);
            }
            let times = [&operation.left, &operation.right].into_iter().find_map(|operand| match operand {
                ast::Expr::Const(number) => number.value.as_i64(),
                _ => None,
            });
            // A count that is computed itself may be any.
            let times = times.map_or(u64::MAX, |times| u64::try_from(times).unwrap_or(0));
            Some(Made { size: made.size.saturating_mul(times), ..made })
        }
        ast::Expr::BinOp(operation) => both(&operation.left, &operation.right),
        ast::Expr::Compare(comparison) => {
            constant(&comparison.expr)?;
            comparison.ops.iter().try_fold(ONE, |_, operand| constant(&operand.expr).map(|_| ONE))
        }
        ast::Expr::Var(_)
        | ast::Expr::Slice(_)
        | ast::Expr::IfExpr(_)
        | ast::Expr::Filter(_)
        | ast::Expr::Test(_)
        | ast::Expr::GetAttr(_)
        | ast::Expr::GetItem(_)
        | ast::Expr::Call(_) => None,
    }
}

type Expressions<'t> = Vec<&'t ast::Expr<'t>>;

fn below_statement<'t>(statement: &'t ast::Stmt<'t>, statements: &mut Vec<&'t ast::Stmt<'t>>, expressions: &mut Expressions<'t>) {
    match statement {
        ast::Stmt::Template(template) => statements.extend(&template.children),
        ast::Stmt::EmitExpr(emit) => expressions.push(&emit.expr),
        ast::Stmt::EmitRaw(_) => {}
        ast::Stmt::ForLoop(block) => {
            expressions.extend([&block.target, &block.iter]);
            expressions.extend(&block.filter_expr);
            statements.extend(block.body.iter().chain(&block.else_body));
        }
        ast::Stmt::IfCond(block) => {
            expressions.push(&block.expr);
            statements.extend(block.true_body.iter().chain(&block.false_body));
        }
        ast::Stmt::WithBlock(block) => {
            expressions.extend(block.assignments.iter().flat_map(|(target, value)| [target, value]));
            statements.extend(&block.body);
        }
        ast::Stmt::Set(set) => expressions.extend([&set.target, &set.expr]),
        ast::Stmt::SetBlock(block) => {
            expressions.push(&block.target);
            expressions.extend(&block.filter);
            statements.extend(&block.body);
        }
        ast::Stmt::AutoEscape(block) => {
            expressions.push(&block.enabled);
            statements.extend(&block.body);
        }
        ast::Stmt::FilterBlock(block) => {
            expressions.push(&block.filter);
            statements.extend(&block.body);
        }
        ast::Stmt::Block(block) => statements.extend(&block.body),
        ast::Stmt::Import(import) => expressions.extend([&import.expr, &import.name]),
        ast::Stmt::FromImport(import) => expressions.push(&import.expr),
        ast::Stmt::Extends(extends) => expressions.push(&extends.name),
        ast::Stmt::Include(include) => expressions.push(&include.name),
        ast::Stmt::Macro(declared) => below_macro(declared, statements, expressions),
        ast::Stmt::CallBlock(block) => {
            below_call(&block.call, expressions);
            below_macro(&block.macro_decl, statements, expressions);
        }
        ast::Stmt::Do(statement) => below_call(&statement.call, expressions),
    }
}

fn below_macro<'t>(declared: &'t ast::Macro<'t>, statements: &mut Vec<&'t ast::Stmt<'t>>, expressions: &mut Expressions<'t>) {
    expressions.extend(declared.args.iter().chain(&declared.defaults));
    statements.extend(&declared.body);
}

fn below_call<'t>(call: &'t ast::Call<'t>, expressions: &mut Expressions<'t>) {
    expressions.push(&call.expr);
    below_arguments(&call.args, expressions);
}

fn below_arguments<'t>(arguments: &'t [ast::CallArg<'t>], expressions: &mut Expressions<'t>) {
    expressions.extend(arguments.iter().map(|argument| match argument {
        ast::CallArg::Pos(value) | ast::CallArg::Kwarg(_, value) | ast::CallArg::PosSplat(value) | ast::CallArg::KwargSplat(value) => value,
    }));
}

fn below_expression<'t>(expression: &'t ast::Expr<'t>, expressions: &mut Expressions<'t>) {
    match expression {
        ast::Expr::Var(_) | ast::Expr::Const(_) => {}
        ast::Expr::Slice(slice) => {
            expressions.push(&slice.expr);
            expressions.extend([&slice.start, &slice.stop, &slice.step].into_iter().flatten());
        }
        ast::Expr::UnaryOp(operation) => expressions.push(&operation.expr),
        ast::Expr::BinOp(operation) => expressions.extend([&operation.left, &operation.right]),
        ast::Expr::Compare(comparison) => {
            expressions.push(&comparison.expr);
            expressions.extend(comparison.ops.iter().map(|operand| &operand.expr));
        }
        ast::Expr::IfExpr(choice) => {
            expressions.extend([&choice.test_expr, &choice.true_expr]);
            expressions.extend(&choice.false_expr);
        }
        ast::Expr::Filter(filter) => {
            expressions.extend(&filter.expr);
            below_arguments(&filter.args, expressions);
        }
        ast::Expr::Test(test) => {
            expressions.push(&test.expr);
            below_arguments(&test.args, expressions);
        }
        ast::Expr::GetAttr(member) => expressions.push(&member.expr),
        ast::Expr::GetItem(item) => expressions.extend([&item.expr, &item.subscript_expr]),
        ast::Expr::Call(call) => below_call(call, expressions),
        ast::Expr::List(literal) => expressions.extend(&literal.items),
        ast::Expr::Tuple(literal) => expressions.extend(&literal.items),
        ast::Expr::Map(literal) => expressions.extend(literal.keys.iter().chain(&literal.values)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(text: &str) -> Option<usize> {
        too_much(text, &SyntaxConfig::default()).map(|(_, offset)| offset)
    }

    #[test]
    fn constant_lists_are_repeated_within_bounds_wherever_they_stand() {
        for list in ["[0]", "(0,)", "([0])", "(1 and [0])", "([0] or 1)", "([0] + [1])", "([0] * 10)"] {
            for (before, after) in [("{{ ", " == 1 }}"), ("{% if x %}{% set a = f(x, y=", ") %}{% endif %}"), ("{{ x | f([", "]) }}")] {
                for product in [format!("{list} * 100000"), format!("100000 * {list}"), format!("{list} * (100000 * 2)")] {
                    assert_eq!(offset(&format!("{before}{product}{after}")), Some(before.len()), "{before}{product}{after}");
                }
            }
        }
        assert_eq!(offset("{{ [[0] * 1000] * 1000 }}"), Some(3));
        assert_eq!(offset("{{ [0] * 100000 == [0] * 100000 }}"), Some(3), "the first of them");
    }

    #[test]
    fn what_is_no_repeated_constant_is_left_to_the_steps() {
        for text in ["{{ 3 * 100000000 }}", "{{ 'x' * 100000000 }}", "{{ x * [0] }}", "{{ [0] * 1000 }}", "{{ f(**x) }}", "{{ [", "*"] {
            assert_eq!(offset(text), None, "{text}");
        }
    }
}
