//! Do the example suites of this repository do what they are there to show?

use std::path::Path;

use promptkeel::sim::script::Script;

#[test]
fn the_script_of_the_examples_is_valid() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sim/examples.yaml");
    if let Err(error) = Script::load(&path) {
        panic!("{error}");
    }
}
