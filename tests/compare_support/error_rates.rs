//! How often `compare` is wrong, by simulation: the tables in docs/statistics.md.
//!
//! ```text
//! cargo test --release --test compare -- --ignored --nocapture error_rates
//! ```

use bench_diff::compare::{self, CaseSide, CellSide, Comparison, Confirmation, LOOKS, Options, Row, Side, Verdict};
use bench_diff::metric;
use bench_diff::results::{Environment, Occasions, Program, Session};

use std::collections::BTreeMap;

use bench_diff::compare::NoiseThreshold;

use super::random::{Random, Shape};

#[path = "learning_rates.rs"]
mod learning_rates;

/// Metrics and the standard deviation of their runs.
const NOISE: [(&str, f64); 3] = [("decode_throughput", 0.004), ("ttft", 0.007), ("itl_p99", 0.010)];

/// A world to measure in.
#[derive(Clone)]
struct World {
    cases: usize,
    runs: usize,
    base_sessions: usize,
    /// Sessions that follow each other within the same hours.
    on_one_occasion: usize,
    /// Standard deviation of an occasion's level, ...
    drift: f64,
    /// ... which is of so much together.
    together: Together,
    /// The same of a session's level within its occasion.
    within: f64,
    /// Factor of all runs' standard deviations.
    noise: f64,
    /// Standard deviation of ln sd between cells: 0 for cells that are equally noisy.
    uneven: f64,
    shape: Shape,
    /// Factor of the standard deviations of the head's runs in the first so many cases.
    loud: f64,
    loud_cases: usize,
    /// Change of the last case in all metrics; 0 for A/A.
    change: f64,
    interleaved: bool,
    /// Noise thresholds are learned from the base.
    auto: bool,
}

/// What drifts alike.
#[derive(Clone, Copy, PartialEq)]
enum Together {
    /// Nothing: each cell on its own.
    Cell,
    /// All metrics of a case.
    Case,
    /// All of a session.
    Session,
}

const QUIET: World = World {
    cases: 24,
    runs: 3,
    base_sessions: 1,
    on_one_occasion: 1,
    drift: 0.0,
    together: Together::Cell,
    within: 0.0,
    noise: 1.0,
    uneven: 0.0,
    shape: Shape::Normal,
    loud: 1.0,
    loud_cases: usize::MAX,
    change: 0.0,
    interleaved: true,
    auto: false,
};

impl World {
    fn spreads(&self, random: &mut Random) -> Vec<f64> {
        (0..self.cases * NOISE.len())
            .map(|index| self.noise * NOISE[index % NOISE.len()].1 * (self.uneven * random.normal()).exp())
            .collect()
    }

    fn of_the_head(&self, mut spreads: Vec<f64>) -> Vec<f64> {
        spreads.iter_mut().take(self.loud_cases.saturating_mul(NOISE.len())).for_each(|spread| *spread *= self.loud);
        spreads
    }

    /// Of each session, what it shifts in this case on the log scale, and whether that is of its cells together.
    fn shifts(&self, random: &mut Random, sessions: usize, known: &[f64]) -> Vec<f64> {
        let own = self.together == Together::Case || (self.together == Together::Session && known.is_empty());
        (0..sessions)
            .map(|session| if own { random.normal() } else { known.get(session).copied().unwrap_or(0.0) })
            .collect()
    }

    fn side(&self, random: &mut Random, spreads: &[f64], sessions: usize, change: f64) -> Side {
        let mut shifts = Vec::new();
        let cases = (0..self.cases)
            .map(|case| {
                shifts = self.shifts(random, sessions, &shifts);
                let cells = NOISE.iter().enumerate().map(|(index, (name, _))| {
                    let known = metric::find(name).expect("a known metric").definition();
                    let worse = if case + 1 == self.cases { change } else { 0.0 };
                    let sign = if known.better == metric::Better::Lower { 1.0 } else { -1.0 };
                    let mut cell = CellSide::new((*name).into(), known.unit.into(), known.better);
                    let mut occasion = 0.0;
                    for (session, together) in shifts.iter().enumerate() {
                        if session % self.on_one_occasion == 0 {
                            let shift = if self.together == Together::Cell { random.normal() } else { *together };
                            occasion = sign * worse.ln_1p() + self.drift * shift;
                        }
                        // Worlds without it stay as they were.
                        let within = if self.within > 0.0 { self.within * random.normal() } else { 0.0 };
                        let level = occasion + within;
                        for _ in 0..self.runs {
                            let noise = spreads[case * NOISE.len() + index] * self.shape.draw(random);
                            cell.push(session, 100.0 * (level + noise).exp());
                        }
                    }
                    cell
                });
                CaseSide { id: format!("case-{case}"), cells: cells.collect(), runs: 1, ..CaseSide::default() }
            })
            .collect();
        Side { cases, occasions: self.occasions(sessions), ..Side::default() }
    }

