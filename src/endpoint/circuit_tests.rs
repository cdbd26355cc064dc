//! Is an endpoint that is down found out, and one that only stumbles left in peace?

use proptest::prelude::*;

use super::*;

const FAILURE: Failure = Failure { call: 0, headless: false, hung: false, last_try: false, probe: false };
const PROBE: Failure = Failure { probe: true, ..FAILURE };
const GIVE_UP: Duration = Duration::from_secs(30);

fn circuit(max_concurrency: usize) -> Circuit {
    Circuit::new(max_concurrency, GIVE_UP)
}

fn tripped(now: Instant) -> Circuit {
    let mut circuit = circuit(1);
    fail(&mut circuit, LEAST_STREAK, now);
    assert_ne!(circuit.next(), Next::Now);
    circuit
}

/// So many calls fail, one after the other.
fn fail(circuit: &mut Circuit, times: u32, now: Instant) {
    for call in 0..u64::from(times) {
        circuit.failed(now, Failure { call, ..FAILURE });
    }
}

/// Lets every probe fail at once, until nothing is asked any more. When the probes went out, in milliseconds.
fn probes(circuit: &mut Circuit, start: Instant) -> Vec<u128> {
    let mut times = Vec::new();
    while let Next::Probe(when) = circuit.next() {
        times.push((when - start).as_millis());
        circuit.failed(when, PROBE);
    }
    times
}

#[test]
fn every_kind_of_failure_says_something_about_the_endpoint_or_nothing() {
    use ErrorKind as K;
    for kind in [K::Connection, K::Timeout, K::Overloaded, K::Server, K::MalformedReply] {
        assert_eq!(sign(kind), Sign::Down, "{kind:?}");
    }
    for kind in [K::RateLimited, K::SpendLimit, K::Denied, K::NotFound, K::InvalidRequest] {
        assert_eq!(sign(kind), Sign::Alive, "{kind:?}");
    }
}

#[test]
fn a_silent_endpoint_is_probed_less_and_less_often_and_given_up_in_time() {
    let start = Instant::now();
    let mut circuit = tripped(start);
    assert_eq!(probes(&mut circuit, start), [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 30_000]);
    assert_eq!(circuit.next(), Next::Never);
    assert_eq!(circuit.silence(start + GIVE_UP), (GIVE_UP, LEAST_STREAK + 10));
    // What was under way answers after all: nobody waits for it any more.
    assert!(!circuit.alive());
    assert_eq!(circuit.next(), Next::Never);
}

#[test]
fn one_success_closes_it_and_the_next_outage_starts_afresh() {
    let start = Instant::now();
    let mut circuit = tripped(start);
    circuit.failed(start + Duration::from_secs(20), PROBE);
    assert!(circuit.alive());
    assert_eq!(circuit.next(), Next::Now);
    let later = start + Duration::from_secs(40);
    fail(&mut circuit, LEAST_STREAK, later);
    assert_eq!(circuit.next(), Next::Probe(later + FIRST_PROBE));
}

#[test]
fn a_probe_that_takes_longer_than_all_patience_is_the_last_one() {
    let start = Instant::now();
    let mut circuit = tripped(start);
    circuit.failed(start + Duration::from_secs(300), PROBE);
    assert_eq!(circuit.next(), Next::Never);
}

#[test]
fn failures_that_were_under_way_when_it_tripped_are_no_probes() {
    let start = Instant::now();
    let mut circuit = tripped(start);
    circuit.failed(start + Duration::from_secs(60), FAILURE);
    assert_eq!(circuit.next(), Next::Probe(start + FIRST_PROBE));
}

#[test]
fn all_that_one_model_had_under_way_breaks_at_once_and_trips_nothing() {
    let now = Instant::now();
    let mut circuit = circuit(20);
    fail(&mut circuit, 20, now);
    assert_eq!(circuit.next(), Next::Now);
    circuit.failed(now, FAILURE);
    assert_ne!(circuit.next(), Next::Now);
}

#[test]
fn one_request_that_fails_again_and_again_is_no_outage() {
    let now = Instant::now();
    let mut circuit = circuit(1);
    for _ in 0..50 {
        circuit.failed(now, FAILURE);
    }
    assert_eq!(circuit.next(), Next::Now);
    circuit.failed(now, Failure { call: 1, ..FAILURE });
    assert_ne!(circuit.next(), Next::Now);
}

#[test]
fn a_call_at_its_end_trips_it_only_where_nothing_was_heard_at_all() {
    let now = Instant::now();
    let silence = Failure { headless: true, ..FAILURE };
    let end = Failure { last_try: true, ..silence };
    for (before, last, trips) in [
        ([silence; 2], end, true),
        ([silence; 2], silence, false),
        ([FAILURE; 2], end, false),
        ([silence; 2], Failure { headless: false, ..end }, false),
    ] {
        let mut circuit = circuit(8);
        for failure in before {
            circuit.failed(now, failure);
        }
        circuit.failed(now, last);
        assert_eq!(circuit.next() != Next::Now, trips, "{before:?} {last:?}");
    }
}

