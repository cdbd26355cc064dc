//! Are samples compared with accepted variants, and versions of a prompt with what was accepted of the one before, on the built binary?

use crate::harness::Project;

const SNAPSHOT: &str = "snapshots/greet/ada/claude-haiku-4-5.snap";

const SCRIPT: &str = r#"rules:
  - when: {text: in French}
    then: {text: '{"greeting": "Bonjour Ada", "tone": "{% if call == 1 %}cold{% else %}warm{% endif %}", "trace": {{ call }}}'}
  - when: {text: Ada}
    then: {text: '{"greeting": "Hello Ada{% if call == 2 %}!{% endif %}", "trace": {{ call }}}'}
"#;

fn project(samples: u32) -> Project {
    let suite = format!(
        "suite: greet\nprompt: greet\nmodels: [claude-haiku-4-5]\nsamples: {samples}\nsnapshot: {{compare: json, ignore: [$.trace]}}\ncases:\n  - id: ada\n    vars: {{name: Ada}}\n"
    );
    Project::new()
        .write("promptkeel.toml", "[run]\nendpoint = \"simulated\"\n[endpoints.simulated]\nscript = \"sim.yaml\"\n")
        .write("sim.yaml", SCRIPT)
        .write("suites/greet.yaml", &suite)
        .write("suites/prompts/greet/1.md", "system:\nYou greet.\n\nuser:\nGreet {{ name }} politely.\n")
}

fn variants(project: &Project) -> usize {
    project.read(SNAPSHOT).lines().filter(|line| line.ends_with("- variant")).count().max(1)
}

