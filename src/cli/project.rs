//! Which project is this: its root, its settings, its prices, its endpoints?

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::cli::environment::Environment;
use crate::cli::settings::{self, EndpointSettings, Settings};
use crate::endpoint::address::{self, Address};
use crate::model::catalog::Catalog;
use crate::model::gate::Exit;
use crate::model::problem::Problem;
use crate::model::request::{Dialect, EndpointIdentity};
use crate::model::suite::Suite;
use crate::sim::script::Script;
use crate::source::known::{EndpointFacts, Known};
use crate::source::tree::{Tree, read_regular};
use crate::source::{self, Loaded};

/// Why a command ends early.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit that it comes to.
    pub(crate) exit: Exit,
    /// What to print.
    pub(crate) problems: Vec<Problem>,
    /// Nobody reads standard output any more.
    pub(crate) is_unread: bool,
}

impl Failure {
    /// Something is invalid, and nothing was sent.
    pub(crate) fn invalid(problems: Vec<Problem>) -> Self {
        Self { exit: Exit::Invalid, problems, is_unread: false }
    }

    /// One problem with another exit.
    pub(crate) fn of(exit: Exit, problem: Problem) -> Self {
        Self { exit, problems: vec![problem], is_unread: false }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::invalid(vec![problem])
    }
}

impl From<Vec<Problem>> for Failure {
    fn from(problems: Vec<Problem>) -> Self {
        Self::invalid(problems)
    }
}

/// An open project.
#[derive(Debug)]
pub(crate) struct Project {
    /// Canonical.
    pub(crate) root: PathBuf,
    /// The folder that relative paths of flags start from.
    pub(crate) current: PathBuf,
    pub(crate) settings: Settings,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) environment: Environment,
}

impl Project {
    /// Opens the project around `directory` or the current folder.
    pub(crate) fn open(directory: Option<&Path>) -> Result<Self, Failure> {
        let current = current(directory)?;
        let root = root(&current);
        Self::at(root, current)
    }

    /// The same project with its settings as they are now.
    pub(crate) fn again(&self) -> Result<Self, Failure> {
        Self::at(self.root.clone(), self.current.clone())
    }

    fn at(root: PathBuf, current: PathBuf) -> Result<Self, Failure> {
        let path = root.join(settings::FILE);
        let text = match read_regular(&path, settings::LARGEST) {
            Ok(text) => Some(text),
            // A link that leads to nothing is settings that are missing, not none.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !path.is_symlink() => None,
            Err(error) => {
                let problem = Problem::error(format!("cannot read {}: {error}", settings::FILE));
                return Err(problem.hint("it is a text file that `promptkeel settings` shows all keys of").into());
            }
        };
        let settings = settings::load(text.as_deref())?;
        let mut environment = Environment::default();
        if let Some(file) = &settings.env_file {
            environment.read_file(&root.join(file)).map_err(|reason| {
                Problem::error(format!("cannot read the env file `{file}`: {reason}"))
                    .hint("create it, or remove `env_file` from promptkeel.toml")
            })?;
        }
        let catalog = Arc::new(Catalog::embedded().with_prices(&settings.prices));
        Ok(Self { root, current, settings, catalog, environment })
    }

    /// Where answers and history are kept.
    pub(crate) fn store_folder(&self) -> PathBuf {
        self.root.join(".promptkeel")
    }

    /// Loads the suites that a command names, or all of the project.
    pub(crate) fn load(&self, tree: &Tree, suites: &[PathBuf], endpoint_override: Option<&str>) -> Result<Loaded, Failure> {
        let selected: Vec<String> = if suites.is_empty() {
            // The default folder is named by nobody, so a message about it must not sound as if somebody had.
            self.settings.suites.iter().filter(|folder| *folder != "suites" || self.settings.suites.len() > 1).cloned().collect()
        } else {
            suites.iter().map(|path| self.project_path(path)).collect::<Result<_, _>>()?
        };
        let facts = |settings: &EndpointSettings| EndpointFacts {
            dialect: settings.dialect,
            api_version: settings.api_version.clone(),
            beta: settings.beta.clone(),
        };
        let configured = &self.settings.endpoints;
        let mut endpoints: BTreeMap<String, EndpointFacts> =
            configured.iter().map(|(name, settings)| (name.clone(), facts(settings))).collect();
        if let Some(name) = endpoint_override {
            let Some(replacing) = configured.get(name).map(facts) else {
                let names: Vec<&str> = configured.keys().map(String::as_str).collect();
                let problem = Problem::error(format!("no endpoint is named `{name}`"));
                return Err(problem.hint(format!("the settings have: {}", settings::named(&names))).into());
            };
            // Whatever endpoint a model names, this one answers: its version decides which parameters are right.
            endpoints.values_mut().for_each(|facts| *facts = replacing.clone());
        }
        let known = Known {
            catalog: &self.catalog,
            endpoints,
            default_endpoint: endpoint_override.unwrap_or(&self.settings.endpoint).to_owned(),
            allow_outside: self.settings.allow_outside,
        };
        Ok(source::load(tree, &selected, &known))
    }

