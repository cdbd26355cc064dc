//! Does a template that means harm end within its bounds, and one that means none do its work?

use std::cell::Cell;

use minijinja::State;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;

use super::{Form, MOST_STEPS, Template, TemplateError};

/// Steps that end what grows without an end sooner, so that it need not be let grow as far as it may.
const FEW_STEPS: u64 = 50_000;

pub(super) fn rendered(text: &str) -> Result<String, TemplateError> {
    rendered_within(text, MOST_STEPS)
}

fn rendered_within(text: &str, steps: u64) -> Result<String, TemplateError> {
    let variables = json!({"x": 1, "name": "Ann", "items": [{"id": 2, "tags": ["a", "b"]}, {"id": 1, "tags": []}], "list": [3, 1, 2]});
    let mut template = Template::compile(text)?;
    if let Form::Compiled(compiled) = &mut template.0 {
        let environment = &mut compiled.environment;
        environment.set_fuel(Some(steps));
        environment.add_function("steps", |state: &State<'_, '_>| state.fuel_levels().map(|(taken, _)| taken));
    }
    template.render(variables.as_object().expect("it is written as a mapping"))
}

/// The steps that a template takes.
fn steps_of(text: &str) -> u64 {
    rendered(&format!("{text}{{{{ '|' ~ steps() }}}}")).unwrap().rsplit('|').next().unwrap().parse().unwrap()
}

/// A list that is small, and without an end once it is walked.
fn doubled(times: usize) -> String {
    "{% set a = [1] %}".to_owned() + &"{% set a = [a, a] %}".repeat(times)
}

const STEPS: &str = "the template takes too many steps or makes too much text";
const DEEP: &str = "nested deeper than 128 levels";
const NO_VALUE: &str = "`loop` is no value";
const HELD: &str = "cannot be put into a list, mapping or namespace";

