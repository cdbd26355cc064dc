//! What turns does a prompt version give for these variables?

use std::collections::BTreeSet;

use minijinja::Value as Context;
use serde_json::{Map, Value};

use crate::model::request::{Block, Role, Turn};
use crate::model::suite::{BlockTemplate, PromptVersion, Variables};
use crate::template::{Template, TemplateError, is_template, value};

/// Most templates of one prompt; a turn or a block without one counts as one. The API takes 100,000 messages, but each costs some 15 kB here.
const MOST_TEMPLATES: usize = 10_000;

/// A prompt version whose templates were read once and are rendered for every case.
#[derive(Debug, Clone)]
pub struct CompiledPrompt {
    system: Vec<CompiledBlock>,
    turns: Vec<(Role, Vec<CompiledBlock>)>,
    variables: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct CompiledBlock {
    content: Content,
    /// The line of the prompt file on which the block begins.
    line: u32,
}

#[derive(Debug, Clone)]
enum Content {
    Text(Template),
    Structured(Map<String, Value>, Vec<Part>),
}

/// A string inside of a structured block that is a template.
#[derive(Debug, Clone)]
struct Part {
    pointer: String,
    template: Template,
}

impl CompiledPrompt {
    /// Reads every template of a version.
    ///
    /// # Errors
    /// The first syntax error, with its line in the prompt file, or that there are too many templates.
    pub fn compile(version: &PromptVersion) -> Result<Self, TemplateError> {
        let mut count = 0;
        let mut compiled = |block: &BlockTemplate| {
            let compiled = CompiledBlock::compile(block)?;
            count += compiled.templates().count().max(1);
            if count > MOST_TEMPLATES { Err(moved(too_many(), compiled.line)) } else { Ok(compiled) }
        };
        let mut blocks = |blocks: &[BlockTemplate]| blocks.iter().map(&mut compiled).collect::<Result<Vec<_>, _>>();
        let system = blocks(&version.system)?;
        let turns = version.turns.iter().map(|turn| Ok((turn.role, blocks(&turn.content)?))).collect::<Result<Vec<_>, _>>()?;
        let all = system.iter().chain(turns.iter().flat_map(|(_, content)| content));
        let variables = all.flat_map(|block| block.templates().flat_map(Template::variables).collect::<Vec<_>>()).collect();
        Ok(Self { system, turns, variables })
    }

    /// Every variable that a template of this version names.
    #[must_use]
    pub const fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// System blocks and turns for these variables. A text that renders to nothing is left out, since the API refuses empty text blocks.
    ///
    /// # Errors
    /// An undefined variable, a wrong filter, a bound that was passed, or a turn without any content; the line is that of the prompt file.
    pub fn render(&self, variables: &Variables) -> Result<(Vec<Block>, Vec<Turn>), TemplateError> {
        let context = value(variables);
        let blocks = |blocks: &[CompiledBlock]| -> Result<Vec<Block>, TemplateError> {
            let rendered = blocks.iter().map(|block| block.render(&context, variables));
            rendered.filter(|block| !matches!(block, Ok(block) if block.as_text() == Some(""))).collect()
        };
        let system = blocks(&self.system)?;
        let mut turns = Vec::with_capacity(self.turns.len());
        for (role, content) in &self.turns {
            let line = content.first().map_or(1, |block| block.line);
            let content = blocks(content)?;
            if content.is_empty() {
                let message = "this turn is empty for these variables, and the API refuses an empty turn".to_owned();
                return Err(TemplateError { message, line, column: None, undefined: None, too_much: false, hint: None });
            }
            turns.push(Turn { role: *role, content });
        }
        Ok((system, turns))
    }
}

impl CompiledBlock {
    fn compile(block: &BlockTemplate) -> Result<Self, TemplateError> {
        match block {
            BlockTemplate::Text { template, line } => {
                let template = Template::compile(template).map_err(|error| moved(error, *line))?;
                Ok(Self { content: Content::Text(template), line: *line })
            }
            BlockTemplate::Structured { block, line } => {
                let mut parts = Vec::new();
                for (name, value) in block {
                    collect(value, &format!("/{}", escaped(name)), &mut parts).map_err(|error| inside(error, *line))?;
                }
                Ok(Self { content: Content::Structured(block.clone(), parts), line: *line })
            }
        }
    }

    fn templates(&self) -> impl Iterator<Item = &Template> {
        let (text, parts) = match &self.content {
            Content::Text(template) => (Some(template), [].as_slice()),
            Content::Structured(_, parts) => (None, parts.as_slice()),
        };
        text.into_iter().chain(parts.iter().map(|part| &part.template))
    }

