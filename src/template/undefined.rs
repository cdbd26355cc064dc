//! Is whatever is undefined an error, and an error a help?

use super::TemplateError;
use super::hostile::rendered;

#[test]
fn what_is_undefined_reaches_nothing_that_writes_or_keeps_it() {
    let mut wrong = Vec::new();
    for use_of_it in [
        "{{ nmae|tojson }}",
        "{{ nmae|tojson(2) }}",
        "{{ nmae|indent(4) }}",
        "{{ nmae|e }}",
        "{{ nmae|first }}",
        "{{ nmae|safe }}",
        "{{ [nmae] }}",
        "{{ [x|default(1), opt|default(1), nmae]|tojson }}",
        "{{ (nmae, 1)|tojson }}",
        "{{ {'a': nmae}|tojson }}",
        "{{ {nmae: 1}|tojson }}",
        "{{ dict(a=nmae) }}",
        "{{ [nmae, 'a']|join(',') }}",
        "{{ list|join(nmae) }}",
        "{{ list|batch(2, nmae)|list }}",
        "{{ '%s'|format(nmae) }}",
        "{{ '%(a)s'|format(a=nmae) }}",
        "{{ 'a'|replace('a', nmae) }}",
        "{{ list|map('default', nmae)|list }}",
        "{{ list|select('eq', nmae)|list }}",
        "{{ 'abc'[nmae] is defined }}",
        "{{ 'abc'[nmae:] }}",
        "{{ x + nmae }}",
        "{{ -nmae }}",
        "{{ nmae.upper() }}",
        "{{ nmae is none }}",
        "{{ nmae is string }}",
        "{{ nmae is divisibleby(2) }}",
        "{{ x is divisibleby(nmae) }}",
        "{% if nmae is not none %}a{% endif %}",
        "{% set y = nmae %}",
        "{% set y = x and nmae %}",
        "{% set y = nmae if x else 1 %}",
        "{% set a, b = x, nmae %}",
        "{% set n = namespace() %}{% set n.a = nmae %}",
        "{% with y = nmae %}{% endwith %}",
        "{% for i in [1, nmae] %}{% endfor %}",
        "{% macro f(a) %}{% endmacro %}{{ f(nmae) }}",
        "{% macro f(a=1) %}{{ a }}{% endmacro %}{{ f(a=nmae) }}",
        "{% macro f(a, b) %}{% set c = nmae %}{% endmacro %}{{ f() }}",
        "{% for i in list %}{{ loop.changed(nmae) }}{% endfor %}",
        "line one\n{% set y = [\n1, nmae] %}",
    ] {
        match rendered(use_of_it) {
            Err(error) if error.message == "undefined variable `nmae`" && error.column.is_some() => {}
            other => wrong.push(format!("{other:?}: {use_of_it}")),
        }
    }
    for (text, message) in [
        ("{{ items[0].nmae|tojson }}", "`items[0].nmae|tojson` is undefined"),
        ("{% set first = items[0] %}{{ first.nmae|tojson }}", "`first.nmae` is undefined"),
        ("{% set y = []|first %}", "an undefined value is used here"),
        ("{{ [[]]|map('first')|list }}", "is undefined"),
    ] {
        match rendered(text) {
            Err(error) if error.message.contains(message) => {}
            other => wrong.push(format!("{other:?} instead of {message}: {text}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_mistake_is_shown_with_what_a_filter_was_applied_to_and_not_blamed_on_the_filter() {
    let mut wrong = Vec::new();
    for (text, message, shown) in [
        ("{{ []|first|string }}", "`[]|first|string` is undefined", "[]|first|string"),
        ("{{ ([] | first)|upper }}", "`([] | first)|upper` is undefined", "([] | first)|upper"),
        ("{{ 'a' ~ ''|last|upper }}", "`''|last|upper` is undefined", "''|last|upper"),
        ("{{ name and ({'a|': [')', \"\\\"\"]}['b'])|upper }}", "is undefined", "({'a|': [')', \"\\\"\"]}['b'])|upper"),
        ("{% for i in []|first|list %}{% endfor %}", "`[]|first|list` is undefined", "[]|first|list"),
        ("{% set y = 1 if []|first|int %}", "`[]|first|int` is undefined", "[]|first|int"),
        ("{{ [1, []|first|upper] }}", "`[]|first|upper` is undefined", "[]|first|upper"),
        ("{% set it = items[0] %}{{ '%s' | format(it.nmae) }}", "`it.nmae` is undefined", "it.nmae"),
        ("{% set it = items[0] %}{{ [[it.nmae]] | map('join') | join }}", "`it.nmae` is undefined", "it.nmae"),
        ("{{ [[]] | map('first') | join }}", "something that `[[]] | map('first')` writes is undefined", "[[]] | map('first')"),
        ("é {{ 'é' | replace('é', items[0].nmae) }}", "is undefined", "'é' | replace('é', items[0].nmae)"),
    ] {
        match rendered(text) {
            Err(error) if error.message.contains(message) => {
                let (column, length) = error.column.unwrap();
                let given: String = text.chars().skip(column as usize - 1).take(length as usize).collect();
                if given != shown {
                    wrong.push(format!("{given} is shown of {text}"));
                }
            }
            other => wrong.push(format!("{other:?}: {text}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_attribute_that_an_item_does_not_have_is_named() {
    let mut wrong = Vec::new();
    for filter in [
        "map(attribute='nmae')",
        "map(attribute='id')|map(attribute='nmae')",
        "map(attribute='tags.nmae')",
        "selectattr('nmae')",
        "rejectattr('nmae')",
        "selectattr('nmae', 'eq', 1)",
        "sort(attribute='nmae')",
        "sort(attribute='id, nmae')",
        "groupby('nmae')",
        "groupby(attribute='nmae')",
        "sum(attribute='nmae')",
        "sum('nmae')",
        "min(attribute='nmae')",
        "max(attribute='nmae')",
        "unique(attribute='nmae')",
        "join(', ', attribute='nmae')",
        "join(', ', 'nmae')",
    ] {
        let asked = filter.split('\'').rfind(|part| part.contains("nmae")).unwrap().rsplit(' ').next().unwrap();
        match rendered(&format!("{{{{ items|{filter} }}}}")) {
            Err(error) if error.message.ends_with(&format!("item 1 of this list has no attribute `{asked}`")) => {
                assert!(error.hint.unwrap().contains("selectattr('name', 'defined')"));
            }
            other => wrong.push(format!("{other:?}: {filter}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let error = rendered("{{ (items + [{}])|map(attribute='id')|list }}").unwrap_err();
    assert!(error.message.ends_with("item 3 of this list has no attribute `id`"), "{error}");
}

#[test]
fn what_is_asked_for_may_be_undefined() {
    let mut wrong = Vec::new();
    for (text, expected) in [
        ("{{ nmae|default('none')|tojson }}{{ nmae|d|upper }}", "\"none\""),
        ("{{ nmae|default(x.nmae|default('none', true)) }}", "none"),
        ("{{ nmae|default(eman)|default('none') }}", "none"),
        ("{{ nmae is defined }} {{ nmae is undefined }} {{ items[0].nmae is not defined }}", "false true true"),
        ("{% if nmae is defined and nmae %}a{% else %}b{% endif %}", "b"),
        ("{% set y = nmae|default([]) %}{{ y }}{% with z = nmae|d(1) %}{{ z }}{% endwith %}", "[]1"),
        ("{% set y = 'a' if x > 5 %}[{{ y }}]{{ [y]|tojson }}", "[][null]"),
        ("{{ []|first|default('none') }} {{ []|min|default(0) }} {{ ''|last|d('-') }}", "none 0 -"),
        ("{{ items|map(attribute='nmae', default='-')|join }}", "--"),
        ("{{ items|map(attribute='tags.0', default='-')|join }}", "a-"),
        ("{{ items|selectattr('nmae', 'defined')|list }}{{ items|rejectattr('nmae', 'undefined')|list }}", "[][]"),
        ("{{ items|groupby('nmae', default='-')|length }} {{ items|groupby('id')|length }}", "1 2"),
        ("{{ items|sort(attribute='id')|map(attribute='id')|list }} {{ items|sum(attribute='id') }}", "[1,2] 3"),
        ("{{ [['b', 1], ['a', 2]]|sort(attribute='0')|map(attribute=1)|list }}", "[2,1]"),
        ("{{ []|map(attribute='nmae')|list }}{{ []|sum(attribute='nmae') }}", "[]0"),
        ("{% macro f(a, b, c=3) %}{{ a|default('-') }}{{ b is defined }}{{ c }}{% endmacro %}{{ f() }}{{ f(1) }}", "-false31false3"),
        ("{% macro f(a, b=nmae) %}{{ a }}{{ b is defined }}{% endmacro %}{{ f(1) }}", "1false"),
        ("{% macro f() %}{{ caller() }}{% endmacro %}{% call f() %}{{ nmae|d('x') }}{% endcall %}", "x"),
        ("{% for i in list %}{{ loop.previtem|default('-') }}{{ loop.nextitem is defined }}{% endfor %}", "-true3true1false"),
    ] {
        match rendered(text) {
            Ok(given) if given == expected => {}
            other => wrong.push(format!("{other:?} instead of {expected}: {text}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_refused_says_what_to_write_instead() {
    let mut wrong = Vec::new();
    for (text, hint) in [
        ("{{ name|uper }}", "did you mean `upper`? filters, tests and functions are listed in docs/prompts.md"),
        ("{{ name|urlencode }}", "filters, tests and functions are listed in docs/prompts.md"),
        ("{{ name|pprint }}", "write `tojson(indent=2)`"),
        ("{{ name is deifned }}", "did you mean `defined`?"),
        ("{{ list|select('evn') }}", "did you mean `even`?"),
        ("{{ list|select(1) }}", "listed in docs/prompts.md"),
        ("{% for i in list %}{% set outer = loop %}{% endfor %}", "`{% set row = loop.index %}`"),
        ("{% include 'a' %}", "write the text into this one"),
        ("{% for k, v in items[0].items() %}{% endfor %}", "`{% for key, value in x | items %}`"),
        ("{{ name.upper() }}", "`{{ x | upper }}`"),
        ("{{ name.nope() }}", "values have no methods"),
        ("{{ ', '.join(list) }}", "`{{ names | join(', ') }}`"),
        ("{% do list.append(1) %}", "a list does not change"),
        ("{% for i in list %}{% break %}{% endfor %}", "`{% for x in list if x.open %}`"),
        ("{{ '%.2f' % x }}", "`{{ '%.2f' | format(price) }}`"),
        ("{{ nope(1) }}", "listed in docs/prompts.md"),
    ] {
        match rendered(text) {
            Err(TemplateError { hint: Some(given), message, .. }) if given.contains(hint) && !message.ends_with(": ") => {}
            other => wrong.push(format!("{other:?} instead of {hint}: {text}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
