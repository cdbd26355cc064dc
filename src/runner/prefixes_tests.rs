//! Are the marks of a plan those that save most, within what the API takes?

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::prefix::{Place, may_be_kept};
use crate::model::suite::{BlockTemplate, Case, Prompt, PromptVersion, Suite};
use crate::runner::testing::{model, planned, suite};

const MODEL: &str = "claude-haiku-5-5";

/// A case a list of blocks: the last one is the user's, the others stand in the system prompt. Equal names are equal texts, of 4,000 tokens.
fn of_blocks(cases: &[Vec<String>], marks: &[Option<Value>]) -> Suite {
    let most = cases.iter().map(Vec::len).max().unwrap_or(1);
    let template = |at: usize| match marks.get(at).cloned().flatten() {
        Some(mark) => {
            let block = json!({"type": "text", "text": format!("{{{{ b{at} }}}}"), "cache_control": mark});
            BlockTemplate::Structured { block: block.as_object().unwrap().clone(), line: 1 }
        }
        None => BlockTemplate::Text { template: format!("{{{{ b{at} }}}}"), line: 1 },
    };
    let base = suite(&["x"]);
    let mut version = PromptVersion::clone(&base.prompts[0].versions[0]);
    version.system = (0..most - 1).map(template).collect();
    version.turns[0].content = vec![template(most - 1)];
    let case = |(number, blocks): (usize, &Vec<String>)| {
        let text = |name: &str| if name.is_empty() { String::new() } else { format!("{name} ").repeat(12_300 / (name.len() + 1)) };
        // A short list leaves out system blocks: a text that renders to nothing is not sent.
        let name = |at: usize| match at {
            _ if at + 1 == most => blocks.last().cloned().unwrap_or_default(),
            _ if at + 1 < blocks.len() => blocks[at].clone(),
            _ => String::new(),
        };
        let variables = (0..most).map(|at| (format!("b{at}"), Value::from(text(&name(at))))).collect();
        Arc::new(Case { id: format!("case-{number}"), variables: Arc::new(variables), ..Case::clone(&base.cases[0]) })
    };
    Suite {
        prompts: vec![Prompt { name: "hello".to_owned(), versions: vec![Arc::new(version)] }],
        models: vec![model(MODEL)],
        cases: cases.iter().enumerate().map(case).collect(),
        ..base
    }
}

