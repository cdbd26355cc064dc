//! Does a run keep to a server's rate limit that it knows nothing about, and still get every answer?

use std::collections::HashMap;

use promptkeel::sim::server::Options;

use crate::harness::{Project, Server};

/// So many cases, each with a question of its own, and these lines of `[run]`.
fn project(cases: usize, run: &str) -> Project {
    let cases: String = (0..cases).map(|number| format!("  - {{id: case-{number:03}, vars: {{number: \"{number:03}\"}}}}\n")).collect();
    Project::new()
        .write("promptkeel.toml", &format!("[run]\nendpoint = \"anthropic\"\n{run}"))
        .write(
            "suites/questions.yaml",
            &format!(
                "suite: questions\nprompt: question\nmodels: [claude-haiku-4-5]\nrequest: {{max_tokens: 50}}\nassert: [{{equals: fine}}]\n\
                 snapshot: {{compare: off}}\ncases:\n{cases}"
            ),
        )
        .write("suites/prompts/question/1.md", "This is question {{ number }}.\n")
}

/// The questions in the order in which the server was asked them.
fn questions(server: &Server) -> Vec<String> {
    let question = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap().split("This is question ").nth(1).unwrap()[..3].to_owned();
    server.journal().iter().map(|request| question(&request.body)).collect()
}

#[test]
fn a_burst_of_cells_is_hardly_ever_refused_once_the_limit_was_met() {
    const CELLS: usize = 200;
    const CONCURRENCY: usize = 40;
    let options = Options { requests_per_minute: Some(1500), request_burst: Some(25), journal: 10_000, ..Options::default() };
    let server = Server::with("otherwise: {text: fine}\n", options);
    let mut project = project(CELLS, &format!("max_concurrency = {CONCURRENCY}\n"));
    project.ask(&server.url());
    let (ran, report) = project.report(&[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(report["totals"]["passed"], CELLS);
    let asked = questions(&server);
    // Nothing else fails here: a question that is asked again was refused before.
    let mut last: HashMap<&str, usize> = HashMap::new();
    last.extend(asked.iter().enumerate().map(|(index, question)| (question.as_str(), index)));
    let refused: Vec<usize> = (0..asked.len()).filter(|index| last[asked[*index].as_str()] > *index).collect();
    assert_eq!(asked.len() - refused.len(), CELLS);
    // The burst that met the limit, and what was under way then, is the warm-up.
    let late = refused.iter().filter(|index| **index >= 2 * CONCURRENCY).count();
    assert!(late * 50 <= asked.len() - 2 * CONCURRENCY, "{late} refused after the warm-up; at {refused:?} of {}", asked.len());
}

#[test]
fn token_limits_of_the_settings_are_kept_to() {
    // Each reply takes a hundred output tokens, and a thousand a second are allowed: ten replies a second, ten of them at once.
    let server = Server::start("otherwise: {text: fine, usage: {output_tokens: 100}}\n");
    let mut project = project(40, "output_tokens_per_minute = 60000\n");
    project.ask(&server.url());
    let began = std::time::Instant::now();
    let (ran, _) = project.report(&[]);
    assert_eq!((ran.code, server.requests()), (0, 40), "{ran:?}");
    assert!(began.elapsed() >= std::time::Duration::from_millis(2500), "{:?}", began.elapsed());
}