    /// A day lies between occasions, an hour between the sessions of one.
    fn occasions(&self, sessions: usize) -> Occasions {
        let each = self.on_one_occasion;
        let session = |index: usize| Session {
            id: format!("session-{index}"),
            started: format!("2026-01-{:02}T{:02}:00:00Z", 1 + index / each, index % each),
            finished: None,
            program: Program::default(),
            program_sha256: None,
            environment: Environment::default(),
            ceilings: None,
            runs: Vec::new(),
            discarded: Vec::new(),
            counters: Vec::new(),
            step_parts: Vec::new(),
        };
        Occasions::of(&(0..sessions).map(session).collect::<Vec<_>>())
    }

    fn options(&self) -> Options {
        let auto = self.auto.then(|| ("all".to_owned(), NoiseThreshold::Auto));
        let noise_thresholds: BTreeMap<_, _> = auto.into_iter().collect();
        Options { same_session: self.interleaved, noise_thresholds, ..Options::default() }
    }

    fn screen(&self, random: &mut Random) -> Comparison {
        let spreads = self.spreads(random);
        let base = self.side(random, &spreads, self.base_sessions, 0.0);
        let head = self.side(random, &self.of_the_head(spreads), 1, self.change);
        compare::compare(&base, &head, &self.options()).expect("a comparison")
    }

    /// A screen against another session, and fresh interleaved runs of what it suspects, until it is settled.
    fn screen_and_confirm(&self, random: &mut Random) -> Comparison {
        let spreads = self.spreads(random);
        let base = self.side(random, &spreads, self.base_sessions, 0.0);
        let head = self.side(random, &spreads, 1, self.change);
        let options = self.options();
        let screen = compare::compare(&base, &head, &options).expect("a screen");
        let suspects = compare::suspects(&base, &head, &options).expect("suspects");
        let mut confirmation = Confirmation::new(screen, suspects, &options);
        let most = LOOKS[LOOKS.len() - 1] as usize;
        let fresh = Self { runs: most, drift: 0.0, ..self.clone() };
        let base = fresh.side(random, &spreads, 1, 0.0);
        let head = fresh.side(random, &spreads, 1, self.change);
        while let Some(runs) = confirmation.wanted() {
            confirmation.look(&first(&base, runs), &first(&head, runs)).expect("a look");
        }
        confirmation.finish()
    }

    fn rates(&self, reports: usize, seed: u64, measure: impl Fn(&Self, &mut Random) -> Comparison) -> Rates {
        let mut random = Random(seed);
        let last = format!("case-{}", self.cases - 1);
        let mut rates = Rates::default();
        let (mut runs, mut confirmed) = (0, 0);
        for _ in 0..reports {
            let rows = measure(self, &mut random).rows;
            let is_changed = |row: &Row| self.change != 0.0 && row.cell.case == last;
            let says_change = |row: &Row| matches!(row.verdict(), Verdict::Regressed | Verdict::Improved);
            rates.alarms += f64::from(rows.iter().any(|row| !is_changed(row) && says_change(row)));
            rates.unconfirmed += f64::from(rows.iter().any(|row| !is_changed(row) && row.is_unconfirmed()));
            for (index, row) in rows.iter().filter(|row| is_changed(row)).enumerate() {
                rates.found[index] += f64::from(row.verdict() == Verdict::Regressed || row.is_unconfirmed());
                rates.acquitted[index] += f64::from(row.verdict() == Verdict::Unchanged && row.is_confirmed());
                rates.unchanged[index] += f64::from(row.verdict() == Verdict::Unchanged);
            }
            let quiet = rows.iter().filter(|row| !is_changed(row) && row.verdict() == Verdict::Unchanged).count();
            rates.quiet += quiet as f64 / rows.iter().filter(|row| !is_changed(row)).count() as f64;
            for row in rows.iter().filter(|row| row.is_confirmed()) {
                runs += row.sides.base.map_or(0, |base| base.n);
                confirmed += 1;
            }
        }
        let share = |count: f64| count / reports as f64;
        Rates {
            alarms: share(rates.alarms),
            unconfirmed: share(rates.unconfirmed),
            found: rates.found.map(share),
            acquitted: rates.acquitted.map(share),
            unchanged: rates.unchanged.map(share),
            quiet: share(rates.quiet),
            runs: f64::from(u32::try_from(runs).unwrap()) / f64::from(confirmed.max(1)),
        }
    }
}

