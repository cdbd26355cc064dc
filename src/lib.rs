//! promptkeel: prompt regression testing.
//!
//! # The trip of one case
//!
//! A suite file pairs versions of a prompt with cases, models and assertions. On its way from that file to an exit code a case is plain
//! data at every stop, and each stop is a room of this crate:
//!
//! 1. [`source`] reads every file and resolves it into [`model::suite::Suite`]s, or says all that is wrong with all of them at once.
//! 2. [`runner::plan`] makes a cell of each case, prompt version and model: it renders the request with [`template`] and computes the key
//!    under which its answer is stored. Nothing is sent yet, and [`runner::price`] knows the most that it can cost.
//! 3. [`store::cached`] looks the key up. What was answered once is not asked again; the rest goes down the stack of [`endpoint`], which
//!    retries, limits and sends. An answer is stored before anybody judges it.
//! 4. [`assertion`] judges the reply and [`snapshot`] compares it with what was accepted: afresh on every run, never from a cache.
//! 5. [`runner::run`] folds samples into cells and tells of each one; together they are one [`model::run::RunReport`].
//! 6. [`gate`] turns the report into gates and one exit code, [`report`] into every format that people and machines read.
//!
//! [`cli`] ties the rooms together, and [`sim`] is a Messages API without a model, so that all of this can be tried for nothing:
//!
//! ```
//! use promptkeel::model::gate::Exit;
//! use promptkeel::model::verdict::Verdict;
//!
//! let folder = tempfile::tempdir()?;
//! let promptkeel = |arguments: &[&str]| {
//!     let words = ["promptkeel", "-C", folder.path().to_str().unwrap()].into_iter().chain(arguments.iter().copied());
//!     promptkeel::cli::main(words.map(Into::into), |code| panic!("interrupted: {code}"))
//! };
//! // A first project: one suite, its prompt, and a script of what the simulator answers.
//! assert_eq!(promptkeel(&["init"]), 0);
//! assert_eq!(promptkeel(&["run", "--quiet", "--endpoint", "simulated", "--json", "first.json"]), 0);
//! // The second run asks nothing, and judges the stored answers again.
//! assert_eq!(promptkeel(&["run", "--quiet", "--endpoint", "simulated", "--json", "second.json"]), 0);
//!
//! let read = |name: &str| promptkeel::report::json::read(std::fs::File::open(folder.path().join(name)).unwrap());
//! let (first, second) = (read("first.json")?, read("second.json")?);
//! assert!(first.run.simulated && first.totals.requests_asked > 0);
//! assert_eq!((second.totals.requests_asked, second.totals.requests_cached), (0, first.totals.requests_asked));
//! assert_eq!(second.exit, Exit::Holds);
//! assert!(second.cells.iter().all(|cell| cell.verdict == Verdict::Pass));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod assertion;
pub mod cli;
pub mod diff;
pub mod endpoint;
pub mod gate;
pub mod model;
pub mod report;
pub mod review;
pub mod runner;
pub mod sim;
pub mod snapshot;
pub mod source;
pub mod store;
pub mod template;
