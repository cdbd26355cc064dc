//! Does any prompt file load, or say what is wrong with it at places inside of it?

use super::project::loaded;

/// The input is a prompt: YAML where it begins with a comment (`#`), else Markdown.
pub fn holds(input: &[u8]) {
    let (name, path) = if input.starts_with(b"#") {
        ("any-blocks", "suites/prompts/any-blocks/1.yaml")
    } else {
        ("any-turns", "suites/prompts/any-turns/1.md")
    };
    let suite = format!(
        "suite: any-prompt\nprompt: {name}\nmodels: [claude-sonnet-4-6]\ncases:\n  - id: one\n    vars: {{x: 1, ticket: a}}\n    assert:\n      - contains: a\n"
    );
    loaded("suites/any-prompt.yaml", &[("suites/any-prompt.yaml", suite.as_bytes()), (path, input)]);
}