#[derive(Default)]
struct Rates {
    /// Share of reports with a false alarm.
    alarms: f64,
    /// Share of reports in which an unchanged row looks changed, unconfirmed.
    unconfirmed: f64,
    /// Share of the changed cells that were called regressed or look so, by metric.
    found: [f64; 3],
    /// Share of them that fresh runs called unchanged.
    acquitted: [f64; 3],
    /// Share of the changed cells that were called unchanged, by whatever, by metric.
    unchanged: [f64; 3],
    /// Share of the other cells that were.
    quiet: f64,
    /// Fresh runs a side of a suspect, on average.
    runs: f64,
}

/// Only the first runs of a side.
fn first(side: &Side, runs: u32) -> Side {
    let mut side = side.clone();
    for cell in side.cases.iter_mut().flat_map(|case| &mut case.cells) {
        cell.sessions[0].values.truncate(runs as usize);
    }
    side
}

fn percents(shares: [f64; 3]) -> String {
    shares.map(|share| format!("{:.0}", 100.0 * share)).join(" / ")
}

/// What confirming adds: how often a change of just 2% is acquitted, and what it costs.
fn confirmation_line(what: &str, world: &World, reports: usize) -> f64 {
    let rates = |change: f64| World { change, ..world.clone() }.rates(reports, 1, World::screen_and_confirm);
    let (none, two, three, five) = (rates(0.0), rates(0.02), rates(0.03), rates(0.05));
    println!(
        "| {what} | {:.1}% | {} | {} | {} | {:.1} |",
        100.0 * none.alarms,
        percents(three.found),
        percents(five.found),
        percents(two.acquitted),
        none.runs
    );
    none.alarms
}

fn line(what: &str, world: &World, reports: usize, measure: impl Fn(&World, &mut Random) -> Comparison) -> f64 {
    let mut alarms = 0.0;
    let mut text = format!("| {what} |");
    for change in [0.0, 0.03, 0.05] {
        let rates = World { change, ..world.clone() }.rates(reports, 1, &measure);
        if change == 0.0 {
            alarms = rates.alarms;
            text += &format!(" {:.1}% | {:.1}% |", 100.0 * alarms, 100.0 * rates.unconfirmed);
        } else {
            text += &format!(" {} |", percents(rates.found));
        }
    }
    println!("{text}");
    alarms
}

/// Against a history of five days with 0.3% of drift: false alarms by the factor of the head's noise, and how often 5% are
/// found in a case as quiet as the base, beside cases 10 times as noisy where only some are noisy.
fn loud_line(what: &str, world: &World, reports: usize) -> [f64; 4] {
    let alarms =
        [1.0, 3.0, 10.0, 100.0].map(|loud| World { loud, ..world.clone() }.rates(reports, 1, World::screen).alarms);
    let beside = if world.loud_cases < world.cases { 10.0 } else { 1.0 };
    let found = World { loud: beside, change: 0.05, ..world.clone() }.rates(reports, 1, World::screen).found;
    let shares = alarms.map(|alarms| format!("{:.1}%", 100.0 * alarms)).join(" | ");
    println!("| {what} | {shares} | {} |", percents(found));
    alarms
}

fn reports() -> usize {
    std::env::var("REPORTS").ok().and_then(|reports| reports.parse().ok()).unwrap_or(2000)
}

/// Two standard errors above the promise.
fn limit(reports: usize) -> f64 {
    0.05 + 2.0 * (0.05 * 0.95 / reports as f64).sqrt()
}

