//! Does a snapshot come back from its file as it was, and does any other file say which line is wrong?

use promptkeel::snapshot::format::{read, write};
use promptkeel::snapshot::output::{Output, Part, Snapshot};

use super::{SEPARATOR, parts};

/// The input is a file; or, with separators in it, a snapshot: the prompt, the model, then stop reasons and the texts of their parts.
pub fn holds(input: &[u8]) {
    if input.contains(&SEPARATOR) {
        let Some([prompt, model, outputs]) = parts(input) else { return };
        comes_back(&Snapshot {
            prompt: prompt.into_owned(),
            model: model.into_owned(),
            simulated: input.len().is_multiple_of(2),
            outputs: outputs.split('\u{1d}').map(output).collect(),
        });
    }
    let text = String::from_utf8_lossy(input);
    match read(&text) {
        Ok(snapshot) => comes_back(&snapshot),
        Err(error) => {
            // The head may end where the file does, behind its last line.
            assert!((1..=text.split('\n').count() + 1).contains(&error.line), "{error}");
            assert!(!error.message.is_empty());
        }
    }
}

fn comes_back(snapshot: &Snapshot) {
    let file = write(snapshot);
    assert_eq!(read(&file).as_ref(), Ok(snapshot), "{file:?}");
    assert!(file.ends_with('\n') && !file.contains('\r'), "{file:?}");
    // Git and editors turn line ends around and put a mark in front; what was accepted stays accepted.
    let checked_out = format!("\u{feff}{}", file.replace('\n', "\r\n"));
    assert_eq!(read(&checked_out).as_ref(), Ok(snapshot), "{checked_out:?}");
}

/// A stop reason, then parts: JSON where they are an object.
fn output(text: &str) -> Output {
    let mut pieces = text.split('\u{1c}');
    let stop_reason = pieces.next().unwrap_or_default().to_owned();
    let part = |text: &str| match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Part::Json(value),
        _ => Part::Text(text.to_owned()),
    };
    let mut parts: Vec<Part> = pieces.map(part).collect();
    if parts.is_empty() {
        parts.push(Part::Text(String::new()));
    }
    Output { stop_reason, parts }
}