fn blocks(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn conditions() -> Conditions {
    Conditions { day: "2026-11-22".parse().unwrap(), ..Conditions::default() }
}

fn prefixes(plan: &Plan) -> Prefixes {
    Prefixes::of(plan, |_| false, Catalog::embedded(), &conditions())
}

fn places(prefixes: &Prefixes, cell: usize) -> Vec<Place> {
    prefixes.marks(cell).shared().iter().map(|mark| mark.place).collect()
}

fn sizes(prefixes: &Prefixes) -> Vec<(u64, u64, Option<usize>)> {
    prefixes.groups().iter().map(|group| (group.requests, group.written() / 1_000, group.outer)).collect()
}

fn in_batches(plan: &Plan) -> Prefixes {
    Prefixes::asked(plan, Asked::InBatches, |_| true, |_| false, Catalog::embedded(), &conditions())
}

#[test]
fn in_a_batch_about_two_in_three_of_those_find_the_prefix_that_could() {
    let cases: Vec<_> = (0..101).map(|number| blocks(&["policy", &format!("q{number}")])).collect();
    let prefixes = in_batches(&planned(of_blocks(&cases, &[]), None).unwrap());
    let group = &prefixes.groups()[0];
    assert_eq!((group.life, group.read()), (Life::Hour, 100 * group.tokens));
    // 101 at 0.10, less 64 reads at 0.01 and 37 writes for an hour at 0.20, dollars per million tokens.
    let expected = i128::from(group.tokens) * (101 * 100_000 - 64 * 10_000 - 37 * 200_000);
    assert_eq!(prefixes.saving(Catalog::embedded(), conditions().day), Money::from_pico(expected));
}

#[test]
fn in_a_batch_is_marked_only_what_so_many_share_that_the_bill_is_smaller_for_it() {
    let plan = |requests: usize, mark: Option<Value>| {
        let cases: Vec<_> = (0..requests).map(|number| blocks(&["policy", &format!("q{number}")])).collect();
        planned(of_blocks(&cases, &[mark]), None).unwrap()
    };
    // In cents per million tokens. Five: 50 without marks; with them 0.64 x 4 read and the rest, 2.44, is written: 2.56 x 1 + 2.44 x 20 = 51.36.
    let five = plan(5, None);
    assert_eq!((sizes(&in_batches(&five)), in_batches(&five).marks(0)), (vec![], Marks::AsWritten));
    assert_eq!(sizes(&prefixes(&five)), [(5, 3, None)], "asked singly it pays");
    // Six: 60 without; 3.2 x 1 + 2.8 x 20 = 59.2 with them.
    let six = in_batches(&plan(6, None));
    assert_eq!((sizes(&six), six.marks(0).shared()[0].life), (vec![(6, 3, None)], Life::Hour));
    let saved = i128::from(six.groups()[0].tokens) * (600_000 - 592_000);
    assert_eq!(six.saving(Catalog::embedded(), conditions().day), Money::from_pico(saved));
    // What an author marks is marked, and what it costs is told: two at 0.10, less 0.64 reads and 1.36 writes.
    let two = in_batches(&plan(2, Some(json!({"type": "ephemeral", "ttl": "1h"}))));
    let lost = i128::from(two.groups()[0].tokens) * (200_000 - 6_400 - 272_000);
    assert_eq!(two.saving(Catalog::embedded(), conditions().day), Money::from_pico(lost));
}

#[test]
fn a_part_that_a_batch_holds_and_a_part_that_is_asked_singly_are_marked_each_for_itself() {
    let cases: Vec<_> = (0..12).map(|number| blocks(&["policy", &format!("q{number}")])).collect();
    let plan = planned(of_blocks(&cases, &[]), None).unwrap();
    let part = |asked: Asked| {
        let is_so = |cell: &PlannedCell| (cell.case_id.as_bytes().last() < Some(&b'5')) == (asked == Asked::InBatches);
        Prefixes::asked(&plan, asked, is_so, |_| false, Catalog::embedded(), &conditions())
    };
    // 0 to 4, 10 and 11.
    assert_eq!((sizes(&part(Asked::InBatches)), sizes(&part(Asked::Singly))), (vec![(7, 3, None)], vec![(5, 3, None)]));
    let both = part(Asked::Singly).groups_with(part(Asked::InBatches));
    assert_eq!(both.iter().map(|group| (group.requests, group.life)).collect::<Vec<_>>(), [(5, Life::FiveMinutes), (7, Life::Hour)]);
}

#[test]
fn a_system_prompt_that_all_share_is_written_once_and_read_by_the_others() {
    let cases: Vec<_> = (0..200).map(|number| blocks(&["policy", &format!("q{number}")])).collect();
    let plan = planned(of_blocks(&cases, &[]), None).unwrap();
    let prefixes = prefixes(&plan);
    assert_eq!(sizes(&prefixes), [(200, 3, None)]);
    assert!((0..200).all(|cell| places(&prefixes, cell) == [Place::System(0)]));
    let group = &prefixes.groups()[0];
    assert_eq!((group.read(), group.life), (199 * group.tokens, Life::FiveMinutes));
    // 200 at 0.10, less one write at 0.125 and 199 reads at 0.01, dollars per million tokens.
    let expected = i128::from(group.tokens) * (200 * 100_000 - 125_000 - 199 * 10_000);
    assert_eq!(prefixes.saving(Catalog::embedded(), conditions().day), Money::from_pico(expected));
}

#[test]
fn a_document_that_some_share_is_marked_behind_the_prompt_that_all_share() {
    let cases: Vec<_> = (0..12).map(|number| blocks(&["policy", &format!("document{}", number % 3), &format!("q{number}")])).collect();
    let plan = planned(of_blocks(&cases, &[]), None).unwrap();
    let prefixes = prefixes(&plan);
    assert_eq!(sizes(&prefixes), [(12, 3, None), (4, 3, Some(0)), (4, 3, Some(0)), (4, 3, Some(0))]);
    assert!((0..12).all(|cell| places(&prefixes, cell) == [Place::System(0), Place::System(1)]));
}

#[test]
fn samples_share_the_whole_request() {
    let cases: Vec<_> = (0..3).map(|number| blocks(&["policy", &format!("q{number}")])).collect();
    let plan = planned(Suite { samples: 5, ..of_blocks(&cases, &[]) }, None).unwrap();
    let prefixes = prefixes(&plan);
    assert_eq!(sizes(&prefixes), [(15, 3, None), (5, 3, Some(0)), (5, 3, Some(0)), (5, 3, Some(0))]);
    assert_eq!(places(&prefixes, 0), [Place::System(0), Place::Turn(0, 0)]);
}

#[test]
fn models_share_nothing_and_neither_do_endpoints() {
    let cases: Vec<_> = (0..4).map(|number| blocks(&["policy", &format!("q{number}")])).collect();
    let there = crate::model::suite::ModelSpec { endpoint: Some("there".to_owned()), label: Some("again".to_owned()), ..model(MODEL) };
    let suite = Suite { models: vec![model(MODEL), model("claude-sonnet-5-5"), there], ..of_blocks(&cases, &[]) };
    let prefixes = prefixes(&planned(suite, None).unwrap());
    assert_eq!(sizes(&prefixes).iter().map(|(requests, ..)| *requests).collect::<Vec<_>>(), [4, 4, 4]);
}

#[test]
fn only_what_is_really_asked_counts() {
    let cases: Vec<_> = (0..4).map(|number| blocks(&["policy", &format!("q{number}")])).collect();
    let plan = planned(of_blocks(&cases, &[]), None).unwrap();
    let left = |left: usize| {
        let known: HashSet<Key> = plan.keys().take(4 - left).collect();
        Prefixes::of(&plan, |key| known.contains(key), Catalog::embedded(), &conditions())
    };
    assert_eq!(sizes(&left(2)), [(2, 3, None)]);
    assert_eq!((sizes(&left(1)), left(1).marks(3)), (vec![], Marks::AsWritten), "a single request would only write");
    // Equal requests have one key, and are asked once.
    let same = planned(of_blocks(&[blocks(&["policy", "q"]), blocks(&["policy", "q"])], &[]), None).unwrap();
    assert_eq!(sizes(&prefixes(&same)), []);
}

#[test]
fn what_is_too_short_is_not_marked() {
    let short: Vec<_> = (0..9).map(|number| blocks(&["", &format!("q{number}")])).collect();
    assert_eq!(sizes(&prefixes(&planned(of_blocks(&short, &[]), None).unwrap())), []);
}

#[test]
fn marks_of_an_author_count_and_hours_stand_before_minutes() {
    let cases: Vec<_> = (0..6).map(|number| blocks(&["policy", &format!("d{}", number % 3), &format!("q{number}")])).collect();
    let (minutes, hour) = (json!({"type": "ephemeral"}), json!({"type": "ephemeral", "ttl": "1h"}));
    let marks = |marks: &[Option<Value>]| {
        let prefixes = prefixes(&planned(of_blocks(&cases, marks), None).unwrap());
        prefixes.marks(0).shared().iter().map(|mark| (mark.place, mark.life, mark.added)).collect::<Vec<_>>()
    };
    let (system, document) = (Place::System(0), Place::System(1));
    assert_eq!(marks(&[Some(hour.clone())]), [(system, Life::Hour, false), (document, Life::FiveMinutes, true)]);
    assert_eq!(marks(&[None, Some(hour)]), [(system, Life::Hour, true), (document, Life::Hour, false)]);
    assert_eq!(marks(&[Some(minutes.clone())]), [(system, Life::FiveMinutes, false), (document, Life::FiveMinutes, true)]);
    let explicit = Suite { cache: PromptCache::Explicit, ..of_blocks(&cases, &[None, Some(minutes)]) };
    let explicit = prefixes(&planned(explicit, None).unwrap());
    assert_eq!(places(&explicit, 0), [document]);
    assert!(explicit.marks(0).shared().iter().all(|mark| !mark.added));
    let off = Suite { cache: PromptCache::Off, ..of_blocks(&cases, &[]) };
    assert_eq!(prefixes(&planned(off, None).unwrap()).marks(0), Marks::Off);
}

#[test]
fn an_entry_lives_as_long_as_the_pause_between_two_requests() {
    let params = |max_tokens| Params { max_tokens: Some(max_tokens), ..Params::default() };
    let pace = |max_concurrency, stream| Pace { max_concurrency, requests_per_minute: None, stream };
    assert_eq!(pace(8, Streaming::Auto).life(&params(4_096)), Life::FiveMinutes);
    assert_eq!(pace(1, Streaming::Always).life(&params(64_000)), Life::Hour, "each reply may take a quarter of an hour");
    assert_eq!(pace(8, Streaming::Always).life(&params(64_000)), Life::FiveMinutes, "two minutes from one to the next");
    assert_eq!(pace(8, Streaming::Never).life(&params(64_000)), Life::Hour, "the others wait for the whole first reply");
    assert_eq!(Pace { requests_per_minute: Some(1), ..Pace::default() }.life(&params(1)), Life::FiveMinutes);
}

#[test]
fn members_that_stand_far_apart_are_brought_together_and_no_others() {
    // Two versions side by side stay pairs; the documents of a catalogue of questions do not wait for the next question.
    let near: Vec<_> = (0..300).map(|number| blocks(&[&format!("policy{}", number % 2), &format!("q{number}")])).collect();
    let prefixes_near = prefixes(&planned(of_blocks(&near, &[]), None).unwrap());
    let mut order: Vec<usize> = (0..300).collect();
    prefixes_near.order(&mut order, |cell| *cell);
    assert!(order.is_sorted());
    let far: Vec<_> = (0..900).map(|number| blocks(&[&format!("document{}", number % 300), &format!("q{number}")])).collect();
    let prefixes_far = prefixes(&planned(of_blocks(&far, &[]), None).unwrap());
    let mut order: Vec<usize> = (0..900).collect();
    prefixes_far.order(&mut order, |cell| *cell);
    assert_eq!(order[..7], [0, 300, 600, 1, 301, 601, 2]);
}

#[test]
fn at_a_slow_pace_members_are_brought_together_that_stand_less_far_apart() {
    // A hundred documents in turn, three questions to each.
    let cases: Vec<_> = (0..300).map(|number| blocks(&[&format!("document{}", number % 100), &format!("q{number}")])).collect();
    let plan = planned(of_blocks(&cases, &[]), None).unwrap();
    let order = |pace: Pace| {
        let conditions = Conditions { endpoints: BTreeMap::from([(plan.cells[0].variant.endpoint.to_string(), pace)]), ..conditions() };
        let prefixes = Prefixes::of(&plan, |_| false, Catalog::embedded(), &conditions);
        let mut order: Vec<usize> = (0..300).collect();
        prefixes.order(&mut order, |cell| *cell);
        order[..4].to_vec()
    };
    let fast = Pace { max_concurrency: 20, ..Pace::default() };
    assert_eq!(order(fast), [0, 1, 2, 3], "a hundred requests take less than an entry lives");
    // Ten a minute: ten minutes from one question to the next, and an entry lives five.
    assert_eq!(order(Pace { requests_per_minute: Some(10), ..fast }), [0, 100, 200, 1]);
    assert_eq!(order(Pace { requests_per_minute: Some(30), ..fast }), [0, 1, 2, 3]);
    assert_eq!(fast.apart(&Params { max_tokens: Some(12_000), ..Params::default() }, Life::FiveMinutes), 24, "ten seconds each");
    assert_eq!(fast.apart(&Params { max_tokens: Some(12_000), ..Params::default() }, Life::Hour), FAR_APART);
}

#[test]
fn marks_that_are_added_keep_to_four_and_stand_in_the_order_that_the_api_takes() {
    let cases: Vec<_> =
        (0..8).map(|number| blocks(&["policy", &format!("d{}", number % 4), &format!("e{}", number % 4), &format!("q{number}")])).collect();
    let minutes = json!({"type": "ephemeral"});
    // Three of the author's leave room for one, and four for none.
    let added = |marks: &[Option<Value>]| {
        let plan = planned(Suite { samples: 2, ..of_blocks(&cases, marks) }, None).unwrap();
        let authored = plan.cells[0].path.as_ref().unwrap().authored;
        let marks = prefixes(&plan).marks(0);
        (authored, marks.shared().iter().filter(|mark| mark.added).count())
    };
    let (none, mark) = (None, Some(minutes));
    assert_eq!(added(&[none.clone(), none.clone(), none.clone(), none.clone()]), (0, 3));
    assert_eq!(added(&[none.clone(), mark.clone(), mark.clone(), mark.clone()]), (3, 1));
    assert_eq!(added(&[mark.clone(), mark.clone(), mark.clone(), mark]), (4, 0));

    // A group within a group may be asked for more slowly than the one around it.
    let group = |digest, life| Group {
        endpoint: "e".into(),
        model: MODEL.into(),
        requests: 4,
        tokens: 4_000,
        outer_tokens: 0,
        life,
        authored: false,
        outer: None,
        asked: Asked::Singly,
        digest: Digest(digest),
        apart: FAR_APART,
    };
    let groups = vec![group(0, Life::FiveMinutes), group(1, Life::Hour), group(2, Life::FiveMinutes)];
    let prefixes =
        Prefixes { places: groups.iter().enumerate().map(|(at, group)| (group.digest, at)).collect(), groups, marks: Vec::new() };
    let step = |at: u32| Step { digest: Digest(at.into()), tokens: 4_000, place: Place::System(at), mark: None };
    let lives = |short, long| {
        let path = Path { steps: (0..3).map(step).collect(), authored: 0, short, long, explicit: false, minimum: 512 };
        prefixes.planned(&path).iter().map(|mark| mark.life.seconds()).collect::<Vec<_>>()
    };
    assert_eq!(lives(None, None), [3_600, 3_600, 300]);
    assert_eq!(lives(Some(Place::Tools), None), [300, 300, 300], "a mark of five minutes that nobody shares stands before them");
    assert_eq!(lives(None, Some(Place::Turn(0, 0))), [3_600, 3_600, 3_600], "and one of an hour behind them");
}

/// The best saving over every choice of nodes, by trying them all.
fn best_of_all(tree: &Tree, plan: &Plan, asked: Asked) -> i128 {
    let worth: Vec<(usize, i128)> = (0..tree.nodes.len())
        .filter_map(|place| {
            let node = &tree.nodes[place];
            let life = if asked == Asked::Singly { Life::FiveMinutes } else { Life::Hour };
            let rates = Rates::of(Catalog::embedded(), MODEL, conditions().day, node.tokens, life).unwrap();
            let minimum = plan.cells[node.cell].path.as_ref().unwrap().minimum;
            (node.requests >= 2 && may_be_kept(node.tokens, minimum)).then(|| (place, rates.gain(node.requests, asked)))
        })
        .collect();
    let around = |place: usize| std::iter::successors(tree.nodes[place].outer, |outer| tree.nodes[*outer].outer);
    let value = |set: u32| {
        let is_in = |place: usize| worth.iter().position(|(known, _)| *known == place).is_some_and(|at| set & (1 << at) != 0);
        let mut sum = 0;
        for (_, (place, gain)) in worth.iter().enumerate().filter(|(at, _)| set & (1 << at) != 0) {
            if around(*place).filter(|outer| is_in(*outer)).count() >= MOST_MARKS {
                return i128::MIN;
            }
            let held = around(*place).find(|outer| is_in(*outer)).map_or(0, |outer| tree.nodes[outer].tokens);
            sum += i128::from(tree.nodes[*place].tokens - held) * gain;
        }
        sum
    };
    (0..1_u32 << worth.len()).map(value).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn no_other_choice_of_marks_saves_more(cases in prop::collection::vec(prop::collection::vec(0_u8..3, 1..8), 2..7), samples in 1_u32..3, batched: bool) {
        let mut cases: Vec<Vec<String>> = cases.iter().map(|case| case.iter().map(|block| format!("block{block}")).collect()).collect();
        for (number, case) in cases.iter_mut().enumerate() {
            case.push(format!("q{number}"));
        }
        let plan = planned(Suite { samples, ..of_blocks(&cases, &[]) }, None).unwrap();
        let requests: Vec<u64> = plan.cells.iter().map(|cell| cell.keys.len() as u64).collect();
        let tree = Tree::of(&plan, &requests);
        let (asked, prefixes) = if batched { (Asked::InBatches, in_batches(&plan)) } else { (Asked::Singly, prefixes(&plan)) };
        let saved: i128 = prefixes.groups().iter().map(|group| {
            Rates::of(Catalog::embedded(), MODEL, conditions().day, group.tokens, group.life).unwrap().gain(group.requests, asked) * i128::from(group.written())
        }).sum();
        prop_assume!(tree.nodes.iter().filter(|node| node.requests >= 2).count() <= 16);
        prop_assert_eq!(saved, best_of_all(&tree, &plan, asked));
        for cell in 0..plan.cells.len() {
            let marks = prefixes.marks(cell);
            prop_assert!(marks.shared().len() <= MOST_MARKS);
            prop_assert!(marks.shared().is_sorted_by_key(|mark| mark.place));
        }
    }
}
