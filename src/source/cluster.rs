//! What does a case, or each row of a table, stand or fall with?

use serde_json::Value;

use crate::model::problem::Problem;
use crate::model::suite::Variables;
use crate::source::case::well_named;
use crate::source::decode::nearest;
use crate::source::document::Document;
use crate::source::spanned::Spanned;
use crate::source::table::Table;

/// A name that all rows have, or the column that each has its own in; the column stays a variable.
pub(crate) enum Cluster {
    Named(Option<String>),
    Column(String),
}

impl Cluster {
    /// What a table says of its rows; `None` where its column is not there.
    pub(crate) fn of_table(
        (name, column): (Option<&Spanned<String>>, Option<&Spanned<String>>),
        table: &Table,
        document: &Document,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let Some(column) = column else { return Some(Self::Named(named(name, document, problems))) };
        let place = document.place(column.span);
        if name.is_some() {
            let problem = Problem::error("rows have one `cluster`, or each the one of its column, not both");
            problems.push(problem.at(place.clone()).hint("take `cluster` or `cluster_from` away"));
        }
        let columns = &table.rows[0].values;
        if !columns.contains_key(&column.value) {
            let problem = Problem::error(format!("the table has no column `{}` to take the clusters of its cases from", column.value));
            let near = nearest(&column.value, columns.keys().map(String::as_str));
            problems.push(
                problem.at(place).hint(near.map_or_else(|| "name one of its columns".to_owned(), |near| format!("did you mean `{near}`?"))),
            );
            return None;
        }
        Some(Self::Column(column.value.clone()))
    }

    /// That of a row; one without stands for itself.
    pub(crate) fn of_row(&self, values: &Variables) -> Option<String> {
        let name = match self {
            Self::Named(name) => return name.clone(),
            Self::Column(column) => match values.get(column)? {
                Value::String(name) => name.clone(),
                Value::Number(name) => name.to_string(),
                Value::Bool(name) => name.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => return None,
            },
        };
        (!name.is_empty()).then_some(name)
    }

    /// Whether it is read from this column, so that no template has to use it.
    pub(crate) fn is_column(&self, name: &str) -> bool {
        matches!(self, Self::Column(column) if column == name)
    }
}

/// The name that stands in the suite.
pub(crate) fn named(cluster: Option<&Spanned<String>>, document: &Document, problems: &mut Vec<Problem>) -> Option<String> {
    let cluster = cluster?;
    if let Err(message) = well_named("a cluster's name", &cluster.value) {
        let problem = Problem::error(message).at(document.place(cluster.span));
        problems.push(problem.hint("give it a short name, such as that of its document"));
    }
    Some(cluster.value.clone())
}