    fn render(&self, context: &Context, variables: &Variables) -> Result<Block, TemplateError> {
        match &self.content {
            Content::Text(template) => template.render_value(context, variables).map(Block::text).map_err(|error| moved(error, self.line)),
            Content::Structured(block, parts) if parts.is_empty() => Ok(Block(block.clone())),
            Content::Structured(block, parts) => {
                let mut whole = Value::Object(block.clone());
                for part in parts {
                    let text = part.template.render_value(context, variables).map_err(|error| inside(error, self.line))?;
                    *whole.pointer_mut(&part.pointer).expect("the pointer was made from this block") = Value::String(text);
                }
                let Value::Object(block) = whole else { unreachable!("an object was put in") };
                Ok(Block(block))
            }
        }
    }
}

fn too_many() -> TemplateError {
    TemplateError {
        message: format!("a prompt has {MOST_TEMPLATES} turns, blocks and templates at most, and here it has more"),
        line: 1,
        column: None,
        undefined: None,
        too_much: true,
        hint: Some("a long conversation is shorter as a text in one turn: take it from a variable of the case".to_owned()),
    }
}

/// A template that begins on `line` of the file.
fn moved(error: TemplateError, line: u32) -> TemplateError {
    TemplateError { line: error.line.saturating_add(line).saturating_sub(1), ..error }
}

/// A template somewhere inside of a block that begins on `line`: YAML folds and indents, so its own lines mean nothing.
fn inside(error: TemplateError, line: u32) -> TemplateError {
    TemplateError { line, column: None, ..error }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn collect(value: &Value, pointer: &str, parts: &mut Vec<Part>) -> Result<(), TemplateError> {
    match value {
        Value::String(text) if is_template(text) => {
            if parts.len() == MOST_TEMPLATES {
                return Err(too_many());
            }
            parts.push(Part { pointer: pointer.to_owned(), template: Template::compile(text)? });
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{pointer}/{index}"), parts)?;
            }
        }
        Value::Object(entries) => {
            for (name, item) in entries {
                collect(item, &format!("{pointer}/{}", escaped(name)), parts)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::request::Params;
    use crate::model::suite::{SourceFile, TurnTemplate};
    use serde_json::json;

    fn version(system: &str, content: Vec<BlockTemplate>) -> PromptVersion {
        PromptVersion {
            prompt: "p".to_owned(),
            version: 1,
            file: SourceFile { path: "p/1.md".into(), digest: "".into() },
            description: None,
            system: vec![BlockTemplate::Text { template: system.to_owned(), line: 2 }],
            turns: vec![TurnTemplate { role: Role::User, content }],
            request: Params::default(),
        }
    }

    fn variables(value: &Value) -> Variables {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn every_string_of_a_structured_block_is_a_template_and_keeps_its_place() {
        let block = json!({"type": "document", "title": "{{ t }}", "source": {"data": "QUJD", "a/b": ["{{ t }}!", 1]}});
        let blocks = vec![
            BlockTemplate::Structured { block: variables(&block), line: 7 },
            BlockTemplate::Text { template: "{{ q }}".into(), line: 9 },
        ];
        let compiled = CompiledPrompt::compile(&version("be {{ mood }}", blocks)).unwrap();
        assert_eq!(compiled.variables().iter().collect::<Vec<_>>(), ["mood", "q", "t"]);
        let (system, turns) = compiled.render(&variables(&json!({"t": "{{ q }}", "q": "why", "mood": "kind"}))).unwrap();
        assert_eq!(system[0].as_text(), Some("be kind"));
        assert_eq!(
            Value::Object(turns[0].content[0].0.clone()),
            json!({"type": "document", "title": "{{ q }}", "source": {"data": "QUJD", "a/b": ["{{ q }}!", 1]}})
        );
        assert_eq!(turns[0].content[1].as_text(), Some("why"));
    }

    #[test]
    fn lines_are_those_of_the_prompt_file_and_empty_turns_are_refused() {
        let compiled =
            CompiledPrompt::compile(&version("s", vec![BlockTemplate::Text { template: "a\n{{ x }}".into(), line: 5 }])).unwrap();
        let error = compiled.render(&Variables::new()).unwrap_err();
        assert_eq!((error.line, error.column, error.undefined.as_deref()), (6, Some((4, 1)), Some("x")));
        let compiled =
            CompiledPrompt::compile(&version("{{ x }}", vec![BlockTemplate::Text { template: "{{ x }}".into(), line: 5 }])).unwrap();
        let error = compiled.render(&variables(&json!({"x": ""}))).unwrap_err();
        assert!(error.message.contains("this turn is empty"), "{error}");
    }
}
