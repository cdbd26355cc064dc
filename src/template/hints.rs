//! What can the author of a template do next?

use minijinja::{Error, ErrorKind};

use super::{attribute, known};

/// Where what there is stands.
const LISTED: &str = "filters, tests and functions are listed in docs/prompts.md";

/// What Jinja has and is not here, and what does the same.
#[rustfmt::skip]
const INSTEAD: [(&str, &str); 12] = [
    ("attr", "write `x.name` or `x['name']`"),
    ("callable", "`is defined` asks for a macro"),
    ("center", "`{{ '%-20s' | format(name) }}` fills a text with blanks"),
    ("dict", "`dict(a=1)` and `{'a': 1}` make a mapping"),
    ("forceescape", "write `escape`"),
    ("pprint", "write `tojson(indent=2)`"),
    ("random", "a prompt has to be the same in each run; `first` takes one item"),
    ("sameas", "write `==`"),
    ("strip", "write `trim`"),
    ("wordwrap", "break the lines where the text is written, or `indent` them"),
    ("zip", "go through one list, and take the item of the other: `{{ b[loop.index0] }}`"),
    ("filter", "a name that does not exist here is an error when the template is read"),
];

/// Methods of Python's values, and what does the same.
#[rustfmt::skip]
const METHODS: [(&str, &str); 25] = [
    ("append", "a list does not change: `{% set names = names + [name] %}`, or in a loop with `{% set n = namespace(names=[]) %}`"),
    ("capitalize", "write `{{ x | capitalize }}`"),
    ("copy", "a value does not change, so that it needs no copy"),
    ("count", "`{{ x | length }}` counts items"),
    ("endswith", "write `x is endingwith '...'`"),
    ("extend", "a list does not change: `{% set names = names + others %}`"),
    ("find", "write `'...' in x`"),
    ("format", "write `{{ '%s and %d' | format(a, b) }}`"),
    ("get", "write `{{ x.name | default('...') }}`"),
    ("index", "write `'...' in x`"),
    ("isdigit", "`x is number` asks for a number"),
    ("items", "write `{% for key, value in x | items %}`"),
    ("join", "write `{{ names | join(', ') }}`"),
    ("keys", "write `{% for key in x %}`"),
    ("lower", "write `{{ x | lower }}`"),
    ("lstrip", "write `{{ x | trim }}`"),
    ("replace", "write `{{ x | replace('a', 'b') }}`"),
    ("rstrip", "write `{{ x | trim }}`"),
    ("split", "write `{{ x | split(' ') }}`"),
    ("splitlines", "write `{{ x | lines }}`"),
    ("startswith", "write `x is startingwith '...'`"),
    ("strip", "write `{{ x | trim }}`"),
    ("title", "write `{{ x | title }}`"),
    ("upper", "write `{{ x | upper }}`"),
    ("values", "write `{% for key, value in x | items %}`"),
];

/// Longest name that is compared with others.
const LONGEST_NAME: usize = 40;

/// For the name of a filter or test that is unknown.
pub(super) fn instead_of(name: &str, known: &[&str]) -> String {
    if let Some((_, hint)) = INSTEAD.iter().find(|(other, _)| *other == name) {
        return (*hint).to_owned();
    }
    let is_name = |known: &&&str| name.len() <= LONGEST_NAME && known.len().min(name.len()) > 1;
    let near = known.iter().filter(is_name).map(|known| (strsim::damerau_levenshtein(name, known), known));
    let near = near.filter(|(distance, known)| *distance <= 1.max(known.len().min(name.len()) / 3)).min_by_key(|(distance, _)| *distance);
    near.map_or_else(|| LISTED.to_owned(), |(_, near)| format!("did you mean `{near}`? {LISTED}"))
}

/// For what went wrong while a template was read or rendered.
pub(super) fn after(error: &Error) -> Option<String> {
    let detail = error.detail().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownMethod => Some(detail.rsplit_once("no method named ").map_or_else(
            || format!("values have no methods; {LISTED}"),
            |(_, name)| {
                let hint = METHODS.iter().find(|(method, _)| *method == name.trim()).map(|(_, hint)| (*hint).to_owned());
                hint.unwrap_or_else(|| format!("values have no methods; {LISTED}"))
            },
        )),
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction => Some(LISTED.to_owned()),
        ErrorKind::SyntaxError if detail.contains("unknown statement break") || detail.contains("unknown statement continue") => {
            Some("a loop takes the items that its condition holds for: `{% for x in list if x.open %}`".to_owned())
        }
        ErrorKind::SyntaxError if detail.contains("unknown statement") => {
            Some("the statements are `if`, `for`, `set`, `with`, `macro`, `call`, `filter`, `block`, `raw` and `autoescape`".to_owned())
        }
        _ if detail.contains("use % operator") => Some("write `{{ '%.2f' | format(price) }}`".to_owned()),
        _ if detail.contains(attribute::MISSING) => Some(
            "give every item that attribute; `map` and `groupby` take `default='...'`, and `selectattr('name', 'defined')` leaves the others out"
                .to_owned(),
        ),
        _ if detail.starts_with("unknown test") => Some(named(detail, &known::TESTS)),
        _ if detail.contains("cannot apply the filter") => {
            Some(format!("`map` applies what works on one value, such as `trim`; go through the list with `for`; {LISTED}"))
        }
        _ => None,
    }
}

/// The hint for the name that stands in backquotes at the end of a message.
fn named(detail: &str, known: &[&str]) -> String {
    instead_of(detail.trim_end_matches('`').rsplit('`').next().unwrap_or_default(), known)
}
