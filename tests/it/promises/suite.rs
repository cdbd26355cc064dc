//! Does any suite file load, or say what is wrong with it at places inside of it?

use super::project::loaded;

/// The input is the suite's file, in a project with the examples' prompts and fixtures.
pub fn holds(input: &[u8]) {
    loaded("suites/any.yaml", &[("suites/any.yaml", input)]);
}
