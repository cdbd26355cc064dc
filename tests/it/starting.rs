//! Does a first-time user get from nothing to a verdict?

use crate::harness::Project;

#[test]
fn init_makes_a_suite_that_runs_at_once() {
    let project = Project::new();
    let made = project.run(&["init", "shop"]);
    assert_eq!(made.code, 0, "{made:?}");
    let git = |name: &str| std::fs::read_to_string(project.path("shop").join(name)).unwrap();
    assert_eq!(git(".gitignore"), "/.promptkeel/\n*.snap.new\n.promptkeel-*.tmp\n");
    assert!(git(".gitattributes").contains("snapshots/** -text"), "a checkout must not change the line ends of a snapshot");
    let folder = project.path("shop");
    let shop = folder.to_str().unwrap();
    assert_eq!(project.run(&["-C", shop, "check"]).code, 0);
    let first = project.run(&["-C", shop, "run"]);
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(project.run(&["-C", shop, "accept", "--all"]).code, 0);
    project.edit("shop/suites/greeting.yaml", "on_change: warn", "on_change: fail");
    assert_eq!(project.run(&["-C", shop, "run"]).code, 0);
    let again = project.run(&["init", "shop"]);
    assert_eq!(again.code, 2, "init never writes over anything: {again:?}");
}

#[test]
fn plan_tells_what_a_run_would_ask() {
    let project = Project::passing();
    let plan = |project: &Project| {
        let ran = project.run(&["plan", "--json"]);
        let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        (plan["cells"].as_u64().unwrap(), plan["answered"].as_u64().unwrap())
    };
    assert_eq!(plan(&project), (2, 0));
    assert!(!project.exists(".promptkeel"), "a plan creates nothing");
    assert_eq!(project.run(&["run", "--tag", "asia"]).code, 0);
    assert_eq!(plan(&project), (2, 1));
    insta::assert_snapshot!(project.run(&["plan"]).stdout);
}

#[test]
fn list_shows_what_can_be_selected() {
    insta::assert_snapshot!(Project::passing().run(&["list"]).transcript());
}

#[test]
fn schemas_are_current() {
    let project = Project::new();
    for name in ["suite", "settings", "run", "comparison"] {
        let file = format!("{name}.schema.json");
        let printed: serde_json::Value = serde_json::from_str(&project.run(&["schema", name]).stdout).unwrap();
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(&file);
        let committed: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(printed, committed, "schemas/{file} is old: `promptkeel schema {name} > schemas/{file}`");
    }
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = Project::new().run(&["completions", shell]);
        assert!(ran.code == 0 && ran.stdout.contains("promptkeel") && ran.stdout.contains("merge"), "{shell}: {}", ran.stderr);
    }
}

#[test]
fn the_printed_settings_are_the_defaults_and_valid() {
    let project = Project::passing();
    let printed = project.run(&["settings"]);
    assert_eq!(printed.code, 0);
    let with_script = printed.stdout.replace("fixtures/sim/examples.yaml", "fixtures/sim/script.yaml");
    project.rewrite("promptkeel.toml", &with_script);
    let checked = project.run(&["check"]);
    assert_eq!(checked.code, 0, "{checked:?}");
}