#[test]
fn one_round_of_attempts_that_hang_trips_it_and_a_single_request_does_not() {
    let now = Instant::now();
    let hung = Failure { hung: true, ..FAILURE };
    for (concurrency, round) in [(1, 3), (3, 3), (8, 8), (20, 20)] {
        let mut several = circuit(concurrency);
        let mut alone = circuit(concurrency);
        for call in 0..round {
            assert_eq!(several.next(), Next::Now, "{call} at concurrency {concurrency}");
            several.failed(now, Failure { call, ..hung });
            alone.failed(now, hung);
        }
        assert_ne!(several.next(), Next::Now, "concurrency {concurrency}");
        assert_eq!(alone.next(), Next::Now, "concurrency {concurrency}");
    }
}

#[test]
fn it_is_given_up_in_time_even_where_no_probe_comes_back() {
    let start = Instant::now();
    let mut circuit = tripped(start);
    let end = start + GIVE_UP + PROBE_TIME;
    assert_eq!(circuit.deadline(), Some(end));
    assert!(!circuit.expire(end - Duration::from_millis(1)));
    assert!(circuit.expire(end));
    assert_eq!((circuit.next(), circuit.deadline()), (Next::Never, None));
    let mut endless = Circuit::new(1, Duration::MAX);
    fail(&mut endless, LEAST_STREAK, start);
    assert_eq!(endless.deadline(), None);
}

#[test]
fn a_probe_that_is_being_answered_is_awaited_to_its_end() {
    let start = Instant::now();
    let end = start + GIVE_UP + PROBE_TIME;
    let mut broke_off = tripped(start);
    broke_off.heard();
    assert!(!broke_off.expire(end + GIVE_UP));
    broke_off.failed(end + GIVE_UP, PROBE);
    assert_eq!(broke_off.next(), Next::Never);
    let mut answered = tripped(start);
    answered.heard();
    assert!(!answered.expire(end) && answered.alive());
    assert_eq!(answered.next(), Next::Now);
}

#[test]
fn a_streak_is_an_outage_from_the_moment_that_it_trips() {
    let now = Instant::now();
    let mut circuit = circuit(1);
    let stumble = circuit.failed(now, FAILURE);
    circuit.alive();
    let streak = circuit.failed(now, FAILURE);
    assert!(stumble < streak && !circuit.is_outage(streak));
    for call in 1..u64::from(LEAST_STREAK) {
        assert_eq!(circuit.failed(now, Failure { call, ..FAILURE }), streak);
    }
    assert!(circuit.is_outage(streak) && !circuit.is_outage(stumble));
}

proptest! {
    /// A third of all requests fail, in any order that chance brings: it is never given up.
    #[test]
    fn a_third_of_failures_never_gives_up(seed: u64, concurrency in 1_usize..32) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut circuit = circuit(concurrency);
        let mut now = Instant::now();
        for _ in 0..3_000 {
            let probe = match circuit.next() {
                Next::Now => false,
                Next::Probe(when) => {
                    now = now.max(when);
                    true
                }
                Next::Never => return Err(TestCaseError::fail("given up")),
            };
            now += Duration::from_millis(random.u64(1..400));
            if random.u32(0..3) == 0 {
                circuit.failed(now, Failure { call: random.u64(0..300), headless: random.bool(), hung: random.bool(), last_try: random.u32(0..27) == 0, probe });
            } else {
                circuit.alive();
            }
        }
    }

    /// Whatever comes, an endpoint that answers nothing is given up, after a bounded number of probes.
    #[test]
    fn silence_ends(give_up_ms in 1_u64..600_000, takes_ms in proptest::collection::vec(0_u64..20_000, 1..20)) {
        let mut circuit = Circuit::new(1, Duration::from_millis(give_up_ms));
        let start = Instant::now();
        fail(&mut circuit, LEAST_STREAK, start);
        let (mut now, mut probes, mut last) = (start, 0, start);
        while let Next::Probe(when) = circuit.next() {
            last = now.max(when);
            now = last + Duration::from_millis(takes_ms[probes % takes_ms.len()]);
            probes += 1;
            circuit.failed(now, PROBE);
        }
        prop_assert!(probes as u64 <= 5 + give_up_ms / 4_000, "{probes} probes");
        // Nobody is given up without having been asked at the very end of the time.
        prop_assert!(last - start <= Duration::from_millis(give_up_ms));
        prop_assert!(now - start >= Duration::from_millis(give_up_ms));
    }
}
