//! Which endpoint answers a call? The one that it names; never another one in its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::endpoint::budget::Budgeted;
use crate::endpoint::http::Http;
use crate::endpoint::limit::Limited;
use crate::endpoint::retry::Retrying;
use crate::endpoint::warming::Warming;
use crate::endpoint::{Call, Endpoint, EndpointError};
use crate::model::reply::Answer;
use crate::model::verdict::{CellError, ErrorKind};

/// Endpoints by name.
#[derive(Debug)]
pub struct Router<E> {
    endpoints: BTreeMap<Arc<str>, E>,
}

impl<E> Router<E> {
    /// Routes to these.
    ///
    /// # Errors
    /// If a name stands twice.
    pub fn new(endpoints: Vec<(Arc<str>, E)>) -> Result<Self, EndpointError> {
        let mut by_name = BTreeMap::new();
        for (name, endpoint) in endpoints {
            if by_name.insert(Arc::clone(&name), endpoint).is_some() {
                return Err(EndpointError::Duplicate(name.to_string()));
            }
        }
        Ok(Self { endpoints: by_name })
    }

    /// The endpoint of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&E> {
        self.endpoints.get(name)
    }
}

impl Router<Warming<Retrying<Limited<Budgeted<Http>>>>> {
    /// Makes this endpoint's HTTP client now, so that a machine without certificates is found out before anything is sent.
    ///
    /// # Errors
    /// If TLS cannot be set up. An unknown name is no error here; a call to it is.
    pub fn prepare(&self, name: &str) -> Result<(), EndpointError> {
        self.get(name).map_or(Ok(()), |endpoint| endpoint.inner().inner().inner().inner().prepare())
    }
}

impl<E: Endpoint> Endpoint for Router<E> {
    async fn ask(&self, call: Call) -> Result<Answer, CellError> {
        match self.endpoints.get(&call.endpoint) {
            Some(endpoint) => endpoint.ask(call).await,
            None => Err(CellError {
                kind: ErrorKind::NotFound,
                message: format!("there is no endpoint `{}`", call.endpoint),
                hint: Some("`promptkeel.toml` names the endpoints under `[endpoints.NAME]`".to_owned()),
                attempts: Vec::new(),
            }),
        }
    }
}
