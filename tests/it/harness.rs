//! What does a test need to use promptkeel as a person does? A folder of its own, the built binary, a cleaned environment, a simulator.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use promptkeel::sim::script::Script;
use promptkeel::sim::server::{Options, Simulator};
use tempfile::TempDir;

/// A project in a temporary folder.
pub(crate) struct Project {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// An empty folder with the smallest settings: everything is answered by the simulator, from `fixtures/sim/script.yaml`.
    pub(crate) fn new() -> Self {
        let project = Self { folder: TempDir::new().unwrap(), variables: Vec::new() };
        project.write(
            "promptkeel.toml",
            "[run]\nendpoint = \"simulated\"\n\n[endpoints.simulated]\ndialect = \"simulated\"\nscript = \"fixtures/sim/script.yaml\"\n",
        )
    }

    /// A project that passes: two cases, one model, a prompt of one version.
    pub(crate) fn passing() -> Self {
        Self::new()
            .write("suites/capitals.yaml", CAPITALS)
            .write("suites/prompts/capital/1.md", "Name the capital of {{ country }} in one word.\n")
            .write("fixtures/sim/script.yaml", CAPITALS_SCRIPT)
    }

    pub(crate) fn write(self, path: &str, text: &str) -> Self {
        self.rewrite(path, text);
        self
    }

    pub(crate) fn rewrite(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Replaces `old`, which must be there, by `new`.
    pub(crate) fn edit(&self, path: &str, old: &str, new: &str) {
        let text = self.read(path);
        assert!(text.contains(old), "{path} does not hold {old:?}");
        self.rewrite(path, &text.replacen(old, new, 1));
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Sets an environment variable for every later command.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Sends the endpoint `anthropic` to `url`, with a key.
    pub(crate) fn ask(&mut self, url: &str) {
        self.set("ANTHROPIC_BASE_URL", url);
        self.set("ANTHROPIC_API_KEY", "sk-test-not-a-real-key");
    }

    /// The command, ready to be started: nothing of this machine's environment reaches it but the path to programs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        #[expect(clippy::disallowed_methods, reason = "a test uses the built binary as a person does")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_promptkeel"));
        command.args(arguments).current_dir(self.root()).env_clear();
        #[expect(clippy::disallowed_methods, reason = "git must be found")]
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.env("HOME", self.root()).env("COLUMNS", "100").env("GIT_CONFIG_NOSYSTEM", "1");
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }

    /// Runs promptkeel to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments), self.root())
    }

    /// Runs `promptkeel run` with more arguments and reads the report that it wrote.
    pub(crate) fn report(&self, arguments: &[&str]) -> (Ran, serde_json::Value) {
        let mut all = vec!["run", "--json", "report.json"];
        all.extend(arguments);
        let ran = self.run(&all);
        let report = std::fs::read(self.path("report.json")).unwrap_or_else(|error| panic!("no report ({error}): {ran:?}"));
        (ran, serde_json::from_slice(&report).unwrap())
    }

    /// Runs git in the project; it must succeed.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        #[expect(clippy::disallowed_methods, reason = "the test plays the author who commits")]
        let output = Command::new("git")
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main"])
            .args(arguments)
            .current_dir(self.root())
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Ran {
    pub(crate) fn of(command: &mut Command, root: &Path) -> Self {
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            let root = root.canonicalize().unwrap();
            text.replace(root.to_str().unwrap(), "[PROJECT]")
        };
        Self { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// For golden files: exit code and both streams.
    pub(crate) fn transcript(&self) -> String {
        format!("exit code: {}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// A simulated Messages API in this process, which counts what it is asked.
pub(crate) struct Server {
    runtime: tokio::runtime::Runtime,
    simulator: Option<Simulator>,
}

impl Server {
    pub(crate) fn start(script: &str) -> Self {
        Self::with(script, Options::default())
    }

    pub(crate) fn with(script: &str, options: Options) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let script = Script::parse("script.yaml", script).unwrap_or_else(|error| panic!("{error}"));
        let simulator = runtime.block_on(Simulator::start(script, options)).unwrap();
        Self { runtime, simulator: Some(simulator) }
    }

    pub(crate) fn url(&self) -> String {
        self.simulator.as_ref().unwrap().url()
    }

    /// The last requests that it got, the oldest first.
    pub(crate) fn journal(&self) -> Vec<promptkeel::sim::journal::Received> {
        self.simulator.as_ref().unwrap().journal()
    }

    pub(crate) fn requests(&self) -> u64 {
        self.simulator.as_ref().unwrap().requests()
    }

    /// What it counted since it started: `GET /__sim/stats`.
    pub(crate) fn stats(&self) -> serde_json::Value {
        let url = self.url();
        let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.write_all(b"GET /__sim/stats HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n").unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let body = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {response}")).1;
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {response}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(simulator) = self.simulator.take() {
            self.runtime.block_on(simulator.stop());
        }
    }
}

pub(crate) const CAPITALS: &str = "\
suite: capitals
prompt: capital
models: [claude-haiku-4-5]
request:
  max_tokens: 50
assert:
  - refusal: never
  - length: {max_words: 3}
snapshot:
  compare: text
  on_change: warn
cases:
  - id: france
    tags: [europe]
    vars: {country: France}
    assert:
      - equals: Paris
  - id: japan
    tags: [asia]
    vars: {country: Japan}
    assert:
      - contains: Tokyo
";

pub(crate) const CAPITALS_SCRIPT: &str = "\
rules:
  - when: {text: France}
    then: {text: Paris}
  - when: {text: Japan}
    then: {text: Tokyo}
";
