//! Are snapshots, locks, run reports, settings and simulator scripts that somebody tampered with told apart from true ones, and never green?

#![cfg(unix)]

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Project, Ran};
use crate::hostile_files::{guarded, refused};

const SNAPSHOT: &str = "snapshots/capitals/france/claude-haiku-4-5.snap";
const LOCK: &str = "snapshots/capitals/prompts.toml";
const SCRIPT: &str = "fixtures/sim/script.yaml";

/// Both outputs are accepted.
fn accepted() -> Project {
    let project = Project::passing();
    let ran = guarded(&project, &["run", "--update"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    project
}

fn says(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{words:?}: {ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word) || ran.stdout.contains(word), "{word:?} is not in {ran:?}");
    }
}

#[test]
fn a_snapshot_that_nobody_can_read_is_never_green_and_says_how_to_restore_it() {
    let project = accepted();
    let good = project.read(SNAPSHOT);
    let restore = "git checkout -- snapshots/capitals/france/claude-haiku-4-5.snap";
    for (text, words) in [
        (
            good.replace("Paris", "<<<<<<< HEAD\nParis\n=======\nLyon\n>>>>>>> theirs"),
            ["line 7: a merge conflict is not resolved", restore],
        ),
        (format!("<<<<<<< HEAD\n{good}=======\n{good}>>>>>>> theirs\n"), ["line 1: a merge conflict is not resolved", restore]),
        (format!("garbage\n{good}"), ["begins with a line `---`", restore]),
        (String::new(), ["begins with a line `---`", restore]),
        ("---\nprompt: a@1\n".repeat(100_000), ["the head has no `model`", restore]),
    ] {
        project.rewrite(SNAPSHOT, &text);
        // `on_change: warn` is about outputs that changed, not about files that are broken.
        says(&guarded(&project, &["run"]), 1, &["1 unreadable", SNAPSHOT]);
        says(&guarded(&project, &["pending"]), 0, &[words[0], words[1], SNAPSHOT]);
        assert_eq!(project.read(SNAPSHOT), text, "only an acceptance writes a snapshot");
    }
    fs::File::options().write(true).open(project.path(SNAPSHOT)).unwrap().set_len(1 << 30).unwrap();
    says(&guarded(&project, &["run"]), 1, &["1 unreadable", "larger than 64 MiB"]);
    // Whether a real endpoint had answered stands in what cannot be read.
    says(&guarded(&project, &["accept", "--all"]), 5, &["a real output may stand in it", restore, "or delete it"]);
    assert_eq!(fs::metadata(project.path(SNAPSHOT)).unwrap().len(), 1 << 30);
}

#[test]
fn an_output_that_looks_like_a_conflict_is_kept_as_it_is() {
    let project = Project::passing();
    project.edit(SCRIPT, "{text: Tokyo}", "{text: \"<<<<<<< a\\nTokyo\\n=======\\nb\\n>>>>>>> c\\n\"}");
    project.edit("suites/capitals.yaml", "max_words: 3", "max_words: 30");
    assert_eq!(guarded(&project, &["run", "--update"]).code, 0);
    says(&guarded(&project, &["run"]), 0, &["2 same"]);
}

#[test]
fn a_deep_snapshot_is_compared_within_bounds() {
    let project = Project::passing();
    project.edit("suites/capitals.yaml", "compare: text\n  on_change: warn", "compare: json\n  on_change: fail");
    project.edit("suites/capitals.yaml", "- equals: Paris", "- contains: Paris");
    project.edit(SCRIPT, "{text: Paris}", "{text: '[\"Paris\"]'}");
    project.edit(SCRIPT, "{text: Tokyo}", "{text: '[\"Tokyo\"]'}");
    assert_eq!(guarded(&project, &["run", "--update"]).code, 0);
    let good = project.read(SNAPSHOT);
    let head = &good[..good.find('[').unwrap()];
    project.rewrite(SNAPSHOT, &format!("{head}{}{}\n", "[".repeat(100_000), "]".repeat(100_000)));
    says(&guarded(&project, &["run"]), 1, &["1 changed"]);
    says(&guarded(&project, &["pending"]), 0, &["too large to compare whole"]);
}

