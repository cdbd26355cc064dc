//! Which beginnings do the requests of a plan have, and which of them are marked?

use std::collections::HashMap;

use crate::model::catalog::Catalog;
use crate::model::prefix::{Digest, Life, MOST_MARKS, may_be_kept};
use crate::runner::plan::Plan;
use crate::runner::prefixes::{Asked, Conditions, Rates};

/// Prefixes within prefixes that are weighed against each other; what is nested deeper is marked at a shorter one.
const DEEPEST: usize = 24;

/// A beginning of requests.
pub(super) struct Node {
    pub(super) requests: u64,
    /// Of them, those whose author marked it.
    pub(super) authored: u64,
    pub(super) tokens: u64,
    /// The most requests that go on in the same way.
    pub(super) together: u64,
    pub(super) outer: Option<usize>,
    /// The first step of its tree.
    pub(super) root: usize,
    pub(super) digest: Digest,
    /// The first cell that begins so.
    pub(super) cell: usize,
}

impl Node {
    pub(super) fn is_authored(&self) -> bool {
        self.authored == self.requests
    }
}

/// All beginnings of the requests that are asked; a shorter one stands before those that go on from it.
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    /// By the root's place: how many marks the plan may add to each request of the tree.
    room: HashMap<usize, usize>,
}

/// A node that is marked.
pub(super) struct Chosen {
    pub(super) life: Life,
    pub(super) outer: Option<usize>,
}

impl Tree {
    pub(super) fn of(plan: &Plan, asked: &[u64]) -> Self {
        let mut places: HashMap<Digest, usize> = HashMap::new();
        let mut tree = Self { nodes: Vec::new(), room: HashMap::new() };
        for (cell, (path, requests)) in plan.cells.iter().map(|cell| &cell.path).zip(asked).enumerate() {
            let (Some(path), requests @ 1..) = (path, *requests) else { continue };
            let mut outer: Option<usize> = None;
            for step in &path.steps {
                let place = *places.entry(step.digest).or_insert_with(|| {
                    let place = tree.nodes.len();
                    let root = outer.map_or(place, |outer| tree.nodes[outer].root);
                    let (digest, tokens) = (step.digest, step.tokens);
                    tree.nodes.push(Node { requests: 0, authored: 0, tokens, together: 0, outer, root, digest, cell });
                    place
                });
                let node = &mut tree.nodes[place];
                node.requests += requests;
                node.authored += if step.mark.is_some() { requests } else { 0 };
                outer = Some(place);
            }
            if let Some(last) = outer {
                let room = if path.explicit { 0 } else { MOST_MARKS.saturating_sub(path.authored) };
                let of_tree = tree.room.entry(tree.nodes[last].root).or_insert(room);
                *of_tree = (*of_tree).min(room);
            }
        }
        for place in (0..tree.nodes.len()).rev() {
            if let Some(outer) = tree.nodes[place].outer {
                tree.nodes[outer].together = tree.nodes[outer].together.max(tree.nodes[place].requests);
            }
        }
        tree
    }

    /// The nodes that are marked, by their places.
    ///
    /// For every candidate, every number of marks that are left and every marked prefix around it: what it and all that goes on from it can
    /// save. Computed from the longest prefixes to the shortest, and read off the other way round.
    pub(super) fn choose(&self, plan: &Plan, asked: Asked, catalog: &Catalog, conditions: &Conditions) -> Vec<Option<Chosen>> {
        let mut candidates: Vec<Option<Candidate>> = Vec::with_capacity(self.nodes.len());
        for (place, node) in self.nodes.iter().enumerate() {
            let outer = nearest(&candidates, &self.nodes, place);
            let depth = outer.and_then(|outer| candidates[outer].as_ref()).map_or(0, |outer| outer.depth + 1);
            let candidate = self.candidate(node, plan, asked, catalog, conditions).filter(|_| depth < DEEPEST);
            let below = || vec![[0; MOST_MARKS + 1]; depth + 2];
            candidates.push(candidate.map(|(life, gain)| Candidate { depth, outer, life, gain, below: below() }));
        }
        for place in (0..candidates.len()).rev() {
            let Some(candidate) = &candidates[place] else { continue };
            let Some(outer) = candidate.outer else { continue };
            let best: Vec<[i128; MOST_MARKS + 1]> = (0..=candidate.depth)
                .map(|around| std::array::from_fn(|room| self.best(place, candidate, around, room, &candidates).0))
                .collect();
            let outer = candidates[outer].as_mut().expect("it was made as a candidate");
            for (sum, best) in outer.below.iter_mut().zip(best) {
                for (sum, best) in sum.iter_mut().zip(best) {
                    *sum += best;
                }
            }
        }
        let mut states: Vec<(usize, usize)> = vec![(0, 0); candidates.len()];
        let mut chosen: Vec<Option<Chosen>> = Vec::with_capacity(candidates.len());
        for (place, candidate) in candidates.iter().enumerate() {
            let Some(candidate) = candidate else {
                chosen.push(None);
                continue;
            };
            // Where it stands: the last marked prefix around it, and the marks that are left.
            let (around, room) = match candidate.outer {
                Some(outer) => states[outer],
                None => (0, self.room.get(&self.nodes[place].root).copied().unwrap_or(0)),
            };
            let (_, is_marked) = self.best(place, candidate, around, room, &candidates);
            let cost = usize::from(!self.nodes[place].is_authored());
            states[place] = if is_marked { (candidate.depth + 1, room - cost.min(room)) } else { (around, room) };
            let outer = self.outer_at(place, around, &candidates);
            chosen.push(is_marked.then_some(Chosen { life: candidate.life, outer }));
        }
        chosen
    }