#[test]
#[ignore = "minutes; prints the first table of docs/statistics.md"]
fn error_rates() {
    let reports = reports();
    let apart = World { interleaved: false, ..QUIET };
    let with = |cases, uneven| World { cases, uneven, ..QUIET };
    let history = |base_sessions, drift| World { base_sessions, drift, ..apart.clone() };
    let screen = |world: &World, random: &mut Random| world.screen(random);
    let day = |within, drift| World { base_sessions: 5, on_one_occasion: 5, within, drift, ..apart.clone() };
    println!("| reports | false alarms | unconfirmed | 3% found | 5% found |\n|---|---|---|---|---|");
    let alarms = [
        line("same session, 24 cases", &QUIET, reports, screen),
        line("same session, 8 cases", &with(8, 0.0), reports, screen),
        line("same session, 6 cases", &with(6, 0.0), reports, screen),
        line("same session, 2 cases", &with(2, 0.0), reports, screen),
        line("same session, 24 unevenly noisy cases", &with(24, 0.5), reports, screen),
        line("same session, 6 unevenly noisy cases", &with(6, 0.5), reports, screen),
        line("one base session, 0.5% drift", &World { drift: 0.005, ..apart.clone() }, reports, screen),
        line("one base session, 1% drift", &World { drift: 0.01, ..apart.clone() }, reports, screen),
        line("5 base sessions, 0.5% drift", &history(5, 0.005), reports, screen),
        line("5 base sessions, 1% drift", &history(5, 0.01), reports, screen),
        line("5 base sessions, 2% drift", &history(5, 0.02), reports, screen),
        line("5 days, 0.3% within, 1% between", &World { within: 0.003, ..history(5, 0.01) }, reports, screen),
        line(
            "5 days of 2 sessions, 0.5% within, 1% between",
            &World { within: 0.005, on_one_occasion: 2, ..history(10, 0.01) },
            reports,
            screen,
        ),
        line("10 base sessions, 1% drift", &history(10, 0.01), reports, screen),
    ];
    assert!(alarms.iter().all(|&alarms| alarms <= limit(reports)), "{alarms:?}");
    let screens = [
        line("one base session, 2% drift", &World { drift: 0.02, ..apart.clone() }, reports, screen),
        line(
            "3 sessions of one day, 0.3% within, 2% between",
            &World { base_sessions: 3, ..day(0.003, 0.02) },
            reports,
            screen,
        ),
        line("5 sessions of one day, 0.3% within, 0.5% between", &day(0.003, 0.005), reports, screen),
        line("5 sessions of one day, 0.3% within, 1% between", &day(0.003, 0.01), reports, screen),
        line("5 sessions of one day, 0.3% within, 2% between", &day(0.003, 0.02), reports, screen),
        line("5 sessions of one day, 1% within, 1% between", &day(0.01, 0.01), reports, screen),
    ];
    assert_eq!(screens, [0.0; 6], "a screen alarms nobody");
}

/// A night on which the head's runs are noisier than those of any night before.
#[test]
#[ignore = "minutes; prints the third table of docs/statistics.md"]
fn error_rates_of_noisy_heads() {
    let reports = reports();
    let days = World { base_sessions: 5, drift: 0.003, interleaved: false, ..QUIET };
    let cases = |cases| World { cases, ..days.clone() };
    let some = |loud_cases| World { loud_cases, ..days.clone() };
    let runs = |runs| World { runs, ..days.clone() };
    println!("| the head's noise to the base's | 1 | 3 | 10 | 100 | 5% found |\n|---|---|---|---|---|---|");
    let alarms = [
        loud_line("24 cases", &days, reports),
        loud_line("6 cases", &cases(6), reports),
        loud_line("2 cases", &cases(2), reports),
        loud_line("1 case", &cases(1), reports),
        loud_line("1 of 24 cases", &some(1), reports),
        loud_line("4 of 24 cases", &some(4), reports),
        loud_line("12 of 24 cases", &some(12), reports),
        loud_line("24 cases, 2 runs", &runs(2), reports),
        loud_line("24 cases, 8 runs", &runs(8), reports),
        loud_line("24 unevenly noisy cases", &World { uneven: 0.5, ..days.clone() }, reports),
        loud_line("24 cases, 2% drift", &World { drift: 0.02, ..days.clone() }, reports),
        loud_line("24 cases, skewed", &World { shape: Shape::Skewed, ..days.clone() }, reports),
        loud_line("2 cases, skewed", &World { shape: Shape::Skewed, ..cases(2) }, reports),
        loud_line("24 cases, heavy-tailed", &World { shape: Shape::HeavyTailed, ..days.clone() }, reports),
        loud_line("2 cases, heavy-tailed", &World { shape: Shape::HeavyTailed, ..cases(2) }, reports),
    ];
    assert!(alarms.as_flattened().iter().all(|&alarms| alarms <= limit(reports)), "{alarms:?}");
    println!();
    loud_line("1 of 24 cases, 2 runs", &World { runs: 2, ..some(1) }, reports);
    loud_line("1 of 24 cases, skewed", &World { shape: Shape::Skewed, ..some(1) }, reports);
    loud_line("12 of 24 cases, skewed", &World { shape: Shape::Skewed, ..some(12) }, reports);
}

