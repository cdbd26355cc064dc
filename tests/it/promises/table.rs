//! Does a table of any content load, whichever of its formats it is taken for, or say what is wrong at places inside of it?

use super::project::loaded;

/// The first byte names the format (`c` CSV, `t` TSV, `l` JSON Lines, `j` JSON, anything else YAML), the rest is the table.
pub fn holds(input: &[u8]) {
    let Some((format, table)) = input.split_first() else { return };
    let path = match format {
        b'c' => "fixtures/any.csv",
        b't' => "fixtures/any.tsv",
        b'l' => "fixtures/any.jsonl",
        b'j' => "fixtures/any.json",
        _ => "fixtures/any.yaml",
    };
    let suite = format!(
        "suite: any-table\nprompt: plain@1\nmodels: [claude-sonnet-4-6]\nassert:\n  - contains: \"{{{{ x }}}}\"\ncases:\n  - from: {path}\n"
    );
    loaded("suites/any-table.yaml", &[("suites/any-table.yaml", suite.as_bytes()), (path, table)]);
}