#[test]
fn whatever_grows_without_an_end_is_stopped_where_it_is_made() {
    let mut wrong = Vec::new();
    for (text, words) in [
        (doubled(40), STEPS),
        ("{% set a = (1,) %}".to_owned() + &"{% set a = (a, a) %}".repeat(40), STEPS),
        ("{% set a = 1 %}".to_owned() + &"{% set a = {'a': a, 'b': a} %}".repeat(40), STEPS),
        ("{% set a = 1 %}".to_owned() + &"{% set a = dict(a=a, b=a) %}".repeat(40), STEPS),
        ("{% set a = [1] %}".to_owned() + &"{% set a = a + a %}".repeat(40), STEPS),
        ("{% set a = [1] %}".to_owned() + &"{% set a = a * 2 %}".repeat(40), STEPS),
        ("{% set a = [1] %}".to_owned() + &"{% set a = [a] * 1000 %}".repeat(20), STEPS),
        ("{% set a = [1, 1] %}".to_owned() + &"{% set a = a|batch(1, a)|list + [a] %}".repeat(40), STEPS),
        ("{% set a = [1] %}".to_owned() + &"{% with b = a %}{% set a = [b, b] %}".repeat(30) + &"{% endwith %}".repeat(30), STEPS),
        ("{% set a = [1] %}".to_owned() + &"{% for b in [a] %}{% set a = [b, b] %}".repeat(30) + &"{% endfor %}".repeat(30), STEPS),
        ("{% set n = namespace(a=[1]) %}{% for i in range(90000) %}{% set n.a = [n.a, n.a] %}{% endfor %}".to_owned(), STEPS),
        ("{% set n = namespace(a='x') %}{% for i in range(90000) %}{% set n.a = n.a ~ n.a %}{% endfor %}".to_owned(), STEPS),
        ("{% macro f(a, n) %}{% if n %}{{ f([a, a], n - 1) }}{% endif %}{% endmacro %}{{ f([1], 50) }}".to_owned(), STEPS),
        (
            "{% macro f(a) %}{{ caller([a, a]) }}{% endmacro %}".to_owned()
                + &"{% call(a) f([1, x]) %}{% call(b) f([a, a]) %}{% endcall %}{% endcall %}".repeat(2)
                + &doubled(40),
            STEPS,
        ),
        ("{% for a in [[1]] recursive %}{{ loop([[a, a]]) }}{% endfor %}".to_owned(), STEPS),
        ("{% set s = 'x' %}".to_owned() + &"{% set s = s ~ s %}".repeat(40), STEPS),
        ("{% set s = 'x' %}".to_owned() + &"{% set s = s + s %}".repeat(40), STEPS),
        ("{% set s = 'x' %}".to_owned() + &"{% set s %}{{ s }}{{ s }}{% endset %}".repeat(40), STEPS),
        ("{% set s = 'xx' %}".to_owned() + &"{% set s = s|replace('', s) %}".repeat(40), STEPS),
        ("{% set s = 'x' %}".to_owned() + &"{% set s = '%s%s'|format(s, s) %}".repeat(40), STEPS),
        ("{% set s = 'x' %}".to_owned() + &"{% set s = [s, s]|join %}".repeat(40), STEPS),
        // Deep, lazy, or in itself.
        ("{% set n = namespace(a=[1]) %}{% for i in range(50000) %}{% set n.a = [n.a] %}{% endfor %}".to_owned(), DEEP),
        ("{% set n = namespace(a=[1]) %}{% for i in range(50000) %}{% set n.a = {'a': n.a} %}{% endfor %}".to_owned(), DEEP),
        ("{% set n = namespace(a=[1]) %}{% for i in range(50000) %}{% set n.a = [n.a]|batch(1) %}{% endfor %}".to_owned(), DEEP),
        ("{% set n = namespace() %}{% set n.a = n %}{{ n }}".to_owned(), HELD),
        ("{% set n = namespace() %}{% set a = [1, n] %}".to_owned(), HELD),
        ("{% set n = namespace() %}{% set n.a = [n] %}".to_owned(), HELD),
        ("{% set n = namespace() %}{% set a = [[n]] %}".to_owned(), HELD),
        ("{% set n = namespace() %}{% set a = {'a': n} %}".to_owned(), HELD),
        ("{% set n = namespace() %}{% set a = dict(a=n) %}".to_owned(), HELD),
        ("{% set n = namespace() %}{% set n = namespace(a=n) %}".to_owned(), HELD),
        ("{% for i in list %}{% set a = [loop] %}{% endfor %}".to_owned(), NO_VALUE),
        // Large at once.
        ("{{ range(1000000000) }}".to_owned(), "too many elements"),
        ("{{ range(9223372036854775807, -9223372036854775807, -1) }}".to_owned(), "too large"),
        ("{{ range(0, -9223372036854775808, -9223372036854775808) }}".to_owned(), "too large"),
        ("{{ 'x' * 1000000000 }}".to_owned(), STEPS),
        ("{{ [1] * 100000000 == [1] * 100000000 }}".to_owned(), "more than 10000 items"),
        ("{{ ([1] or 2) * (100000000 * 1) ~ '' }}".to_owned(), "more than 10000 items"),
        ("{{ [x] * 100000000 == [x] * 100000000 }}".to_owned(), STEPS),
        ("{{ [[x] * 100000000] * 100000000 == 1 }}".to_owned(), STEPS),
        ("{% set a, b = [x] * 100000000 %}".to_owned(), STEPS),
        ("{{ list|batch(1000000000, 1) }}".to_owned(), STEPS),
        ("{{ list|slice(1000000000) }}".to_owned(), STEPS),
        ("{{ list|slice(18446744073709551615, 1) }}".to_owned(), STEPS),
        ("{% set s = 'x y ' * 9000 %}{% for i in range(9000) %}{% set t = s|wordcount %}{% endfor %}".to_owned(), STEPS),
        ("{% set s = 'x y ' * 9000 %}{% for i in range(9000) %}{% set t = s|truncate(9) %}{% endfor %}".to_owned(), STEPS),
        ("{{ name|indent(1000000000, true) }}".to_owned(), STEPS),
        ("{{ list|tojson(indent=1000000000) }}".to_owned(), "100 blanks"),
        ("{{ list|tojson(1000000000000000000000000) }}".to_owned(), "100 blanks"),
        ("{{ '%1000000000d'|format(1) }}".to_owned(), STEPS),
        ("{{ '%.1000000000f'|format(1.5) }}".to_owned(), "9999 digits"),
        ("{{ '%d %(a)-8.65536e'|format(5.0, a=2.0) }}".to_owned(), "9999 digits"),
        ("{{ range(300)|join('x' * 100000) }}".to_owned(), STEPS),
        ("{{ 10 ** 10 ** 10 }}".to_owned(), "unable to calculate"),
        ("{{ [[1], [2]]|sum(start=[]) }}".to_owned(), "adds numbers"),
        ("{{ debug() }}".to_owned(), "unknown"),
    ] {
        let shown: String = text.chars().take(200).collect();
        match rendered_within(&text, FEW_STEPS) {
            Err(error) if error.message.contains(words) => {}
            other => wrong.push(format!("{other:?} instead of {words}: {shown}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Within all the steps that there are, too.
    for text in [doubled(40), "{{ range(99999)|list|batch(10)|list|tojson(100) }}".to_owned()] {
        assert_eq!(rendered(&text).unwrap_err().message, STEPS, "{text}");
    }
}

#[test]
fn what_no_prompt_needs_is_refused_before_or_where_it_is_done() {
    let mut wrong = Vec::new();
    for (text, words) in [
        ("{{ range(3000)|sort(attribute=\"a,\" * 300)|length }}", "10 attributes"),
        ("{{ ('a' * 9000)|trim('b' * 9000) }}", "64 characters"),
        ("{{ 'abc'[::-9223372036854775808] }}", "step of a slice"),
        ("{{ list[::-9223372036854775808] }}", "step of a slice"),
        ("{% for a in [1] %}{{ loop.cycle() }}{% endfor %}", "needs values"),
        ("{% for a in [1] %}{{ loop.cycle(*[]) }}{% endfor %}", "needs values"),
        ("{% for a in [1] %}{{ loop.nextitem() }}{% endfor %}", "no method `nextitem`"),
        // A loop is asked, and is no value.
        ("{% for a in [1] %}{% if loop == loop %}{% endif %}{% endfor %}", NO_VALUE),
        ("{% for a in [1] %}{% set b = {}[loop] %}{% endfor %}", NO_VALUE),
        ("{% for a in [1] %}{% set b = {loop: 1} %}{% endfor %}", NO_VALUE),
        ("{% for a in [1] %}{{ loop.changed(loop) }}{% endfor %}", NO_VALUE),
        ("{% for a in [1] %}{% set l = loop %}{% endfor %}", NO_VALUE),
        ("{% for a in [1] %}{% with l = loop %}{% endwith %}{% endfor %}", NO_VALUE),
        ("{% for a in [1] %}{{ [1]|select('eq', loop) }}{% endfor %}", NO_VALUE),
        ("{% for a in [1] %}{{ loop is eq 1 }}{% endfor %}", NO_VALUE),
        ("{% for a in [1] %}{{ loop['index'] }}{% endfor %}", NO_VALUE),
        ("{% for a in [1] %}{{ loop|tojson }}{% endfor %}", NO_VALUE),
        // What does not exist here, however it is named.
        ("{{ list|zip(list) }}", "the filter `zip` is unknown"),
        ("{% filter pprint %}a{% endfilter %}", "the filter `pprint` is unknown"),
        ("{{ [[1]]|map('sort') }}", "`map` cannot apply the filter `sort`"),
        ("{{ [[1]]|map('map', 'upper') }}", "`map` cannot apply the filter `map`"),
        ("{{ name is sameas name }}", "the test `sameas` is unknown"),
        ("{{ list|select('sameas', 1) }}", "unknown test `sameas`"),
        ("{{ items|selectattr('id', 'filter') }}", "unknown test `filter`"),
        // A prompt would lack what another file was to give, and nobody would see.
        ("{% include 'policy.md' ignore missing %}", "cannot include"),
        ("{% if x == 2 %}{% include ['a', 'b'] ignore missing %}{% endif %}", "cannot include"),
        ("{% extends 'a' %}", "cannot include"),
        ("{% import 'a' as a %}", "cannot include"),
        ("{% from 'a' import a %}", "cannot include"),
    ] {
        match rendered(text) {
            Err(error) if error.message.contains(words) => {}
            other => wrong.push(format!("{other:?} instead of {words}: {text}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_panic_of_the_engine_is_a_mistake_of_the_template() {
    let mut environment = minijinja::Environment::new();
    super::walk::equip(&mut environment);
    environment.add_function("fail", || -> String { panic!("a mistake of the engine") });
    environment.add_template("a", "{{ fail() }}").unwrap();
    let error = super::metered::render(&environment, "a", minijinja::context! {}).unwrap_err();
    assert_eq!(error.detail(), Some("the template engine failed at it"));
}

/// That using a value once takes at least so many steps: with one less the template is stopped, and not for another reason.
fn assert_price(begin: &str, once: &str, least: u64) {
    let text = format!("{begin}{once}");
    let stopped = rendered_within(&text, steps_of(begin) + least - 1);
    assert_eq!(stopped.map_err(|error| error.message), Err(STEPS.to_owned()), "less than {least} steps: {once}");
    if let Err(error) = rendered(&text) {
        assert_ne!(error.message, STEPS, "once is not too often: {once}");
    }
}

#[test]
fn whatever_is_asked_of_a_value_costs_what_is_in_it() {
    // 8,191 lists and numbers that are made of twelve lists: each costs an eighth of a step.
    for use_of_it in [
        "a ~ ''",
        "a|string",
        "a|tojson(2)",
        "a|join",
        "'%s'|format(a)",
        "a|escape",
        "a == [a]",
        "1 < 2 == a",
        "a in [a]",
        "[a, a]|unique|list",
        "{a: 1}",
        "{}[a]",
        "a is eq [a]",
        "[1]|select('eq', a)|list",
        "a[::-1]|string",
        "(a if x else 1)|string",
        "a|sort",
        "a|groupby('a')",
    ] {
        assert_price(&doubled(12), &format!("{{% set b = {use_of_it} %}}"), 8_191 / 8);
    }
}

#[test]
fn what_is_gone_through_for_each_item_costs_that_for_each() {
    let a = "{% set a = range(800)|list %}";
    let b = "{% set a = [range(800)|list] %}{% set b = [range(800)|list] %}";
    let s = "{% set s = 'x' * 64000 %}{% set t = s ~ '' %}";
    let paths = "{% set p = 'a.' * 3200 %}";
    let letters = "A".repeat(6_400);
    for (begin, once, least) in [
        (a, "{% if a == [1] + a %}{% endif %}", 200),
        (b, "{% if a == b %}{% endif %}", 200),
        (b, "{% if b in a %}{% endif %}", 200),
        (b, "{% if b[0] in a %}{% endif %}", 200),
        (b, "{% for i in [1] %}{% if loop.changed(a) %}{% endif %}{% endfor %}", 100),
        (b, "{% set c = {a: 1} %}", 100),
        (b, "{% set c = {}[a] is defined %}", 100),
        (a, "{{ range(800)|select('in', a)|list|length }}", 80_000),
        (a, "{{ range(800)|reject('in', a)|list|length }}", 80_000),
        (a, "{{ ('%(a)s' * 90)|format(a=a)|length }}", 9_000),
        (a, "{{ ('%(a)s' * 90)|format({'a': a})|length }}", 9_000),
        (paths, "{{ range(30)|sort(attribute=p)|length }}", 3_000),
        (paths, "{{ range(30)|groupby(p)|length }}", 3_000),
        (paths, "{{ range(30)|unique(attribute=p)|length }}", 3_000),
        (paths, "{{ range(30)|map(attribute=p)|list }}", 3_000),
        (paths, "{{ range(30)|sum(p) }}", 3_000),
        (paths, "{{ range(30)|min(attribute=p) }}", 3_000),
        (s, "{% if s == t %}{% endif %}", 2_000),
        (s, "{% set c = s[63999] %}", 1_000),
        (s, "{% set c = s[-1] %}", 1_000),
        (s, "{% set c = s[63999:] %}", 1_000),
        (s, "{% set c = s[:1] %}", 1_000),
        ("{% set a = range(6400)|list %}", "{% set c = a[6399:] %}", 100),
        ("", &format!("{{% if '{letters}' is upper %}}{{% endif %}}"), 100),
        ("", &format!("{{% set a = name|split('{letters}') %}}"), 100),
        ("", &format!("{{% set a = name == '{letters}' %}}"), 100),
        ("", &format!("{{% set a = '{letters}' == name %}}"), 100),
    ] {
        assert_price(begin, once, least);
    }
}

#[test]
fn what_ordinary_templates_do_works_as_before() {
    let mut wrong = Vec::new();
    for (text, expected) in [
        ("{% for i in items|sort(attribute='id') %}{{ loop.index }}:{{ i.id }}{{ ', ' if not loop.last }}{% endfor %}", "1:1, 2:2"),
        ("{% for i in items if 'a' in i.tags %}{{ i.tags|join('+') }}{% else %}none{% endfor %}", "a+b"),
        ("{% macro shot(q, a='?') %}Q: {{ q }} A: {{ a }};{% endmacro %}{{ shot('x') }}{{ shot('y', a=2) }}", "Q: x A: ?;Q: y A: 2;"),
        ("{% macro f() %}[{{ caller(2) }}]{% endmacro %}{% call(n) f() %}{{ n * 2 }}{% endcall %}", "[4]"),
        (
            "{% set shots = [{'q': 'a', 'n': [1]}, {'q': name, 'n': []}] %}{{ shots|tojson }}",
            r#"[{"q": "a", "n": [1]}, {"q": "Ann", "n": []}]"#,
        ),
        (
            "{% set n = namespace(sum=0, all=[]) %}{% for i in range(3000) %}{% set n.sum = n.sum + i %}{% set n.all = n.all + [i] %}{% endfor %}{{ n.sum }} {{ n.all|length }}",
            "4498500 3000",
        ),
        ("{% for a in [1, [2, [3]]] recursive %}{{ loop(a) if a is sequence else a }}{% endfor %}", "123"),
        ("{% for k, v in items[0]|items %}{{ k }}={{ v }} {% endfor %}", r#"id=2 tags=["a","b"] "#),
        (
            "{{ items|map(attribute='id')|list }} {{ items|selectattr('id', 'gt', 1)|map(attribute='id')|first }} {{ list|sum }}",
            "[2,1] 2 6",
        ),
        (
            "{{ list[1:] }} {{ list[::-1] }} {{ list + [9] }} {{ [0] * 3 }} {{ range(3) }} {{ list|reverse|list }}",
            "[1,2] [2,1,3] [3,1,2,9] [0,0,0] [0,1,2] [2,1,3]",
        ),
        (
            "{{ list|slice(2)|list }} {{ list|slice(2, 0)|list }} {{ 'a  b\nc'|wordcount }} {{ ['a b']|map('wordcount')|list }}",
            "[[3,1],[2]] [[3,1],[2,0]] 3 [2]",
        ),
        (
            "{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz qux'|truncate(11) }} \
             {{ 'foo bar baz qux'|truncate(11, leeway=0, end='ß') }} {{ name|truncate }} {{ 'ßßß'|truncate(1, true, '', leeway=0) }}",
            "foo... foo ba... foo bar baz qux foo barß Ann ß",
        ),
        ("{{ list|batch(2)|list }} {{ dict(a=1, b=x)|tojson }}", r#"[[3,1],[2]] {"a": 1, "b": 1}"#),
        (
            "{{ missing|default('none') }} {{ missing is defined }} {{ items[0].tags[5] is undefined }} {{ [missing]|length if false }}",
            "none false true ",
        ),
        ("{% set s %}a{{ x }}{% endset %}{{ s * 3 }} {{ s in ['a1'] }} {{ 1 < x + 1 <= 2 }} {{ not (x == 2) }}", "a1a1a1 true true true"),
        (
            "{% block b %}in{% endblock %} {% filter upper %}a{{ name }}{% endfilter %} {% autoescape true %}{{ '<' }}{% endautoescape %}",
            "in AANN &lt;",
        ),
        ("{% set a, b = [1, 2] %}{{ b }}{{ a }} {% with c = 3 %}{{ c }}{% endwith %} {{ 'a-b'|split('-') }}", r#"21 3 ["a","b"]"#),
        ("{% for a in list %}{{ loop.cycle('o', 'e') }}{{ loop.changed(a) }}{% endfor %}", "otrueetrueotrue"),
        ("{% for a in list %}{{ loop.cycle(*['o', 'e']) }}{{ loop.cycle('a', *['b']) }}{% endfor %}", "oaeboa"),
        ("{% macro f(n, a) %}{{ n.v }}{{ a }}{% endmacro %}{% set n = namespace(v=1) %}{{ f(n, *[2]) }}", "12"),
        ("{% set n = namespace(s='') %}{% for i in range(600) %}{% set n.s = n.s ~ 'x' * 100 %}{% endfor %}{{ n.s|length }}", "60000"),
        ("{{ '%(a)s-%(b)s'|format(a=x, b=name) }} {{ ' a '|trim }}{{ '-a-'|trim('-') }} {{ 'abc'[::-1] }}", "1-Ann aa cba"),
        ("{% for i in items %}{% if loop.changed(i.id) %}{{ i.id }}{% endif %}{{ loop.nextitem is defined }}{% endfor %}", "2true1false"),
        ("{% for i in range(60000) %}{% if i == 59999 and name == 'Ann' %}last{% endif %}{% endfor %}", "last"),
    ] {
        match rendered(text) {
            Ok(given) if given == expected => {}
            other => wrong.push(format!("{other:?} instead of {expected}: {text}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A statement that makes a list `a`, a text `b` or either as `n.v`.
fn statement() -> impl Strategy<Value = String> {
    let list = prop::sample::select(vec![
        "[a, b]",
        "(a, b)",
        "a + a",
        "[a] * 99",
        "[a] + [b, a]",
        "[n.v, n.v]",
        "[{'k': a, 'l': b}]",
        "[dict(k=a, l=b)]",
        "[{b: a}]",
        "[[a, b], [b, a]]",
        "[a, b]|batch(1, a)|list",
        "[a == b, a in [b]]",
        "[a, b]|unique|list",
        "a[0:]",
        "[b]|map('string')|list",
        "[{'k': b}, {'k': 1}]|groupby('k')",
        "[[a], b]|map('string')|list",
        "[a, b]|sort",
    ]);
    let text = prop::sample::select(vec![
        "a|string",
        "a ~ b",
        "b + b",
        "b * 9",
        "[a, b]|tojson",
        "f(a)",
        "'%s%s'|format(a, b)",
        "b|replace('', b)",
        "[a, b]|join(b)",
    ]);
    let set = prop_oneof![list.clone().prop_map(|list| ("a", list)), text.clone().prop_map(|text| ("b", text))];
    let held = prop_oneof![list, text].prop_map(|value| ("n.v", value));
    (prop_oneof![3 => set, 1 => held], prop::bool::weighted(0.2)).prop_map(|((target, value), in_loop)| {
        let set = format!("{{% set {target} = {value} %}}");
        if in_loop { format!("{{% for i in range(30) %}}{set}{{% endfor %}}") } else { set }
    })
}

#[test]
fn random_compositions_are_rendered_or_stopped_at_a_bound() {
    let (all, whole) = (Cell::new(0_u32), Cell::new(0_u32));
    let programs = (prop::collection::vec(statement(), 1..16), 1..3_usize);
    let run = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) }).run(
        &programs,
        |(statements, times)| {
            let begin = "{% macro f(v) %}{{ v }}{% endmacro %}{% set n = namespace(v=1) %}{% set a = [1] %}{% set b = 'x' %}";
            let text = format!("{begin}{}{{{{ a }}}}{{{{ b ~ '' }}}}{{{{ n.v|string|length }}}}", statements.concat().repeat(times));
            all.set(all.get() + 1);
            match rendered_within(&text, FEW_STEPS) {
                Ok(text) => {
                    whole.set(whole.get() + 1);
                    // A step makes 64 bytes.
                    prop_assert!(text.len() as u64 <= 64 * FEW_STEPS);
                }
                Err(error) => prop_assert!(error.message == STEPS || error.message.contains(DEEP), "{}", error.message),
            }
            Ok(())
        },
    );
    run.unwrap();
    let (all, whole) = (all.get(), whole.get());
    assert!(whole * 4 >= all && whole < all, "{whole} of {all} were rendered");
}
