//! Of which statements and expressions is a template made?

use minijinja::machinery::ast;

/// A statement or an expression.
pub(super) enum Part<'t> {
    Statement(&'t ast::Stmt<'t>),
    Expression(&'t ast::Expr<'t>),
}

/// Shows every part of a template, each before those in it.
pub(super) fn each<'t>(template: &'t ast::Stmt<'t>, see: &mut dyn FnMut(Part<'t>)) {
    let mut statements = vec![template];
    let mut expressions = Vec::new();
    while let Some(statement) = statements.pop() {
        see(Part::Statement(statement));
        below_statement(statement, &mut statements, &mut expressions);
        while let Some(expression) = expressions.pop() {
            see(Part::Expression(expression));
            below_expression(expression, &mut expressions);
        }
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
