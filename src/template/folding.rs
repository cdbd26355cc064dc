//! Does reading a template make more than is written in it?
//!
//! The engine computes constant expressions while it reads a template, before there are any steps to count: `[0] * 100000000 == [1]` would
//! be walked then and there, and `([0] * 1000 + x) + x ...` once for each sign behind it.

use minijinja::machinery::ast;

use super::tree::{Part, each};

/// Items that a list may have that is written as one repeated.
const MOST_REPEATED: u64 = 10_000;

/// Values that constant expressions may walk, beside a few for each byte of the template.
const MOST_WALKED: u64 = 200_000;
const WALKED_A_BYTE: u64 = 8;

/// What a constant expression would make too much of, and the offset at which it does.
pub(super) fn too_much<'t>(text: &str, template: &'t ast::Stmt<'t>) -> Option<(String, usize)> {
    let most_walked = MOST_WALKED + WALKED_A_BYTE * text.len() as u64;
    let mut first: Option<u32> = None;
    let mut walked: u64 = 0;
    let mut walks_too_much = None;
    each(template, &mut |part| {
        let Part::Expression(expression) = part else { return };
        if let ast::Expr::BinOp(operation) = expression
            && matches!(operation.op, ast::BinOpKind::Mul)
            && tried(expression).0.is_some_and(|made| made.is_list && made.size > MOST_REPEATED)
        {
            let at = operation.span().start_offset;
            first = Some(first.map_or(at, |first| first.min(at)));
        }
        // The engine tries to compute each expression, and if it cannot, those in it.
        if walks_too_much.is_none() {
            walked = walked.saturating_add(tried(expression).1);
            walks_too_much = (walked > most_walked).then(|| expression.span().start_offset as usize);
        }
    });
    match first {
        Some(at) => Some((format!("the list that is repeated here would have more than {MOST_REPEATED} items"), at as usize)),
        None => walks_too_much.map(|at| ("the constant lists of this template are too much to compute".to_owned(), at)),
    }
}

/// What a constant expression makes, at the most.
#[derive(Clone, Copy)]
struct Made {
    /// Values in a list or mapping, and in those in it.
    size: u64,
    is_list: bool,
}

const ONE: Made = Made { size: 0, is_list: false };

/// What the engine makes of an expression in advance, if it does, and how many values it walks to find out.
fn tried(expression: &ast::Expr<'_>) -> (Option<Made>, u64) {
    match expression {
        ast::Expr::Const(_) => (Some(ONE), 1),
        ast::Expr::List(literal) => list(&literal.items, true),
        ast::Expr::Tuple(literal) => list(&literal.items, true),
        ast::Expr::Map(literal) => {
            let ((keys, keys_walked), (values, values_walked)) = (list(&literal.keys, false), list(&literal.values, false));
            let made = keys.zip(values).map(|(keys, values)| Made { size: keys.size.saturating_add(values.size), is_list: false });
            (made, keys_walked.saturating_add(values_walked))
        }
        ast::Expr::UnaryOp(operation) => tried(&operation.expr),
        ast::Expr::BinOp(operation) => {
            let ((left, left_walked), (right, right_walked)) = (tried(&operation.left), tried(&operation.right));
            let walked = left_walked.saturating_add(right_walked);
            let Some((left, right)) = left.zip(right) else { return (None, walked) };
            let both = left.size.saturating_add(right.size);
            let made = if !matches!(operation.op, ast::BinOpKind::Mul) {
                Made { size: both, is_list: left.is_list || right.is_list }
            } else if left.is_list || right.is_list {
                let times = [&operation.left, &operation.right].into_iter().find_map(|operand| match operand {
                    ast::Expr::Const(number) => number.value.as_i64(),
                    _ => None,
                });
                // A count that is computed itself may be any.
                let times = times.map_or(u64::MAX, |times| u64::try_from(times).unwrap_or(0));
                Made { size: both.saturating_mul(times), is_list: true }
            } else {
                ONE
            };
            (Some(made), walked.saturating_add(both).saturating_add(made.size))
        }
        ast::Expr::Compare(comparison) => {
            let (mut made, mut walked) = tried(&comparison.expr);
            for operand in &comparison.ops {
                let (right, right_walked) = tried(&operand.expr);
                let sizes = made.map_or(0, |made| made.size).saturating_add(right.map_or(0, |made| made.size));
                walked = walked.saturating_add(right_walked).saturating_add(sizes);
                made = made.and(right);
            }
            (made.map(|_| ONE), walked)
        }
        ast::Expr::Var(_)
        | ast::Expr::Slice(_)
        | ast::Expr::IfExpr(_)
        | ast::Expr::Filter(_)
        | ast::Expr::Test(_)
        | ast::Expr::GetAttr(_)
        | ast::Expr::GetItem(_)
        // It finds that out again for each sign behind it.
        | ast::Expr::Call(_) => (None, 1),
    }
}

fn list(items: &[ast::Expr<'_>], is_list: bool) -> (Option<Made>, u64) {
    let (mut made, mut walked) = (Some(Made { size: 0, is_list }), 0_u64);
    for item in items {
        let (item, item_walked) = tried(item);
        walked = walked.saturating_add(item_walked);
        made = made.zip(item).map(|(made, item)| Made { size: made.size.saturating_add(1).saturating_add(item.size), is_list });
    }
    (made, walked)
}

#[cfg(test)]
mod tests {
    use minijinja::machinery::parse;
    use minijinja::syntax::SyntaxConfig;

    use super::*;

    fn offset(text: &str) -> Option<usize> {
        let template = parse(text, "template", SyntaxConfig::default()).ok()?;
        too_much(text, &template).map(|(_, offset)| offset)
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
    fn a_list_may_have_as_many_items_as_the_message_says() {
        for list in ["[0] * 10000", "[0, 1] * 5000", "2500 * [[0]] * 2", "(10000 * [0])|length"] {
            assert_eq!(offset(&format!("{{{{ {list} }}}}")), None, "{list}");
        }
        for list in ["[0] * 10001", "[0, 1] * 5001", "5001 * [[0]]"] {
            assert_eq!(offset(&format!("{{{{ {list} }}}}")), Some(3), "{list}");
        }
    }

    #[test]
    fn many_small_constants_are_bounded_together_and_literals_are_not() {
        assert!(offset(&"{% if [0]*3333==[0]*3333 %}{% endif %}".repeat(3000)).is_some());
        assert!(offset(&"{% if [0]*33==[0]*33 %}{% endif %}".repeat(300)).is_none());
        let again = format!("{{{{ {}[0] * 5000 + x{} }}}}", "(".repeat(60), " + x)".repeat(60));
        assert!(offset(&again).is_some(), "computed for each sign behind it");
        let chain = format!("{{{{ x{} }}}}", " + x".repeat(140));
        assert!(offset(&chain).is_none() && offset(&chain.repeat(300)).is_some(), "tried for each sign behind it");
        assert_eq!(offset(&format!("{{{{ [[{}], x] }}}}", "'x', ".repeat(100_000))), None);
    }

    #[test]
    fn what_is_no_repeated_constant_is_left_to_the_steps() {
        for text in ["{{ 3 * 100000000 }}", "{{ 'x' * 100000000 }}", "{{ x * [0] }}", "{{ [0] * 1000 }}", "{{ f(**x) }}", "{{ [", "*"] {
            assert_eq!(offset(text), None, "{text}");
        }
    }
}
