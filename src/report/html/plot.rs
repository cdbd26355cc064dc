//! Quality against cost, as a drawing: the pass rate with its interval over what a thousand calls cost?
//!
//! Places are shares of the width and pixels of the height, so that no text is scaled however narrow the page is. The scale of the cost begins
//! at 0, that of the pass rate where something is.

use std::fmt::Write as _;

use super::attribute;
use crate::model::money::Money;
use crate::model::side_by_side::{Arm, ArmComparison};
use crate::report::{compared, visible};

/// Pixels of the drawing, and of the rim above and below what is drawn.
const HEIGHT: f64 = 260.0;
const RIM: f64 = 26.0;
/// Pixels between two names.
const LINE: f64 = 17.0;
/// Per cent of the width at both sides of what is drawn.
const SIDE: f64 = 4.0;
/// Columns of a name: what has room in a third of a narrow page.
const NAME: usize = 24;

struct Point<'a> {
    arm: &'a Arm,
    cost: Money,
    is_baseline: bool,
    /// Where its name stands.
    label: f64,
}

/// The drawing; nothing where fewer than two arms have a cost and a verdict.
pub(super) fn of(comparisons: &[ArmComparison]) -> String {
    let baseline = comparisons.first().map(|comparison| (&comparison.baseline, true));
    let arms = baseline.into_iter().chain(comparisons.iter().map(|comparison| (&comparison.candidate, false)));
    let mut points: Vec<Point<'_>> = arms
        .filter(|(arm, _)| arm.counts.samples > 0)
        .filter_map(|(arm, is_baseline)| Some(Point { arm, cost: arm.cost_per_1000_calls_usd?, is_baseline, label: 0.0 }))
        .collect();
    let dearest = points.iter().map(|point| point.cost).max().unwrap_or(Money::ZERO);
    if points.len() < 2 || dearest == Money::ZERO {
        return String::new();
    }
    let lowest = points.iter().map(|point| point.arm.interval.low).fold(1.0, f64::min);
    // In whole steps of 5 points, and at least 10 of them.
    let floor = ((lowest * 20.0).floor() / 20.0).clamp(0.0, 0.9);
    let steps = Steps::of(dearest);
    let x = |cost: Money| SIDE + (100.0 - 2.0 * SIDE) * share(cost, steps.end);
    let y = |rate: f64| RIM + (HEIGHT - 2.0 * RIM) * (1.0 - (rate - floor) / (1.0 - floor));
    spread(&mut points, |point| y(rate(point.arm)) - beside(x(point.cost)).2);

    let mut drawn = String::new();
    for tick in ticks(floor) {
        let at = y(tick);
        let _ = write!(drawn, "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
    }
    for point in &points {
        let (x, top, bottom) = (x(point.cost), y(point.arm.interval.high), y(point.arm.interval.low));
        let (middle, class) = (y(rate(point.arm)), if point.is_baseline { "range" } else { "cost" });
        let (anchor, shift, _) = beside(x);
        let name = attribute(&visible::fitted(&visible::name(&point.arm.name), NAME)).into_owned();
        let _ = write!(
            drawn,
            "<line class=\"whisker\" x1=\"{x:.2}%\" x2=\"{x:.2}%\" y1=\"{top:.1}\" y2=\"{bottom:.1}\"/>\
             <circle class=\"fill {class}\" cx=\"{x:.2}%\" cy=\"{middle:.1}\" r=\"5\"/>\
             <text x=\"{x:.2}%\" dx=\"{shift}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{name}</text>",
            point.label + 4.0
        );
    }
    let rates: String = ticks(floor)
        .map(|tick| format!("<text x=\"100%\" y=\"{:.1}\" text-anchor=\"end\">{:.0} %</text>", y(tick) + 4.0, tick * 100.0))
        .collect();
    let costs: String = steps
        .marks()
        .map(|mark| format!("<text x=\"{:.2}%\" y=\"12\" text-anchor=\"middle\">{}</text>", x(mark), steps.said(mark)))
        .collect();
    let all_simulated = points.iter().all(|point| point.arm.simulated);
    let note = if all_simulated { "; simulated, nobody paid" } else { "" };
    format!(
        "<figure class=\"panel chart\"><figcaption><h2>Quality against cost</h2>\
         <p class=\"muted\">Pass rate with its interval over the cost of 1,000 calls{note}; further up and further left is better</p></figcaption>\n\
         <div class=\"plot\"><svg class=\"axis\" width=\"100%\" height=\"{HEIGHT}\" aria-hidden=\"true\">{rates}</svg>\
         <svg role=\"img\" aria-label=\"{}\" width=\"100%\" height=\"{HEIGHT}\">{drawn}</svg>\
         <span></span><svg class=\"axis\" width=\"100%\" height=\"16\" aria-hidden=\"true\">{costs}</svg></div></figure>\n",
        attribute(&told(&points))
    )
}

/// Where a name stands: beside its point; in the middle third, where a long one would not fit beside it on a narrow page, over it.
fn beside(x: f64) -> (&'static str, i32, f64) {
    match x {
        ..34.0 => ("start", 10, 0.0),
        66.0.. => ("end", -10, 0.0),
        _ => ("middle", 0, 14.0),
    }
}

/// The drawing for those who do not see it.
fn told(points: &[Point<'_>]) -> String {
    let of = |point: &Point<'_>| {
        let arm = point.arm;
        let role = if point.is_baseline { " (baseline)" } else { "" };
        let name = visible::name(&arm.name);
        format!("{name}{role}: {}, interval {} %, {}", compared::rate(arm.counts), compared::interval(arm.interval), compared::cost(arm))
    };
    format!("Pass rate against cost of 1,000 calls. {}", points.iter().map(of).collect::<Vec<_>>().join("; "))
}

fn rate(arm: &Arm) -> f64 {
    arm.counts.rate().unwrap_or_default()
}

fn share(part: Money, whole: Money) -> f64 {
    part.pico() as f64 / whole.pico() as f64
}

/// Names stand beside their points, pushed down where two would stand on each other.
fn spread(points: &mut [Point<'_>], at: impl Fn(&Point<'_>) -> f64) {
    points.sort_by(|one, other| at(one).total_cmp(&at(other)));
    let mut least = LINE;
    for point in points.iter_mut() {
        point.label = at(point).max(least);
        least = point.label + LINE;
    }
    // What was pushed out at the bottom pushes back.
    let mut most = HEIGHT - 6.0;
    for point in points.iter_mut().rev() {
        point.label = point.label.min(most);
        most = point.label - LINE;
    }
}

/// Every 5, 10 or 25 points from `floor` to all.
fn ticks(floor: f64) -> impl Iterator<Item = f64> {
    let step = match 1.0 - floor {
        range if range <= 0.21 => 5,
        range if range <= 0.51 => 10,
        _ => 25,
    };
    let floor = (floor * 100.0).round() as u32;
    (0..=100).step_by(step).filter(move |tick| *tick >= floor).map(|tick| f64::from(tick) / 100.0)
}

/// At most five marks from 0, in ones, twos or fives of a power of ten.
struct Steps {
    step: i128,
    end: Money,
}

impl Steps {
    fn of(dearest: Money) -> Self {
        let most = dearest.pico().max(1);
        let mut step = 1_i128;
        for factor in [2, 5, 10].into_iter().cycle() {
            if most / step < 5 {
                break;
            }
            let ten = 10_i128.pow((step as f64).log10().floor() as u32);
            step = ten * factor;
        }
        let end = (most + step - 1) / step * step;
        Self { step, end: Money::from_pico(end) }
    }

    fn marks(&self) -> impl Iterator<Item = Money> {
        let step = self.step;
        (0..=self.end.pico() / step).map(move |mark| Money::from_pico(mark * step))
    }

    /// With the decimals that tell one mark from the next.
    fn said(&self, mark: Money) -> String {
        if mark == Money::ZERO {
            return "$0".to_owned();
        }
        let decimals = (0..12).find(|decimals| self.step % 10_i128.pow(12 - decimals) == 0).unwrap_or(12);
        mark.display(if decimals == 1 { 2 } else { decimals })
    }
}