#[test]
fn every_strange_sample_is_shown_beside_its_nearest_variant_and_may_join_them() {
    let project = project(3);
    assert_eq!(project.run(&["run", "--update"]).code, 0);
    // What is ignored makes no variant: one greeting has a mark, two have none.
    assert_eq!(variants(&project), 2);
    assert_eq!(project.run(&["run", "--cache", "refresh"]).code, 0, "whichever sample says which");

    project.edit(
        "sim.yaml",
        "Hello Ada{% if call == 2 %}!{% endif %}",
        "Hello {% if call == 2 %}dear {% endif %}Ada{% if call == 3 %}, hello!{% endif %}",
    );
    let (ran, report) = project.report(&["--cache", "refresh", "--junit", "junit.xml", "--markdown", "report.md", "--html", "report.html"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let found = &report["cells"][0]["snapshot"]["variants"];
    assert_eq!((found["outputs"].as_u64(), found["accepted"].as_u64(), found["strange"].as_u64()), (Some(3), Some(2), Some(2)), "{found}");
    assert_eq!(found["others"].as_array().map(Vec::len), Some(1), "{found}");
    for text in [ran.stdout.clone(), project.read("junit.xml"), project.read("report.md")] {
        assert!(text.contains("2 of 3 samples match none of the 2 accepted variants"), "{text}");
        assert_eq!(text.matches("of 3 against variant").count(), 2, "{text}");
        assert!(text.contains("Hello dear Ada") && text.contains("Hello Ada, hello!"), "{text}");
    }

    let pending = project.run(&["pending"]);
    assert!(pending.stdout.contains("2 variants are accepted; after `accept` there would be 3, after `accept --add` 4"), "{pending:?}");
    let listed: serde_json::Value = serde_json::from_str(&project.run(&["pending", "--json"]).stdout).unwrap();
    assert_eq!((listed[0]["accepted_variants"].as_u64(), listed[0]["variants_after_add"].as_u64()), (Some(2), Some(4)), "{listed}");

    std::fs::copy(project.path(SNAPSHOT), project.path("before.snap")).unwrap();
    assert_eq!(project.run(&["accept", "--add", "greet/ada"]).code, 0);
    assert_eq!(variants(&project), 4);
    assert_eq!(project.run(&["run"]).code, 0, "every added sample is the same from now on");

    std::fs::copy(project.path("before.snap"), project.path(SNAPSHOT)).unwrap();
    assert_eq!(project.run(&["accept", "--from", "report.json", "--add", "--all"]).code, 0);
    assert_eq!(variants(&project), 4);

    project.edit("sim.yaml", "Hello ", "Good day ");
    let updated = project.run(&["run", "--cache", "refresh", "--update"]);
    assert!(updated.stderr.contains("4 accepted variants that no sample gave any more are gone"), "{updated:?}");
    assert_eq!(variants(&project), 3);
}

#[test]
fn a_new_version_is_shown_against_what_was_accepted_of_the_one_before_with_what_changed_in_the_prompt() {
    let project = project(1);
    assert_eq!(project.run(&["run", "--update"]).code, 0);
    project.rewrite("suites/prompts/greet/2.md", "system:\nYou greet.\n\nuser:\nGreet {{ name }} politely in French.\n");
    let (ran, report) = project.report(&["--markdown", "report.md", "--html", "report.html"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("snapshot changed, greet@1 -> greet@2"), "{ran:?}");
    let change = &report["prompt_changes"][0];
    assert_eq!((change["from"].as_str(), change["to"].as_str()), (Some("greet@1"), Some("greet@2")), "{change}");
    let markdown = project.read("report.md");
    assert!(markdown.contains("greet@1 -&gt; greet@2") && markdown.contains("politely{+ in French+}."), "{markdown}");
    assert!(project.read("report.html").contains("prompt_changes"));
    let pending = project.run(&["pending"]).stdout;
    assert!(pending.contains("snapshot changed, greet@1 -> greet@2"), "{pending}");
    for shown in [project.run(&["show", "ada"]), project.run(&["show", "ada", "--from", "report.json"])] {
        assert!(shown.stdout.contains("prompt  greet@1 -> greet@2"), "{shown:?}");
        assert!(shown.stdout.contains("politely{+ in French+}."), "{shown:?}");
    }
}

#[test]
fn an_accepted_version_that_changed_is_reported_with_the_difference_from_what_was_run_here_or_committed() {
    let file = "suites/prompts/greet/1.md";
    let changed = |project: &Project| {
        project.edit(file, "politely", "briefly");
        let checked = project.run(&["check"]);
        assert_eq!(checked.code, 0, "{checked:?}");
        assert!(checked.stderr.contains("the text of `greet@1` (`suites/prompts/greet/1.md`) changed since"), "{checked:?}");
        checked.stderr
    };
    let marked = ["- Greet {{ name }} [-politely-].", "+ Greet {{ name }} {+briefly+}."];

    let mut kept = project(1);
    assert_eq!(kept.run(&["run", "--update"]).code, 0);
    let told = changed(&kept);
    assert!(marked.iter().all(|line| told.contains(line)), "known from the run: {told}");
    let (_, report) = kept.report(&[]);
    assert!(report["problems"][0]["diff"]["hunks"].is_array(), "{report}");
    kept.set("CI", "true");
    let refused = kept.run(&["run"]);
    assert!(refused.code == 2 && refused.stderr.contains(marked[1]), "{refused:?}");

    let committed = project(1);
    committed.git(&["init", "--quiet"]);
    assert_eq!(committed.run(&["run", "--update"]).code, 0);
    committed.git(&["add", "--all"]);
    committed.git(&["commit", "--quiet", "--message", "accept"]);
    std::fs::remove_dir_all(committed.path(".promptkeel")).unwrap();
    let told = changed(&committed);
    assert!(marked.iter().all(|line| told.contains(line)), "known from the history: {told}");
    committed.git(&["commit", "--quiet", "--all", "--message", "change"]);
    let told = committed.run(&["check"]).stderr;
    assert!(marked.iter().all(|line| told.contains(line)), "also when the change is committed: {told}");

    let unknown = project(1);
    assert_eq!(unknown.run(&["run", "--update"]).code, 0);
    std::fs::remove_dir_all(unknown.path(".promptkeel")).unwrap();
    let told = changed(&unknown);
    assert!(told.contains("the accepted text is not known here") && told.contains("git log -p"), "{told}");
}
