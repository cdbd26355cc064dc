//! Does every dependency keep to deny.toml: its licences, its banned crates, its sources?
//!
//! `cargo deny check licenses bans sources` says the same, but takes longer to build than the rest of the test run together. This reads the
//! same file and the same graph (`cargo metadata`), so the rules hold in every `cargo test`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

#[derive(Deserialize)]
struct Rules {
    graph: Graph,
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licences {
    allow: Vec<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Deserialize)]
struct Sources {
    #[serde(rename = "unknown-registry")]
    registry: String,
    #[serde(rename = "unknown-git")]
    git: String,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    /// `None` for what lies in this repository.
    source: Option<String>,
    dependencies: Vec<Requirement>,
}

#[derive(Deserialize)]
struct Requirement {
    name: String,
    req: String,
}

/// Everything in the graph that the rules forbid.
fn breaches(rules: &Rules, metadata: &Metadata) -> Vec<String> {
    let used: BTreeSet<&str> = metadata.resolve.nodes.iter().map(|node| node.id.as_str()).collect();
    let mut found = Vec::new();
    if (rules.sources.registry.as_str(), rules.sources.git.as_str()) != ("deny", "deny") {
        found.push("deny.toml lets packages come from anywhere".to_owned());
    }
    let usual = usual_registry(metadata);
    for package in metadata.packages.iter().filter(|package| used.contains(package.id.as_str())) {
        let name = format!("{} {}", package.name, package.version);
        match package.license.as_deref().map(|licence| is_allowed(licence, &rules.licenses.allow)) {
            Some(Ok(true)) => {}
            Some(Ok(false)) => {
                found.push(format!("{name}: `{}` is not covered by the allowed licences", package.license.as_deref().unwrap_or_default()))
            }
            Some(Err(cause)) => found.push(format!("{name}: its licence cannot be read: {cause}")),
            None => found.push(format!("{name}: names no licence")),
        }
        if let Some(ban) = rules.bans.deny.iter().find(|ban| ban.name == package.name) {
            found.push(format!("{name}: banned: {}", ban.reason));
        }
        match &package.source {
            Some(source) if Some(source.as_str()) != usual => found.push(format!("{name}: comes from {source}")),
            Some(_) => {}
            None => {
                let wildcards = package.dependencies.iter().filter(|requirement| requirement.req == "*");
                found.extend(wildcards.map(|requirement| format!("{name}: takes any version of {}", requirement.name)));
            }
        }
    }
    found
}

/// The registry that nearly everything comes from: cargo's own.
fn usual_registry(metadata: &Metadata) -> Option<&str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for source in metadata.packages.iter().filter_map(|package| package.source.as_deref()).filter(|source| source.starts_with("registry+"))
    {
        *counts.entry(source).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(source, _)| source)
}

/// Whether an SPDX expression can be met with the allowed licences. The old `/` means `OR`.
fn is_allowed(expression: &str, allowed: &[String]) -> Result<bool, String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let answer = either(&words, &mut at, allowed)?;
    if at < words.len() { Err(format!("`{}` is left over in `{expression}`", words[at])) } else { Ok(answer) }
}

fn either(words: &[&str], at: &mut usize, allowed: &[String]) -> Result<bool, String> {
    let mut answer = both(words, at, allowed)?;
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        answer |= both(words, at, allowed)?;
    }
    Ok(answer)
}

fn both(words: &[&str], at: &mut usize, allowed: &[String]) -> Result<bool, String> {
    let mut answer = licence(words, at, allowed)?;
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        answer &= licence(words, at, allowed)?;
    }
    Ok(answer)
}

fn licence(words: &[&str], at: &mut usize, allowed: &[String]) -> Result<bool, String> {
    let word = *words.get(*at).ok_or("it ends where a licence should stand")?;
    *at += 1;
    match word {
        "(" => {
            let answer = either(words, at, allowed)?;
            if words.get(*at) != Some(&")") {
                return Err("a parenthesis stays open".to_owned());
            }
            *at += 1;
            Ok(answer)
        }
        ")" | "OR" | "AND" | "WITH" => Err(format!("`{word}` where a licence should stand")),
        _ if words.get(*at) == Some(&"WITH") => {
            let exception = *words.get(*at + 1).ok_or("it ends after WITH")?;
            *at += 2;
            Ok(allowed.iter().any(|name| *name == format!("{word} WITH {exception}")))
        }
        _ => Ok(allowed.iter().any(|name| name == word)),
    }
}