    /// How long an entry of this node lives and what a hundred tokens of it save, where it may be marked at all.
    fn candidate(&self, node: &Node, plan: &Plan, asked: Asked, catalog: &Catalog, conditions: &Conditions) -> Option<(Life, i128)> {
        let cell = &plan.cells[node.cell];
        let path = cell.path.as_ref()?;
        // One that all requests go on from in the same way shares less than the next one does.
        let is_shared = node.requests >= 2 && (node.is_authored() || node.together < node.requests);
        if !is_shared || !may_be_kept(node.tokens, path.minimum) {
            return None;
        }
        let variant = &cell.variant;
        let life = match asked {
            Asked::Singly => conditions.endpoints.get(&*variant.endpoint).copied().unwrap_or_default().life(&variant.params),
            Asked::InBatches => Life::Hour,
        };
        let rates = Rates::of(catalog, &variant.model_id, conditions.day, node.tokens, life).unwrap_or(Rates::usual(life));
        let gain = rates.gain(node.requests, asked);
        (node.is_authored() || gain > 0).then_some((life, gain))
    }

    /// What this candidate and all below it can save with `room` marks, and whether it is marked then. `around` is 0 without a marked prefix
    /// around it, else one more than that prefix's depth.
    fn best(&self, place: usize, candidate: &Candidate, around: usize, room: usize, candidates: &[Option<Candidate>]) -> (i128, bool) {
        let node = &self.nodes[place];
        let held = self.outer_at(place, around, candidates).map_or(0, |outer| self.nodes[outer].tokens);
        let own = i128::from(node.tokens - held) * candidate.gain;
        let with = |left: usize| own + candidate.below[candidate.depth + 1][left];
        let without = candidate.below[around][room];
        if node.is_authored() {
            (with(room), true)
        } else if room > 0 && with(room - 1) > without {
            (with(room - 1), true)
        } else {
            (without, false)
        }
    }

    /// The candidate of that depth around this one.
    fn outer_at(&self, place: usize, around: usize, candidates: &[Option<Candidate>]) -> Option<usize> {
        let mut place = candidates[place].as_ref()?.outer;
        while let Some(at) = place.filter(|_| around > 0) {
            let candidate = candidates[at].as_ref()?;
            if candidate.depth + 1 == around {
                return Some(at);
            }
            place = candidate.outer;
        }
        None
    }
}

/// The nearest candidate around a node.
fn nearest(candidates: &[Option<Candidate>], nodes: &[Node], place: usize) -> Option<usize> {
    let mut place = nodes[place].outer;
    while let Some(at) = place {
        if candidates[at].is_some() {
            return Some(at);
        }
        place = nodes[at].outer;
    }
    None
}

/// A node that can be marked.
struct Candidate {
    /// Candidates around it.
    depth: usize,
    pub(super) outer: Option<usize>,
    pub(super) life: Life,
    /// What a hundred tokens of it save.
    gain: i128,
    /// What can be saved below it, by the marked prefix around (the last one: itself) and the marks that are left.
    below: Vec<[i128; MOST_MARKS + 1]>,
}