#[test]
fn a_broken_lock_of_prompt_versions_stops_before_anything_is_sent() {
    let project = accepted();
    let good = project.read(LOCK);
    for text in [
        "%%%".to_owned(),
        format!("<<<<<<< HEAD\n{good}=======\n{good}>>>>>>> theirs\n"),
        format!("a = {}", "[".repeat(200_000)),
        format!("a{} = 1", ".a".repeat(100_000)),
        format!("a = \"{}\"", "x".repeat(20_000_000)),
    ] {
        project.rewrite(LOCK, &text);
        for command in ["run", "check"] {
            says(&guarded(&project, &[command]), 2, &[LOCK, "is no lock of prompt versions", "git checkout"]);
        }
        assert_eq!(project.read(LOCK), text);
    }
    fs::File::options().write(true).open(project.path(LOCK)).unwrap().set_len(1 << 30).unwrap();
    says(&guarded(&project, &["run", "--update"]), 2, &[LOCK, "larger than 64 MiB"]);
}

/// The report of a run with one failed cell, edited.
fn edited(project: &Project, edit: impl Fn(&mut Value)) {
    let mut report: Value = serde_json::from_str(&project.read("report.json")).unwrap();
    edit(&mut report);
    project.rewrite("edited.json", &report.to_string());
}

fn green(report: &mut Value) {
    for gate in report["gates"].as_array_mut().unwrap() {
        gate["outcome"] = json!("pass");
    }
    report["exit"] = json!("holds");
}

