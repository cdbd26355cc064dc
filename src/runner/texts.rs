//! What was sent, for the report: how does a text that thousands of cells share stand in it once?

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::model::request::{Block, Request};
use crate::model::run::{CellResult, RequestFacts, TurnFacts};

/// Longer strings inside of images, documents and other blocks are told by their length: nobody reads base64.
const LONGEST_INSIDE: usize = 2000;

/// The texts of a run, numbered as they come.
#[derive(Debug, Default)]
pub(super) struct Texts(Mutex<HashMap<Arc<str>, u32>>);

impl Texts {
    /// The facts of a request whose parameters read `parameters` as JSON.
    pub(super) fn request(&self, request: &Request, parameters: &Arc<str>) -> RequestFacts {
        let mut numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut content = |blocks: &[Block]| blocks.iter().map(|block| numbered(&mut numbers, block)).collect();
        let system = content(&request.system);
        let turns = request.turns.iter().map(|turn| TurnFacts { role: turn.role, content: content(&turn.content) }).collect();
        RequestFacts { system, turns, parameters: number(&mut numbers, parameters) }
    }

    /// The texts by number.
    pub(super) fn list(&self) -> Vec<Arc<str>> {
        let numbers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<(u32, Arc<str>)> = numbers.iter().map(|(text, number)| (*number, Arc::clone(text))).collect();
        list.sort_unstable_by_key(|(number, _)| *number);
        list.into_iter().map(|(_, text)| text).collect()
    }
}

fn numbered(numbers: &mut HashMap<Arc<str>, u32>, block: &Block) -> u32 {
    match block.as_text() {
        Some(text) => number(numbers, text),
        None => number(numbers, &shown(block)),
    }
}

fn number(numbers: &mut HashMap<Arc<str>, u32>, text: &str) -> u32 {
    if let Some(number) = numbers.get(text) {
        return *number;
    }
    let number = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
    numbers.insert(Arc::from(text), number);
    number
}

/// A block that is no text, as JSON.
fn shown(block: &Block) -> String {
    let mut value = Value::Object(block.0.clone());
    shorten(&mut value);
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > LONGEST_INSIDE => *text = format!("({} bytes)", text.len()),
        Value::Array(values) => values.iter_mut().for_each(shorten),
        Value::Object(members) => members.values_mut().for_each(shorten),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Numbers the texts in the order in which the cells name them: a report does not depend on which answer came first. A number that stands
/// for no text (a report that somebody wrote) is dropped with its request.
pub(super) fn in_order(cells: &mut [CellResult], texts: &[Arc<str>]) -> Vec<Arc<str>> {
    let mut ordered: Vec<Arc<str>> = Vec::new();
    let mut places: HashMap<Arc<str>, u32> = HashMap::new();
    for cell in cells {
        let Some(request) = &mut cell.request else { continue };
        let mut known = true;
        for index in
            request.system.iter_mut().chain(request.turns.iter_mut().flat_map(|turn| &mut turn.content)).chain([&mut request.parameters])
        {
            let Some(text) = texts.get(*index as usize) else {
                known = false;
                break;
            };
            *index = *places.entry(Arc::clone(text)).or_insert_with(|| {
                ordered.push(Arc::clone(text));
                u32::try_from(ordered.len() - 1).unwrap_or(u32::MAX)
            });
        }
        if !known {
            cell.request = None;
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::request::{Params, Role, Turn};
    use crate::model::verdict::Verdict;
    use crate::runner::testing::cell;

    fn request(system: &str, user: Block) -> Request {
        Request {
            model: "m".to_owned(),
            system: vec![Block::text(system)],
            turns: vec![Turn { role: Role::User, content: vec![user] }],
            params: Params::default(),
        }
    }

    #[test]
    fn a_shared_text_stands_once_and_the_order_is_that_of_the_cells() {
        let texts = Texts::default();
        let parameters: Arc<str> = Arc::from("{}");
        // The second cell was answered first.
        let second = texts.request(&request("Be brief.", Block::text("two")), &parameters);
        let first = texts.request(&request("Be brief.", Block::text("one")), &parameters);
        let mut cells = [first, second].map(|request| CellResult { request: Some(request), ..cell("case", Verdict::Pass) });
        let list = in_order(&mut cells, &texts.list());
        assert_eq!(list, ["Be brief.", "one", "{}", "two"].map(Arc::from));
        let read = |cell: &CellResult| {
            let request = cell.request.clone().unwrap();
            [request.system[0], request.turns[0].content[0], request.parameters].map(|number| list[number as usize].to_string())
        };
        assert_eq!(cells.each_ref().map(read), [["Be brief.", "one", "{}"], ["Be brief.", "two", "{}"]]);
    }

    #[test]
    fn an_image_is_told_by_its_length() {
        let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A".repeat(5000)}});
        let Value::Object(image) = image else { unreachable!() };
        let texts = Texts::default();
        texts.request(&request("s", Block(image)), &Arc::from("{}"));
        let shown = texts.list()[1].to_string();
        assert!(shown.contains("(5000 bytes)") && !shown.contains("AAAA"), "{shown}");
    }

    #[test]
    fn a_number_without_a_text_takes_its_request_away() {
        let request = RequestFacts { system: vec![7], turns: Vec::new(), parameters: 0 };
        let mut cells = [CellResult { request: Some(request), ..cell("case", Verdict::Pass) }];
        assert!(in_order(&mut cells, &[]).is_empty());
        assert_eq!(cells[0].request, None);
    }
}
