//! Does any simulator script load, or say what is wrong with it at lines that it has?

use promptkeel::model::problem::Problem;
use promptkeel::report::problem::render;
use promptkeel::report::style::Style;
use promptkeel::sim::script::{Script, ScriptError};

use super::excerpts::is_harmless;

/// The input is a script.
pub fn holds(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match Script::parse("any.yaml", &text) {
        Ok(script) => assert_eq!(script.digest().len(), 64),
        Err(error) => {
            // As the command draws it; the simulator itself prints nothing.
            assert!(is_harmless(&render(&[Problem::error(error.to_string())], Style::PLAIN)), "{error:?}");
            let ScriptError::Invalid { problems } = error else { panic!("{error}: nothing was read from a disk") };
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(problem.line >= 1 && problem.column >= 1 && !problem.message.is_empty(), "{problem:?}");
                // Lines as YAML counts them: a carriage return ends one too.
                assert!(problem.line <= text.split(['\n', '\r']).count() as u64, "{problem:?}");
            }
        }
    }
}
