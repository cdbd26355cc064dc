//! Does every promise hold of the inputs that are kept for it: examples to begin with, and what a fuzzer found?

use std::fs;
use std::path::{Path, PathBuf};

use crate::promises::ALL;

fn seeds(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_promise_holds_of_its_seeds() {
    let mut broken = Vec::new();
    for (target, holds) in ALL {
        let paths = seeds(target);
        assert!(paths.len() >= 3, "fuzz/seeds/{target} holds too little to begin with");
        for path in paths {
            let input = fs::read(&path).unwrap();
            if std::panic::catch_unwind(|| holds(&input)).is_err() {
                broken.push(path);
            }
        }
    }
    assert!(broken.is_empty(), "see above for the reasons: {broken:#?}");
}

#[test]
fn every_promise_holds_of_nothing_and_of_noise() {
    let noise: Vec<u8> = (0..2_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for (_, holds) in ALL {
        holds(b"");
        holds(&noise);
    }
}

#[test]
fn every_promise_has_its_target_and_every_target_its_promise() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut targets: Vec<String> = fs::read_dir(fuzz.join("fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    targets.sort();
    assert_eq!(targets, ALL.map(|(name, _)| name));
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for (name, _) in ALL {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "fuzz/Cargo.toml does not build {name}");
        let target = fs::read_to_string(fuzz.join("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(target.contains(&format!("promises::{name}::holds(")), "fuzz_targets/{name}.rs holds another promise");
    }
}