    /// The identities of the endpoints that `suites` use. Only those: a script that nobody needs may be missing.
    pub(crate) fn identities(
        &self,
        suites: &[Arc<Suite>],
        endpoint_override: Option<&str>,
    ) -> Result<BTreeMap<String, EndpointIdentity>, Failure> {
        let models = suites.iter().flat_map(|suite| &suite.models);
        let named = models.map(|model| endpoint_override.or(model.endpoint.as_deref()).unwrap_or(&self.settings.endpoint));
        let used: BTreeSet<&str> = named.collect();
        let mut identities = BTreeMap::new();
        let mut problems = Vec::new();
        for name in used {
            let Some(settings) = self.settings.endpoints.get(name) else { continue };
            match self.identity(name, settings) {
                Ok(identity) => {
                    identities.insert(name.to_owned(), identity);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(identities) } else { Err(problems.into()) }
    }

    fn identity(&self, name: &str, settings: &EndpointSettings) -> Result<EndpointIdentity, Problem> {
        let (version, beta) = (&settings.api_version, &settings.beta);
        match settings.dialect {
            Dialect::Simulated => {
                let identity = self.script(name, settings)?.digest();
                Ok(EndpointIdentity { dialect: settings.dialect, identity, api_version: version.clone(), beta: beta.clone() })
            }
            Dialect::Messages => {
                let url = settings.base_url.as_deref().unwrap_or_default();
                let address = Address::parse(url).map_err(|reason| {
                    Problem::error(format!("`base_url` of endpoint `{name}` is no usable address: {reason}"))
                        .hint("write it like `https://api.anthropic.com`")
                })?;
                Ok(address::identity(settings.dialect, &address, version, beta))
            }
        }
    }

    /// The rules of a simulated endpoint.
    pub(crate) fn script(&self, name: &str, settings: &EndpointSettings) -> Result<Script, Problem> {
        let script = settings.script.as_deref().unwrap_or_default();
        Script::load(&self.root.join(script)).map_err(|error| {
            Problem::error(format!("endpoint `{name}`: {error}"))
                .hint(format!("`script` under [endpoints.{name}] names the simulator's rules"))
        })
    }

    /// A path of a flag, relative to the project root, with forward slashes.
    fn project_path(&self, path: &Path) -> Result<String, Problem> {
        let absolute = normalised(&self.current.join(path));
        let inside = absolute.strip_prefix(&self.root).map_err(|_| {
            Problem::error(format!("`{}` is outside of the project {}", path.display(), self.root.display()))
                .hint("run promptkeel in the project that the suite belongs to, or use -C")
        })?;
        let parts: Vec<&str> = inside.iter().filter_map(std::ffi::OsStr::to_str).collect();
        Ok(if parts.is_empty() { ".".to_owned() } else { parts.join("/") })
    }
}

/// The folder to start from, canonical.
pub(crate) fn current(directory: Option<&Path>) -> Result<PathBuf, Failure> {
    let here = Environment::current_folder().map_err(|error| Problem::error(format!("cannot tell the current folder: {error}")))?;
    let folder = directory.map_or_else(|| here.clone(), |directory| here.join(directory));
    folder.canonicalize().map_err(|error| Problem::error(format!("cannot open the folder `{}`: {error}", folder.display())).into())
}

/// The nearest folder upwards with `promptkeel.toml`, else with `.git`, else the current one.
pub(crate) fn root(current: &Path) -> PathBuf {
    let nearest = |marker: &str| current.ancestors().find(|folder| folder.join(marker).symlink_metadata().is_ok());
    nearest(settings::FILE).or_else(|| nearest(".git")).unwrap_or(current).to_path_buf()
}

/// Without `.` and `..`, by text alone: the path need not exist.
fn normalised(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => normal.push(part),
        }
    }
    normal
}