/// With noise beyond the noise thresholds, these don't help any more: only the tests keep false alarms rare.
#[test]
#[ignore = "minutes; prints the second table of docs/statistics.md"]
fn error_rates_of_confirming() {
    let reports = reports();
    let apart = World { interleaved: false, ..QUIET };
    let drift = |drift| World { drift, ..apart.clone() };
    let noisy = |cases, noise| World { cases, noise, ..apart.clone() };
    println!("| screen and confirm | false alarms | 3% found | 5% found | 2% acquitted | fresh runs |");
    println!("|---|---|---|---|---|---|");
    let alarms = [
        confirmation_line("24 cases, no drift", &apart, reports),
        confirmation_line("24 cases, 1% drift", &drift(0.01), reports),
        confirmation_line("24 cases, 2% drift", &drift(0.02), reports),
        confirmation_line("2 cases, 1% drift", &World { cases: 2, ..drift(0.01) }, reports),
        confirmation_line("24 cases, 3 times the noise", &noisy(24, 3.0), reports),
        confirmation_line("24 cases, 10 times the noise", &noisy(24, 10.0), reports),
        confirmation_line("2 cases, 10 times the noise", &noisy(2, 10.0), reports),
        confirmation_line("24 cases, 10 times the noise, 10% drift", &World { drift: 0.1, ..noisy(24, 10.0) }, reports),
    ];
    assert!(alarms.iter().all(|&alarms| alarms <= limit(reports)), "{alarms:?}");
}

/// A small run of the same, so that every test run looks.
#[test]
fn false_alarms_are_rare() {
    let alarms = QUIET.rates(100, 7, World::screen).alarms;
    assert!(alarms <= 0.08, "{alarms}");
    let found = World { change: 0.05, ..QUIET }.rates(50, 7, World::screen).found;
    assert!(found[0] >= 0.95 && found[1] >= 0.7, "{found:?}");
}

#[test]
fn false_alarms_are_rare_against_a_history() {
    for (within, drift) in [(0.003, 0.003), (0.003, 0.01), (0.01, 0.005), (0.003, 0.02)] {
        let days = World { base_sessions: 5, within, drift, interleaved: false, ..QUIET };
        for world in [days.clone(), World { base_sessions: 15, on_one_occasion: 3, ..days }] {
            let alarms = world.rates(100, 7, World::screen).alarms;
            assert!(alarms <= 0.08, "{alarms} at {within} within and {drift} between");
        }
    }
}

/// Without a look at the head's own runs, 80 to 100% of such reports cried wolf.
#[test]
fn false_alarms_are_rare_with_a_noisy_head() {
    let days = World { base_sessions: 5, drift: 0.003, interleaved: false, ..QUIET };
    for shape in [Shape::Normal, Shape::Skewed, Shape::HeavyTailed] {
        for (cases, loud) in [(24, 3.0), (24, 10.0), (2, 10.0), (2, 100.0)] {
            let alarms = World { cases, loud, shape, ..days.clone() }.rates(100, 7, World::screen).alarms;
            assert!(alarms <= 0.08, "{alarms} in {cases} cases {loud} times as noisy");
        }
    }
    let found = World { change: 0.05, loud: 10.0, loud_cases: 1, ..days }.rates(50, 7, World::screen).found;
    assert!(found[0] >= 0.9 && found[1] >= 0.6, "quiet cases beside a noisy one: {found:?}");
}

#[test]
fn false_alarms_are_rare_after_confirming() {
    let apart = World { interleaved: false, cases: 6, drift: 0.02, noise: 5.0, ..QUIET };
    let alarms = apart.rates(200, 7, World::screen_and_confirm).alarms;
    assert!(alarms <= 0.08, "{alarms}");
    let changed = World { change: 0.05, noise: 1.0, ..apart }.rates(50, 7, World::screen_and_confirm);
    assert!(changed.found[0] >= 0.9, "{:?}", changed.found);
}