#[test]
fn a_report_that_was_edited_to_green_is_not_believed() {
    let project = Project::passing();
    project.edit(SCRIPT, "{text: Tokyo}", "{text: Kyoto}");
    let (ran, _) = project.report(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    type Edit = fn(&mut Value);
    let edits: [(Edit, &str); 13] = [
        (green, "its exit is not that of its gates"),
        (|report| (report["gates"], report["exit"]) = (json!([]), json!("holds")), "its exit is not that of its gates"),
        (
            |report| (report["policies"], report["gates"], report["exit"]) = (json!([]), json!([]), json!("holds")),
            "its exit is not that of its gates",
        ),
        (|report| report["policies"][0]["min_pass_rate"] = json!(-1e300), "is no share from 0 to 1"),
        (
            |report| {
                green(report);
                report["cells"][1]["verdict"] = json!("pass");
                (report["totals"]["failed"], report["totals"]["passed"]) = (json!(0), json!(2));
            },
            "is not that of its samples",
        ),
        (
            |report| {
                green(report);
                report["cells"][1]["verdict"] = json!("pass");
                report["cells"][1]["samples"][0]["verdict"] = json!("pass");
                (report["totals"]["failed"], report["totals"]["passed"]) = (json!(0), json!(2));
            },
            "is not that of its assertions",
        ),
        (|report| report["cells"][1] = report["cells"][0].clone(), "stands twice"),
        (|report| (report["cells"], report["gates"], report["exit"]) = (json!([]), json!([]), json!("holds")), "it has no cells"),
        (|report| report["run"]["shard"] = json!({"index": 0, "count": 0}), "there is no shard 0 of 0"),
        (|report| report["cells"][1]["samples"][0]["reply"]["cost_usd"] = json!("-5"), "costs less than nothing"),
        (|report| report["bill"]["simulated_usd"] = json!("-5"), "its bill is smaller"),
        (|report| report["bill"]["spent_usd"] = json!("1e400"), "is not an amount of dollars"),
        (|report| report["bill"]["spent_usd"] = json!("9".repeat(10_000)), "is not an amount of dollars"),
    ];
    for (edit, words) in edits {
        edited(&project, edit);
        for arguments in [
            &["report", "edited.json"][..],
            &["merge", "edited.json"],
            &["show", "--from", "edited.json", "japan"],
            &["accept", "--from", "edited.json", "--all"],
        ] {
            says(&guarded(&project, arguments), 2, &[words, "edited.json"]);
        }
    }
    assert!(!project.exists("snapshots/capitals/japan/claude-haiku-4-5.snap"), "nothing was accepted");
}

#[test]
fn what_can_be_counted_again_is_counted_again() {
    let project = Project::passing();
    project.edit(SCRIPT, "{text: Tokyo}", "{text: Kyoto}");
    project.report(&[]);
    edited(&project, |report| {
        report["run"]["simulated"] = json!(false);
        report["models"][0]["totals"]["failed"] = json!(0);
        report["gates"][0]["message"] = json!("pass rate 100.0 %");
    });
    let ran = guarded(&project, &["report", "edited.json"]);
    says(&ran, 1, &["simulated: no number here is about a real model", "50.0 %"]);
    assert!(!ran.stdout.contains("100.0 % ("), "{}", ran.stdout);
}

#[test]
fn numbers_at_their_ends_and_endless_names_are_rendered() {
    let project = Project::passing();
    project.report(&[]);
    edited(&project, |report| {
        let most = json!(u64::MAX);
        report["run"]["duration_ms"] = most.clone();
        report["run"]["id"] = json!("y".repeat(10_000));
        (report["bill"]["unpriced_samples"], report["bill"]["unknown_attempts"]) = (most.clone(), most.clone());
        report["bill"]["spent_usd"] = json!("9".repeat(26));
        (report["totals"]["tokens"]["input"], report["totals"]["tokens"]["cache_write"]) = (most.clone(), most.clone());
        let cell = &mut report["cells"][1];
        cell["address"]["case"] = json!("x".repeat(10_000));
        cell["request"] = json!({"system": [u32::MAX], "turns": [{"role": "user", "content": [7, u32::MAX]}], "parameters": u32::MAX});
        let reply = &mut cell["samples"][0]["reply"];
        reply["latency_ms"] = most.clone();
        (reply["usage"]["input_tokens"], reply["usage"]["cache_write_5m_tokens"]) = (most.clone(), most);
    });
    for arguments in
        [&["report", "edited.json", "--junit", "j.xml", "--markdown", "m.md", "--html", "h.html"][..], &["merge", "edited.json"]]
    {
        says(&guarded(&project, arguments), 0, &["2 planned = 2 passed"]);
    }
    says(&guarded(&project, &["show", "--from", "edited.json", "xx*"]), 0, &["18,446,744,073,709,551,615 input"]);
    // Parts of a split: what each of them left open adds up without end.
    for index in [1, 2] {
        edited(&project, |report| {
            report["run"]["shard"] = json!({"index": index, "count": 2});
            report["bill"]["unpriced_samples"] = json!(u64::MAX);
            let cell = report["cells"][index - 1].clone();
            report["cells"] = json!([cell]);
            for name in ["planned", "passed", "samples", "snapshots_new", "requests_asked"] {
                report["totals"][name] = json!(1);
            }
            for kind in ["input", "output"] {
                let tokens = &report["cells"][0]["samples"][0]["reply"]["usage"][format!("{kind}_tokens")];
                report["totals"]["tokens"][kind] = tokens.clone();
            }
        });
        fs::rename(project.path("edited.json"), project.path(&format!("part-{index}.json"))).unwrap();
    }
    says(&guarded(&project, &["merge", "part-1.json", "part-2.json"]), 0, &["18,446,744,073,709,551,615 answers of unpriced models"]);
}

#[test]
fn settings_that_are_too_deep_or_too_large_are_refused() {
    let settings = Project::passing().read("promptkeel.toml");
    let keys: String = (0..100_000).map(|key| format!("k{key} = 1\n")).collect();
    for (text, words) in [
        (format!("x = {}", "[".repeat(200_000)), "this is not TOML"),
        (format!("a{} = 1", ".a".repeat(100_000)), "this is not TOML"),
        (format!("[{}a]\n", "a.".repeat(50_000)), "this is not TOML"),
        (format!("x = {}", "{a=".repeat(100_000)), "this is not TOML"),
        (format!("a = \"{}\"", "x".repeat(10_000_000)), "larger than the limit of 8 MiB"),
        (settings.replacen("\"simulated\"", "1979-05-27", 1), "no endpoint is named `1979-05-27`"),
        (settings.replace("[run]", "[run]\nmax_concurrency = 99999999999999999999999999"), "`max_concurrency` must be"),
        (format!("{settings}{keys}"), "unknown key `k0`"),
    ] {
        refused(&Project::passing().write("promptkeel.toml", &text), &[words, "promptkeel.toml"]);
    }
}

/// `run` refuses the script before anything is asked, and `sim` before it listens.
fn script(text: &str, words: &[&str]) {
    let project = Project::passing().write(SCRIPT, text);
    for arguments in [&["run"][..], &["sim", "--script", SCRIPT, "--port", "0"]] {
        says(&guarded(&project, arguments), 2, words);
    }
}

#[test]
fn simulator_scripts_that_explode_or_nest_are_refused_with_their_bounds() {
    let too_much = ["script.yaml:", "nested too deep or expands into too much: 32 levels and 250000 values"];
    let nine = |level: u32| vec![format!("*a{}", level - 1); 9].join(",");
    script(&(1..12).fold("a0: &a0 [ha]\n".to_owned(), |text, level| format!("{text}a{level}: &a{level} [{}]\n", nine(level))), &too_much);
    script(&format!("x: {}", "[".repeat(100_000)), &too_much);
    script(&"{a: ".repeat(100_000), &too_much);
    script(&format!("x:\n{}1\n", "- ".repeat(100_000)), &too_much);
    script("a: &a [*a]\n", &["inside of its own anchor"]);
    script(&format!("? {}\n: 1\n", "k".repeat(2_000_000)), &["unknown key `kkkk"]);
    script(&format!("rules:\n - then: {{fault: {}}}\n", "k".repeat(2_000_000)), &["unknown fault `kkkk"]);
    let keys: String = (0..50_000).map(|key| format!("a{key}: 1, ")).collect();
    script(&format!("{{{keys}}}"), &["unknown key `a0`"]);
    let template = |text: &str| format!("rules:\n - then:\n    text: \"{text}\"\n");
    for chain in ["-", "1+", "x|f|"] {
        script(&template(&format!("{{{{ {}1 }}}}", chain.repeat(100_000))), &["chain of more than 300"]);
    }
    script(&template(&format!("{{% if 1 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(10_000))), &["`elif` are too many"]);
    script(&template("{{ [1] * 100000000 == [1] * 100000000 }}"), &["more than 10000 items"]);
    // What a template makes of itself is known when it is asked.
    for text in [
        "{{ [prompt] * 100000000 }}",
        "{% set n = namespace(x=[1]) %}{% for i in range(500) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}",
        "{% set n = namespace(x=[1]) %}{% for i in range(100) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
        "{{ 'x' * 1000000000 }}",
        "{% set n = namespace(x=[1]) %}{% for i in range(50000) %}{% set n.x = [n.x] %}{% endfor %}",
        "{% set n = namespace(x=[1]) %}{% for i in range(100) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x ~ '' }}",
        "{% set n = namespace(x=[1]) %}{% for i in range(100) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x == [n.x] }}",
        "{% macro f(x) %}{{ f([x, x]) }}{% endmacro %}{{ f(1) }}",
        "{% for i in [[1]] recursive %}{{ loop([[i, i]]) }}{% endfor %}",
    ] {
        let project = Project::passing().write(SCRIPT, &template(text));
        // One question: each would take all steps of the template again.
        says(&guarded(&project, &["run", "--case", "france"]), 3, &["the template of the rule at line 2 failed"]);
    }
}
