//! What does loading need to know of the world outside of the suite files?

use std::collections::BTreeMap;

use crate::model::catalog::Catalog;
use crate::model::request::Dialect;

/// Models, endpoints and permissions, from the settings.
#[derive(Debug, Clone)]
pub struct Known<'a> {
    /// Models and prices, the settings' own included.
    pub catalog: &'a Catalog,
    /// The endpoints of the settings, by name.
    pub endpoints: BTreeMap<String, EndpointFacts>,
    /// The endpoint of models that name none.
    pub default_endpoint: String,
    /// Whether paths may lead out of the project.
    pub allow_outside: bool,
}

impl Known<'_> {
    /// The facts of the endpoint that answers for a model.
    #[must_use]
    pub fn endpoint(&self, name: Option<&str>) -> Option<&EndpointFacts> {
        self.endpoints.get(name.unwrap_or(&self.default_endpoint))
    }
}

/// What of an endpoint decides which parameters are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointFacts {
    /// Which protocol is spoken.
    pub dialect: Dialect,
    /// `anthropic-version`.
    pub api_version: String,
    /// Beta headers.
    pub beta: Vec<String>,
}
