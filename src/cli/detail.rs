//! What does `-v` tell of a project before anything happens: where it is, what answers, and whether the keys are there?

use std::fmt::Write;

use secrecy::ExposeSecret;

use crate::cli::console::Console;
use crate::cli::environment::Environment;
use crate::cli::project::Project;
use crate::cli::settings::{self, EndpointSettings};
use crate::endpoint::address::Address;
use crate::endpoint::secret::{LONGEST_KEY, Scrubber};
use crate::model::request::Dialect;

/// To standard error, a fact a line. Of a key only whether it is set.
pub(crate) fn tell(project: &Project, console: &Console) {
    let root = project.root.display();
    console.tell(format_args!("promptkeel {} in {root}", env!("CARGO_PKG_VERSION")));
    let file = if project.root.join(settings::FILE).exists() { settings::FILE } else { "defaults, there is no promptkeel.toml" };
    let ci = if Environment::is_ci() { "set: snapshots are not written" } else { "not set" };
    console.tell(format_args!("settings: {file}; store: {}; CI: {ci}", project.store_folder().display()));
    if let Some(file) = &project.settings.env_file {
        console.tell(format_args!("env file: {file}"));
    }
    // Some gateways have a key in the path of their address.
    let variables = project.settings.endpoints.values().filter_map(|endpoint| endpoint.api_key_env.as_deref());
    let keys = variables.filter_map(|variable| project.environment.secret(variable));
    // A longer one is refused before a run, and would be a pattern without end.
    let keys: Vec<_> = keys.filter(|key| key.expose_secret().len() <= LONGEST_KEY).collect();
    let scrubber = Scrubber::new(&keys);
    for (name, endpoint) in &project.settings.endpoints {
        let default = if *name == project.settings.endpoint { " (default)" } else { "" };
        console.tell(format_args!("endpoint {name}{default}: {}", scrubber.message(described(project, endpoint))));
    }
}

fn described(project: &Project, endpoint: &EndpointSettings) -> String {
    match endpoint.dialect {
        Dialect::Simulated => format!("simulated by {}", endpoint.script.as_deref().unwrap_or_default()),
        Dialect::Messages => {
            let address = Address::parse(endpoint.base_url.as_deref().unwrap_or_default());
            let mut text = address.map_or_else(|_| "no usable address".to_owned(), |address| address.as_str().to_owned());
            let variable = endpoint.api_key_env.as_deref().unwrap_or_default();
            let state = if project.environment.secret(variable).is_some() { "is set" } else { "is not set" };
            let _ = write!(text, ", {variable} {state}");
            text
        }
    }
}
