//! Does any template render within its bounds, or say at which of its lines it does not?

use promptkeel::model::suite::Variables;
use promptkeel::template::{LARGEST_OUTPUT, Template, TemplateError, is_template};
use serde_json::Value;

use super::parts;

/// The input is a template and its variables, a JSON object.
pub fn holds(input: &[u8]) {
    let Some([text, variables]) = parts(input) else { return };
    let Ok(Value::Object(variables)) = serde_json::from_str::<Value>(&variables) else { return };
    match Template::compile(&text) {
        Ok(template) => renders(&template, &text, &variables),
        Err(error) => is_inside(&error, &text),
    }
}

fn renders(template: &Template, text: &str, variables: &Variables) {
    let named = template.variables();
    match template.render(variables) {
        Ok(rendered) => {
            assert!(rendered.len() <= LARGEST_OUTPUT.max(text.len()));
            assert!(is_template(text) || rendered == text);
            assert_eq!(template.render(variables).as_deref(), Ok(rendered.as_str()), "the same twice");
            // A value is never rendered again: put in by itself it comes out as it is.
            let whole = Template::compile("{{ whole }}").expect("a template of one variable");
            let variables: Variables = [("whole".to_owned(), Value::from(rendered.clone()))].into_iter().collect();
            assert_eq!(whole.render(&variables).ok(), Some(rendered));
        }
        Err(error) => {
            is_inside(&error, text);
            if let Some(name) = &error.undefined {
                assert!(!variables.contains_key(name), "`{name}` was given");
            }
        }
    }
    // What is named and not set is all that a case must give: without any variable nothing else may be missing.
    if let Err(TemplateError { undefined: Some(name), .. }) = template.render(&Variables::new()) {
        assert!(named.contains(&name), "`{name}` is missing in {named:?}");
    }
}

fn is_inside(error: &TemplateError, text: &str) {
    let line = text.split('\n').nth(error.line.max(1) as usize - 1);
    assert!(error.line >= 1 && line.is_some(), "{error:?}");
    if let (Some((column, length)), Some(line)) = (error.column, line) {
        assert!(column >= 1 && length >= 1 && column as usize <= line.chars().count() + 1, "{error:?} in {line:?}");
    }
    assert!(!error.message.is_empty());
}