fn rules() -> Rules {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml");
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "the dependency graph is cargo's to tell")]
fn metadata(targets: &[String]) -> Metadata {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(["metadata", "--locked", "--format-version", "1"]);
    for target in targets {
        command.args(["--filter-platform", target]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_dependency_keeps_to_the_rules_of_deny_toml() {
    let rules = rules();
    let metadata = metadata(&rules.graph.targets);
    assert!(metadata.resolve.nodes.len() > 100, "the graph is read");
    let found = breaches(&rules, &metadata);
    assert!(found.is_empty(), "deny.toml is broken by\n{}", found.join("\n"));

    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &metadata.packages {
        versions.entry(&package.name).or_default().insert(&package.version);
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        // As `multiple-versions = "warn"` does: seen in the output, never a failure.
        println!("warning: several versions of {name}: {versions:?}");
    }
}

#[test]
fn what_the_rules_forbid_is_found() {
    let graph = serde_json::json!({
        "packages": [
            {"id": "ours", "name": "ours", "version": "0.1.0", "license": "MIT", "source": null, "dependencies": [{"name": "anything", "req": "*"}]},
            {"id": "copyleft", "name": "copyleft", "version": "1.0.0", "license": "GPL-3.0-only", "source": "registry+https://example.com/usual", "dependencies": []},
            {"id": "nameless", "name": "nameless", "version": "1.0.0", "license": null, "source": "registry+https://example.com/usual", "dependencies": []},
            {"id": "openssl", "name": "openssl", "version": "1.0.0", "license": "Apache-2.0", "source": "registry+https://example.com/usual", "dependencies": []},
            {"id": "forked", "name": "forked", "version": "1.0.0", "license": "MIT", "source": "git+https://example.com/forked", "dependencies": []},
            {"id": "elsewhere", "name": "elsewhere", "version": "1.0.0", "license": "MIT", "source": "registry+https://example.com/other", "dependencies": []},
            {"id": "unused", "name": "unused", "version": "1.0.0", "license": "GPL-3.0-only", "source": null, "dependencies": []},
        ],
        "resolve": {"nodes": [{"id": "ours"}, {"id": "copyleft"}, {"id": "nameless"}, {"id": "openssl"}, {"id": "forked"}, {"id": "elsewhere"}]},
    });
    assert_eq!(
        breaches(&rules(), &serde_json::from_value(graph).unwrap()),
        [
            "ours 0.1.0: takes any version of anything",
            "copyleft 1.0.0: `GPL-3.0-only` is not covered by the allowed licences",
            "nameless 1.0.0: names no licence",
            "openssl 1.0.0: banned: TLS is rustls with ring: no system library to install",
            "forked 1.0.0: comes from git+https://example.com/forked",
            "elsewhere 1.0.0: comes from registry+https://example.com/other",
        ]
    );
}

#[test]
fn a_licence_expression_is_read_as_spdx_means_it() {
    let allowed = ["MIT".to_owned(), "ISC".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0-only", false),
        ("GPL-3.0-only OR MIT", true),
        ("Unlicense/MIT", true),
        ("MIT AND GPL-3.0-only", false),
        ("(MIT OR GPL-3.0-only) AND ISC", true),
        ("GPL-3.0-only OR MIT AND GPL-2.0-only", false),
        ("Apache-2.0 WITH LLVM-exception", true),
        ("Apache-2.0", false),
        ("MIT WITH LLVM-exception", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), Ok(expected), "{expression}");
    }
    for broken in ["", "MIT OR", "(MIT", "MIT ISC", "OR MIT", "MIT WITH"] {
        assert!(is_allowed(broken, &allowed).is_err(), "{broken}");
    }
}
