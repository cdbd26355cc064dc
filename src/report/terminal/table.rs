//! How do columns stand under each other, whatever script their names are in?

use std::io;

use anstyle::Style;

use super::paint::{DIM, PLAIN, Screen, Span, span};
use crate::report::visible;

/// Blanks between two columns.
const GAP: usize = 2;
/// A first column is never cut below this.
const LEAST: usize = 14;

/// A column.
pub(super) struct Column {
    pub(super) title: &'static str,
    /// The same where the terminal is narrow.
    pub(super) short: &'static str,
    /// Numbers stand at the right.
    pub(super) right: bool,
}

/// One cell of a table.
pub(super) struct Field {
    pub(super) text: String,
    pub(super) style: Style,
}

/// A cell in the usual style.
pub(super) fn field(text: impl Into<String>) -> Field {
    Field { text: text.into(), style: PLAIN }
}

/// A row, or a head over the rows below it.
pub(super) enum Row {
    Fields(Vec<Field>),
    Head(String),
}

/// Shows the table. The first column gives way where the terminal is too narrow; columns that are empty in every row are left out.
pub(super) fn show(screen: &mut Screen<'_>, columns: &[Column], rows: &[Row]) -> io::Result<()> {
    let fields = |index: usize| rows.iter().filter_map(move |row| if let Row::Fields(fields) = row { fields.get(index) } else { None });
    let used: Vec<usize> = (0..columns.len()).filter(|&index| index == 0 || fields(index).any(|field| !field.text.is_empty())).collect();
    let widths_with = |title: fn(&Column) -> &'static str| -> Vec<usize> {
        let widest = |&index: &usize| {
            let texts = fields(index).map(|field| visible::width(&field.text));
            texts.chain([visible::width(title(&columns[index]))]).max().unwrap_or_default()
        };
        used.iter().map(widest).collect()
    };
    let whole = |widths: &[usize]| widths.iter().sum::<usize>() + GAP * widths.len();
    let mut title: fn(&Column) -> &'static str = |column| column.title;
    let mut widths = widths_with(title);
    if whole(&widths) > screen.width {
        title = |column| column.short;
        widths = widths_with(title);
    }
    let over = whole(&widths).saturating_sub(screen.width);
    if let Some(first) = widths.first_mut() {
        *first = first.saturating_sub(over).max(LEAST.min(*first));
    }
    let head: Vec<Field> = columns.iter().map(|column| Field { text: title(column).to_owned(), style: DIM }).collect();
    line(screen, columns, &used, &widths, &head)?;
    for row in rows {
        match row {
            Row::Fields(fields) => line(screen, columns, &used, &widths, fields)?,
            Row::Head(text) => screen.line(&[span(PLAIN, visible::fitted(text, screen.width))])?,
        }
    }
    Ok(())
}

fn line(screen: &mut Screen<'_>, columns: &[Column], used: &[usize], widths: &[usize], fields: &[Field]) -> io::Result<()> {
    let mut spans: Vec<Span<'_>> = vec![span(PLAIN, " ".repeat(GAP))];
    for (place, (&index, &width)) in used.iter().zip(widths).enumerate() {
        let Some(field) = fields.get(index) else { continue };
        let text = visible::fitted(&field.text, width);
        let blanks = " ".repeat(width.saturating_sub(visible::width(&text)));
        if place > 0 {
            spans.push(span(PLAIN, " ".repeat(GAP)));
        }
        let text = span(field.style, text.into_owned());
        let pair = if columns[index].right { [span(PLAIN, blanks), text] } else { [text, span(PLAIN, blanks)] };
        spans.extend(pair);
    }
    while spans.last().is_some_and(|last| last.text.trim().is_empty()) {
        spans.pop();
    }
    screen.line(&spans)
}
